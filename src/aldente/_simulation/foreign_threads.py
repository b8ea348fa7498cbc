"""Threads that simulated code has started itself, such as those of aiosqlite and anyio.

The loop can't know what such a thread is about to do, so it waits for it in real time before it
moves loop time or reports a deadlock. A callback from such a thread runs when nothing else is
ready, so that the order does not depend on the thread's speed; two such threads may still differ.
"""

from __future__ import annotations

import asyncio
import collections
import threading
from collections.abc import Callable

from aldente import _python_compat
from aldente._clocks import monotonic
from aldente._runner.bystanders import Bystanders
from aldente._runner.threads import Threads

# How often the loop looks at threads until it no longer waits for them: at those that show no
# activity, and at any. Not by real time: on a busy machine threads may not run for seconds, and
# neither does the loop.
PATIENCE = 50
LONG_PATIENCE = 2_000
# How long the loop waits once more before it reports a deadlock, in real seconds.
_CONFIRMATION = 0.2
# How often the loop looks at these threads, in real seconds.
_LOOK = 0.001

# After how many steps a callback from a thread runs although something else is ready.
STEPS_AT_MOST = 1_000


class ForeignThreads:
    """The callbacks that threads other than an executor's call in on a loop.

    Args:
        loop: the loop.

    Attributes:
        have_called_in: whether one ever has, so that a replay depends on threads.
        newest_before: the thread that was started last before the loop was made. As long as it is
            the newest and none has called in, there is no thread to wait for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inbox: collections.deque[tuple[asyncio.Handle, int]] = collections.deque()
        self._heard = threading.Event()
        self.newest_before = _python_compat.newest_thread()
        self._old = threading.enumerate()
        # Threads older than the loop that have called in.
        self._known: set[int] = set()
        self._threads: Threads | None = None
        self.have_called_in = False

    def call_in(self, handle: asyncio.Handle, steps: int) -> None:
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
        self._inbox.append((handle, steps))
        self._heard.set()

    def is_due(self, steps: int) -> bool:
        """Whether a callback has waited for so many steps that it must run now."""
        return bool(self._inbox) and steps - self._inbox[0][1] > STEPS_AT_MOST

    def take(self) -> list[asyncio.Handle]:
        """The callbacks called in since the last call of this method."""
        self._heard.clear()
        taken = []
        while self._inbox:
            taken.append(self._inbox.popleft()[0])
        return taken

    def wait(self, is_needed: bool, is_over: Callable[[], bool]) -> bool:
        """Wait in real time for what threads may do; return whether one has called in.

        Args:
            is_needed: whether nothing else can happen, so that a long wait is worth it.
            is_over: returns whether the run's real time is over.
        """
        if self._inbox:
            return True
        threads = self._look_at()
        began = monotonic()
        looks = silent = 0
        threads.note_before()
        while threads.may_ever_call_in():
            if self._heard.wait(_LOOK):
                return True
            looks += 1
            silent += 1
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
            self._threads = threads = Threads(self._loop, bystanders, old)
        return threads
