"""Executors of a simulated loop: real threads that take turns with the loop.

A thread runs only while the loop waits for it, so what the two do to each other is in an order that
the schedule decides: when a job begins, which goes on first when it calls in on the loop
(``call_soon_threadsafe``, ``run_coroutine_threadsafe``), and when its end is noticed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeGuard

from aldente import _asyncio_compat, _python_compat
from aldente._clocks import monotonic
from aldente._runner.threads import waits_for_a_lock
from aldente._simulation.choices import Kind, Picks
from aldente._simulation.limits import LimitedLoop
from aldente._stacks import frames_of_threads, variables_of

# How long a thread that has the turn is left alone before it is looked at, in real seconds, and
# after how many looks in a row it is taken to wait: few when the system says that it waits for
# another thread without a time-out; more when it may only be waiting for the interpreter;
# many when it has not even begun, as there should be a worker for it.
_LOOK = 0.001
_FEW, _MORE, _MANY = 3, 20, 1_000


class Job:
    """Something that a thread of an executor does.

    Args:
        workers: what begins it, and is told of what it does.
        executor: whose thread is to do it.
        function: what is to be done.
        args: its arguments.

    Attributes:
        kind: what it does next when it is chosen.
        who: the name of the function.
        executor: as the argument.
        future: its end, as the future of an executor tells it.
        has_turn: whether its thread runs while the loop waits.
    """

    def __init__(
        self,
        workers: Workers,
        executor: concurrent.futures.Executor,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self.kind = Kind.BEGIN_JOB
        self.who = name_of(function)
        self.executor = executor
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._workers = workers
        self._function = function
        self._args = args
        self._thread: threading.Thread | None = None
        # Tokens of a turn, one for each direction.
        self._to_thread = threading.Semaphore(0)
        self._to_loop = threading.Semaphore(0)
        self.has_turn = False
        self._is_parked = False
        self._is_done = False
        self._is_abandoned = False
        self._result: Any = None
        self._error: BaseException | None = None

    # On the thread of the loop.

    def go(self) -> None:
        """It was chosen: do what is next, until the thread gives the turn back."""
        if self.kind is Kind.END_JOB:
            self._workers.end(self)
        elif self.kind is Kind.GO_ON_WITH_JOB:
            self.has_turn = True
            self._is_parked = False
            self._to_thread.release()
            self.wait()
        elif self.future.set_running_or_notify_cancel():
            self.kind = Kind.GO_ON_WITH_JOB
            self.has_turn = True
            self.executor.submit(self._work)
            self.wait()
        else:
            # Nobody wants it any more.
            self._workers.end(self)

    def wait(self) -> None:
        """Wait in real time until the thread gives the turn back, or waits for others itself."""
        looks = 0
        while not self._to_loop.acquire(timeout=_LOOK):
            needed = self._looks_needed()
            looks = looks + 1 if needed else 0
            if (needed and looks >= needed) or self._workers.is_over():
                self._workers.note_waiting(self)
                return
        self.has_turn = False
        if self._is_done:
            self.kind = Kind.END_JOB
            self._workers.offer(self)
        else:
            self._workers.note_call_in(self)

    def has_woken(self) -> bool:
        """Whether its thread, which was seen to wait for others, does not any more.

        Where only a look at the thread tells, that takes a moment, in which it may go on.
        """
        thread = self._thread
        # Looked at before, as it may give the turn back and be with its next job in between.
        is_known = thread is not None and bool(waits_for_a_lock(thread))
        if self._to_loop.acquire(blocking=not is_known, timeout=None if is_known else _LOOK):
            self._to_loop.release()
            return True
        return not is_known and not self._looks_needed()

    def _looks_needed(self) -> int:
        """After how many such looks its thread is taken to wait; 0 when it does not seem to."""
        thread = self._thread
        if thread is None:
            return _MANY
        is_known = waits_for_a_lock(thread)
        if is_known:
            return _FEW
        frame = frames_of_threads().get(thread.ident or 0)
        if (
            frame is None
            or frame.f_code.co_name != "wait"
            or not frame.f_code.co_filename.endswith("threading.py")
        ):
            return 0
        if variables_of(frame).get("timeout") is None and is_known is not None:
            # It was woken, and is about to go on.
            return 0
        return _MORE

    @property
    def may_wake_by_itself(self) -> bool:
        """Whether its waiting may have a time-out."""
        return self._thread is None or not waits_for_a_lock(self._thread)

    def complete(self) -> None:
        """Tell its end to those who wait for it."""
        if self.future.cancelled():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)

    def abandon(self) -> None:
        """Let its thread run on without the loop, which is closed."""
        self._is_abandoned = True
        self._to_thread.release()

    # On the thread of the job.

    def _work(self) -> None:
        self._thread = threading.current_thread()
        self._workers.begin_thread(self)
        try:
            self._result = self._function(*self._args)
        except BaseException as error:
            self._error = error
        finally:
            self._workers.end_thread()
            self._is_done = True
            self._to_loop.release()

    def call_in(self) -> None:
        """It has called in on the loop: give the turn back, and wait for the next one."""
        if self._is_abandoned or not self.has_turn:
            return
        self._is_parked = True
        self._to_loop.release()
        self._to_thread.acquire()


class RemoteJob:
    """A job of an executor whose workers are no threads of this process.

    Nobody can make those take turns, so their end is waited for in real time once nothing else can
    happen.

    Args:
        workers: what is told of its end.
        executor: who does it.
        function: what is done.
        remote: the future of the executor.
    """

    kind = Kind.END_JOB

    def __init__(
        self,
        workers: Workers,
        executor: concurrent.futures.Executor,
        function: Callable[..., Any],
        remote: concurrent.futures.Future[Any],
    ) -> None:
        self.who = name_of(function)
        self.executor = executor
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.remote = remote
        self._workers = workers

    def go(self) -> None:
        """It was chosen: its end is noticed."""
        self._workers.end(self)

    def complete(self) -> None:
        """Tell its end to those who wait for it."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.remote.result())
        except (Exception, concurrent.futures.CancelledError) as error:
            self.future.set_exception(error)

    def abandon(self) -> None:
        """Nobody wants it any more."""
        self.remote.cancel()


AnyJob = Job | RemoteJob


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called; the inner one when `asyncio.to_thread` has wrapped it."""
    args = getattr(function, "args", ())
    inner = getattr(function, "func", function)
    if getattr(inner, "__name__", "") == "run" and args:
        inner = args[0]
    return getattr(inner, "__qualname__", type(inner).__name__)


# How many threads asyncio's default executor has here. On a real loop that depends on how many
# processors the machine has.
WORKERS = 32

# How long threads that wait are given to wake by themselves, in real seconds, before time moves.
_PATIENCE = 0.02

# The workers of which threads do jobs now, by the identifiers of the threads.
_workers: dict[int, Workers] = {}


def loop_of_this_thread() -> LimitedLoop | None:
    """The loop for which the current thread does a job while that waits; None if there is none.

    A job that has waited for something may go on beside the loop for a moment; it is then none of
    the loop's.
    """
    workers = _workers.get(threading.get_ident())
    return workers.loop if workers is not None and workers.is_waiting_for_this_thread() else None


def _has_threads_of_this_interpreter(
    executor: concurrent.futures.Executor,
) -> TypeGuard[concurrent.futures.ThreadPoolExecutor]:
    """Whether an executor does its jobs in threads that share objects with the loop.

    From Python 3.14 on there is a thread pool whose jobs are run by other interpreters.
    """
    # Its module is imported with the first such pool.
    module = sys.modules.get("concurrent.futures.interpreter")
    elsewhere: Any = getattr(module, "InterpreterPoolExecutor", ())
    return isinstance(executor, concurrent.futures.ThreadPoolExecutor) and not isinstance(
        executor, elsewhere
    )


class Workers:
    """The jobs that executors do for a loop.

    Args:
        loop: the loop.

    Attributes:
        loop: as the argument.
        jobs: what is not done, in the order in which it was asked for.
    """

    def __init__(self, loop: LimitedLoop) -> None:
        self.loop = loop
        self.jobs: list[AnyJob] = []
        self._queue: list[Job] = []
        self._remote: list[RemoteJob] = []
        self._waiting: list[Job] = []
        self._by_thread: dict[int, Job] = {}
        self._idle: list[tuple[concurrent.futures.Executor, asyncio.Future[None]]] = []

    # What the loop asks of them.

    def submit(
        self,
        executor: concurrent.futures.Executor | None,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> asyncio.Future[Any]:
        """Have an executor do something; None for asyncio's default one."""
        loop = self.loop
        if executor is None:
            executor = _asyncio_compat.default_executor_of(loop)
        if executor is None:
            executor = concurrent.futures.ThreadPoolExecutor(WORKERS, thread_name_prefix="asyncio")
            _asyncio_compat.set_default_executor_silently(loop, executor)
        job: AnyJob
        if _has_threads_of_this_interpreter(executor):
            _python_compat.check_not_shut_down(executor)
            job = Job(self, executor, function, args)
            self._queue.append(job)
        else:
            remote = executor.submit(function, *args)
            job = RemoteJob(self, executor, function, remote)
            self._remote.append(job)
        self.jobs.append(job)
        self._offer_next()
        return asyncio.wrap_future(job.future, loop=loop)

    def job_of_this_thread(self) -> Job | None:
        """The job that the current thread does."""
        return self._by_thread.get(threading.get_ident())

    def is_waiting_for_this_thread(self) -> bool:
        """Whether the current thread does a job, and the loop waits for it."""
        job = self.job_of_this_thread()
        return job is not None and job.has_turn

    def wait(self) -> bool:
        """Wait in real time for what can still happen; whether something has."""
        if self._remote:
            remote, self._remote = self._remote, []
            end = self.loop.real_time.end
            limit = None if end is None else max(end - monotonic(), 0)
            concurrent.futures.wait([job.remote for job in remote], limit)
            for job in remote:
                self._offer(job)
            return True
        if not self._waiting:
            return False
        end = monotonic() + _PATIENCE
        while monotonic() < end or (
            self.loop.has_nothing_but_threads
            and any(job.may_wake_by_itself for job in self._waiting)
        ):
            if self._look_at_waiting():
                return True
            if self.is_over():
                return False
        return False

    def when_idle(self, executor: concurrent.futures.Executor) -> asyncio.Future[None]:
        """A future that is done when an executor has done all its jobs."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._idle.append((executor, future))
        self._tell_idle()
        return future

    def abandon(self) -> None:
        """Leave what is not done to itself, as the loop is closed."""
        for job in self.jobs:
            job.abandon()
        self.jobs.clear()
        self._waiting.clear()

    # What jobs tell.

    @property
    def are_waiting(self) -> bool:
        """Whether threads wait that have begun with a job."""
        return bool(self._waiting)

    def is_over(self) -> bool:
        """Whether the real time of the run is over."""
        return self.loop.is_real_time_over()

    def begin_thread(self, job: Job) -> None:
        """The current thread does a job from now on."""
        self._by_thread[threading.get_ident()] = job
        _workers[threading.get_ident()] = self

    def end_thread(self) -> None:
        """The current thread does no job any more."""
        self._by_thread.pop(threading.get_ident(), None)
        _workers.pop(threading.get_ident(), None)

    def offer(self, job: Job) -> None:
        """A job can be chosen, to go on or to end."""
        self._offer(job)

    def note_call_in(self, job: Job) -> None:
        """A job has called in on the loop: whether it or the loop goes on first is a choice."""
        if self.loop.pick(Picks(2, job.who)) == 0:
            job.go()
        else:
            self._offer(job)

    def note_waiting(self, job: Job) -> None:
        """The thread of a job waits for something, maybe for the loop."""
        self._waiting.append(job)
        if len(self._waiting) == 1:
            self.loop.add_hook(self._before_step)

    def end(self, job: AnyJob) -> None:
        """The end of a job is noticed."""
        self.jobs.remove(job)
        self.loop.call_outside(job.complete)
        self._offer_next()
        self._tell_idle()

    # Between them.

    def _offer(self, job: AnyJob) -> None:
        self.loop.add_option(job.go, copy_context())

    def _offer_next(self) -> None:
        """Let those jobs begin for which there is a worker, first come first served."""
        for job in list(self._queue):
            busy = sum(
                other.executor is job.executor and other not in self._queue
                for other in self.jobs
                if isinstance(other, Job)
            )
            if busy < _python_compat.workers_of(job.executor):
                self._queue.remove(job)
                self._offer(job)

    def _before_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        self._look_at_waiting()

    def _look_at_waiting(self) -> bool:
        """Have threads go on that were woken; whether there were any."""
        woken = [job for job in self._waiting if job.has_woken()]
        for job in woken:
            self._waiting.remove(job)
            job.wait()
        if not self._waiting:
            self.loop.remove_hook(self._before_step)
        return bool(woken)

    def _tell_idle(self) -> None:
        busy = [job.executor for job in self.jobs]
        for executor, future in self._idle:
            if executor not in busy and not future.done():
                future.set_result(None)
        self._idle = [item for item in self._idle if not item[1].done()]
