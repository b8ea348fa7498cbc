"""What is to happen on a loop: its timers, with whom they wake."""

from __future__ import annotations

import asyncio
import linecache
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._places import is_users
from aldente._records import SourcePlace


class Timer(NamedTuple):
    """Something that happens at a time.

    Attributes:
        when: the time, in seconds of loop time.
        task: the name of the task that waits for it, or whose time is limited by it; None when a
            callback is called.
        place: the user's line where that task waits, or where the callback is defined.
        source: the text of that line.
    """

    when: float
    task: str | None
    place: SourcePlace | None
    source: str

    def __str__(self) -> str:
        who = repr(self.task) if self.task is not None else "a callback"
        at = f" at {self.place}: {self.source}" if self.place is not None else ""
        return f"at {in_words(self.when)}: {who}{at}"


def in_words(when: float) -> str:
    """A moment, to the nanosecond.

    >>> in_words(100_000.5), in_words(20_000_000.0)
    ('100000.5', '20000000')
    """
    return f"{when:.9f}".rstrip("0").rstrip(".")


def pending_timers(loop: asyncio.AbstractEventLoop) -> tuple[Timer, ...]:
    """The timers of a loop that are not cancelled, the next first."""
    waiting = {
        id(future): task
        for task in asyncio.all_tasks(loop)
        if (future := _asyncio_compat.waited_future(task)) is not None
    }
    return tuple(
        _describe(handle, _asyncio_compat.task_of_timer(handle, waiting))
        for handle in _asyncio_compat.timers_of(loop)
    )


def _describe(handle: asyncio.TimerHandle, task: asyncio.Task[object] | None) -> Timer:
    place = place_in(task) if task is not None else _definition_of(handle)
    source = linecache.getline(place.path, place.line).strip() if place is not None else ""
    name = task.get_name() if task is not None else None
    return Timer(float(handle.when()), name, place, source)


def _definition_of(handle: asyncio.TimerHandle) -> SourcePlace | None:
    code = _asyncio_compat.code_of_timer(handle)
    if code is None or not is_users(code.co_filename):
        return None
    return SourcePlace(code.co_filename, code.co_firstlineno)


def place_in(task: asyncio.Task[object]) -> SourcePlace | None:
    """The innermost line of the user's in what a task runs."""
    place = None
    current: object = task.get_coro()
    while current is not None:
        frame = getattr(current, "cr_frame", None) or getattr(current, "gi_frame", None)
        if frame is not None and is_users(frame.f_code.co_filename):
            place = SourcePlace(frame.f_code.co_filename, frame.f_lineno)
        current = getattr(current, "cr_await", None) or getattr(current, "gi_yieldfrom", None)
    return place
