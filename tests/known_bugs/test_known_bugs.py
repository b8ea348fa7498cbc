"""What a search finds with its default settings; `benchmarks/exploration.py` measures it at length."""

from __future__ import annotations

import pytest

import aldente
from tests.known_bugs.table import BUGS, Bug

SEED = 1


def test_there_are_enough() -> None:
    """There are at least 25 programs, each under a name of its own."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 25


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_found(bug: Bug) -> None:
    """A bug that stock order hides is found within its number of runs, and its token replays it."""
    assert aldente.search(bug.main, strategy="fifo").failure is None
    found = aldente.search(bug.main, runs=bug.runs, seed=SEED)
    assert found.failure is not None, found
    assert not found.failure.inexact
    with pytest.raises(type(found.failure.exception)):
        aldente.replay(bug.main, found.failure.token)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_fixed_program_never_fails(bug: Bug) -> None:
    """The twin of a bug passes in every schedule that is tried."""
    found = aldente.search(bug.fixed, runs=bug.runs_of_twin, seed=SEED)
    assert found.failure is None, found.failure.report()
