"""What `aldente.serializable` finds without an assertion, and that it finds nothing else."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

import aldente
from tests.known_bugs import atomic, atomicity

SEED = 1


def test_there_are_enough() -> None:
    """There are at least 20 programs with a bug, and 30 that are right."""
    assert len({program.__name__ for program in atomicity.PROGRAMS}) >= 20
    assert len({program.__name__ for program in atomic.PROGRAMS}) >= 30


@pytest.mark.parametrize("program", atomicity.PROGRAMS, ids=lambda program: program.__name__)
def test_a_bug_is_found(program: Callable[[bool], Coroutine[Any, Any, None]]) -> None:
    """A search finds that operations are not atomic, in no other way; its token replays it."""
    main = partial(program, False)
    found = aldente.search(main, seed=SEED)
    assert found.failure is not None, found
    assert isinstance(found.failure.exception, aldente.NotAtomic)
    with pytest.raises(aldente.NotAtomic):
        aldente.replay(main, found.failure.token)


@pytest.mark.parametrize("program", atomicity.PROGRAMS, ids=lambda program: program.__name__)
def test_a_fixed_program_never_fails(program: Callable[[bool], Coroutine[Any, Any, None]]) -> None:
    """The twin of a bug passes in every schedule that is tried, and each is judged."""
    found = aldente.search(partial(program, True), runs=40, seed=SEED)
    assert found.failure is None, found.failure.report()
    assert not found.unjudged


@pytest.mark.parametrize("strategy", ["auto", "random"])
@pytest.mark.parametrize("program", atomic.PROGRAMS, ids=lambda program: program.__name__)
def test_nothing_else_fails(
    program: Callable[[], Coroutine[Any, Any, None]], strategy: str
) -> None:
    """A program whose operations are atomic, or can't be compared, passes in every schedule."""
    found = aldente.search(program, runs=8, seed=SEED, strategy=strategy)
    assert found.failure is None, found.failure.report()
