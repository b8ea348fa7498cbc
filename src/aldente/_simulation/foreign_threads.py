"""Threads that simulated code has started itself, such as those of aiosqlite.

The loop can't know what such a thread is about to do, so it waits for it in real time before it
moves loop time or reports a deadlock. A callback from such a thread runs when nothing else is
ready, so that the order does not depend on the thread's speed. With several such threads the loop
waits until all of them wait; where the system does not show that, they may still differ.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import math
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from aldente import _asyncio_compat, _python_compat
from aldente._runner.bystanders import Bystanders
from aldente._runner.outside import present_threads
from aldente._runner.threads import Threads
from aldente._simulation.choices import Values
from aldente._simulation.explored import LimitedLoop
from aldente._simulation.ready import OutsideHandle
from aldente._simulation.turns import is_going
from aldente._stacks import frames_of_threads
from aldente._system import monotonic, sleep

# How often the loop looks at threads until it no longer waits for them: at those that show no
# activity, and at any. Not by real time: on a busy machine threads may not run for seconds, and
# neither does the loop.
PATIENCE = 50
LONG_PATIENCE = 2_000
# How long the loop waits once more before it reports a deadlock, in real seconds.
_CONFIRMATION = 0.2
# How often the loop looks at these threads, in real seconds.
_LOOK = 0.001
# How long it pauses between looks at threads that are about to end what they do, in real seconds.
_PAUSE = 0.0001

# After how many steps a callback from a thread runs although something else is ready.
STEPS_AT_MOST = 1_000


class _CallFromThread(NamedTuple):
    """A callback that a thread has passed to the loop.

    Attributes:
        handle: its handle.
        steps: how many steps the loop had taken.
        thread: the thread; for one that `threading` has not started, what stands for it.
        own: an object that no other thread has.
    """

    handle: OutsideHandle
    steps: int
    thread: threading.Thread
    own: object


def _future_in(handle: OutsideHandle) -> asyncio.Future[Any] | None:
    """The future that a callback is about to set, as far as the callback shows it."""
    owner = getattr(handle.callback, "__self__", None)
    return next((each for each in (owner, *handle.args) if isinstance(each, asyncio.Future)), None)


def _others(count: int) -> str:
    """Some threads, in words."""
    return "another one that was" if count == 1 else f"{count} others that were"


class ForeignThreads:
    """The callbacks that threads other than an executor's pass to a loop.

    Args:
        loop: the loop.

    Attributes:
        have_called_in: whether one ever has, so that a replay depends on threads.
    """

    def __init__(self, loop: LimitedLoop) -> None:
        self._loop = loop
        self._inbox: collections.deque[_CallFromThread] = collections.deque()
        # The callbacks of each thread that come later, as the first of them is late.
        self._late: dict[object, list[OutsideHandle]] = {}
        # Distinguishes threads: a new one may reuse the identifier of one that has ended.
        self._own = threading.local()
        self._heard = threading.Event()
        self._newest_before = _python_compat.newest_thread()
        # Threads that wait for work when the loop is made belong to its program.
        self._old, self._idle = present_threads()
        self._are_more = bool(self._idle)
        # Threads older than the loop that have called in.
        self._known: set[int] = set()
        self._threads: Threads | None = None
        self.have_called_in = False

    @functools.cached_property
    def _numbers(self) -> weakref.WeakKeyDictionary[threading.Thread, int]:
        """The order in which threads were started; only the thread of the loop uses it."""
        return weakref.WeakKeyDictionary()

    def call_in(self, handle: OutsideHandle, steps: int) -> None:
        """Take a callback from a thread; runs in that thread.

        Args:
            handle: the handle of the callback.
            steps: how many steps the loop has taken.
        """
        self.have_called_in = True
        number = threading.get_ident()
        if number not in self._known:
            # The thread belongs to the loop's program, even if it is older than the loop.
            self._known.add(number)
            self._threads = None
        own = vars(self._own).setdefault("thread", object())
        self._inbox.append(_CallFromThread(handle, steps, threading.current_thread(), own))
        self._heard.set()

    def is_alone(self) -> bool:
        """Whether there is no thread to wait for: all are older, and busy with something else."""
        return not self._are_more and self._are_older()

    def can_only_wait(self) -> bool:
        """Whether all threads that may belong to the program wait for other threads."""
        return self.is_alone() or not (self._inbox or self._look_at().may_ever_call_in())

    def stay_silent(self) -> bool:
        """Whether they still only wait after a moment in real time.

        On a busy machine a woken thread may not have run yet, and looks as before.
        """
        if self.is_alone():
            return True
        self._heard.clear()
        return self.can_only_wait() and not self._heard.wait(_CONFIRMATION) and self.can_only_wait()

    def frames(self) -> list[FrameType]:
        """The frames of the threads that may belong to the program."""
        if self.is_alone():
            return []
        frames = frames_of_threads(without=[threading.get_ident()])
        found = [frames.get(thread.ident or 0) for thread in self._look_at().others()]
        return [frame for frame in found if frame is not None]

    def _are_older(self) -> bool:
        """Whether no thread has been started or has called in since the loop was made."""
        return not self.have_called_in and _python_compat.newest_thread() is self._newest_before

    def are_going(self) -> bool:
        """Whether threads that the program has started run now, as far as the system shows it."""
        return any(map(is_going, self._look_at().others()))

    def is_due(self, steps: int) -> bool:
        """Whether a callback has waited for so many steps that it must run now."""
        return bool(self._inbox) and steps - self._inbox[0].steps > STEPS_AT_MOST

    def let_all_in(self) -> None:
        """Queue all callbacks, except those of threads whose earlier ones are late."""
        self._heard.clear()
        while self._inbox:
            call = self._inbox.popleft()
            self._late.get(call.own, []).append(call.handle)
            if call.own not in self._late:
                self._loop.queue_outside(call.handle)

    def let_one_in(self) -> None:
        """Queue one callback, unless the schedule chooses that its thread takes some time.

        Of several threads that have called in, the schedule chooses one; the first option is the
        one that was started first. So the choices do not depend on how fast threads are.
        """
        self._heard.clear()
        call = self._choose()
        self._inbox.remove(call)
        own = call.own
        if call.handle.is_cancelled:
            return
        if own in self._late:
            self._late[own].append(call.handle)
        elif self._loop.is_late(lambda: self._end_wait(own), _future_in(call.handle)):
            self._late[own] = [call.handle]
        else:
            self._loop.queue_outside(call.handle)

    def _choose(self) -> _CallFromThread:
        """The call that comes next: the first one of some thread."""
        first: dict[object, _CallFromThread] = {}
        for call in list(self._inbox):
            if call.own in self._late or call.handle.is_cancelled:
                return call
            first.setdefault(call.own, call)
        calls = sorted(first.values(), key=lambda call: self._number_of(call.thread))
        if len(calls) == 1:
            return calls[0]
        index = self._loop.pick(Values(len(calls), "(thread)"))
        if index:
            awaited = _future_in(calls[index].handle)
            task = None if awaited is None else _asyncio_compat.task_that_awaits(awaited)
            heard = "calls into the loop" if task is None else f"answers {task.get_name()!r}"
            text = f"a thread {heard} before {_others(index)} started earlier"
            self._loop.note(text, is_choice=True, is_place_named=False)
        return calls[index]

    def _end_wait(self, own: object) -> None:
        """Queue what a thread has called in, as the first of it is no longer late."""
        for handle in self._late.pop(own):
            self._loop.queue_outside(handle)

    def wait(self, is_needed: bool, is_over: Callable[[], bool]) -> bool:
        """Wait in real time for what threads may do; return whether one has called in.

        Args:
            is_needed: whether nothing else can happen, so that a long wait is worth it.
            is_over: returns whether the run's real time is over.
        """
        threads = self._look_at()
        if self._inbox:
            self._let_threads_finish(threads)
            return True
        began = monotonic()
        looks = silent = 0
        while threads.may_ever_call_in():
            if self._heard.wait(_LOOK):
                self._let_threads_finish(threads)
                return True
            looks += 1
            silent += 1
            if looks == 1:
                # Not before: most of them call in at once, and their states take long to read.
                began = monotonic()
                threads.note_before()
                continue
            is_running = threads.are_running(monotonic() - began)
            if is_running or threads.are_at_work() or threads.are_napping():
                silent = 0
            # Silence has to last, as a thread that has just woken does not show any activity yet.
            is_silent = silent > PATIENCE
            if looks > LONG_PATIENCE or (is_silent and not is_needed) or is_over():
                break
        if is_needed and not self._inbox and not is_over():
            # On a busy machine a woken thread may not have run yet, and looks as before.
            self._heard.wait(_CONFIRMATION)
        # One may have called in and ended since.
        return bool(self._inbox)

    def _let_threads_finish(self, threads: Threads) -> None:
        """Wait until all of several threads wait, as far as the system shows it.

        So it depends less on their speed which of them have called in.
        """
        if not threads.are_several():
            return
        looks = 0
        while threads.may_ever_call_in() and not self._loop.is_real_time_over():
            looks += 1
            if looks > (LONG_PATIENCE if threads.are_on_processors() else PATIENCE):
                return
            sleep(_PAUSE)

    def _number_of(self, thread: threading.Thread) -> float:
        """The place of a thread in the order in which the threads were started."""
        for each in threading.enumerate():
            self._numbers.setdefault(each, len(self._numbers))
        # One that has ended before it was listed comes last.
        return self._numbers.get(thread, math.inf)

    def _look_at(self) -> Threads:
        """A view of the threads that may belong to the loop's program."""
        threads = self._threads
        if threads is None:
            # A thread that first calls in meanwhile is in the next view.
            # A thread that has ended may have left its identifier to one of the program's.
            old = [
                thread
                for thread in self._old
                if thread.is_alive() and thread.ident not in self._known
            ]
            bystanders = Bystanders(thread.ident or 0 for thread in old)
            self._threads = threads = Threads(self._loop, bystanders, old, self._idle)
        return threads
