"""What the rule ``race`` finds without an assertion and without a word from the user."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import pytest

import aldente
from aldente._records import Level
from tests.known_bugs import atomicity, harmless_races, races

Program = Callable[[bool], Coroutine[Any, Any, None]]

ERROR: Mapping[str, Level] = {"race": "error"}

# Of the programs whose operations are meant to be atomic, those in which one thing is lost that
# another task has set. In the others several things are out of step, or nothing is overwritten.
FOUND_IN_ATOMICITY = {
    "lost_count",
    "limit_of_places",
    "stale_cache",
    "overlapping_refresh",
    "reused_slot",
    "initialised_twice",
    "number_given_twice",
    "name_registered_twice",
    "pool_too_large",
    "document_overwritten",
}


def name_of(program: Callable[..., object]) -> str:
    return program.__name__


@pytest.fixture
def nothing_atomic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says what is meant to be atomic."""
    monkeypatch.setattr(aldente, "serializable", lambda thing, *others, **options: thing)


@pytest.mark.parametrize("program", races.PROGRAMS, ids=name_of)
def test_a_race_is_found(program: Program) -> None:
    """A search that no assertion fails finds it, and its token replays it."""
    main = partial(program, False)
    warned = aldente.search(main)
    assert warned.failure is None
    assert len(warned.findings) == 1
    failure = aldente.search(main, rules=ERROR).failure
    assert failure is not None
    with pytest.raises(aldente.FoundInRun) as caught:
        aldente.replay(main, failure.token, rules=ERROR)
    assert str(caught.value) == str(failure.exception)


@pytest.mark.parametrize("program", races.PROGRAMS, ids=name_of)
def test_a_fixed_program_has_none(program: Program) -> None:
    """Nothing is found in the twin."""
    found = aldente.search(partial(program, True), rules=ERROR)
    assert found.failure is None, found.failure.report()


@pytest.mark.parametrize("program", harmless_races.PROGRAMS, ids=name_of)
def test_what_loses_nothing(program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Tasks may overlap where nothing is lost."""
    found = aldente.search(program, rules=ERROR)
    assert found.failure is None, found.failure.report()


@pytest.mark.usefixtures("nothing_atomic")
@pytest.mark.parametrize("program", atomicity.PROGRAMS, ids=name_of)
def test_programs_of_atomicity(program: Program) -> None:
    """Ten of these have a race that the rule sees; it sees none in any twin."""
    found = aldente.search(partial(program, False), runs=100)
    assert found.failure is None
    assert bool(found.findings) == (program.__name__ in FOUND_IN_ATOMICITY), found.findings
    fixed = aldente.search(partial(program, True), runs=100, rules=ERROR)
    assert fixed.failure is None, fixed.failure.report()
