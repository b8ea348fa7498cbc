"""`VirtualTimeLoop`: asyncio's selector event loop on a clock that jumps."""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

from aldente import _asyncio_compat
from aldente._settings import Settings
from aldente._virtual_time.polling import watch_for
from aldente._virtual_time.waiting import JumpingLoop, VirtualSelector
from aldente._virtual_time.wall_clock import NO_WALL, Wall
from aldente.errors import AldenteError

T = TypeVar("T")
_Ts = TypeVarTuple("_Ts")

# Where time starts. Not 0, which programs take for "never" (``last = 0.0``), and small, so that
# floats distinguish a hundredth of a nanosecond.
START = 100_000.0

# A test that jumps more often is taken to be endless.
MAX_JUMPS = 1_000_000

# How many timers may be set for a time that has come, until time moves. Code that sets its timer
# again until its time is over (like aiohttp's keep-alive) relies on time to move by itself; further
# timers fire at the next moment that a float can represent.
OVERDUE = 1_000


class _When(float):
    """The time of a timer. Of two equal ones the one that was set first is less.

    A heap does not keep the order of equal items, and stock asyncio only has the heap.
    """

    __slots__ = ("number",)
    number: int

    def __lt__(self, other: float) -> bool:
        if isinstance(other, _When) and float.__eq__(self, other):
            return self.number < other.number
        return float.__lt__(self, other)


class VirtualTimeLoop(JumpingLoop):
    """An event loop with real I/O, whose time stands still except for jumps to the next timer.

    Time jumps when the loop is durably blocked: nothing is ready, an immediate poll finds no I/O,
    and no executor job or child process is running. While one is, loop time follows real time.
    While there is a connection to another process, or a thread that may call in, the loop polls
    for ``patience`` before each jump. The semantics are those of Go's ``testing/synctest`` and
    trio's ``MockClock`` with ``autojump_threshold=0``, extended to real I/O.

    Args:
        patience: how long nothing must come from other processes and threads before time jumps, in
            real seconds.
        max_virtual_time: how far time may advance, in seconds of loop time; more raises
            `EndlessTimeError`.
        bystanders: identifiers of threads that are known to wake no loop.
        wall: the other clocks that follow.
        on_stuck: called with the loop, and with a `DeadlockError` when nothing can happen any more,
            or an `EndlessTimeError`; it ends the run with that and returns True, or returns False
            to let the loop continue: to wait for what can't happen, or to run on. Without it the
            loop raises them.
        is_stuck_beside_timers: called with the loop, rarely; returns whether nothing that its
            timers run can let its run continue, while nothing comes from outside.

    Attributes:
        jobs: how many jobs of executors are running and not abandoned.
        limits: how far time may advance, in seconds of loop time, and in how many jumps.
        on_stuck: as the argument.
        is_stuck_beside_timers: as the argument.
        waiting: its selector.

    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(asyncio.sleep(3600, "an hour later"))
    'an hour later'
    """

    def __init__(
        self,
        *,
        patience: float = Settings().patience,
        max_virtual_time: float = Settings().max_virtual_time,
        bystanders: Collection[int] = (),
        wall: Wall = NO_WALL,
        on_stuck: Callable[[JumpingLoop, AldenteError], bool] | None = None,
        is_stuck_beside_timers: Callable[[JumpingLoop], bool] = lambda loop: False,
    ) -> None:
        self._now = START
        self._timers = 0
        self._overdue = 0
        self._held = 0
        self.jobs = 0
        self._children: set[asyncio.SubprocessTransport] = set()
        self._settling = []
        self._wall = wall
        self.limits = (max_virtual_time, MAX_JUMPS)
        self.on_stuck = on_stuck
        self.is_stuck_beside_timers = is_stuck_beside_timers
        self.waiting = VirtualSelector(
            selectors.DefaultSelector(),
            self,
            patience=patience,
            bystanders=bystanders,
            polling=watch_for(self, follows=wall is not NO_WALL),
        )
        super().__init__(self.waiting)
        self._set_resolution()

    def time(self) -> float:
        """Loop time, in seconds; it starts at 100,000."""
        return self._now

    def move_to(self, when: float) -> None:
        """Let time pass, up to a moment that is no later than the next timer."""
        if when > self._now:
            self._overdue = 0
            self._now = float(when)
            self._set_resolution()
            self._wall.move_to(self._now)

    def _set_resolution(self) -> None:
        # Run exactly the timers whose time has come: none earlier, and none left behind that is
        # set for this very moment.
        _asyncio_compat.set_clock_resolution(self, math.ulp(self._now))

    def start_anew(self, when: float = START) -> None:
        """Restart time; for an idle loop."""
        self._now = when
        self._set_resolution()
        self._wall.move_to(self._now)
        self.waiting.start_anew()

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Like asyncio's."""
        if self._wall is not NO_WALL and delay is not None:
            self._wall.note_wait(self._now, delay)
        timer = super().call_later(delay, callback, *args, context=context)
        if self.get_debug():
            _asyncio_compat.forget_innermost_frame(timer)
        return timer

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Like asyncio's; timers for the same time run in the order in which they were set."""
        if when is not None:
            if when <= self._now:
                self._overdue += 1
                if self._overdue > OVERDUE:
                    when = math.nextafter(self._now, math.inf)
            numbered = when = _When(when)
            self._timers = numbered.number = self._timers + 1
        timer = super().call_at(when, callback, *args, context=context)
        if self.get_debug():
            _asyncio_compat.forget_innermost_frame(timer)
        return timer

    def run_forever(self) -> None:
        """Like asyncio's; meanwhile the other clocks follow."""
        with self._wall:
            try:
                super().run_forever()
            finally:
                self.waiting.polling.stop()

    # Work outside of the loop, which wakes it when it is done.

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def _end_job(self, future: object) -> None:
        self.jobs -= 1

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*_Ts], T],
        *args: *_Ts,
    ) -> asyncio.Future[T]:
        """Like asyncio's; loop time follows real time until the job is done or abandoned."""
        future = super().run_in_executor(executor, func, *args)
        self.jobs += 1
        future.add_done_callback(self._end_job)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """Like asyncio's; loop time follows real time meanwhile."""
        with self._holding():
            await super().shutdown_default_executor(*args, **kwargs)

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Like asyncio's; loop time follows real time until the process has ended."""
        with self._holding():
            transport, protocol = await super().subprocess_exec(*args, **kwargs)
        self._note_child(transport)
        return transport, protocol

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Like asyncio's; loop time follows real time until the process has ended."""
        with self._holding():
            transport, protocol = await super().subprocess_shell(*args, **kwargs)
        self._note_child(transport)
        return transport, protocol

    def _note_child(self, transport: asyncio.SubprocessTransport) -> None:
        self._children.add(transport)
