"""`SimulatedLoop`: an event loop whose every timing is a recorded choice."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
import warnings
from asyncio import Future, current_task
from collections.abc import Callable
from contextvars import Context
from types import FrameType
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import GLOBALS_OF_SLEEP, SLEEP_CODE, frame_at
from aldente._python_compat import identity_of
from aldente._runner.settle import SettlingLoop
from aldente._schedules import Order
from aldente._simulation import outside
from aldente._simulation.choices import Strategy
from aldente._simulation.determinism import (
    SimulatedFuture,
    SimulatedTask,
    make_task,
    new_future,
    set_up_future,
)
from aldente._simulation.executors import ExecutorJobs
from aldente._simulation.explored import Busy, RealTimeLimit
from aldente._simulation.foreign_threads import ForeignThreads
from aldente._simulation.network.loop import NetworkLoop, SimulatedSockets
from aldente._simulation.operations import Operations
from aldente._simulation.outside import BlockingSleep, NoOutside
from aldente._simulation.ready import OutsideHandle
from aldente._simulation.timers import START
from aldente._source import caller_finder
from aldente._virtual_time.clock import pending_timers
from aldente._virtual_time.wall_clock import NO_WALL, Wall
from aldente.errors import (
    AldenteError,
    DeadlockError,
    EndlessTimeError,
    InvalidSetting,
    LivelockError,
)

# After this many jumps of time, `on_quiet` looks whether the main task is stuck.
QUIET_JUMPS = 1_000


class SimulatedLoop(NoOutside, NetworkLoop, SettlingLoop):
    """An event loop with a network of its own, whose schedule a strategy decides.

    A schedule may do what asyncio could do if awaits took other times: tasks that are ready go on
    in any order, and what comes from outside takes longer than it has to. It does not depend on
    addresses, hash seeds, real time or the machine.

    Args:
        strategy: decides whenever the run can go on in more than one way.
        order: ``"any"`` to hold back all resumptions, ``"io"`` only those caused from outside of
            the loop's own memory: by a sleep, a job of an executor, simulated I/O.
        slack: what has taken t seconds may take up to slack * t more.
        max_steps: how many steps a run may take.
        max_virtual_time: how far time may advance, in seconds of loop time.
        real_seconds: how long the run may take, in real seconds; None for no limit.
        wall: makes other clocks follow loop time.
        is_serial: whether operations run one at a time.
        is_watched: whether to note what else the program does while operations run.
        is_paced: whether a bare yield of the main task is a turn for all others.
        on_quiet: called with the loop, and the frames of the program's other threads, when only
            timers have kept it going for a while; returns an error if the program is stuck.

    Attributes:
        real_time: how long the run may take by the wall clock.
        name: what messages call the run.
        error: the error that ends the run early; None without one.
        is_serial, is_watched: as the arguments.
        operations: the operations of the run; None without any.

    >>> from aldente._strategies.fifo import Fifo
    >>> with asyncio.Runner(loop_factory=lambda: SimulatedLoop(Fifo())) as runner:
    ...     runner.run(asyncio.sleep(3600, "an hour later"))
    'an hour later'
    """

    # The name of the program's first task; empty for one with its number.
    main_name = ""

    # Whether to keep where the program has made its futures; only in the run that is reported.
    is_noting_origins = False

    # One for all loops, as it takes a while to make.
    _find_caller: Any = staticmethod(caller_finder())

    def __init__(
        self,
        strategy: Strategy,
        *,
        order: Order = "any",
        slack: float = 1.0,
        max_steps: int = 100_000,
        max_virtual_time: float = 10 * 365.25 * 86_400,
        real_seconds: float | None = None,
        wall: Wall = NO_WALL,
        is_serial: bool = False,
        is_watched: bool = False,
        is_paced: bool = False,
        on_quiet: Callable[[SimulatedLoop, list[FrameType]], AldenteError | None] | None = None,
    ) -> None:
        super().__init__(strategy, holds_all=order == "any", slack=slack)
        self.is_paced = is_paced
        self.real_time = RealTimeLimit(real_seconds)
        self.name = "the simulated run"
        self.error: AldenteError | None = None
        self.is_serial = is_serial
        self.is_watched = is_watched
        self.operations: Operations | None = None
        self._max_steps = max_steps
        self._max_virtual_time = max_virtual_time
        self._last_step = max_steps
        self._end = START + max_virtual_time
        self._wall = wall
        self._has_wall = wall is not NO_WALL
        self.note_wait = wall.note_wait if self._has_wall else None
        self._on_quiet = on_quiet
        self._next_quiet = QUIET_JUMPS
        self._quiet_since = START
        self._limit_time()
        self._busy: Busy | None = None
        self._factory: Callable[..., Any] | None = None
        self._simulated_factory: Callable[..., Any] | None = None
        # Used where asyncio keeps no record of tasks that are done.
        self.tasks_made = _asyncio_compat.TaskRecord()
        self._foreign = ForeignThreads(self)
        self._workers = ExecutorJobs(self, self._foreign.are_going)

    # Tasks and futures, and their names.

    def next_number(self) -> int:
        """A number for a task that no other task of this run has."""
        self._numbers += 1
        return self._numbers

    def next_name(self) -> str:
        """A name for a task that has got none."""
        self._names += 1
        return f"Task-{self._names}"

    def next_future_number(self) -> int:
        """A number for a future.

        It follows from the number of the task that makes the future and from how many futures that
        task has made. So it does not depend on what other tasks do, and a step that makes a future
        stays independent of theirs. Two futures may have the same number.
        """
        task: Any = current_task(self)
        if type(task) is not SimulatedTask:
            return self.next_number()
        task.futures_made = made = task.futures_made + 1
        # Spreads the futures of one task, and the first ones of several, over a set's slots.
        number: int = task.number * 33 + made
        return number

    def create_future(self) -> asyncio.Future[Any]:
        """Like asyncio's."""
        try:
            maker = self._find_caller()
        except ValueError:
            # Another thread is there.
            maker = frame_at(1)
        except StopIteration:
            # An interrupt has come there before.
            SimulatedLoop._find_caller = staticmethod(caller_finder())
            maker = frame_at(1)
        # Most come from other modules, and `f_code` raises an audit event, which takes long.
        if maker.f_globals is GLOBALS_OF_SLEEP and maker.f_code is SLEEP_CODE:
            # No program can put this future into a set, and tasks await asyncio's own class faster.
            # Its loop is the running one, which is this; an argument would take time as well.
            return Future()
        # What its class does, in less time.
        future: SimulatedFuture[Any] = new_future(SimulatedFuture)
        set_up_future(future, loop=self)
        future.number = self.next_future_number()
        if self.is_noting_origins:
            _asyncio_compat.note_origin(future, maker)
        return future

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Like asyncio's; a task without a name gets one with its number in this run."""
        name = kwargs.pop("name", None)
        if name is None:
            name = self.next_name()
        self._check_open()
        factory = self._simulated_factory
        if factory is not None:
            # Not as an argument: a custom factory may not accept `name`.
            if factory is not self._factory:
                task: asyncio.Task[Any] = factory(self, coro, name=name, **kwargs)
            else:
                task = factory(self, coro, **kwargs) if kwargs else factory(self, coro)
                task.set_name(name)
        else:
            task = make_task(coro, loop=self, name=name, **kwargs)
            if self._is_debugging:
                _asyncio_compat.forget_innermost_frame(task)
        if _asyncio_compat.IS_RECORDING_TASKS:
            self.tasks_made.add(task)
        for listener in self.task_listeners:
            listener(task, kwargs.get("context"))
        if self.jumps:
            # An eager task has taken its first step by now.
            self._last_steps[identity_of(task)] = self._now
        return task

    def set_task_factory(self, factory: Any) -> None:
        """Like asyncio's."""
        super().set_task_factory(factory)
        self._factory = self._simulated_factory = factory
        if sys.version_info >= (3, 12) and factory is asyncio.eager_task_factory:
            self._simulated_factory = asyncio.create_eager_task_factory(SimulatedTask)

    def _check_open(self) -> None:
        if self._is_over:
            raise RuntimeError("Event loop is closed")

    # Time.

    def begin_settling(self, future: asyncio.Future[None]) -> None:
        """Set a future when the loop is durably blocked; time stands still from now on."""
        super().begin_settling(future)
        self._guests += 1

    def end_settling(self, future: asyncio.Future[None]) -> None:
        """Let time pass again: the task that waited for the future has gone on."""
        before = len(self._settling)
        super().end_settling(future)
        self._guests -= before - len(self._settling)

    def run_forever(self) -> None:
        """Like asyncio's; other clocks follow loop time meanwhile."""
        outside.install()
        # Already entered if the whole run is, which takes less time.
        with self._wall, BlockingSleep(), SimulatedSockets():
            super().run_forever()

    def on_time_limit(self) -> None:
        """Move the other clocks, and end the run if time has moved too far."""
        if self._has_wall:
            self._wall.move_to(self._now)
        if self._now > self._end:
            timers = [str(timer) for timer in pending_timers(self)]
            self.fail(EndlessTimeError(self._max_virtual_time, 0, timers))
        elif self.jumps >= self._next_quiet:
            self._look_whether_stuck()
        self._limit_time()

    def _limit_time(self) -> None:
        """Set the limits past which `move_to` calls `on_time_limit`."""
        self._jumps_limit = 0 if self._has_wall else self._next_quiet
        self._time_limit = self._end

    def skew(self, host: str, seconds: float) -> None:
        """Set how far the wall clock of a host is ahead.

        Args:
            host: the name of the host.
            seconds: how far, in seconds; negative for behind.

        Raises:
            InvalidSetting: the wall clock does not follow loop time.
        """
        if not self._has_wall:
            allowed = "Only a wall clock that follows loop time can be skewed: explore(wall=True)."
            raise InvalidSetting("clock_skew", seconds, allowed)
        if not self.skews:
            self._wall.skew_by(self._skew_here)
        self.skews[host] = seconds

    def _skew_here(self) -> int:
        """How far ahead the clock of the host is on which code runs, in nanoseconds."""
        host = self.network.addresses_here().host
        return round(self.skews.get(host, 0.0) * 1_000_000_000)

    # Budgets.

    def allow_more(self, steps: int, seconds: float, real_seconds: float) -> None:
        """Give the tasks left on the loop a budget of their own to end in.

        Args:
            steps: how many steps it may take.
            seconds: how far time may advance, in seconds of loop time.
            real_seconds: how long it may take, in real seconds.
        """
        self._max_steps = steps
        self._last_step = self.steps + steps
        self._max_virtual_time = seconds
        self._end = self._now + seconds
        self.real_time = RealTimeLimit(real_seconds)
        self.error = None
        self._limit = -1
        self._next_quiet = self.jumps + QUIET_JUMPS
        self._limit_time()
        if self._busy is not None:
            self.remove_hook(self._busy.note)
            self._busy = None

    def choose_by(self, strategy: Strategy) -> None:
        """Let another strategy decide from now on."""
        self._strategy = strategy

    def on_limit(self) -> None:
        """End the run if a budget is used up, else set the step of the next check."""
        if self.steps > self._last_step:
            self._end_of_steps()
        if self._foreign.is_due(self.steps):
            self._foreign.let_all_in()
        if not self.is_real_time_over():
            # Check at every turn while `Busy` counts who takes the steps.
            next_look = self.steps + (
                self.real_time.steps_until_look() if self._busy is None else 0
            )
            self._limit = min(next_look, max(self._last_step, self.steps))
        if self.error is not None:
            # Raised once: the tasks that are left end after it.
            error, self.error = self.error, None
            raise error

    def fail(self, error: AldenteError) -> None:
        """End the run with an error, unless it already ends with one."""
        self.error = self.error or error
        self._limit = -1

    def _end_of_steps(self) -> None:
        """Count for a while which tasks keep the loop going, and then end the run."""
        if self._busy is None:
            self._busy = Busy()
            self.add_hook(self._busy.note)
        elif self._busy.is_complete:
            self.fail(LivelockError(self._max_steps, self._busy.lines()))

    def _look_whether_stuck(self) -> None:
        """End the run if only timers go on while the main task waits for ever."""
        # At doubling intervals, as the check takes a while.
        self._next_quiet = 2 * self.jumps
        main = self.main_task
        if main is None or self._on_quiet is None or self.has_alarms or self._workers.jobs:
            return
        threads = self._foreign
        has_waited = self._last_steps.get(identity_of(main), START) < self._quiet_since
        if has_waited and threads.can_only_wait():
            error = self._on_quiet(self, threads.frames())
            if error is not None and threads.stay_silent():
                self.fail(error)
        self._quiet_since = self._now

    def give_up(self) -> None:
        """End the run: nothing is ready, no timer is set and no thread can call in."""
        if self.operations is not None and self.operations.let_through():
            return
        self.fail(DeadlockError("the program", 0.0))

    @property
    def follows_wall(self) -> bool:
        """Whether other clocks follow loop time."""
        return self._has_wall

    @property
    def has_callbacks(self) -> bool:
        """Whether a callback is ready that no choice can hold back."""
        return bool(self._plain)

    @property
    def has_ready(self) -> bool:
        """Whether a callback is ready."""
        return bool(self._plain or self._pending)

    def begin_operations(self) -> Operations:
        """The operations of the run, to which a program adds what they are operations of."""
        if self.operations is None:
            self.operations = Operations(self)
        return self.operations

    # Threads.

    async def wait_for_answer(self, seconds: float | None) -> None:
        """Wait until the answer of a double is due; it counts as caused from outside.

        Args:
            seconds: how long it takes, in seconds of loop time; None if the double sets no time.
        """
        if seconds is not None:
            await asyncio.sleep(seconds)
            return
        answer = self.create_future()
        self.call_soon_outside(self._answer, answer)
        await answer

    def _answer(self, answer: asyncio.Future[None]) -> None:
        """Deliver an answer that takes no time in stock order."""

        def come() -> None:
            # The caller may have been cancelled by then.
            if not answer.done():
                answer.set_result(None)

        if not answer.done() and not self.is_late(come, answer):
            come()

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle | None:
        """Like asyncio's; a job of an executor gives its turn back to the loop."""
        self._check_open()
        if self.identifier_of_thread in (None, threading.get_ident()):
            return self.call_soon(callback, *args, context=context)
        if self.get_debug():
            _asyncio_compat.check_callback(callback)
        handle = OutsideHandle(callback, args, self, context)
        job = self._workers.job_of_this_thread()
        if job is not None and job.has_turn:
            job.call_in(handle)
        else:
            self._foreign.call_in(handle, self.steps)
        return handle

    def run_in_executor(  # type: ignore[override]
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        """Like asyncio's; the thread and the loop take turns."""
        self._check_open()
        if self.get_debug():
            _asyncio_compat.check_callback(func)
        return self._workers.submit(executor, func, args)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Like asyncio's."""
        executor = _asyncio_compat.forbid_default_executor(self)
        if executor is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._workers.when_idle(executor)
        except TimeoutError:
            warnings.warn(
                f"The executor did not finishing joining its threads within {timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )
            executor.shutdown(wait=False)
        else:
            executor.shutdown(wait=True)

    def job_here(self) -> str:
        """The name of the function that this thread runs for an executor; else empty."""
        job = self._workers.job_of_this_thread()
        return "" if job is None else job.who

    def is_waiting_for_this_thread(self) -> bool:
        """Whether the current thread runs a job of an executor, and the loop waits for it."""
        return self._workers.is_waiting_for_this_thread()

    @property
    def depends_on_threads(self) -> bool:
        """Whether threads have called in that the schedule does not control."""
        return self._foreign.have_called_in

    def wait(self) -> None:
        """Wait for threads, or else let time pass: nothing is ready."""
        if self._workers.jobs and self._workers.wait():
            return
        # Before it waits for other threads, which takes real time.
        if self.release():
            return
        foreign = self._foreign
        if not foreign.is_alone() and foreign.wait(
            self.has_nothing_but_threads, self._workers.need_loop
        ):
            foreign.let_one_in()
        elif self._workers.jobs and self._workers.look_at_waiting():
            return  # as a thread that it waited for has had a job go on
        elif self._guests and self.is_awaited_to_settle:
            self.notify_settled()
        elif self.error is None:
            self.let_time_pass()

    def crash_parts(self, host: str) -> None:
        """Like the base class's; and the jobs of a host end."""
        super().crash_parts(host)
        self._workers.crash(host)

    def close(self) -> None:
        """Like asyncio's."""
        super().close()
        self._workers.abandon()
