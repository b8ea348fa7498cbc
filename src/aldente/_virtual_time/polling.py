"""Detects code that polls a real clock while time is virtual.

No jump brings such code nearer to its end: ``while time.monotonic() < end`` spins for as many real
seconds, and so does a library that measures how long it has tried. Calls of a clock can't be
observed cheaply, so a profile function inspects a few rounds of the loop, after it has made many.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
from types import FrameType
from typing import Any, NamedTuple

from aldente import _system
from aldente._records import SourcePlace
from aldente._source import is_own, place_of, users_frame

# After how many rounds of the loop to inspect a few, and how many these are.
ROUNDS = 1_000
LOOKED_AT = 24

# The least calls of a clock in those. A task that waits for a timer takes three rounds.
_OFTEN = LOOKED_AT // 4

# The clocks that follow loop time with ``wall=True``.
_NAMES = {
    _system.ORIGINALS[name]: f"time.{name}()"
    for name in ("time", "time_ns", "monotonic", "monotonic_ns")
}
_DATES = ("now", "utcnow", "today")


class Poll(NamedTuple):
    """Code that reads a clock whenever it continues.

    Attributes:
        clock: the function that it calls.
        place: the user's line that calls it, or that led to the call.
        task: the name of the task.
        has_moved: whether loop time moves meanwhile.
    """

    clock: str
    place: SourcePlace
    task: str
    has_moved: bool


class PollingWatch:
    """Counts the rounds of a loop, and inspects some.

    Args:
        loop: the loop.

    Attributes:
        found: the code that polls; None if none is known.
        rounds: how many rounds the loop has made.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.found: Poll | None = None
        self.start_anew()

    def start_anew(self) -> None:
        """Start again, for another test on the loop."""
        self.stop()
        self.found = None
        self.rounds = 0
        self._next = ROUNDS

    def count_round(self) -> None:
        """Count one more round of the loop."""
        self.rounds += 1
        if self.rounds >= self._next:
            self._look()

    def _look(self) -> None:
        if self.rounds == self._next:
            if sys.getprofile() is None:
                self._seen: list[tuple[str, SourcePlace, str]] = []
                self._began = self._loop.time()
                sys.setprofile(self._see)
            else:
                # Another tool has a profile function.
                self._next *= 2
        elif self.rounds == self._next + LOOKED_AT:
            self.stop()
            self._conclude()

    def stop(self) -> None:
        """Stop inspecting."""
        # Compared by value: a bound method is another object each time.
        if sys.getprofile() == self._see:
            sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        clock = name_of_clock(called)
        if clock is None or is_own(frame.f_code.co_filename):
            return
        if frame.f_globals.get("__name__") == "logging":
            # It is one of the modules that call clocks for others.
            return
        users = users_frame(frame)
        task = asyncio.current_task(self._loop)
        if users is not None and task is not None:
            self._seen.append((clock, place_of(users), task.get_name()))

    def _conclude(self) -> None:
        has_moved = self._loop.time() > self._began
        for clock, place, task in dict.fromkeys(self._seen):
            if self._seen.count((clock, place, task)) >= _OFTEN:
                self.found = Poll(clock, place, task, has_moved)
                self._next = sys.maxsize
                return
        self._next = self.rounds * 2


class NoPolling(PollingWatch):
    """Inspects nothing, for a loop whose time the clocks follow."""

    def count_round(self) -> None:
        pass


def name_of_clock(called: Any) -> str | None:
    """The name of a clock that follows loop time with ``wall=True``; None if it is none.

    >>> name_of_clock(datetime.datetime.now), name_of_clock(print)
    ('datetime.now()', None)
    """
    try:
        name = _NAMES.get(called)
    except TypeError:
        # A method of an unhashable object.
        return None
    if name is None and getattr(called, "__name__", "") in _DATES:
        owner = getattr(called, "__self__", None)
        if isinstance(owner, type) and issubclass(owner, datetime.date):
            return f"{owner.__name__}.{called.__name__}()"
    return name


def watch_for(loop: asyncio.AbstractEventLoop, *, follows: bool) -> PollingWatch:
    """Return the watch for polling on a loop.

    Args:
        loop: the loop.
        follows: whether the clocks of the process follow its time.
    """
    return NoPolling(loop) if follows else PollingWatch(loop)
