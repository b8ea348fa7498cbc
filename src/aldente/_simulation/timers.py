"""`TimerLoop`: the timers of a simulated loop."""

from __future__ import annotations

import asyncio
import heapq
import math
from asyncio import current_task
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import (
    ON_TIMEOUT,
    WAKE_SLEEPER,
    SteppingLoop,
    StepTimer,
    frame_at,
)
from aldente._simulation.durations import is_own_sleep

# Where time starts; see the virtual loop.
START = 100_000.0

# How many timers may be set for a time not in the future before time moves; see the virtual loop.
OVERDUE = 1_000

# The loop drops cancelled timers when there are this many, and more of them than of live ones.
MANY_CANCELLED = 100


class Alarm(StepTimer):
    """A timer that time never passes while a task could run: a time-out, a ``call_later``."""

    __slots__ = ()
    is_outside = False


class TimeOut(Alarm):
    """The timer of an `asyncio.timeout`, which `asyncio.wait_for` uses too from Python 3.12 on."""

    __slots__ = ()


class Sleep(StepTimer):
    """The timer of an `asyncio.sleep`."""

    __slots__ = ()
    is_outside = True


# Timers by their time, and by their number when it is the same.
_Alarms = list[tuple[float, int, Alarm]]
# Sleeps likewise: the future that the task awaits, its result, when the sleep began, and when it
# was due. A sleep that takes longer than it has to has a later time, and a number with a fraction;
# and `AHEAD` instead of its beginning if its task goes on before the callbacks of that time's
# alarms.
SleepEntry = tuple[float, float, asyncio.Future[Any], Any, float, float]
_Sleeps = list[SleepEntry]
AHEAD = -math.inf

# Ending a sleep runs no code of the program, so any context will do.
NO_CONTEXT = Context()


class TimerLoop(SteppingLoop):
    """The part of the simulated loop that keeps timers.

    Attributes:
        main_task: the task for which it runs, once that is set.
        jumps: how often time has moved.
        time_outs_set: how many time-outs were set.
        time_outs_fired: how many of them have fired.
        note_wait: is called with the beginning and the length of each wait, in seconds; None if
            nothing needs them.
    """

    def __init__(self) -> None:
        self._is_debugging = False
        self.note_wait: Callable[[float, float], None] | None = None
        super().__init__()
        self.jumps = 0
        self.time_outs_set = self.time_outs_fired = 0
        self._now = START
        self._is_over = False
        self.main_task: asyncio.Task[Any] | None = None
        # The moments up to which the test lets time pass, each until its future is done.
        self._paces: list[tuple[float, asyncio.Future[Any]]] = []
        # For how many sleeps it was chosen how long they take.
        self._durations = 0
        self._sleeps: _Sleeps = []
        self._alarms: _Alarms = []
        self._many_sleeps = MANY_CANCELLED
        self._timers = 0
        self._cancelled = 0
        self._overdue = 0

    def time(self) -> float:
        """Loop time, in seconds; it starts at 100,000."""
        return self._now

    def close(self) -> None:
        """Like asyncio's."""
        super().close()
        self._is_over = True
        self._sleeps.clear()
        self._alarms.clear()

    def set_debug(self, enabled: bool) -> None:
        """Like asyncio's."""
        super().set_debug(enabled)
        self._is_debugging = enabled

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Like asyncio's."""
        if delay is None:
            raise TypeError("delay must not be None")
        if self.note_wait is not None:
            self.note_wait(self._now, delay)
        if callback is WAKE_SLEEPER and delay > 0 and not self._is_over:
            # asyncio.sleep only ever cancels its timer, at its end. Its future has a `cancel` too
            # and no other owner, so it serves as the handle and saves one object.
            future: Any
            future, result = args
            self._timers = number = self._timers + 1
            sleeps = self._sleeps
            now = self._now
            when = now + delay
            main = self.main_task
            if main is not None and current_task(self) is main and is_own_sleep(frame_at(1).f_back):
                # It has begun when it ends, so that it takes no longer.
                now = when
            heappush(sleeps, (when, number, future, result, now, when))
            if len(sleeps) > self._many_sleeps:
                self._forget_cancelled_sleeps()
            return future  # type: ignore[no-any-return]
        return self.call_at(self._now + delay, callback, *args, context=context)

    def keep_pace(self, end: float, future: asyncio.Future[Any]) -> None:
        """Let time pass up to a moment of the test: sleeps that were due before it end before it.

        Args:
            end: the moment, in seconds of loop time.
            future: not done until then.
        """
        self._paces = [pace for pace in self._paces if not pace[1].done()]
        self._paces.append((end, future))
        if self._durations:
            last = math.nextafter(end, -math.inf)
            self._sleeps[:] = [
                (min(when, last) if when > due else when, number, future, result, since, due)
                for when, number, future, result, since, due in self._sleeps
            ]
            heapq.heapify(self._sleeps)

    def _end_of_pace(self) -> float:
        """The next moment up to which the test lets time pass; infinite without one."""
        return min((end for end, future in self._paces if not future.done()), default=math.inf)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Like asyncio's; timers that are set for the same time run in the order they were set."""
        if self._is_over:
            raise RuntimeError("Event loop is closed")
        if when is None:
            raise TypeError("when cannot be None")
        if not when > self._now:
            # It is due now; see the virtual loop. NaN would never be due, so it counts as now.
            when = min(self._now, when)
            self._overdue += 1
            if self._overdue > OVERDUE:
                when = math.nextafter(self._now, math.inf)
        is_debug = self._is_debugging
        if is_debug:
            self.check_debug(callback)
        self._timers = number = self._timers + 1
        if getattr(callback, "__func__", None) is ON_TIMEOUT:
            self.time_outs_set += 1
            timer: Alarm = TimeOut(when, callback, args, self, context)
        else:
            timer = Alarm(when, callback, args, self, context)
        heappush(self._alarms, (when, number, timer))
        if is_debug:
            _asyncio_compat.note_maker(timer)
        return timer

    def on_timer_cancelled(self) -> None:
        """Drop cancelled timers from the front of the heap, and all of them once they are many."""
        self._cancelled += 1
        alarms = self._alarms
        while alarms and alarms[0][2].is_cancelled:
            heappop(alarms)
            self._cancelled -= 1
        if self._cancelled > MANY_CANCELLED + len(alarms) // 2:
            self._cancelled = 0
            alarms[:] = [item for item in alarms if not item[2].is_cancelled]
            heapq.heapify(alarms)

    def _forget_cancelled_sleeps(self) -> None:
        """Drop all cancelled sleeps from the heap."""
        self._sleeps[:] = [item for item in self._sleeps if not item[2].done()]
        heapq.heapify(self._sleeps)
        self._many_sleeps = MANY_CANCELLED + 2 * len(self._sleeps)

    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are not cancelled, the next first."""
        timers: list[tuple[float, float, asyncio.TimerHandle]] = [
            (when, number, Sleep(when, WAKE_SLEEPER, (future, result), self, NO_CONTEXT))
            for when, number, future, result, *_ in self._sleeps
            if not future.done()
        ]
        timers += [item for item in self._alarms if not item[2].is_cancelled]
        return [timer for _, _, timer in sorted(timers)]

    @property
    def has_alarms(self) -> bool:
        """Whether a timer other than one of `asyncio.sleep` is set."""
        return any(not timer.is_cancelled for _, _, timer in self._alarms)

    def is_sleep_ahead(self, timer: int) -> bool:
        """Whether the timer with this number is a sleep that is not due yet."""
        return any(number == timer and when > self._now for when, number, *_ in self._sleeps)
