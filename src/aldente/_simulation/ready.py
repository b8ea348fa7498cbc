"""`ReadyLoop`: what becomes ready on a simulated loop.

What is ready is of two kinds. *Plain* callbacks (``call_soon``, done-callbacks, timers, the first
step of a task) keep their order. *Resumptions* are the later steps of tasks; they may be held back.
"""

from __future__ import annotations

import asyncio
import collections
import inspect
import math
from asyncio import current_task
from collections.abc import Callable
from contextvars import Context, copy_context
from types import MethodType
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import (
    STEP_TYPE,
    WAKE_UP_NAME,
    WAKE_UP_TYPE,
    StepHandle,
)
from aldente._simulation.choices import Entry
from aldente._simulation.timers import NO_CONTEXT, START, TimerLoop


class PlainHandle(StepHandle):
    """A plain callback."""

    __slots__ = ()
    is_outside = False


class OutsideHandle(StepHandle):
    """A plain callback that something outside of the loop's own memory has caused."""

    __slots__ = ()
    is_outside = True


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
    """

    plain: tuple[Any, ...]
    added: int
    patient: int
    numbers: int
    timers: int
    jumps: int
    is_overdue: bool


class ReadyLoop(TimerLoop):
    """The part of the simulated loop that keeps what is ready.

    Args:
        holds_all: whether all resumptions may be held back, or only those that something outside
            of the loop's own memory has caused.
        slack: by which part of the time it has waited a resumption may be held back longer.

    Attributes:
        on_exception: takes what is told to the default exception handler; None leaves it to
            asyncio's.
    """

    def __init__(self, *, holds_all: bool, slack: float) -> None:
        super().__init__()
        self.on_exception: Callable[[dict[str, Any]], object] | None = None
        self._holds_all = holds_all
        self._slack = slack
        # Since when the task sleeps that is woken now, of which much is known; None while none is.
        # It is not None when all is over, so that no more needs to be asked at every step.
        self._asleep_since: float | None = None
        # Whether what is called now comes from outside of the loop's own memory.
        self._is_outside = False
        self._plain: collections.deque[Any] = collections.deque()
        # How many plain callbacks were ever added.
        self._added = 0
        self._pending: list[Entry] = []
        self._settling: list[asyncio.Future[None]] = []
        # What tasks and futures were given in this run.
        self._numbers = 0
        self._names = 0
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

    def close(self) -> None:
        """As asyncio's."""
        super().close()
        self._asleep_since = START
        self._plain.clear()
        self._pending.clear()

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
        kind = type(callback)
        since = self._asleep_since
        is_woken = kind is WAKE_UP_TYPE and callback.__name__ == WAKE_UP_NAME
        if since is not None and (not is_woken or self._is_over):
            return self._call_unlike_sleepers(callback, args, context)
        if is_woken:
            if since is not None or self._holds_all or self._is_outside:
                deadline = 0.0
                if self.jumps:
                    now = self._now
                    if since is None:
                        since = self._last_steps.get(id(callback.__self__), START)
                    if now > since and self._slack:
                        # How long it may be held.
                        deadline = now + self._slack * (now - since)
                        self._patient += 1
                        if deadline < self._earliest:
                            self._earliest, self._earliest_count = deadline, 1
                        elif deadline == self._earliest:
                            self._earliest_count += 1
                if context is None:
                    context = copy_context()
                self._pending.append((self._added, callback, context, args, deadline))
                return None
        elif kind is STEP_TYPE:
            if self._holds_all and current_task(self) is callback.__self__:
                # It goes on by itself, after a bare yield; else it is the first step.
                self._pending.append((self._added, callback, context, args, 0.0))
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

    def _call_unlike_sleepers(
        self, callback: Any, args: tuple[Any, ...], context: Context | None
    ) -> asyncio.Handle | None:
        """As `call_soon`, when all is over, or for what a sleep does but wake a task of C's.

        That is a task written in Python, or a callback that somebody has added to its future.
        """
        if self._is_over:
            self._refuse(args)
            return None
        since, self._asleep_since = self._asleep_since, None
        self._is_outside = True
        try:
            return self.call_soon(callback, *args, context=context)
        finally:
            self._is_outside = False
            self._asleep_since = since

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
        # On Python 3.14 and newer asyncio does not say of such a task that it is the current one.
        return self._holds_all and has_begun(task)

    def call_soon_outside(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Have something called that was caused by something outside of the loop's memory.

        What it wakes may be held back even when only such things may.
        """
        handle = OutsideHandle(callback, args, self, None)
        self._plain.append(handle)
        self._added += 1
        return handle

    def call_outside(self, function: Callable[[], object]) -> None:
        """Call a function that stands for something outside of the loop's own memory."""
        before, self._is_outside = self._is_outside, True
        try:
            function()
        finally:
            self._is_outside = before

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

    def ready(self) -> list[Any]:
        """What is ready to be called: handles, and what stands for the steps of tasks."""
        return [*self._plain, *self._pending]

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
        )

    @property
    def has_nothing_but_threads(self) -> bool:
        """Whether nothing is ready, and no timer is set."""
        return self.is_idle and not self._sleeps and not self._alarms

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ready."""
        return not self._plain and not self._pending


def has_begun(task: asyncio.Task[Any]) -> bool:
    """Whether a task has taken its first step, as far as its coroutine tells."""
    coroutine: Any = task.get_coro()
    if inspect.iscoroutine(coroutine):
        return inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
    if inspect.isgenerator(coroutine):
        return inspect.getgeneratorstate(coroutine) != inspect.GEN_CREATED
    return True
