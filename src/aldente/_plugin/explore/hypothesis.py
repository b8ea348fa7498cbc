"""Explored tests with ``@given``; the only module that touches private names of Hypothesis.

It imports Hypothesis only when such a test is explored. Checked on Hypothesis 6.100 and 6.170.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from aldente._plugin.explore.state import Budget
from aldente._source import is_own

_SETTINGS = "_hypothesis_internal_use_settings"


@contextlib.contextmanager
def many_runs_for_each_example(function: Any, runs: int) -> Iterator[None]:
    """While entered, Hypothesis allows for the many runs of each example.

    Its deadline applies to a run, and it does not warn of function-scoped fixtures, which are made
    anew for every run. Hypothesis's own plugin changes the settings of a test likewise.

    Args:
        function: the test.
        runs: the most runs for each example.
    """
    from hypothesis import HealthCheck, settings

    test = getattr(function, "__func__", function)
    before: settings | None = getattr(test, _SETTINGS, None)
    if before is None:
        yield
        return
    fresh = {HealthCheck.function_scoped_fixture, *before.suppress_health_check}
    deadline = None if before.deadline is None else before.deadline * runs
    setattr(test, _SETTINGS, settings(before, deadline=deadline, suppress_health_check=fresh))
    try:
        yield
    finally:
        setattr(test, _SETTINGS, before)


def keep_context() -> Callable[[], AbstractContextManager[None]]:
    """Within an example, return a function that lets the test be called later in its context.

    Without it ``note`` and ``event`` would raise an error then, and ``assume`` would warn.
    """
    from hypothesis import control

    variable: Any = control._current_build_context
    context: Any = variable.value

    def enter() -> AbstractContextManager[None]:
        if context is not None:
            # Its notes are reported already.
            context.is_final = False
        kept: AbstractContextManager[None] = variable.with_value(context)
        return kept

    return enter


def is_rejection(error: BaseException) -> bool:
    """Whether an example was rejected, by ``assume`` for one, and so is not a failure."""
    from hypothesis.errors import UnsatisfiedAssumption

    return isinstance(error, UnsatisfiedAssumption)


def hold_back_reports(into: list[str]) -> AbstractContextManager[None]:
    """While entered, collect the reports of ``note`` and of draws in a list."""
    from hypothesis import reporting

    return reporting.with_reporter(lambda text: into.append(str(text)))


def report(texts: Iterable[str]) -> None:
    """Report what was collected."""
    from hypothesis import reporting

    for text in texts:
        reporting.report(text)


# The lines of an explanation: its title, a sentence, places, and a line that there are more.
_TITLE = "Explanation:"
_PLACE = re.compile(r"\s+\S.*:\d+")
_MORE = "(and "


def forget_own_lines(error: BaseException) -> None:
    """Remove aldente's lines from Hypothesis's notes on an error and those in its group."""
    notes = getattr(error, "__notes__", None)
    if notes:
        # Python accepts and shows notes of any type.
        error.__notes__ = without_own_lines(map(str, notes))
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            forget_own_lines(each)


def without_own_lines(notes: Iterable[str]) -> list[str]:
    """The notes of an exception, without aldente's lines in explanations.

    Only failing examples run aldente's code for failed tests, so it explains nothing.
    """
    lines = [line for note in notes for line in note.splitlines() or [""]]
    kept = [line for line in lines if not is_own(line.strip())]
    if len(kept) == len(lines):
        return lines
    kept = [line for line in kept if not line.strip().startswith(_MORE)]
    return _without_empty_explanations(kept)


def _without_empty_explanations(lines: list[str]) -> list[str]:
    """The lines of notes, without titles and sentences that no place follows."""
    kept: list[str] = []
    number = 0
    while number < len(lines):
        places = lines[number + 2 : number + 3]
        if lines[number].strip() == _TITLE and not any(map(_PLACE.fullmatch, places)):
            number += 2
            continue
        kept.append(lines[number])
        number += 1
    return kept


# A test's number of runs is divided by this for each of Hypothesis's examples.
_EXAMPLES_PER_BUDGET = 10


def runs_for_example(budget: Budget) -> int:
    """The most runs for each example."""
    return max(budget.runs // _EXAMPLES_PER_BUDGET, 1)
