"""Jobs of executors: real threads that take turns with the loop.

A thread runs only while the loop waits for it, so what the two do to each other is in an order that
the schedule decides: when a job begins, who goes on first when it calls in on the loop
(``call_soon_threadsafe``, ``run_coroutine_threadsafe``), and when its end is noticed.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aldente._loops.simulated.choosing import Kind
from aldente._loops.waiting_threads import waits_for_a_lock
from aldente._stacks import frames_of_threads, variables_of

if TYPE_CHECKING:
    from aldente._loops.simulated.workers import Workers

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
