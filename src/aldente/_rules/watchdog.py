"""Looks at running event loops from a thread of its own, many times a second.

What happens between two looks costs nothing; what takes long is seen. The thread is started by
`_thread`, not `threading`, so that code under test that counts or joins threads does not see it.
It is stopped while the process forks, because Python warns when a process with several threads
forks.

An alarm wakes the thread when a run has gone on for a moment. A thread that wakes up needs the GIL
to find out whether there is anything to do. While another thread is busy, it competes for the GIL:
each time that the busy thread releases it for a system call, the sleeper wakes up, mostly for
nothing. Where the system has timers that can be rearmed while a thread waits for them, the thread
therefore sleeps on while runs are short, as those of most tests are.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import os
import selectors
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from aldente import _python_compat, _system
from aldente._own_errors import contained, report
from aldente._runner import running
from aldente._runner.running import LoopRun, OtherRun
from aldente._stacks import Entry, GetFrames, Stack, frames_of_threads, import_codecs
from aldente._system import monotonic

# How long after a look, or after the beginning of a run, the alarm rings, in seconds.
INTERVAL = 0.02

# Zero would disarm the timer.
_AT_ONCE = 1e-9


class ThreadAlarm(Protocol):
    """Wakes one thread."""

    def wait(self) -> None:
        """Wait until it rings; called on the thread that it wakes."""

    def expect(self, *, is_only: bool) -> bool:
        """Expect a run that begins: ring when it has gone on for the interval, or before.

        Args:
            is_only: whether it is the only run, so that no other run needs an earlier ring.

        Returns:
            Whether it is going to ring; if not, it never will again.
        """
        ...

    def repeat(self) -> None:
        """Ring once more after the interval; called on the thread that it wakes."""

    def stop(self) -> bool:
        """Ring now.

        Returns:
            Whether the thread will wake up.
        """
        ...

    def close(self) -> None:
        """Free what it holds; called on the thread that it wakes."""


def make_alarm() -> ThreadAlarm:
    """Return the best alarm that the system supports."""
    if sys.platform == "linux" and sys.version_info >= (3, 13) and hasattr(os, "timerfd_create"):
        try:
            return TimerAlarm()
        except OSError:
            # There are no descriptors left, or a sandbox forbids timers.
            pass
    return RegularAlarm()


class RegularAlarm:
    """Rings at regular intervals, even without runs; for any system."""

    def __init__(self) -> None:
        self._stop = _system.allocate_lock()
        self._stop.acquire()

    def wait(self) -> None:
        """Wait for the interval, or until it is stopped."""
        self._stop.acquire(timeout=INTERVAL)

    def expect(self, *, is_only: bool) -> bool:
        """Do nothing, as it rings anyway."""
        return True

    def repeat(self) -> None:
        """Do nothing, as it rings anyway."""

    def stop(self) -> bool:
        """Ring now."""
        self._stop.release()
        return True

    def close(self) -> None:
        """Do nothing."""


if sys.platform == "linux" and sys.version_info >= (3, 13) and hasattr(os, "timerfd_create"):

    class TimerAlarm:
        """Rings by a Linux timerfd."""

        # The originals: tests replace these modules' functions for their own code.
        _read = staticmethod(os.read)
        _close = staticmethod(os.close)
        _status = staticmethod(os.fstat)
        _set_timer = staticmethod(os.timerfd_settime)
        _time_left = staticmethod(os.timerfd_gettime)
        _sleep = staticmethod(_system.sleep)

        def __init__(self) -> None:
            # None once other code has closed it: the next file to be opened gets the number.
            self._descriptor: int | None = os.timerfd_create(time.CLOCK_MONOTONIC)

        def wait(self) -> None:
            """Wait until it rings."""
            descriptor = self._timer()
            if descriptor is not None:
                try:
                    self._read(descriptor, 8)
                    return
                except OSError:
                    self._descriptor = None
            self._sleep(INTERVAL)

        def expect(self, *, is_only: bool) -> bool:
            """Ring when the run that begins has gone on for the interval, or before."""
            return (not is_only and self._is_set()) or self._set(INTERVAL)

        def repeat(self) -> None:
            """Ring once more after the interval."""
            self._set(INTERVAL)

        def stop(self) -> bool:
            """Ring now, if the timer is still there."""
            return self._set(_AT_ONCE)

        def close(self) -> None:
            """Close the descriptor, if it is still that of the timer."""
            descriptor, self._descriptor = self._timer(), None
            if descriptor is not None:
                self._close(descriptor)

        def _timer(self) -> int | None:
            """The descriptor; None once other code has closed it, as code that closes all does."""
            try:
                # Anonymous inodes, such as timers, have no file type.
                if self._descriptor is not None and stat.S_IFMT(
                    self._status(self._descriptor).st_mode
                ):
                    self._descriptor = None
            except OSError:
                self._descriptor = None
            return self._descriptor

        def _is_set(self) -> bool:
            descriptor = self._descriptor
            try:
                return descriptor is not None and self._time_left(descriptor)[0] > 0
            except OSError:
                return False

        def _set(self, seconds: float) -> bool:
            descriptor = self._descriptor
            if descriptor is None:
                return False
            try:
                self._set_timer(descriptor, initial=seconds)
            except OSError:
                self._descriptor = None
                return False
            return True


# How long to wait for the end of the thread, in seconds. It ends at once, unless its alarm was lost
# unnoticed: other code closed the descriptor, and another timer got its number.
END_LIMIT = 10.0


class Look(NamedTuple):
    """A running loop at one moment.

    Attributes:
        loop: the loop.
        run: its runner; watchers of other runs get an `OtherRun`, which has fewer attributes.
        get_frames: returns the frame that each thread of the process is running.
        now: the time at which the look began, by `clock`.
        clock: returns the time.
    """

    loop: asyncio.AbstractEventLoop
    run: LoopRun
    get_frames: GetFrames
    now: float
    clock: Callable[[], float] = monotonic

    @property
    def stack(self) -> Stack:
        """The stack of the loop's thread, without references to its frames."""
        return Stack(self.run.thread, self.get_frames)

    @property
    def frames(self) -> dict[int, FrameType]:
        """The frame that each thread is running now, except aldente's own threads.

        For ending a run; a watcher that only watches uses `stack` and `frames_of_others`.
        """
        return frames_of_threads(self.get_frames, list(_python_compat.hidden_threads))

    @property
    def frames_of_others(self) -> dict[int, FrameType]:
        """The frame that each thread is running now, except the loop's and aldente's own."""
        left_out = [self.run.thread, *_python_compat.hidden_threads]
        return frames_of_threads(self.get_frames, left_out)


# The function in which an event loop waits for its selector, and its file.
SELECTING = ("select", selectors.__file__)


def is_selecting(entry: Entry | None) -> bool:
    """Whether a thread is in the function in which an event loop waits for its selector."""
    return entry is not None and (entry.function, entry.path) == SELECTING


class Watcher(Protocol):
    """Draws conclusions from looks at running loops."""

    def look(self, look: Look) -> None:
        """Look at a loop; called on the watchdog's thread."""


@runtime_checkable
class WatcherWithFiles(Watcher, Protocol):
    """A watcher that reads files on the watchdog's thread, which are opened before the first test.

    Code under test that compares the open descriptors of the process sees each file that is opened
    or closed in between.
    """

    def on_thread_start(self) -> None:
        """Open the files; called on the watchdog's thread, while its start is waited for."""

    def on_thread_end(self) -> None:
        """Close the files; called on the watchdog's thread, while its end is waited for."""


class Watchdog:
    """The thread that looks at running loops.

    Args:
        watchers: the watchers, which are called with each look.
        is_looked_at: whether to look at a runner's loop; other watchdogs may look at others.
        of_others: the watcher of loops that no runner drives.
        opens_files: whether it may open descriptors. Where it starts in the middle of a test, a
            test that compares those of the process would see them.
    """

    def __init__(
        self,
        watchers: Sequence[Watcher],
        is_looked_at: Callable[[LoopRun], bool] = lambda run: True,
        of_others: Sequence[Watcher] = (),
        *,
        opens_files: bool = True,
    ) -> None:
        self._watchers = list(watchers)
        self._of_others = list(of_others)
        self._is_looked_at = is_looked_at
        self._opens_files = opens_files
        self._alarm: ThreadAlarm | None = None
        self._thread: _python_compat.HiddenThread | None = None
        self._is_to_start = False
        self._is_in_child = False
        # Held while the thread is started or stopped: several threads may fork at once, and so may
        # a signal handler that interrupts one of them.
        self._changing = _system.RLock()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, look at loops."""
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            undo.enter_context(gone_while_forking(self))
            self.start()
            running.listeners.append(self._expect)
            undo.callback(running.listeners.remove, self._expect)
            yield

    def start(self) -> None:
        """Start the thread, unless it is running."""
        with self._changing:
            self._is_to_start = self._is_in_child = False
            if self._alarm is not None:
                return
            alarm = make_alarm() if self._opens_files else RegularAlarm()
            # There may be a run already: that of a test that forked.
            alarm.repeat()
            self._alarm = alarm
            has_begun = _system.allocate_lock()
            has_begun.acquire()
            watch = functools.partial(self._watch, alarm, has_begun.release)
            self._thread = _python_compat.HiddenThread(watch)
            has_begun.acquire(timeout=END_LIMIT)

    def stop(self) -> None:
        """End the thread, and wait for its end."""
        with self._changing:
            alarm, self._alarm = self._alarm, None
            thread, self._thread = self._thread, None
            # Without a ring it may sleep for ever, so don't wait for it.
            if alarm is not None and thread is not None and alarm.stop():
                thread.join(END_LIMIT)

    def start_when_needed(self) -> None:
        """Start the thread now if there is a run, or else with the next one.

        CPython 3.13.0 to 3.13.9 and 3.14.0 count the threads of a forking process only after the
        stopped threads have been started again, and then warn. This way a test without a loop may
        fork without a warning there too.
        """
        # First of all, as another thread may be about to begin a run.
        self._is_to_start = True
        if running.number():
            self.start()

    def forget(self) -> None:
        """Record that the thread is gone, as it is in a forked child.

        There it starts with the first run of a runner: the child runs tests then, as with
        pytest-forked. It does not look at the loops of any other child, whose parent may end it at
        any time and is what these loops wait for.
        """
        self._alarm = self._thread = None
        self._is_to_start = False
        self._is_in_child = True
        self._changing = _system.RLock()

    def _expect(self, run: LoopRun) -> None:
        """Have the thread look at a run that begins, once it has gone on for a moment."""
        if self._is_to_start or (self._is_in_child and not isinstance(run, OtherRun)):
            self.start()
        alarm = self._alarm
        # The thread asks whether to look at the run when the alarm rings, as that is rare. While
        # there is another run, looks must not be put off.
        if (
            alarm is not None
            and not alarm.expect(is_only=running.number() == 1)
            and self._alarm is alarm
        ):
            # Other code has closed all descriptors of the process.
            self._alarm = None
            self.start()

    def _watch(self, alarm: ThreadAlarm, has_begun: Callable[[], None]) -> None:
        try:
            import_codecs()
            self._for_files(operator.methodcaller("on_thread_start"))
            has_begun()
            while True:
                alarm.wait()
                if self._alarm is not alarm:
                    return
                if self._look_at_all():
                    alarm.repeat()
                _python_compat.hide_this_thread()
        finally:
            alarm.close()
            # Otherwise another thread has taken over, whose files they are now.
            if self._alarm is None or self._alarm is alarm:
                self._for_files(operator.methodcaller("on_thread_end"))

    def _for_files(self, change: Callable[[WatcherWithFiles], object]) -> None:
        for watcher in self._watchers if self._opens_files else ():
            if isinstance(watcher, WatcherWithFiles):
                with contained("opening or closing files of a rule"):
                    change(watcher)

    def _look_at_all(self) -> bool:
        """Look at all loops that this watchdog watches; return whether there are any.

        No local variable of the thread refers to any of a look while it sleeps.
        """
        runs = [found for found in running.running() if self._is_looked_at(found[1])]
        others = running.others() if self._of_others else []
        if runs or others:
            self._look(runs, others)
        return bool(runs or others)

    def _look(
        self,
        runs: Sequence[tuple[asyncio.AbstractEventLoop, LoopRun]],
        others: Sequence[tuple[asyncio.AbstractEventLoop, Any]] = (),
    ) -> None:
        now = monotonic()
        for found, watchers in ((runs, self._watchers), (others, self._of_others)):
            for loop, run in found:
                look = Look(loop, run, _python_compat.get_frames_of_threads, now)
                for watcher in list(watchers):
                    self._have_look(watcher, look)

    def _have_look(self, watcher: Watcher, look: Look) -> None:
        try:
            watcher.look(look)
        except Exception as error:
            # A loop of another kind may fail to answer whether it is closed.
            with contained("asking a loop whether it is closed"):
                if look.loop.is_closed():
                    # Other code closed it meanwhile.
                    return
            report("looking at a running loop", error)


class Forked(Protocol):
    """An object with a thread that must not exist while the process forks."""

    def stop(self) -> None:
        """End the thread and wait for its end, as the process is about to fork."""

    def start_when_needed(self) -> None:
        """Start the thread again, after the fork."""

    def forget(self) -> None:
        """Record that the thread is gone, in the child."""


@contextlib.contextmanager
def gone_while_forking(owner: Forked) -> Iterator[None]:
    """While entered, stop an object's thread while the process forks."""
    _owners.add(owner)
    _register_fork_hooks()
    try:
        yield
    finally:
        _owners.discard(owner)


_owners: weakref.WeakSet[Forked] = weakref.WeakSet()
_fork_hooks: list[bool] = []


def _register_fork_hooks() -> None:
    """Register the hooks that stop threads around a fork; once, as hooks can't be removed."""
    if _fork_hooks or not hasattr(os, "register_at_fork"):
        return
    _fork_hooks.append(True)
    os.register_at_fork(
        before=functools.partial(_for_each, operator.methodcaller("stop")),
        after_in_parent=functools.partial(_for_each, operator.methodcaller("start_when_needed")),
        after_in_child=functools.partial(_for_each, operator.methodcaller("forget")),
    )


def _for_each(act: Callable[[Forked], object]) -> None:
    for owner in list(_owners):
        act(owner)
