"""The table of correct programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any

Program = Callable[[], Coroutine[Any, Any, object]]

PROGRAMS: dict[str, Program] = {}
_SINCE: dict[str, tuple[int, int]] = {}
# Those with threads take real time.
SLOW: set[str] = set()


def correct(program: Program) -> Program:
    """Add a program to the table."""
    assert program.__name__ not in PROGRAMS
    PROGRAMS[program.__name__] = program
    return program


def correct_since(*version: int) -> Callable[[Program], Program]:
    """Add a program to the table that needs a version of Python."""

    def add(program: Program) -> Program:
        _SINCE[program.__name__] = version  # type: ignore[assignment]
        return correct(program)

    return add


def correct_but_slow(program: Program) -> Program:
    """Add a program to the table that takes real time, as programs with threads do."""
    SLOW.add(program.__name__)
    return correct(program)


def programs_for_this_python() -> dict[str, Program]:
    """The programs that this version of Python can run."""
    return {
        name: program
        for name, program in PROGRAMS.items()
        if sys.version_info >= _SINCE.get(name, (3, 11))
    }
