"""Wakes the watchdog when a run has gone on for a moment.

To find out whether there is anything to do, a thread that has slept needs Python's global lock.
While another thread is busy it gets that only after a fight: whenever the busy one lets go of the
lock for a system call, the sleeper is woken in vain. Where the system has timers that can be set
anew while somebody waits for them, the thread therefore sleeps on while runs are short, as those of
most tests are.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import time
from time import monotonic
from typing import Protocol

# How long after a look, or after the beginning of a run, it rings, in seconds.
INTERVAL = 0.02

# How much later it may ring after the beginning of a run, so that it is not set anew for each.
_SLACK = 0.01

# A time of zero would unset a timer.
_AT_ONCE = 1e-9


class Alarm(Protocol):
    """Wakes one thread."""

    def wait(self) -> None:
        """Wait until it rings; called on the thread that it wakes."""

    def expect(self) -> None:
        """A run begins: ring when it has gone on for the interval, or a little longer."""

    def repeat(self) -> None:
        """Ring once more after the interval; called on the thread that it wakes."""

    def stop(self) -> bool:
        """Ring now.

        Returns:
            Whether the thread is going to hear it.
        """
        ...

    def close(self) -> None:
        """Free what it holds; called on the thread that it wakes."""


def make_alarm() -> Alarm:
    """The best alarm that the system has."""
    if sys.platform == "linux" and sys.version_info >= (3, 13):
        return TimerAlarm()
    return RegularAlarm()


class RegularAlarm:
    """Rings at regular intervals, whether there are runs or not; for any system."""

    def __init__(self) -> None:
        self._stop = _thread.allocate_lock()
        self._stop.acquire()

    def wait(self) -> None:
        """Wait for the interval, or until it is stopped."""
        self._stop.acquire(timeout=INTERVAL)

    def expect(self) -> None:
        """Do nothing."""

    def repeat(self) -> None:
        """Do nothing."""

    def stop(self) -> bool:
        """Ring now."""
        self._stop.release()
        return True

    def close(self) -> None:
        """Do nothing."""


if sys.platform == "linux" and sys.version_info >= (3, 13):

    class TimerAlarm:
        """Rings when it is told to, by a timer of Linux."""

        def __init__(self) -> None:
            self._descriptor = os.timerfd_create(time.CLOCK_MONOTONIC)
            # Until then, what is set rings late enough for a run that begins.
            self._enough_until = 0.0

        def wait(self) -> None:
            """Wait until it rings."""
            with contextlib.suppress(OSError):
                os.read(self._descriptor, 8)
                return
            # Somebody has closed all descriptors of the process.
            time.sleep(INTERVAL)

        def expect(self) -> None:
            """A run begins: ring when it has gone on for the interval, or a little longer."""
            now = monotonic()
            if now >= self._enough_until:
                self._enough_until = now + _SLACK
                self._set(INTERVAL + _SLACK)

        def repeat(self) -> None:
            """Ring once more after the interval."""
            self._set(INTERVAL)

        def stop(self) -> bool:
            """Ring now, if the timer is still there."""
            return self._set(_AT_ONCE)

        def close(self) -> None:
            """Give the descriptor back."""
            descriptor, self._descriptor = self._descriptor, -1
            # Others may have closed it.
            with contextlib.suppress(OSError):
                os.close(descriptor)

        def _set(self, seconds: float) -> bool:
            try:
                os.timerfd_settime(self._descriptor, initial=seconds)
            except OSError:
                # It is closed, be it by the watchdog's end or by somebody who closes everything.
                return False
            return True
