"""`ReadyLoop`: what becomes ready on a simulated loop, and what is to happen later.

What is ready is of two kinds. *Plain* callbacks (``call_soon``, done-callbacks, timers, the first
step of a task) keep their order. *Resumptions* are the later steps of tasks; they may be held back.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import math
from asyncio import current_task
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from types import MethodType
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import (
    STEP_TYPE,
    WAKE_SLEEPER,
    WAKE_UP_NAME,
    WAKE_UP_TYPE,
    StepHandle,
    SteppingLoop,
    StepTimer,
)
from aldente._loops.simulated.choosing import Entry

# Where time starts; see the virtual loop.
START = 100_000.0

# How many timers may be set for a time that has come, until time moves; see the virtual loop.
OVERDUE = 1_000

# Cancelled timers are thrown away when there are so many of them, and more than others.
MANY_CANCELLED = 100


class PlainHandle(StepHandle):
    """A plain callback."""

    __slots__ = ()
    is_outside = False


class OutsideHandle(StepHandle):
    """A plain callback that something outside of the loop's own memory has caused."""

    __slots__ = ()
    is_outside = True


class Alarm(StepTimer):
    """A timer past which time never goes while a task could run: a time-out, a ``call_later``."""

    __slots__ = ()
    is_outside = False


class Sleep(StepTimer):
    """A timer behind `asyncio.sleep` whose time has come."""

    __slots__ = ()
    is_outside = True


# Timers by their time, and by their number when it is the same.
_Alarms = list[tuple[float, int, Alarm]]
# Sleeps likewise: the future on which a task waits, and the result that it gets.
_Sleeps = list[tuple[float, int, asyncio.Future[Any], Any]]

# What ends a sleep runs no code of the program.
NO_CONTEXT = Context()


class Facts(NamedTuple):
    """Where a loop stands between two steps, as far as the order of steps may depend on it.

    Attributes:
        plain: the plain callbacks that are ready.
        added: how many of them there have ever been.
        patient: how many resumptions are ready that have waited, and so let time pass.
        numbers: how many numbers and names were given to tasks and futures.
        timers: how many timers were ever set.
        jumps: how often time has moved.
        is_overdue: whether a timer was set for a time that has come.
        has_guests: whether something is ready that is none of the program's, or somebody waits for
            the loop to settle.
    """

    plain: tuple[Any, ...]
    added: int
    patient: int
    numbers: int
    timers: int
    jumps: int
    is_overdue: bool
    has_guests: bool


class ReadyLoop(SteppingLoop):
    """The part of the simulated loop that keeps what is ready, and what is to happen later.

    Args:
        holds_all: whether all resumptions may be held back, or only those that something outside
            of the loop's own memory has caused.
        slack: by which part of the time it has waited a resumption may be held back longer.

    Attributes:
        jumps: how often time has moved.
        on_exception: takes what is told to the default exception handler; None leaves it to
            asyncio's.
    """

    def __init__(self, *, holds_all: bool, slack: float) -> None:
        self._is_debugging = False
        super().__init__()
        self.jumps = 0
        self.on_exception: Callable[[dict[str, Any]], object] | None = None
        self._holds_all = holds_all
        self._slack = slack
        self._now = START
        self._is_over = False
        # Whether what is called now comes from outside of the loop's own memory.
        self._is_outside = False
        self._plain: collections.deque[Any] = collections.deque()
        # How many plain callbacks were ever added.
        self._added = 0
        self._pending: list[Entry] = []
        self._sleeps: _Sleeps = []
        self._alarms: _Alarms = []
        self._many_sleeps = MANY_CANCELLED
        self._timers = 0
        self._cancelled = 0
        self._overdue = 0
        # What tasks and futures were given in this run.
        self._numbers = 0
        self._names = 0
        self._settling: list[asyncio.Future[None]] = []
        # When each task took its last step, by its identity, once time has moved.
        self._last_steps: dict[int, float] = {}
        # How many resumptions are ready that have waited; until when they may be held, all of them
        # and the first; and how many no longer than that, or 0 if it is not known.
        self._patient = 0
        self._earliest = math.inf
        self._earliest_count = 0
        # How much of what is ready is none of the program's; and that and who waits for the loop to
        # settle together, as hardly any run has either.
        self._intruders = 0
        self._guests = 0

    def time(self) -> float:
        """Loop time, in seconds; it starts at 100,000."""
        return self._now

    def close(self) -> None:
        """As asyncio's."""
        super().close()
        self._is_over = True
        self._plain.clear()
        self._pending.clear()
        self._sleeps.clear()
        self._alarms.clear()

    def set_debug(self, enabled: bool) -> None:
        """As asyncio's."""
        super().set_debug(enabled)
        self._is_debugging = enabled

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """As asyncio's, unless somebody else takes what it would log."""
        if self.on_exception is not None:
            self.on_exception(context)
        else:
            super().default_exception_handler(context)

    # What becomes ready.

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle | None:
        """As asyncio's; for the steps of tasks, which make no use of it, there is no handle."""
        if self._is_over:
            self._refuse(args)
            return None
        kind = type(callback)
        if kind is STEP_TYPE:
            if self._holds_all and current_task(self) is callback.__self__:
                # It goes on by itself, after a bare yield; else it is the first step.
                self._pending.append((self._added, callback, context, args, 0.0))
                return None
        elif kind is WAKE_UP_TYPE and callback.__name__ == WAKE_UP_NAME:
            if self._holds_all or self._is_outside:
                deadline = 0.0
                if self.jumps:
                    now = self._now
                    waited = now - self._last_steps.get(id(callback.__self__), START)
                    if waited > 0 and self._slack:
                        # How long it may be held.
                        deadline = now + self._slack * waited
                        self._patient += 1
                        if deadline < self._earliest:
                            self._earliest, self._earliest_count = deadline, 1
                        elif deadline == self._earliest:
                            self._earliest_count += 1
                if context is None:
                    context = copy_context()
                self._pending.append((self._added, callback, context, args, deadline))
                return None
        elif kind is MethodType and self._is_held(callback, args):
            if context is None:
                context = copy_context()
            self._pending.append((self._added, callback, context, args, 0.0))
            return None
        make = OutsideHandle if self._is_outside else PlainHandle
        is_debug = self._is_debugging
        if is_debug:
            self.check_debug(callback)
        handle = make(callback, args, self, context)
        if is_debug:
            _asyncio_compat.note_maker(handle)
        self._plain.append(handle)
        self._added += 1
        return handle

    def _refuse(self, args: tuple[Any, ...]) -> None:
        """The loop is closed; but a sleep that is given up may still wake its task in vain."""
        if len(args) != 1 or not isinstance(args[0], asyncio.Future) or not args[0].cancelled():
            raise RuntimeError("Event loop is closed")

    def _is_held(self, callback: MethodType, args: tuple[Any, ...]) -> bool:
        """Whether a method is a step of a task written in Python, and may be held back."""
        task = _asyncio_compat.task_of_step(callback)
        if task is None:
            return False
        is_woken = bool(args) and isinstance(args[0], asyncio.Future)
        if is_woken:
            return self._holds_all or self._is_outside
        return self._holds_all and current_task(self) is task

    def call_soon_outside(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Have something called that was caused by something outside of the loop's memory.

        What it wakes may be held back even when only such things may.
        """
        handle = OutsideHandle(callback, args, self, None)
        self._plain.append(handle)
        self._added += 1
        return handle

    def add_option(self, callback: Any, context: Context) -> None:
        """Something that may be held back becomes ready, which is no step of a task."""
        self._pending.append((self._added, callback, context, (), 0.0))

    def add_intruder(self, callback: Any) -> None:
        """Something that no await of the program has caused may happen, now or at any later time.

        While it is held, plain callbacks are called and time passes, past all timers, as if it were
        not there; whatever is plain when it comes is called before.
        """
        self._pending.append((math.inf, callback, NO_CONTEXT, (), math.inf))
        self._intruders += 1
        self._guests += 1
        self._patient += 1
        self._earliest_count += self._earliest == math.inf

    def intruder_came(self) -> None:
        """What `add_intruder` was given was chosen, and is called now."""
        self._intruders -= 1
        self._guests -= 1

    def put_intruders_last(self) -> None:
        """Have nothing of the program wait behind what is none of it."""
        pending = self._pending
        pending.sort(key=lambda entry: entry[0] == math.inf)

    def remove_intruder(self, callback: Any) -> None:
        """Undo `add_intruder`, if it has not happened."""
        for index, entry in enumerate(self._pending):
            if entry[1] == callback:
                del self._pending[index]
                self._intruders -= 1
                self._guests -= 1
                self._patient -= 1
                if not self._patient:
                    self._earliest, self._earliest_count = math.inf, 0
                else:
                    self._earliest_count -= self._earliest == math.inf
                return

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        if delay is None:
            raise TypeError("delay must not be None")
        if callback is WAKE_SLEEPER and delay > 0 and not self._is_over:
            # asyncio.sleep does nothing with its timer but cancel it in the end. Its future does as
            # well for that, and nobody else knows it.
            future: Any
            future, result = args
            self._timers = number = self._timers + 1
            sleeps = self._sleeps
            heappush(sleeps, (self._now + delay, number, future, result))
            if len(sleeps) > self._many_sleeps:
                self._forget_cancelled_sleeps()
            return future  # type: ignore[no-any-return]
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; timers that are set for the same time run in the order they were set."""
        if self._is_over:
            raise RuntimeError("Event loop is closed")
        if when is None:
            raise TypeError("when cannot be None")
        if when <= self._now:
            # Its time has come; see the virtual loop.
            self._overdue += 1
            if self._overdue > OVERDUE:
                when = math.nextafter(self._now, math.inf)
        is_debug = self._is_debugging
        if is_debug:
            self.check_debug(callback)
        self._timers = number = self._timers + 1
        timer = Alarm(when, callback, args, self, context)
        heappush(self._alarms, (when, number, timer))
        if is_debug:
            _asyncio_compat.note_maker(timer)
        return timer

    def on_timer_cancelled(self) -> None:
        """Keep cancelled timers from being the next one, and from becoming many."""
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
        """Keep sleeps that were cancelled from becoming many."""
        self._sleeps[:] = [item for item in self._sleeps if not item[2].done()]
        heapq.heapify(self._sleeps)
        self._many_sleeps = MANY_CANCELLED + 2 * len(self._sleeps)

    def ready(self) -> list[Any]:
        """What is ready to be called: handles, and what stands for the steps of tasks."""
        return [*self._plain, *self._pending]

    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are not cancelled, the next first."""
        timers: list[tuple[float, int, asyncio.TimerHandle]] = [
            (when, number, Sleep(when, WAKE_SLEEPER, (future, result), self, NO_CONTEXT))
            for when, number, future, result in self._sleeps
            if not future.done()
        ]
        timers += [item for item in self._alarms if not item[2].is_cancelled]
        return [timer for _, _, timer in sorted(timers)]

    @property
    def has_alarms(self) -> bool:
        """Whether a timer is set that is not behind `asyncio.sleep`."""
        return any(not timer.is_cancelled for _, _, timer in self._alarms)

    @property
    def holds_all(self) -> bool:
        """Whether all resumptions may be held back."""
        return self._holds_all

    def facts(self) -> Facts:
        """Where the loop stands, for those who compare it with where it will stand later."""
        return Facts(
            tuple(self._plain),
            self._added,
            self._patient,
            self._numbers + self._names,
            self._timers,
            self.jumps,
            self._overdue > 0,
            self._guests > 0,
        )

    def is_sleep_ahead(self, timer: int) -> bool:
        """Whether the timer with a number is one behind `asyncio.sleep`, and its time to come."""
        return any(number == timer and when > self._now for when, number, _, _ in self._sleeps)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ready."""
        return not self._plain and not self._pending
