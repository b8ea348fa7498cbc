"""Executors of a simulated loop: real threads that take turns with the loop.

A thread runs only while the loop waits for it, so the schedule decides the order of what the two
do: when a job begins, which of the two goes on first when the job calls in on the loop
(``call_soon_threadsafe``, ``run_coroutine_threadsafe``), and when the loop notices its end.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from aldente import _asyncio_compat, _python_compat
from aldente._simulation.choices import OptionKind, Picks
from aldente._simulation.explored import LimitedLoop
from aldente._simulation.network.names import LIFE, host_in
from aldente._simulation.ready import OutsideHandle
from aldente._simulation.remote_jobs import RemoteJob, name_of
from aldente._simulation.turns import Turn
from aldente._source import caller, place_of, users_frame
from aldente._system import monotonic, sleep
from aldente.errors import HostCrashed

# How long it pauses between two looks at threads that wait, in real seconds.
_PAUSE = 0.0002


class Job:
    """A function call that a thread of an executor does.

    Args:
        workers: the workers that begin it and follow what it does.
        executor: the executor whose thread runs it.
        function: the function to call.
        args: its arguments.

    Attributes:
        kind: what it does next when the schedule chooses it.
        who: the name of the function.
        executor: as the argument.
        future: the executor's future, done when the function has returned.
        awaited: the loop's future for it.
        place: the user's line that has submitted it; None if there is none.
        context: that of the code that has submitted it.
        turn: that of its thread.
        has_turn: whether its thread runs while the loop waits.
    """

    def __init__(
        self,
        workers: ExecutorJobs,
        executor: concurrent.futures.Executor,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self.kind = OptionKind.BEGIN_JOB
        self.who = name_of(function)
        self.executor = executor
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.awaited: asyncio.Future[Any] = asyncio.wrap_future(self.future, loop=workers.loop)
        frame = users_frame(caller())
        self.place = None if frame is None else place_of(frame)
        self.context: Context = copy_context()
        self._workers = workers
        self._function = function
        self._args = args
        self.turn = Turn()
        # For how many seconds of loop time it sleeps now; 0 when it does not.
        self._sleeps_for = 0.0
        # What it calls in with the turn that it gives back; None if it does not.
        self._handle: OutsideHandle | None = None
        self.has_turn = False
        self._is_done = False
        self._is_abandoned = False
        # What ends it at its next turn, as its host has crashed.
        self._crash: HostCrashed | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    # On the thread of the loop.

    def go(self) -> None:
        """Do what is next, until the thread gives the turn back: the schedule chose this job."""
        if self.kind is OptionKind.END_JOB:
            self._workers.end(self)
        elif self.kind is OptionKind.GO_ON_WITH_JOB:
            self.has_turn = True
            self.turn.give()
            self.wait()
        elif self.future.set_running_or_notify_cancel():
            self.kind = OptionKind.GO_ON_WITH_JOB
            self.has_turn = True
            self.executor.submit(self._work)
            self.wait()
        else:
            # Its future was cancelled before it began.
            self._workers.end(self)

    def wait(self) -> None:
        """Wait in real time until the thread gives the turn back, or waits for others itself."""
        if self.comes_back():
            self.take_turn()
        else:
            self._workers.note_waiting(self)

    def comes_back(self) -> bool:
        """Wait in real time until the thread rests; return whether it has given the turn back.

        Else it waits for others, and none of those that have waited is on its way.
        """
        workers = self._workers
        return self.turn.comes_back(workers.is_over, functools.partial(workers.may_wake, self))

    def take_turn(self) -> None:
        """Note what the thread has done that has given the turn back."""
        self.has_turn = False
        # Not by the thread, which may come there while the loop does something else.
        handle, self._handle = self._handle, None
        if handle is not None and self._crash is None:
            self._workers.loop.queue_outside(handle)
        if self._is_done:
            self.kind = OptionKind.END_JOB
            self._workers.note_end(self)
        elif self._sleeps_for:
            self._workers.note_sleep(self, self._sleeps_for)
            self._sleeps_for = 0.0
        else:
            self._workers.note_call_in(self)

    @property
    def error(self) -> BaseException | None:
        """What the function has raised; None if it has not."""
        return self._error

    def complete(self) -> None:
        """Tell its end to those who wait for it."""
        if self.future.cancelled() or self._crash is not None:
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)

    def abandon(self) -> None:
        """Let its thread run on without the loop, which is closed."""
        self._is_abandoned = True
        self.turn.give()
        thread = self.turn.thread
        if thread is not None and not self._is_done:
            _python_compat.give_up_thread(self.executor, thread)

    def crash(self, host: str) -> bool:
        """End it, as its host has crashed; return whether it is over.

        A thread can't be stopped where it is. If it waits for its turn, that raises an exception;
        if it waits for other threads, so does the next turn that it asks for.

        Args:
            host: the name of the host.
        """
        self._crash = HostCrashed(host)
        if self.kind is not OptionKind.GO_ON_WITH_JOB:
            return True
        if self._workers.waits_for_others(self):
            return False
        self.has_turn = True
        self.turn.give()
        self.wait()
        return self._is_done

    # On the thread of the job.

    def _work(self) -> None:
        self.turn.thread = threading.current_thread()
        self._workers.begin_thread(self)
        # What it starts, and its sockets, are on the host of the code that has submitted it.
        before = LIFE.set(self.context.get(LIFE))
        try:
            self._result = self._function(*self._args)
        except BaseException as error:
            self._error = error
        finally:
            LIFE.reset(before)
            self._workers.end_thread()
            self._is_done = True
            self.turn.give_back()

    def call_in(self, handle: OutsideHandle | None = None) -> None:
        """Give the turn back and wait for the next one: the job has called in on the loop.

        Args:
            handle: that of the callback; None if it calls in for something else.
        """
        if self._is_abandoned or not self.has_turn:
            return
        if self._crash is None:
            self._handle = handle
            self.turn.give_back()
            self.turn.wait()
        if self._crash is not None:
            raise self._crash

    def sleep(self, seconds: float) -> bool:
        """Give the turn back until some loop time has passed; return whether that is possible.

        Args:
            seconds: how much; positive.
        """
        if self._is_abandoned or not self.has_turn:
            return False
        if self._crash is None:
            self._sleeps_for = seconds
        self.call_in()
        return True


AnyJob = Job | RemoteJob


# How many threads asyncio's default executor has here. On a real loop the number depends on the
# processors of the machine.
WORKERS = 32

# How often the loop looks whether waiting threads wake by themselves, before time moves. Not by
# real time, as for `aldente._simulation.foreign_threads`.
_PATIENCE = 100

# The workers whose threads do jobs now, by the identifiers of the threads.
_workers: dict[int, ExecutorJobs] = {}


def loop_of_this_thread() -> LimitedLoop | None:
    """The loop that waits while the current thread does a job for it; None if there is none.

    A job that has waited for something may run beside the loop for a moment; then it does not count
    as the loop's.
    """
    workers = _workers.get(threading.get_ident())
    return workers.loop if workers is not None and workers.is_waiting_for_this_thread() else None


def job_of(thread: int) -> Job | None:
    """The job that a thread of this process does; None if it does none.

    Args:
        thread: the identifier of the thread.
    """
    workers = _workers.get(thread)
    return None if workers is None else workers.job_of(thread)


if hasattr(os, "register_at_fork"):
    # The thread that forked goes on in the child, which does no job.
    os.register_at_fork(after_in_child=_workers.clear)


class ExecutorJobs:
    """The jobs that executors do for a loop.

    Args:
        loop: the loop.
        are_others_going: returns whether threads that the program has started itself run now.

    Attributes:
        loop: as the argument.
        jobs: the jobs that are not done, in the order of submission.
    """

    def __init__(self, loop: LimitedLoop, are_others_going: Callable[[], bool]) -> None:
        self.loop = loop
        self._are_others_going = are_others_going
        self.jobs: list[AnyJob] = []
        self._queue: list[Job] = []
        self._remote: list[RemoteJob] = []
        self._waiting: list[Job] = []
        self._by_thread: dict[int, Job] = {}
        self._idle: list[tuple[concurrent.futures.Executor, asyncio.Future[None]]] = []

    # Called by the loop.

    def submit(
        self,
        executor: concurrent.futures.Executor | None,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> asyncio.Future[Any]:
        """Submit a function to an executor; None for asyncio's default one."""
        loop = self.loop
        if executor is None:
            executor = _asyncio_compat.default_executor_of(loop)
        if executor is None:
            executor = concurrent.futures.ThreadPoolExecutor(WORKERS, thread_name_prefix="asyncio")
            _asyncio_compat.set_default_executor_silently(loop, executor)
        job: AnyJob
        if _python_compat.has_threads_of_this_interpreter(executor):
            _python_compat.check_not_shut_down(executor)
            job = Job(self, executor, function, args)
            self._queue.append(job)
        else:
            remote = executor.submit(function, *args)
            job = RemoteJob(self, executor, function, remote)
            self._remote.append(job)
        self.jobs.append(job)
        self._offer_next()
        return job.awaited

    def job_of_this_thread(self) -> Job | None:
        """The job that the current thread does; None without one."""
        return self.job_of(threading.get_ident())

    def job_of(self, thread: int) -> Job | None:
        """The job that a thread does; None without one."""
        return self._by_thread.get(thread)

    def is_waiting_for_this_thread(self) -> bool:
        """Whether the current thread does a job, and the loop waits for it."""
        job = self.job_of_this_thread()
        return job is not None and job.has_turn

    def wait(self) -> bool:
        """Wait in real time for what jobs may still do; return whether one did something."""
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
        looks = 0
        while looks < _PATIENCE or (
            self.loop.has_nothing_but_threads
            and any(job.turn.may_wake_by_itself() for job in self._waiting)
        ):
            looks += 1
            if self.look_at_waiting():
                return True
            if self.is_over():
                return False
            # Let the threads run, and the processor rest.
            sleep(_PAUSE)
        return False

    def need_loop(self) -> bool:
        """Whether the loop must wait for no others: a job goes on, or the real time is over."""
        return self.is_over() or any(job.turn.is_given_back() for job in self._waiting)

    def look_at_waiting(self) -> bool:
        """Let woken threads go on; return whether there were any but those that poll something.

        They go on in the order of their jobs once all rest: meanwhile one may wake another, sooner
        or later.
        """
        came: list[Job] = []
        polling: list[Job] = []
        have_moved = False
        while woken := [
            job for job in self._waiting if job not in polling and job.turn.has_woken()
        ]:
            for job in woken:
                if job.comes_back():
                    self._waiting.remove(job)
                    came.append(job)
                elif self.is_over() or job.turn.may_wake_by_itself():
                    # Else there might be no end of it.
                    polling.append(job)
                else:
                    have_moved = True
        if not self._waiting:
            self.loop.remove_hook(self._before_step)
        for job in sorted(came, key=self.jobs.index):
            job.take_turn()
        return have_moved or bool(came)

    def when_idle(self, executor: concurrent.futures.Executor) -> asyncio.Future[None]:
        """A future that is done when an executor has done all its jobs."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._idle.append((executor, future))
        self._notify_idle()
        return future

    def crash(self, host: str) -> None:
        """End the jobs of a host that crashes."""
        crashed = [job for job in self.jobs if host_in(job.context) == host]
        self._queue = [job for job in self._queue if job not in crashed]
        self._remote = [job for job in self._remote if job not in crashed]
        self.jobs = [job for job in self.jobs if job not in crashed]
        self.jobs += [job for job in crashed if not job.crash(host)]
        self._offer_next()
        self._notify_idle()

    def abandon(self) -> None:
        """Let go of the jobs that are not done, as the loop is closed."""
        for job in self.jobs:
            job.abandon()
        self.jobs.clear()
        self._waiting.clear()

    # Called by jobs.

    def waits_for_others(self, job: Job) -> bool:
        """Whether the thread of a job waits for something, maybe for the loop."""
        return job in self._waiting

    def is_over(self) -> bool:
        """Whether the real time of the run is over."""
        return self.loop.is_real_time_over()

    def may_wake(self, job: Job, looks: int) -> bool:
        """Whether threads run now that may wake that of a job, which waits for others.

        They are those that have waited in the middle of jobs, and for a while the program's own.

        Args:
            job: the job.
            looks: how many looks have found it so.
        """
        others = (each for each in self._waiting if each is not job)
        return any(each.turn.is_going() for each in others) or (
            looks < _PATIENCE and self._are_others_going()
        )

    def begin_thread(self, job: Job) -> None:
        """Note that the current thread does a job from now on."""
        self._by_thread[threading.get_ident()] = job
        _workers[threading.get_ident()] = self

    def end_thread(self) -> None:
        """Note that the current thread does no job any more."""
        self._by_thread.pop(threading.get_ident(), None)
        _workers.pop(threading.get_ident(), None)

    def note_end(self, job: Job) -> None:
        """Make the end of a job an option of the schedule, now or when the job has taken longer."""
        is_awaited = job in self.jobs
        if is_awaited and not self.loop.is_late(lambda: self._offer(job), job.awaited):
            self._offer(job)

    def note_sleep(self, job: Job, seconds: float) -> None:
        """Make it an option of the schedule that a job goes on, once some loop time has passed."""
        self.loop.come_after(seconds, lambda: self._offer(job), job.awaited)

    def note_call_in(self, job: Job) -> None:
        """Make it a choice whether a job that has called in or the loop goes on first."""
        if self.loop.pick(Picks(2, job.who)) == 0:
            job.go()
        else:
            self._offer(job)

    def note_waiting(self, job: Job) -> None:
        """Note that the thread of a job waits for something, maybe for the loop."""
        self._waiting.append(job)
        if len(self._waiting) == 1:
            self.loop.add_hook(self._before_step)

    def end(self, job: AnyJob) -> None:
        """Remove a job that has ended, and let the next one begin."""
        self.jobs.remove(job)
        self.loop.call_outside(job.complete)
        self._offer_next()
        self._notify_idle()

    # Internals.

    def _offer(self, job: AnyJob) -> None:
        # Jobs of a host that has crashed are not there any more.
        if job in self.jobs:
            self.loop.add_option(job.go, job.context)

    def _offer_next(self) -> None:
        """Let jobs begin for which there is a free worker, in the order of submission."""
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
        self.look_at_waiting()

    def _notify_idle(self) -> None:
        busy = [job.executor for job in self.jobs]
        for executor, future in self._idle:
            if executor not in busy and not future.done():
                future.set_result(None)
        self._idle = [item for item in self._idle if not item[1].done()]
