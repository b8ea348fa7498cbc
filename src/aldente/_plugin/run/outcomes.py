"""Raises the exceptions of async code as pytest and the user should see them.

Unwraps skips, expected failures and exits from a task group's exception groups, and removes frames
of asyncio and aldente from tracebacks.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import pytest

from aldente._own_errors import contained
from aldente._plugin.options import settings_of
from aldente._plugin.pytest_compat import Failure
from aldente._source import is_own, is_users
from aldente.errors import (
    DeadlockError,
    EndlessTimeError,
    FailedElsewhere,
    FixtureYieldError,
    FoundInRun,
    InvalidSetting,
    LivelockError,
    NotAtomic,
    PhaseTimeout,
    ReplayMismatch,
    RunningLoopError,
    StuckTasks,
    WorkersFailed,
)

# From the strongest outcome to the weakest. A real error among them makes the group a failure.
_ENDS_SESSION: tuple[type[BaseException], ...] = (KeyboardInterrupt, pytest.exit.Exception)
_SETS_OUTCOME: tuple[type[BaseException], ...] = (pytest.xfail.Exception, pytest.skip.Exception)


def unwrapped(error: BaseException) -> BaseException:
    """The outcome that an exception group stands for, or the exception itself.

    A group that contains an exit or a Ctrl-C becomes that; a group of only skips becomes a skip,
    and one of only expected failures an expected failure. Any other group stays as it is.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, _ENDS_SESSION):
            return leaf
    if all(isinstance(leaf, _SETS_OUTCOME) for leaf in leaves):
        expected_failures = [leaf for leaf in leaves if isinstance(leaf, pytest.xfail.Exception)]
        return expected_failures[0] if expected_failures else leaves[0]
    return error


def is_no_failure(error: BaseException) -> bool:
    """Whether an exception ends the session, skips the test, or fails it as expected."""
    return isinstance(unwrapped(error), (*_ENDS_SESSION, *_SETS_OUTCOME))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves


_ASYNCIO_FOLDER = f"{Path(asyncio.__file__).parent}{os.sep}"


def hide_frames(error: BaseException) -> None:
    """Remove the frames of asyncio and aldente from an exception, its causes and its group.

    An exception that has no other frames keeps them all.
    """
    for each in behind(error):
        each.__traceback__ = _shortened(each.__traceback__)


def behind(error: BaseException) -> Iterator[BaseException]:
    """An exception, those that it has come from, and those of groups; each once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions


def _shortened(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    current = traceback
    while current is not None:
        path = current.tb_frame.f_code.co_filename
        if not (is_own(path) or path.startswith(_ASYNCIO_FOLDER)):
            kept.append(current)
        current = current.tb_next
    return _joined(kept) if kept else traceback


def _joined(entries: list[TracebackType]) -> TracebackType | None:
    """A traceback of some entries only."""
    joined = None
    for entry in reversed(entries):
        joined = TracebackType(joined, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return joined


def _end_at_users_line(error: DeadlockError) -> None:
    """Leave out what a library does inside of the user's line that waits.

    The notes of a deadlock say what it waits for. Hypothesis takes the innermost frames of an
    exception and of its contexts as its place: two deadlocks are the same failure if they are at
    the same line of the user's, regardless of what the library that waits there is doing.
    """
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, (DeadlockError, asyncio.CancelledError)):
            # The deadlock has ended the wait by a cancellation.
            current.__traceback__ = _up_to_users_line(current.__traceback__)
        context = current.__context__
        while context is not None and not _has_users_frame(context) and id(context) not in seen:
            # What a library had caught when it began to wait.
            seen.add(id(context))
            context = context.__context__
        current.__context__ = context
        current = context


def _up_to_users_line(traceback: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    current = traceback
    while current is not None:
        entries.append(current)
        current = current.tb_next
    while entries and not is_users(entries[-1].tb_frame.f_code.co_filename):
        entries.pop()
    return _joined(entries) if entries else traceback


# Exceptions about a whole run or a function of the user's, rather than a line.
_OF_WHOLE_RUNS = (
    DeadlockError,
    EndlessTimeError,
    FailedElsewhere,
    FixtureYieldError,
    FoundInRun,
    InvalidSetting,
    LivelockError,
    NotAtomic,
    PhaseTimeout,
    ReplayMismatch,
    StuckTasks,
    WorkersFailed,
)


def reraise(error: BaseException, config: pytest.Config) -> NoReturn:
    """Raise an exception as the outcome it means, without the frames of asyncio and aldente."""
    __tracebackhide__ = True
    outcome = unwrapped(error)
    if "unittest.mock" in sys.modules:
        from aldente._rules import plain_mock

        # Now, while all frames are there.
        with contained("looking for a plain mock that was awaited"):
            plain_mock.find(outcome)
    if not settings_of(config).full_trace:
        hide_frames(outcome)
        if isinstance(outcome, DeadlockError):
            _end_at_users_line(outcome)
        if _is_of_whole_run(outcome) and not _has_users_frame(outcome):
            # Not raised where a task waits, as when tasks await each other in a cycle.
            notes = getattr(outcome, "__notes__", ())
            _fail("\n".join([str(outcome), *notes]))
    if outcome is error:
        raise error
    raise outcome from None


def _fail(text: str) -> NoReturn:
    """Fail with a message only; from a frame that is not hidden, or else pytest warns."""
    raise Failure(text, pytrace=False) from None


def _is_of_whole_run(error: BaseException) -> bool:
    if isinstance(error, RunningLoopError):
        # Otherwise code has requested a fixture, and its frames follow.
        return error.is_foreign
    return isinstance(error, _OF_WHOLE_RUNS)


def _has_users_frame(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None:
        if is_users(traceback.tb_frame.f_code.co_filename):
            return True
        traceback = traceback.tb_next
    return False
