"""Threads that simulated code has started itself, such as those of aiosqlite and anyio.

Nothing says what such a thread is about to do, so it is waited for in real time before loop time
moves or a deadlock is called. What it calls in on the loop comes when nothing else is ready, so
that the order does not depend on how fast it is; two of them at once may still differ.
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

# How long threads are waited for of which it isn't known that they wait, and those that sleep or
# run, in real seconds.
PATIENCE = 0.05
LONG_PATIENCE = 2.0
# How long it is listened once more before nothing can happen any more, in real seconds.
_CONFIRMATION = 0.2
# How often they are looked at, in real seconds.
_LOOK = 0.001

# After how many steps something that was called in is taken up although something else is ready.
STEPS_AT_MOST = 1_000


class ForeignThreads:
    """What other threads than those of executors call in on a loop.

    Args:
        loop: the loop.

    Attributes:
        have_called_in: whether one ever has, so that a replay depends on it.
        newest_before: the thread that was started last before the loop was made. As long as it is
            the newest and none has called in, there is none to wait for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inbox: collections.deque[tuple[asyncio.Handle, int]] = collections.deque()
        self._heard = threading.Event()
        self.newest_before = _python_compat.newest_thread()
        self._old = threading.enumerate()
        # Threads that have called in although they were there before.
        self._known: set[int] = set()
        self._threads: Threads | None = None
        self.have_called_in = False

    def call_in(self, handle: asyncio.Handle, steps: int) -> None:
        """Take what a thread wants to be called; from that thread.

        Args:
            handle: what is to be called.
            steps: how many steps the loop has taken.
        """
        self.have_called_in = True
        number = threading.get_ident()
        if number not in self._known:
            # It does have to do with the loop, whether it was there before or not.
            self._known.add(number)
            self._threads = None
        self._inbox.append((handle, steps))
        self._heard.set()

    def is_due(self, steps: int) -> bool:
        """Whether something was called in so long ago that it can't be put off any more."""
        return bool(self._inbox) and steps - self._inbox[0][1] > STEPS_AT_MOST

    def take(self) -> list[asyncio.Handle]:
        """What was called in since this was asked last."""
        self._heard.clear()
        taken = []
        while self._inbox:
            taken.append(self._inbox.popleft()[0])
        return taken

    def wait(self, is_needed: bool, is_over: Callable[[], bool]) -> bool:
        """Wait in real time for what threads may do; whether one has called in.

        Args:
            is_needed: whether nothing else can happen, so that it is worth waiting for long.
            is_over: whether there is no more time.
        """
        if self._inbox:
            return True
        threads = self._look_at()
        began = silent_since = monotonic()
        threads.note_before()
        while threads.may_ever_call_in():
            if self._heard.wait(_LOOK):
                return True
            now = monotonic()
            if threads.are_at_work() or threads.are_napping() or threads.are_running(now - began):
                silent_since = now
            # Silence has to last, as a thread that has just woken is not seen to do anything yet.
            is_silent = now - silent_since > PATIENCE
            if now - began > LONG_PATIENCE or (is_silent and not is_needed) or is_over():
                break
        if is_needed and not self._inbox and not is_over():
            # On a busy machine one that was woken may have had no turn yet, and looks as before.
            self._heard.wait(_CONFIRMATION)
        # One may have called in and ended since.
        return bool(self._inbox)

    def _look_at(self) -> Threads:
        """What looks at the threads that may have to do with the loop."""
        threads = self._threads
        if threads is None:
            # A thread may call in for the first time meanwhile; it is looked at the next time.
            old = [thread for thread in self._old if thread.ident not in self._known]
            bystanders = Bystanders(thread.ident or 0 for thread in old)
            self._threads = threads = Threads(self._loop, bystanders, old)
        return threads
