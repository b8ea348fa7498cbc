"""The private state of asyncio's loops for their clock and timers."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from types import CodeType
from typing import Any


def set_clock_resolution(loop: asyncio.BaseEventLoop, seconds: float) -> None:
    """Set how far ahead of their time a loop may run its timers.

    The loop reads ``_clock_resolution`` on every turn, and sets it from the real clock on creation;
    no public setting says that another clock is finer. Checked on CPython 3.11 to
    3.15.
    """
    loop._clock_resolution = seconds  # type: ignore[attr-defined]


def next_timer(loop: asyncio.BaseEventLoop) -> float | None:
    """The time of the next timer, in seconds of loop time; None if there is none.

    The loop tells its selector how long it may sleep, which does not show the exact time.
    ``_scheduled`` is the heap of timers, without cancelled ones at its top while the selector is
    asked. Checked on CPython 3.11 to 3.15.
    """
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
    return scheduled[0].when() if scheduled else None


def timers_of(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """The timers of a loop that are not cancelled, the next first; see `next_timer`.

    Empty for loops that do not show theirs (uvloop).
    """
    scheduled = [handle for handle in getattr(loop, "_scheduled", ()) if not handle.cancelled()]
    return sorted(scheduled, key=asyncio.TimerHandle.when)


def task_of_timer(
    handle: asyncio.TimerHandle, waiting: dict[int, asyncio.Task[Any]]
) -> asyncio.Task[Any] | None:
    """The task that a timer wakes or limits; None if it calls a callback.

    A sleep's future is an argument of the callback, and ``asyncio.timeout`` is the object of its
    method, with the task as ``_task``. Checked on CPython 3.11 to 3.15.

    Args:
        handle: the timer.
        waiting: the tasks by the `id` of the future that each waits for.
    """
    for argument in getattr(handle, "_args", None) or ():
        if id(argument) in waiting:
            return waiting[id(argument)]
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    task = getattr(owner, "_task", None)
    return task if isinstance(task, asyncio.Task) else None


def code_of_timer(handle: asyncio.TimerHandle) -> CodeType | None:
    """The code that a timer runs; None if it is no Python code.

    ``_callback`` is the argument of ``call_at``. Checked on CPython 3.11 to 3.15.
    """
    callback = getattr(handle, "_callback", None)
    while isinstance(callback, functools.partial):
        callback = callback.func
    code: CodeType | None = getattr(callback, "__code__", None)
    return code


def context_of_callback(handle: asyncio.Handle) -> contextvars.Context:
    """The context in which a callback runs: a copy of that in which it was passed to the loop.

    ``_context`` is public only from CPython 3.12 on, by ``get_context()``. Checked on CPython 3.11
    to 3.15.
    """
    context: contextvars.Context = handle._context  # type: ignore[attr-defined]
    return context


def handles_signals(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop handles signals, which reach it through its self-pipe.

    ``_signal_handlers`` is what ``add_signal_handler`` fills. Checked on CPython 3.11 to
    3.15.
    """
    return bool(getattr(loop, "_signal_handlers", None))


def forget_innermost_frame(handle: asyncio.Handle | asyncio.Task[Any]) -> None:
    """Remove the innermost frame, a loop's method, from where a handle or task was made.

    ``_source_traceback`` exists in debug mode; asyncio drops the frame of its own method from it.
    Checked on CPython 3.11 to 3.15.
    """
    frames = getattr(handle, "_source_traceback", None)
    if frames:
        del frames[-1]


def expire(scope: asyncio.Timeout) -> None:
    """Expire an ``asyncio.timeout`` now, in this very step.

    ``reschedule()`` has the loop call the same method, ``_on_timeout``, some steps later.
    Checked on CPython 3.11 to 3.15.
    """
    scope._on_timeout()  # type: ignore[attr-defined]
