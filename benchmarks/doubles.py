"""What a double costs beside an `unittest.mock.AsyncMock`: to make one, and to await one.

Usage: ``python benchmarks/doubles.py [--quick]``. README.md beside this file says what the
numbers mean. The exit status is 1 when aldente misses a limit.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import measuring

# How many times as long as with an AsyncMock it may take.
LIMIT = 1.5

# Both in one process, in turns of some milliseconds, so that they share its luck; the shortest
# time of each counts.
_PROGRAM = """
import asyncio, json, time
from unittest.mock import AsyncMock
from aldente import Double

async def fetch(url, *, timeout=1): ...

SPECS = {"no spec": (), "a function": (fetch,)}
KINDS = {"AsyncMock": AsyncMock, "Double": Double}

def making(kind, spec):
    began = time.perf_counter()
    for _ in range(20):
        kind(*spec)
    return (time.perf_counter() - began) / 20

async def awaiting(double):
    began = time.perf_counter()
    for _ in range(300):
        await double("url")
    return (time.perf_counter() - began) / 300

best = {}
for _ in range(40):
    for of, spec in SPECS.items():
        for name, kind in KINDS.items():
            seconds = {
                f"make, {of}": making(kind, spec),
                f"await, {of}": asyncio.run(awaiting(kind(*spec, return_value=1))),
            }
            for what, took in seconds.items():
                known = best.setdefault(what, {})
                known[name] = min(took, known.get(name, took))
print(json.dumps(best))
"""

Times = dict[str, dict[str, float]]


def prepare_python(python: str) -> Path:
    """Make an environment with aldente."""
    environment = measuring.make_environment("doubles", python, ["pytest"])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def run_once(python: Path) -> Times:
    """The seconds that each thing takes with each kind of mock."""
    result = subprocess.run(
        [str(python), "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    times: Times = json.loads(result.stdout)
    return times


def report(rounds: Sequence[Times]) -> bool:
    """Print the figures of all rounds; whether the limit is kept."""
    print(f"{'microseconds':<20}{'AsyncMock':>12}{'Double':>12}{'ratio':>8}   limit {LIMIT:g}")
    is_kept = True
    for what in rounds[0]:
        of_mock = statistics.median(times[what]["AsyncMock"] for times in rounds)
        of_double = statistics.median(times[what]["Double"] for times in rounds)
        ratio = statistics.median(
            times[what]["Double"] / times[what]["AsyncMock"] for times in rounds
        )
        verdict = "kept" if ratio <= LIMIT else "MISSED"
        is_kept = is_kept and ratio <= LIMIT
        print(f"{what:<20}{of_mock * 1e6:>12.1f}{of_double * 1e6:>12.1f}{ratio:>8.2f}   {verdict}")
    return is_kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and say whether the limit is kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = prepare_python(options.python)
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    return 0 if report([run_once(python) for _ in range(options.rounds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
