"""What the rules cost: default rules against none, on a loop that is busy and on trivial tests.

Usage: ``python benchmarks/rules.py [--quick]``. README.md beside this file says what the numbers
mean. The exit status is 1 when aldente misses the limit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import measuring
import runner
from runner import Comparison, Pythons

_NAMES_OF_RULES = "from aldente._rules import RULES; print(*(row.name for row in RULES))"

# Ten tasks that give way to one another ten thousand times each.
_BUSY_TEST = """
import asyncio

async def give_way_{number}():
    for _ in range(10_000):
        await asyncio.sleep(0)

async def test_{number}():
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(give_way_{number}())
"""

_TRIVIAL_TEST = """
async def test_{number}():
    assert {number} + 1 > {number}
"""


def comparisons(pythons: Pythons, tests: int) -> Iterable[Comparison]:
    """What is measured, one after the other."""
    rules = measuring.output_of([str(pythons.aldente), "-c", _NAMES_OF_RULES]).split()
    off = [option for rule in rules for option in ("--aldente-rule", f"{rule}=off")]
    busy = runner.write_suite("busy", max(tests // 100, 1), _BUSY_TEST)
    yield Comparison(
        f"{busy.tests} tests of 10 tasks x 10,000 sleep(0), default rules against none",
        1.10,
        [
            busy.run_by("no rules", pythons.aldente, *off),
            busy.run_by("default rules", pythons.aldente),
        ],
    )
    trivial = runner.write_suite("async", tests, _TRIVIAL_TEST)
    yield Comparison(
        f"{tests:,} trivial async tests, default rules against none",
        1.10,
        [
            trivial.run_by("no rules", pythons.aldente, *off),
            trivial.run_by("default rules", pythons.aldente),
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, and say whether the limits are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    rounds = options.rounds
    pythons = runner.prepare_pythons(options.python)
    print(f"Python {measuring.python_version(options.python)}, {rounds} rounds")
    kept = [runner.report(comparison, rounds) for comparison in comparisons(pythons, options.tests)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
