"""Failures of explored tests that pytest's cache keeps: replayed first, and not shrunk anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject

_CACHE = ("-p", "cacheprovider")

# Writes a line for each run.
RACE = """
import asyncio
import aldente

@aldente.explore
async def test_transfer():
    with open("runs.txt", "a") as file:
        file.write("run\\n")
    balance = 100
    async def withdraw(amount):
        nonlocal balance
        await asyncio.sleep(amount)
        before = balance
        await asyncio.sleep(1)
        balance = before - amount
    await asyncio.gather(withdraw(10), withdraw(11.5))
    assert balance == 78.5
"""

REPLAYED = "The schedule is the one kept from last time, and was shrunk then."


def runs_of(folder: Path) -> int:
    """How many runs there were since the last call."""
    file = folder / "runs.txt"
    count = len(file.read_text().splitlines())
    file.unlink()
    return count


def test_a_kept_failure_is_not_shrunk_again(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """It is run a few times, and the report has its story, its token and where it comes from."""
    first = run_project(*_CACHE, test_it=RACE)
    first.stdout.no_fnmatch_line(REPLAYED)
    assert runs_of(pytester.path) > 10
    (token,) = (line for line in first.outlines if "--aldente-replay" in line)
    for _ in range(2):
        again = run_project(*_CACHE)
        again.assert_outcomes(failed=1)
        again.stdout.fnmatch_lines(
            [
                "What happened, in * of * steps; > marks where the schedule left stock order:",
                "  > * sleep takes 2.5 s longer than its 10 s",
                "The schedule that failed last time still fails (strategy auto, seed 0).",
                REPLAYED,
                token,
            ]
        )
        again.stdout.no_fnmatch_line("*more run*")
        assert runs_of(pytester.path) <= 5


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assert balance == 78.5", "if balance != 78.5:\n        raise ValueError(balance)"),
        ("    assert balance == 78.5", "\n    assert balance == 78.5"),
    ],
    ids=["another type", "another line"],
)
def test_a_kept_schedule_that_fails_otherwise_is_shrunk_again(
    run_project: RunProject, pytester: pytest.Pytester, before: str, after: str
) -> None:
    """With another exception, or at another line, it is another failure."""
    run_project(*_CACHE, test_it=RACE)
    runs_of(pytester.path)
    changed = run_project(*_CACHE, test_it=RACE.replace(before, after))
    changed.stdout.fnmatch_lines(
        [
            "The schedule that failed last time still fails (strategy auto, seed 0).",
            "Its schedule has 1 context switch away from stock order; it had 1 *",
        ]
    )
    assert runs_of(pytester.path) > 5


def test_a_failure_kept_by_an_older_version_is_shrunk(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Without a note of how it failed, it is not known whether it is the same failure."""
    run_project(*_CACHE, test_it=RACE)
    (kept,) = pytester.path.glob(".pytest_cache/d/aldente/*.json")
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text.replace('"kind"', '"unknown"'), encoding="utf-8")
    run_project(*_CACHE).stdout.fnmatch_lines(["Its schedule has 1 context switch *"])
    run_project(*_CACHE).stdout.fnmatch_lines([REPLAYED])


def test_the_kept_failure_of_an_example(run_project: RunProject) -> None:
    """With Hypothesis too the schedule is replayed and not shrunk again."""
    module = """
import asyncio
import aldente
from hypothesis import given, settings, strategies as st

@aldente.explore
@settings(database=None, max_examples=20)
@given(count=st.integers(0, 9))
async def test_in_order(count):
    order = []
    async def work(number):
        await asyncio.sleep(0)
        order.append(number)
    await asyncio.gather(*(work(number) for number in range(count)))
    assert order == sorted(order)
"""
    options = (*_CACHE, "-p", "hypothesispytest")
    run_project(*options, plugins=["hypothesispytest"], test_it=module)
    again = run_project(*options, plugins=["hypothesispytest"])
    again.stdout.fnmatch_lines(["*count=2,*", REPLAYED])
