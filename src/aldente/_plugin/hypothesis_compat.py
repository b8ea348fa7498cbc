"""The only module that touches names of Hypothesis that are not public.

It imports Hypothesis only when a test with ``@given`` is explored. Checked on Hypothesis 6.100 and
6.170.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

_SETTINGS = "_hypothesis_internal_use_settings"


@contextlib.contextmanager
def many_runs_for_each_example(function: Any, runs: int) -> Iterator[None]:
    """While entered, Hypothesis takes into account that each example is run many times.

    The deadline is that of a run, and function-scoped fixtures are made anew for every run, so that
    there is nothing to warn of. Hypothesis's own plugin changes the settings of a test likewise.

    Args:
        function: the test.
        runs: how many runs there are for each example at most.
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
    """Within an example, what lets the test be called later as if it were still tried with it.

    Else ``note`` and ``event`` would raise an error then, and ``assume`` warn.
    """
    from hypothesis import control

    variable: Any = control._current_build_context
    context: Any = variable.value

    def enter() -> AbstractContextManager[None]:
        if context is not None:
            # What is noted is told already.
            context.is_final = False
        kept: AbstractContextManager[None] = variable.with_value(context)
        return kept

    return enter


def is_rejection(error: BaseException) -> bool:
    """Whether an example was rejected, by ``assume`` for one, and so is no failure."""
    from hypothesis.errors import UnsatisfiedAssumption

    return isinstance(error, UnsatisfiedAssumption)


def hold_back_reports(into: list[str]) -> AbstractContextManager[None]:
    """While entered, what ``note`` and draws report is put into a list."""
    from hypothesis import reporting

    return reporting.with_reporter(lambda text: into.append(str(text)))


def report(texts: Iterable[str]) -> None:
    """Report what was held back."""
    from hypothesis import reporting

    for text in texts:
        reporting.report(text)
