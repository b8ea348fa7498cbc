"""Makes the clocks of the process follow the clock of a loop.

time-machine moves ``time.time()``, ``datetime.now()`` and similar functions; it patches their C
code, and so reaches code that imported them by name. It leaves ``time.monotonic()`` alone;
`FollowingWall` replaces that in the module ``time``, so that modules of the standard library that
imported it by name (queues, threads, selectors) stay on real time. ``time.perf_counter()`` always
measures real durations.

The clocks start at a fixed moment, so that what a test computes from them is the same in every run.

No clock shows exact time: a float of today's date in seconds has a resolution of a quarter of a
microsecond, and a `datetime` one of a microsecond. On a real clock that does not matter, as every
wait takes a little longer. Where time stands still between two readings it does: ``time.time() -
start >= 0.1`` fails after a sleep of 0.1 s if one is rounded up and the other down. So readings are
rounded up, and whatever one is ahead of the time, later ones are ahead as well. They are computed
from integers, in a unit in which exact time and floats of loop time are exact.
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

from aldente import _system
from aldente.errors import MissingExtra

# A float of loop time is a multiple of 2**-36 s, so of 2**-40 s; a nanosecond is 2**-9 * 5**-9 s.
_FRACTIONS = 2**40
_REST = 5**9
SECOND = _FRACTIONS * _REST
NANOSECOND = SECOND // 10**9
MICROSECOND = SECOND // 10**6


def from_loop_time(seconds: float) -> int:
    """A moment of loop time.

    >>> from_loop_time(100_000.5) == 100_000 * SECOND + SECOND // 2
    True
    """
    return int(seconds * _FRACTIONS) * _REST


def lost_in_a_step(before: float, now: float) -> int:
    """How much later than ``now`` a wait may have been meant to end that began ``before``.

    Loop time is a float too, and the end of a wait is rounded to one. What is a multiple of 2**-20
    s, such as whole seconds, needs no rounding.

    >>> lost_in_a_step(100_000.0, 100_030.5)
    0
    """
    if ((now - before) * 2**20).is_integer():
        return 0
    return from_loop_time(math.ulp(now) / 2)


def is_end_rounded_down(now: float, delay: float) -> bool:
    """Whether a wait that is not a multiple of 2**-20 s ends as if it were one, so too early.

    >>> is_end_rounded_down(100_000.0, 0.1 * 12 + 0.3), is_end_rounded_down(100_000.0, 1.5)
    (True, False)
    """
    passed = (now + delay) - now
    return passed < delay and (passed * 2**20).is_integer()


class Readings:
    """The readings of one clock.

    Args:
        show: returns the first time, from a given one on, that the clock can show.
    """

    def __init__(self, show: Callable[[int], int]) -> None:
        self._show = show
        self._ahead = 0

    def at(self, moment: int) -> int:
        """What the clock shows at a moment; moments never go back."""
        shown = self._show(moment + self._ahead)
        self._ahead = max(self._ahead, shown - moment)
        return shown


def next_float(moment: int) -> float:
    """The first number of seconds, from a moment on, that a float can represent.

    >>> next_float(1_893_456_000 * SECOND + SECOND // 10) - 1_893_456_000
    0.10000014305114746
    """
    seconds = moment / SECOND
    numerator, denominator = seconds.as_integer_ratio()
    is_early = numerator * SECOND < moment * denominator
    return math.nextafter(seconds, math.inf) if is_early else seconds


def float_clock() -> Readings:
    """A clock that shows seconds as floats."""
    return Readings(lambda moment: _exactly(next_float(moment)))


def microsecond_clock() -> Readings:
    """A clock that shows microseconds, and ignores less than half of one."""
    return Readings(lambda moment: -((MICROSECOND // 2 - moment) // MICROSECOND) * MICROSECOND)


def _exactly(seconds: float) -> int:
    numerator, denominator = seconds.as_integer_ratio()
    return -(-numerator * SECOND // denominator)


_NANOSECONDS = 1_000_000_000


class Wall:
    """Leaves the clocks alone."""

    def move_to(self, now: float) -> None:
        """Follow loop time, which is ``now`` from here on."""

    def note_wait(self, now: float, delay: float) -> None:
        """Note that a wait begins."""

    def skew_by(self, skew: Callable[[], int]) -> None:
        """Show another time to some code.

        Args:
            skew: how much later it is for the code that calls it, in nanoseconds.
        """

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
        self._skew: Callable[[], int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._now = self._start
        self._lost = 0
        # The ends of waits that were meant to be later, by less than loop time shows.
        self._early: set[float] = set()
        self._time_readings = float_clock()
        self._monotonic_readings = float_clock()
        self._date_readings = microsecond_clock()
        # What time-machine shows: the microsecond, as a float of seconds.
        self._shown = self._date // NANOSECOND
        self._read_date()

    @property
    def _passed(self) -> int:
        return from_loop_time(self._now) - from_loop_time(self._start)

    def _read_date(self) -> None:
        date = self._date_readings.at(self._date + self._passed)
        seconds, denominator = next_float(date).as_integer_ratio()
        self._shown = -(-seconds * _NANOSECONDS // denominator)

    def move_to(self, now: float) -> None:
        if now < self._now:
            # A loop of another test, or of another example, starts anew.
            self._begin()
        self._lost += lost_in_a_step(self._now, now)
        if self._early:
            if now in self._early:
                self._lost += from_loop_time(math.ulp(now) / 2)
            self._early = {end for end in self._early if end > now}
        self._now = now
        before = self._shown
        self._read_date()
        if self._traveller is not None:
            _shift(self._traveller, self._shown - before)

    def note_wait(self, now: float, delay: float) -> None:
        if is_end_rounded_down(now, delay):
            self._early.add(now + delay)

    def skew_by(self, skew: Callable[[], int]) -> None:
        self._skew = skew
        if self._traveller is not None:
            _skew(self._traveller, skew)

    def __enter__(self) -> None:
        if datetime.datetime.__name__ == "FakeDatetime":
            # freezegun has frozen the clocks already, and time-machine can't move them then.
            return
        self._travel = self._time_machine.travel(0, tick=False)
        self._traveller = self._travel.start()
        _shift(self._traveller, self._shown)
        if self._skew is not None:
            _skew(self._traveller, self._skew)
        for name, replacement in _REPLACEMENTS.items():
            if getattr(time, name) is _system.ORIGINALS[name]:
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
            return _round_to_nanoseconds(from_loop_time(self._now))
        if name == "monotonic":
            now = from_loop_time(self._now) + self._lost
            return self._monotonic_readings.at(now) / SECOND
        ahead = 0 if self._skew is None else self._skew()
        if _system.ORIGINALS["time_ns"]() != self._shown + ahead:
            # The user's own time-machine traveller is active.
            shown: float = _system.ORIGINALS[name]()
            return shown
        if ahead:
            # Of another clock, which has no readings before.
            nanoseconds = self._shown + ahead
            return nanoseconds if name == "time_ns" else next_float(nanoseconds * NANOSECOND)
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
            setattr(time, name, _system.ORIGINALS[name])


# Those that are entered, the innermost last.
_entered: list[FollowingWall] = []


def _following(name: str) -> Callable[[], float]:
    """A function for the module `time`.

    A module that is first imported during a test may keep it by name, so it works for ever.
    """
    original: Callable[[], float] = _system.ORIGINALS[name]

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


def _skew(traveller: Any, skew: Callable[[], int]) -> None:
    """Have time-machine show a time that depends on the code that asks."""
    original = type(traveller).time_ns
    traveller.time_ns = lambda: original(traveller) + skew()


def _shift(traveller: Any, nanoseconds: int) -> None:
    # In two parts, as a float of seconds can't hold the nanoseconds of years.
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    traveller.shift(seconds)
    traveller.shift(rest / _NANOSECONDS)
