"""Executors of a simulated loop: which job may begin, which waits, and what follows its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeGuard

from aldente import _asyncio_compat, _python_compat
from aldente._clocks import monotonic
from aldente._loops.simulated.choosing import Picks
from aldente._loops.simulated.jobs import AnyJob, Job, RemoteJob

if TYPE_CHECKING:
    from aldente._loops.simulated.loop import SimulatedLoop

# How many threads asyncio's default executor has here. On a real loop that depends on how many
# processors the machine has.
WORKERS = 32

# How long threads that wait are given to wake by themselves, in real seconds, before time moves.
_PATIENCE = 0.02
_LOOK = 0.001

# The loops for which threads do jobs now, by the identifiers of the threads.
_loops: dict[int, SimulatedLoop] = {}


def loop_of_this_thread() -> SimulatedLoop | None:
    """The loop for which the current thread does a job while that waits; None if there is none.

    A job that has waited for something may go on beside the loop for a moment; it is then none of
    the loop's.
    """
    loop = _loops.get(threading.get_ident())
    return loop if loop is not None and loop.is_waiting_for_this_thread() else None


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
        jobs: what is not done, in the order in which it was asked for.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
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
        loop = self._loop
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

    def wait(self) -> bool:
        """Wait in real time for what can still happen; whether something has."""
        if self._remote:
            remote, self._remote = self._remote, []
            end = self._loop.real_time.end
            limit = None if end is None else max(end - monotonic(), 0)
            concurrent.futures.wait([job.remote for job in remote], limit)
            for job in remote:
                self._offer(job)
            return True
        if not self._waiting:
            return False
        end = monotonic() + _PATIENCE
        while monotonic() < end or (
            self._loop.has_nothing_but_threads
            and any(job.may_wake_by_itself for job in self._waiting)
        ):
            if self._look_at_waiting():
                return True
            if self.is_over():
                return False
        return False

    def when_idle(self, executor: concurrent.futures.Executor) -> asyncio.Future[None]:
        """A future that is done when an executor has done all its jobs."""
        future: asyncio.Future[None] = self._loop.create_future()
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
        return self._loop.is_real_time_over()

    def begin_thread(self, job: Job) -> None:
        """The current thread does a job from now on."""
        self._by_thread[threading.get_ident()] = job
        _loops[threading.get_ident()] = self._loop

    def end_thread(self) -> None:
        """The current thread does no job any more."""
        self._by_thread.pop(threading.get_ident(), None)
        _loops.pop(threading.get_ident(), None)

    def offer(self, job: Job) -> None:
        """A job can be chosen, to go on or to end."""
        self._offer(job)

    def note_call_in(self, job: Job) -> None:
        """A job has called in on the loop: whether it or the loop goes on first is a choice."""
        if self._loop.pick(Picks(2, job.who)) == 0:
            job.go()
        else:
            self._offer(job)

    def note_waiting(self, job: Job) -> None:
        """The thread of a job waits for something, maybe for the loop."""
        self._waiting.append(job)
        if len(self._waiting) == 1:
            self._loop.add_hook(self._before_step)

    def end(self, job: AnyJob) -> None:
        """The end of a job is noticed."""
        self.jobs.remove(job)
        self._loop.call_outside(job.complete)
        self._offer_next()
        self._tell_idle()

    # Between them.

    def _offer(self, job: AnyJob) -> None:
        self._loop.add_option(job.go, copy_context())

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
            self._loop.remove_hook(self._before_step)
        return bool(woken)

    def _tell_idle(self) -> None:
        busy = [job.executor for job in self.jobs]
        for executor, future in self._idle:
            if executor not in busy and not future.done():
                future.set_result(None)
        self._idle = [item for item in self._idle if not item[1].done()]
