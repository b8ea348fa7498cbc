"""Makes the clocks of the process follow the clock of a loop.

time-machine moves ``time.time()``, ``datetime.now()`` and their like; it patches their C code, and
so reaches code that imported them by name. It leaves ``time.monotonic()`` alone; `FollowingWall`
replaces that in the module ``time``, so that modules of the standard library that imported it by
name (queues, threads, selectors) stay on real time. ``time.perf_counter()`` always measures real
durations.

The clocks start at a fixed moment, so that what a test computes from them is the same in every run.
"""

from __future__ import annotations

import datetime
import functools
import importlib
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aldente import _clocks
from aldente._virtual_time import readings
from aldente._virtual_time.readings import NANOSECOND, SECOND
from aldente.errors import MissingExtra

_NANOSECONDS = 1_000_000_000


class Wall:
    """Leaves the clocks alone."""

    def move_to(self, now: float) -> None:
        """Follow loop time, which is ``now`` from here on."""

    def note_wait(self, now: float, delay: float) -> None:
        """Note that a wait begins."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


NO_WALL = Wall()


class FollowingWall(Wall):
    """While entered, the clocks of the process follow loop time.

    ``time.monotonic()`` shows loop time itself. A function of the module `time` that the program
    replaced stays as it is.

    Args:
        start: loop time at the beginning.
        date: what the clocks show at the beginning, in nanoseconds since 1970.

    Raises:
        MissingExtra: time-machine is not installed.
    """

    def __init__(self, start: float, date: int) -> None:
        try:
            self._time_machine: Any = importlib.import_module("time_machine")
        except ModuleNotFoundError:
            raise MissingExtra("wall=True", "time-machine", "wall") from None
        self._date = date * NANOSECOND
        self._start = start
        self._travel: Any = None
        self._traveller: Any = None
        self._begin()

    def _begin(self) -> None:
        self._now = self._start
        self._lost = 0
        # The ends of waits that were meant to be later, by less than loop time shows.
        self._early: set[float] = set()
        self._time_readings = readings.float_clock()
        self._monotonic_readings = readings.float_clock()
        self._date_readings = readings.microsecond_clock()
        # What time-machine shows: the microsecond, as a float of seconds.
        self._shown = self._date // NANOSECOND
        self._read_date()

    @property
    def _passed(self) -> int:
        return readings.from_loop_time(self._now) - readings.from_loop_time(self._start)

    def _read_date(self) -> None:
        date = self._date_readings.at(self._date + self._passed)
        seconds, denominator = readings.next_float(date).as_integer_ratio()
        self._shown = -(-seconds * _NANOSECONDS // denominator)

    def move_to(self, now: float) -> None:
        if now < self._now:
            # A loop of another test, or of another example, starts anew.
            self._begin()
        self._lost += readings.lost_in_a_step(self._now, now)
        if self._early:
            if now in self._early:
                self._lost += readings.from_loop_time(math.ulp(now) / 2)
            self._early = {end for end in self._early if end > now}
        self._now = now
        before = self._shown
        self._read_date()
        if self._traveller is not None:
            _shift(self._traveller, self._shown - before)

    def note_wait(self, now: float, delay: float) -> None:
        if readings.is_end_rounded_down(now, delay):
            self._early.add(now + delay)

    def __enter__(self) -> None:
        if datetime.datetime.__name__ == "FakeDatetime":
            # freezegun has frozen the clocks already, and time-machine can't move them then.
            return
        self._travel = self._time_machine.travel(0, tick=False)
        self._traveller = self._travel.start()
        _shift(self._traveller, self._shown)
        for name, replacement in _REPLACEMENTS.items():
            if getattr(time, name) is _clocks.ORIGINALS[name]:
                setattr(time, name, replacement)
        _entered.append(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._travel is None:
            return
        _entered.remove(self)
        restore()
        self._travel.stop()
        self._travel = self._traveller = None

    def read(self, name: str) -> float:
        """The reading of a function of the module `time`.

        Args:
            name: its name.
        """
        if name == "monotonic_ns":
            return _round_to_nanoseconds(readings.from_loop_time(self._now))
        if name == "monotonic":
            now = readings.from_loop_time(self._now) + self._lost
            return self._monotonic_readings.at(now) / SECOND
        if _clocks.ORIGINALS["time_ns"]() != self._shown:
            # The user's own time-machine traveller is active.
            shown: float = _clocks.ORIGINALS[name]()
            return shown
        now = self._date + self._passed
        if name == "time_ns":
            return _round_to_nanoseconds(now)
        return self._time_readings.at(now + self._lost) / SECOND


def follow_wall(start: float, date: int | None) -> Wall:
    """Return a wall that makes the clocks follow loop time, or one that leaves them alone.

    Args:
        start: loop time at the beginning.
        date: what the clocks show then, in nanoseconds since 1970; None to leave them alone.

    Raises:
        MissingExtra: time-machine is not installed.
    """
    return NO_WALL if date is None else FollowingWall(start, date)


def restore() -> None:
    """Put back the functions of the module `time`, unless a wall is entered.

    ``monkeypatch``, for example, may restore one of ours after the loop's run.
    """
    if _entered:
        return
    for name, replacement in _REPLACEMENTS.items():
        if getattr(time, name) is replacement:
            setattr(time, name, _clocks.ORIGINALS[name])


# Those that are entered, the innermost last.
_entered: list[FollowingWall] = []


def _following(name: str) -> Callable[[], float]:
    """A function for the module `time`.

    A module that is first imported during a test may keep it by name, so it works for ever.
    """
    original: Callable[[], float] = _clocks.ORIGINALS[name]

    @functools.wraps(original)
    def read() -> float:
        walls = _entered[-1:]
        return walls[0].read(name) if walls else original()

    return read


_REPLACEMENTS = {
    name: _following(name) for name in ("time", "time_ns", "monotonic", "monotonic_ns")
}


def _round_to_nanoseconds(moment: int) -> int:
    """The nearest nanosecond.

    >>> _round_to_nanoseconds(SECOND // 3)
    333333333
    """
    return (moment + NANOSECOND // 2) // NANOSECOND


def _shift(traveller: Any, nanoseconds: int) -> None:
    # In two parts, as a float of seconds can't hold the nanoseconds of years.
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    traveller.shift(seconds)
    traveller.shift(rest / _NANOSECONDS)
