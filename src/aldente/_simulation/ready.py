"""`ReadyLoop`: the queues of ready callbacks of a simulated loop.

Ready callbacks are of two kinds. *Plain* ones (``call_soon``, done-callbacks, timers, the first
step of a task) keep their order. *Resumptions* are the later steps of tasks; the loop may hold them
back.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import math
from asyncio import current_task
from collections.abc import Callable, Iterator
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
from aldente._simulation.timers import NO_CONTEXT, TimerLoop


class PlainHandle(StepHandle):
    """A plain callback."""

    __slots__ = ()
    is_outside = False


class OutsideHandle(StepHandle):
    """A plain callback caused from outside of the loop's own memory: by a thread or by I/O."""

    __slots__ = ()
    is_outside = True


class Facts(NamedTuple):
    """The state of a loop between two steps, as far as the order of steps may depend on it.

    Attributes:
        plain: the plain callbacks that are ready.
        added: how many plain callbacks were added since the loop began.
        patient: how many ready callbacks let time pass: those that no await has caused.
        numbers: how many numbers and names tasks and futures have got.
        timers: how many timers were set since the loop began.
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
    """The part of the simulated loop that keeps ready callbacks.

    Args:
        holds_all: whether the loop may hold back all resumptions, or only those caused from outside
            of its own memory.
        slack: what has taken t seconds may take up to slack * t more.

    Attributes:
        is_paced: whether a bare yield of the main task is a turn for all others: all that is ready
            then goes on before it, in any order, and all that becomes ready later after it.
        on_exception: called with the context of each error that reaches the default exception
            handler; None leaves them to asyncio's.
        task_listeners: called with each new task, and the context that it was given.
    """

    def __init__(self, *, holds_all: bool, slack: float) -> None:
        super().__init__()
        self.on_exception: Callable[[dict[str, Any]], object] | None = None
        self.task_listeners: list[Callable[[asyncio.Task[Any], Context | None], object]] = []
        self._holds_all = holds_all
        self._slack = slack
        self.is_paced = False
        # The entry of the main task while that waits for the end of such a turn.
        self._end_of_turn: Entry | None = None
        # Whether a sleep ends now. Also true once the loop is closed, so that `call_soon` needs one
        # test for both cases.
        self._is_sleep_ending = False
        # Whether the callback that runs now comes from outside of the loop's own memory.
        self._is_outside = False
        self._plain: collections.deque[Any] = collections.deque()
        # How many plain callbacks were added since the loop began.
        self._added = 0
        self._pending: list[Entry] = []
        self._settling: list[asyncio.Future[None]] = []
        # The last number and the last name given to a task or future of this run.
        self._numbers = 0
        self._names = 0
        # When each task took its last step, by its identity; empty until time first moves.
        self._last_steps: dict[int, float] = {}
        # How many pending entries are intruders (see `add_intruder`); and the sum of these and of
        # the futures that wait for the loop to settle. One test of the sum skips both rare cases.
        self._intruders = 0
        self._guests = 0

    def close(self) -> None:
        """Like asyncio's."""
        super().close()
        self._is_sleep_ending = True
        self._plain.clear()
        self._pending.clear()

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Like asyncio's, unless `on_exception` takes the error."""
        if self.on_exception is not None:
            self.on_exception(context)
        else:
            super().default_exception_handler(context)

    @contextlib.contextmanager
    def without_reports(self) -> Iterator[None]:
        """While entered, errors that reach the default exception handler are dropped."""
        before, self.on_exception = self.on_exception, bool
        try:
            yield
        finally:
            self.on_exception = before

    # Adding ready callbacks.

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle | None:
        """Like asyncio's; returns no handle for the steps of tasks, which don't use it."""
        kind = type(callback)
        is_sleep_ending = self._is_sleep_ending
        is_woken = kind is WAKE_UP_TYPE and callback.__name__ == WAKE_UP_NAME
        if is_sleep_ending and (not is_woken or self._is_over):
            return self._call_unlike_sleepers(callback, args, context)
        if is_woken:
            if is_sleep_ending or self._holds_all or self._is_outside:
                if context is None:
                    context = copy_context()
                self._pending.append((self._added, callback, context, args))
                return None
        elif kind is STEP_TYPE:
            if self._holds_all and current_task(self) is callback.__self__:
                # The task goes on after a bare yield; if another task runs, this is a first step.
                entry = (self._added, callback, context, args)
                self._pending.append(entry)
                if self.is_paced and callback.__self__ is self.main_task:
                    self._end_of_turn = entry
                return None
        elif kind is MethodType and self._is_held(callback, args):
            if context is None:
                context = copy_context()
            self._pending.append((self._added, callback, context, args))
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
        """As `call_soon`, once the loop is closed, or when the end of a sleep wakes no C task.

        It wakes a task written in Python then, or runs a done-callback added to its future.
        """
        if self._is_over:
            self._refuse(args)
            return None
        self._is_sleep_ending = False
        self._is_outside = True
        try:
            return self.call_soon(callback, *args, context=context)
        finally:
            self._is_outside = False
            self._is_sleep_ending = True

    def _refuse(self, args: tuple[Any, ...]) -> None:
        """Raise because the loop is closed, except when a cancelled sleep wakes its task."""
        if len(args) != 1 or not isinstance(args[0], asyncio.Future) or not args[0].cancelled():
            raise RuntimeError("Event loop is closed")

    def _is_held(self, callback: MethodType, args: tuple[Any, ...]) -> bool:
        """Whether a method is a step of a task written in Python that the loop may hold back."""
        task = _asyncio_compat.task_of_step(callback)
        if task is None:
            return False
        is_woken = bool(args) and isinstance(args[0], asyncio.Future)
        if is_woken:
            return self._holds_all or self._is_outside
        # On Python 3.14 and newer `current_task` does not return such a task.
        return self._holds_all and has_begun(task)

    def call_soon_outside(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call a callback soon that was caused from outside of the loop's memory.

        The loop may hold back tasks that it wakes, even with ``order="io"``.
        """
        handle = OutsideHandle(callback, args, self, None)
        self.queue_outside(handle)
        return handle

    def queue_outside(self, handle: StepHandle) -> None:
        """Call a callback soon that was caused from outside of the loop's memory."""
        self._plain.append(handle)
        self._added += 1

    def call_outside(self, function: Callable[[], object]) -> None:
        """Call a function now that stands for an event outside of the loop's own memory."""
        before, self._is_outside = self._is_outside, True
        try:
            function()
        finally:
            self._is_outside = before

    def add_option(self, callback: Any, context: Context) -> None:
        """Add a callback that is not a step of a task but may be held back like one."""
        self._pending.append((self._added, callback, context, ()))

    def add_intruder(self, callback: Any) -> None:
        """Add a callback that no await of the program has caused, to run now or at any later time.

        While the loop holds it back, plain callbacks run and time passes, past all timers, as if it
        were not there. Plain callbacks that are ready when it is chosen run before it.
        """
        self._pending.append((math.inf, callback, NO_CONTEXT, ()))
        self._intruders += 1
        self._guests += 1

    def intruder_came(self) -> None:
        """Count one intruder less: it was chosen and runs now."""
        self._intruders -= 1
        self._guests -= 1

    def put_intruders_last(self) -> None:
        """Move intruders behind the resumptions of the program."""
        pending = self._pending
        pending.sort(key=lambda entry: entry[0] == math.inf)

    def remove_intruder(self, callback: Any) -> None:
        """Undo `add_intruder`, if its callback has not run."""
        for index, entry in enumerate(self._pending):
            if entry[1] == callback:
                del self._pending[index]
                self._intruders -= 1
                self._guests -= 1
                return

    def drop_ready(self, is_dead: Callable[[Any, Context | None], bool]) -> None:
        """Forget the ready callbacks, steps and timers that belong to what has crashed.

        Args:
            is_dead: whether one does, by its callback and its context.
        """
        for handle in [*self._plain, *(timer for _, _, timer in self._alarms)]:
            if not handle.is_cancelled and is_dead(handle.callback, handle.context):
                handle.cancel()
        self._pending[:] = [entry for entry in self._pending if not is_dead(entry[1], entry[2])]

    def brings(self) -> bool:
        """Whether the network brings something before time passes, so that a turn has to look."""
        return False

    def ready(self) -> list[Any]:
        """All that is ready: the handles of plain callbacks, and the entries of resumptions."""
        return [*self._plain, *self._pending]

    @property
    def holds_all(self) -> bool:
        """Whether the loop may hold back all resumptions."""
        return self._holds_all

    def count_of_turn(self) -> int:
        """How many of the first resumptions may go on now: those of a turn, then the main task."""
        for place, entry in enumerate(self._pending):
            if entry is self._end_of_turn:
                if place:
                    return place
                self._end_of_turn = None
                return 1
        # The main task went on as the only one.
        self._end_of_turn = None
        return len(self._pending)

    def facts(self) -> Facts:
        """The state of the loop, to compare with its state after later steps."""
        return Facts(
            tuple(self._plain),
            self._added,
            self._intruders,
            self._numbers + self._names,
            self._timers,
            self.jumps,
            self._overdue > 0,
        )

    def added(self) -> tuple[int, int]:
        """How many plain callbacks were added so far; how many resumptions are ready."""
        return self._added, len(self._pending)

    @property
    def has_nothing_but_threads(self) -> bool:
        """Whether nothing is ready, and no timer is set."""
        return self.is_idle and not self._sleeps and not self._alarms

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ready."""
        return not self._plain and not self._pending


def has_begun(task: asyncio.Task[Any]) -> bool:
    """Whether a task has taken its first step, as far as its coroutine shows."""
    coroutine: Any = task.get_coro()
    if inspect.iscoroutine(coroutine):
        return inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
    if inspect.isgenerator(coroutine):
        return inspect.getgeneratorstate(coroutine) != inspect.GEN_CREATED
    return True
