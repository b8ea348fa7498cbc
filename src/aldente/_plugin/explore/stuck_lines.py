"""The traceback of a test that waits in a deadlock, so that pytest shows its source.

The run is over when it is shown. The frames of its functions would keep alive what they refer to,
so these are others, which have only the places.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FrameType, FunctionType, TracebackType
from typing import Any

from aldente._diagnosis.waits import SuspendedFrame
from aldente._explore.result import Failure
from aldente.errors import DeadlockError


def add_stuck_lines(failure: Failure, test: str) -> None:
    """Give a deadlock of a test the traceback of where the test waits.

    Args:
        failure: the failure of the test.
        test: the name of the test's task.
    """
    error = failure.exception
    if not isinstance(error, DeadlockError) or failure.waiting is None:
        return
    for task in failure.waiting.tasks:
        if task.name == test and task.own_frames:
            error.__traceback__ = _traceback_of(task.own_frames)
            return


def _traceback_of(frames: tuple[SuspendedFrame, ...]) -> TracebackType | None:
    traceback: TracebackType | None = None
    for suspended in reversed(frames):
        # Without an instruction, as those of the function here have columns of their own.
        traceback = TracebackType(traceback, _frame_of(suspended), -1, suspended.place.line)
    return traceback


def _this_frame() -> FrameType | None:
    return inspect.currentframe()


def _frame_of(suspended: SuspendedFrame) -> FrameType:
    """A frame of a function of that name and place."""
    code = _this_frame.__code__.replace(
        co_filename=suspended.place.path,
        co_firstlineno=suspended.first_line or suspended.place.line,
        co_name=suspended.function.rpartition(".")[2],
        co_qualname=suspended.function,
    )
    make: Callable[[], Any] = FunctionType(code, {"inspect": inspect})
    frame: FrameType = make()
    return frame
