"""The readings of clocks for an exact time, such that no wait looks shorter than it was.

No clock shows exact time: a float of today's date in seconds has a resolution of a quarter of a
microsecond, and a `datetime` one of a microsecond. On a real clock that does not matter, as every
wait takes a little longer. Where time stands still between two readings it does: ``time.time() -
start >= 0.1`` fails after a sleep of 0.1 s if one is rounded up and the other down. So readings are
rounded up, and whatever one is ahead of the time, later ones are ahead as well.

Times are integers, in a unit in which all of these and floats of loop time are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
    """Whether a wait that is no multiple of 2**-20 s ends as if it were one, so too early.

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
