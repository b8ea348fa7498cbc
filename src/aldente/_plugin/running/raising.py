"""Raises what async code has raised, as pytest and the user should see it."""

from __future__ import annotations

from typing import NoReturn

import pytest

from aldente._guards.error_chains import has_type_error
from aldente._own_errors import contained
from aldente._plugin.options import settings_of
from aldente._plugin.outcomes import unwrapped
from aldente._plugin.pytest_compat import Failure
from aldente._plugin.tracebacks import hide_frames
from aldente._source import is_users
from aldente.errors import (
    DeadlockError,
    EndlessTimeError,
    FixtureYieldError,
    FoundInRun,
    InvalidSetting,
    LivelockError,
    PhaseTimeout,
    ReplayMismatch,
    RunningLoopError,
    StuckTasks,
)

# What is raised of a whole run or of a function of the user's, by nobody's line.
_OF_WHOLE_RUNS = (
    DeadlockError,
    EndlessTimeError,
    FixtureYieldError,
    FoundInRun,
    InvalidSetting,
    LivelockError,
    PhaseTimeout,
    ReplayMismatch,
    StuckTasks,
)


def reraise(error: BaseException, config: pytest.Config) -> NoReturn:
    """Raise an exception as the outcome it means, without the frames of asyncio and aldente."""
    __tracebackhide__ = True
    outcome = unwrapped(error)
    if has_type_error(outcome):
        from aldente._guards import plain_mock

        # While all frames are there.
        with contained("looking for a plain mock that was awaited"):
            plain_mock.find(outcome)
    if not settings_of(config).full_trace:
        hide_frames(outcome)
        if _is_of_whole_run(outcome) and not _has_users_frame(outcome):
            # It was not raised where a task waits, as when tasks await each other in a circle.
            notes = getattr(outcome, "__notes__", ())
            _fail("\n".join([str(outcome), *notes]))
    if outcome is error:
        raise error
    raise outcome from None


def _fail(text: str) -> NoReturn:
    """Fail with a text only; from a frame that is not hidden, or pytest says that all are."""
    raise Failure(text, pytrace=False) from None


def _is_of_whole_run(error: BaseException) -> bool:
    if isinstance(error, RunningLoopError):
        # Else somebody has asked for a fixture, and the frames of that follow.
        return error.is_foreign
    return isinstance(error, _OF_WHOLE_RUNS)


def _has_users_frame(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None:
        if is_users(traceback.tb_frame.f_code.co_filename):
            return True
        traceback = traceback.tb_next
    return False
