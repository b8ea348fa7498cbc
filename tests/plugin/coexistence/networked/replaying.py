"""What runs of programs do, for comparison with another process.

Usage: ``python -m tests.plugin.coexistence.networked.replaying SEEDS [NAME...]`` prints a JSON
object: by the name of a program, what happened under each of the first seeds.
"""

from __future__ import annotations

import json
import logging
import sys

from tests.plugin.coexistence.networked.checking import run_under, what_happened
from tests.plugin.coexistence.networked.table import PROGRAMS


def what_happens(name: str, seeds: int) -> list[str]:
    """What happens in a program under each of the first seeds."""
    return [what_happened(run_under(seed, PROGRAMS[name][0])) for seed in range(seeds)]


if __name__ == "__main__":
    # hypercorn logs each start.
    logging.disable(logging.CRITICAL)
    seeds, *names = sys.argv[1:]
    print(json.dumps({name: what_happens(name, int(seeds)) for name in names}))
