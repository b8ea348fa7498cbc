"""What a search finds with its default settings; `benchmarks/exploration.py` measures it at length."""

from __future__ import annotations

import pytest

import aldente
from tests.known_bugs.table import BUGS, Bug
from tests.known_bugs.told import assert_told_in_order

SEED = 1


def test_there_are_enough() -> None:
    """There are at least 25 programs, each under a name of its own."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 25


# For the whole module, so that what is looked for once is looked at by several tests.
@pytest.fixture(scope="module", params=BUGS, ids=lambda bug: bug.name)
def bug(request: pytest.FixtureRequest) -> Bug:
    """One of the programs."""
    found: Bug = request.param
    return found


@pytest.fixture(scope="module")
def failure(bug: Bug) -> aldente.Failure:
    """What a search finds within the bug's number of runs."""
    found = aldente.search(bug.main, runs=bug.runs, seed=SEED, shrink=bug.is_shrunk)
    assert found.failure is not None, found
    return found.failure


def test_a_bug_is_found(bug: Bug, failure: aldente.Failure) -> None:
    """A bug that stock order hides is found within its number of runs, and its token replays it."""
    assert aldente.search(bug.main, strategy="fifo").failure is None
    assert not failure.inexact
    with pytest.raises(type(failure.exception)):
        aldente.replay(bug.main, failure.token)


def test_each_word_on_a_bug_is_true(failure: aldente.Failure) -> None:
    """What is read, changed and done then are three steps, in this order, of two tasks."""
    assert_told_in_order(failure)


@pytest.mark.parametrize("twin", BUGS, ids=lambda bug: bug.name)
def test_a_fixed_program_never_fails(twin: Bug) -> None:
    """The twin of a bug passes in every schedule that is tried."""
    found = aldente.search(twin.fixed, runs=twin.runs_of_twin, seed=SEED)
    assert found.failure is None, found.failure.report()
