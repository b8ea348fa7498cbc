"""Wakes the watchdog when a run has gone on for a moment.

To find out whether there is anything to do, a thread that has slept needs the GIL. While another
thread is busy it gets that only after a fight: whenever the busy one lets go of it for a system
call, the sleeper is woken for nothing. Where the system has timers that can be set anew while a
thread waits for them, the thread therefore sleeps on while runs are short, as those of most tests
are.
"""

from __future__ import annotations

import _thread
import os
import stat
import sys
import time
from typing import Protocol

from aldente import _clocks

# How long after a look, or after the beginning of a run, it rings, in seconds.
INTERVAL = 0.02

# A time of zero would unset a timer.
_AT_ONCE = 1e-9


class Alarm(Protocol):
    """Wakes one thread."""

    def wait(self) -> None:
        """Wait until it rings; called on the thread that it wakes."""

    def expect(self, *, is_only: bool) -> bool:
        """A run begins: ring when it has gone on for the interval, or before.

        Args:
            is_only: whether it is the only run, so that nobody else needs an earlier ring.

        Returns:
            Whether it is going to ring; if not, it never will again.
        """
        ...

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
    if sys.platform == "linux" and sys.version_info >= (3, 13) and hasattr(os, "timerfd_create"):
        try:
            return TimerAlarm()
        except OSError:
            # There are no descriptors left, or a sandbox allows no timers.
            pass
    return RegularAlarm()


class RegularAlarm:
    """Rings at regular intervals, whether there are runs or not; for any system."""

    def __init__(self) -> None:
        self._stop = _thread.allocate_lock()
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
        """Rings when it is told to, by a timer of Linux."""

        # As they were at first: tests replace the functions of these modules, and mean their own.
        _read = staticmethod(os.read)
        _close = staticmethod(os.close)
        _status = staticmethod(os.fstat)
        _set_timer = staticmethod(os.timerfd_settime)
        _time_left = staticmethod(os.timerfd_gettime)
        _sleep = staticmethod(_clocks.sleep)

        def __init__(self) -> None:
            # None once somebody has closed it: the next file that is opened gets the number.
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
            """A run begins: ring when it has gone on for the interval, or before."""
            return (not is_only and self._is_set()) or self._set(INTERVAL)

        def repeat(self) -> None:
            """Ring once more after the interval."""
            self._set(INTERVAL)

        def stop(self) -> bool:
            """Ring now, if the timer is still there."""
            return self._set(_AT_ONCE)

        def close(self) -> None:
            """Give the descriptor back, if it is still that of the timer."""
            descriptor, self._descriptor = self._timer(), None
            if descriptor is not None:
                self._close(descriptor)

        def _timer(self) -> int | None:
            """The descriptor; None once somebody has closed it, as those do who close all."""
            try:
                # Only timers and their like are of no type.
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
