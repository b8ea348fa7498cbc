"""`RealTime`: how long a simulated run may take by the clock on the wall."""

from __future__ import annotations

from aldente._clocks import monotonic

# After how many steps at most it is looked again whether real time is over, and who has called in;
# and how long that should take at most, in seconds, as some steps take long.
STEPS_UNTIL_LOOK = 1_000
_SECONDS_UNTIL_LOOK = 0.02


class RealTime:
    """The real time of a run, looked at seldom enough to cost nothing.

    Args:
        seconds: how long the run may take, in real seconds; None for no limit.

    Attributes:
        seconds: as the argument.
        end: when it is over, by `time.monotonic`; None for no limit.

    >>> RealTime(None).is_over, RealTime(-1.0).is_over
    (False, True)
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._looked = monotonic()
        self.end = None if seconds is None else self._looked + seconds
        self._stride = 1

    @property
    def is_over(self) -> bool:
        """Whether it is over."""
        return self.end is not None and monotonic() > self.end

    def steps_until_look(self) -> int:
        """After how many steps to look again: fewer when the last ones have taken long."""
        if self.end is None:
            return STEPS_UNTIL_LOOK
        looked, self._looked = self._looked, monotonic()
        is_slow = self._looked - looked > _SECONDS_UNTIL_LOOK
        self._stride = self._stride // 2 if is_slow else self._stride * 2
        self._stride = min(max(self._stride, 1), STEPS_UNTIL_LOOK)
        return self._stride
