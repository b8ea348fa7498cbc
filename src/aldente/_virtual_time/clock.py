"""`Clock`: the loop time of a test, and the timers of its loop with the tasks that they wake."""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import Callable
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._records import SourcePlace
from aldente._runner.settle import SettlingLoop
from aldente._source import is_users
from aldente._validation import parse_duration
from aldente.errors import InvalidSetting, RealTimeError


class Timer(NamedTuple):
    """Something that happens at a time.

    Attributes:
        when: the time, in seconds of loop time.
        task: the name of the task that waits for it, or that it limits; None when it calls a
            callback.
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


class Clock:
    """The time of an event loop.

    Args:
        find_loop: returns the loop.
        start: the loop time from which `elapsed` counts; None for now.

    >>> async def main():
    ...     clock = Clock(asyncio.get_running_loop)
    ...     await clock.advance(2.5)
    ...     return clock.elapsed
    >>> from aldente._virtual_time.loop import VirtualTimeLoop
    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(main())
    2.5
    """

    def __init__(
        self, find_loop: Callable[[], asyncio.AbstractEventLoop], start: float | None = None
    ) -> None:
        if not callable(find_loop):
            allowed = "It must be a function that returns the loop, as asyncio.get_running_loop."
            raise InvalidSetting("find_loop", find_loop, allowed)
        self._find_loop = find_loop
        self._start = self.time() if start is None else start

    def begin(self) -> None:
        """Count `elapsed` from now on."""
        self._start = self.time()

    def __repr__(self) -> str:
        return f"<Clock at {in_words(self.time())}, {in_words(self.elapsed)} s elapsed>"

    def time(self) -> float:
        """The loop time, in seconds; on a virtual-time loop it starts at 100,000."""
        return self._find_loop().time()

    @property
    def elapsed(self) -> float:
        """How much loop time has passed since the test began, in seconds, to the nanosecond."""
        return round(self.time() - self._start, 9)

    @property
    def pending(self) -> tuple[Timer, ...]:
        """The timers that are set, the next first, each with its time, its task and its place."""
        return pending_timers(self._find_loop())

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass, stopping at every timer on the way.

        The tasks that a timer wakes run, as far as they can, before the next one; also those that
        wake at the very end.

        Args:
            seconds: how long, in seconds of loop time; 0 lets run what can run.

        Raises:
            InvalidSetting: it is not a number of seconds of at least 0.
            RealTimeError: the loop's time is real, and can't be moved.
        """
        parse_duration("advance", seconds)
        # To the nanosecond, so that many small steps arrive where one large step does.
        when = max(round(self.time() + seconds, 9), self.time())
        await self._advance_to(when, f"clock.advance({seconds!r})")

    async def advance_to(self, when: float) -> None:
        """Let virtual time pass up to a moment, as `advance` does.

        Args:
            when: the moment, in seconds of loop time.

        Raises:
            InvalidSetting: it is not a moment, or is past.
            RealTimeError: the loop's time is real, and can't be moved.
        """
        parse_duration("advance_to", when)
        now = self.time()
        if when < now:
            allowed = f"Virtual time never goes back, and it is {in_words(now)} now."
            raise InvalidSetting("advance_to", when, allowed)
        await self._advance_to(when, f"clock.advance_to({when!r})")

    async def _advance_to(self, when: float, wanted: str) -> None:
        loop = self._find_loop()
        if not isinstance(loop, SettlingLoop):
            raise RealTimeError(wanted, type(loop).__name__)
        # First what can happen now; time stands still during this wait.
        await loop.settled()
        if when > loop.time():
            reached: asyncio.Future[None] = loop.create_future()
            # Time stands still from that very moment on.
            timer = loop.call_at(when, loop.begin_settling, reached)
            loop.keep_pace(when, reached)
            try:
                await reached
            finally:
                timer.cancel()
                loop.end_settling(reached)
