"""Limits of a simulated run: its real time, and which tasks keep it busy for ever."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

from aldente import _asyncio_compat
from aldente._clocks import monotonic
from aldente._records import SourcePlace
from aldente._simulation.explored import ExploredLoop
from aldente._virtual_time.clock import place_in
from aldente.errors import PhaseTimeout

# The loop checks the real time and the inbox of threads after at most this many steps; and after
# at most this many seconds, as some steps take long.
STEPS_UNTIL_LOOK = 1_000
_SECONDS_UNTIL_LOOK = 0.02


class RealTime:
    """The real time of a run, checked rarely enough to cost nothing.

    Args:
        seconds: how long the run may take, in real seconds; None for no limit.

    Attributes:
        seconds: as the argument.
        end: when it ends, by `time.monotonic`; None for no limit.

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
        """After how many steps to check again: fewer when the last ones have taken long."""
        if self.end is None:
            return STEPS_UNTIL_LOOK
        looked, self._looked = self._looked, monotonic()
        is_slow = self._looked - looked > _SECONDS_UNTIL_LOOK
        self._stride = self._stride // 2 if is_slow else self._stride * 2
        self._stride = min(max(self._stride, 1), STEPS_UNTIL_LOOK)
        return self._stride


class LimitedLoop(ExploredLoop):
    """A loop whose run has a limit of real time.

    Attributes:
        real_time: how long the run may take by the wall clock.
        name: what messages call the run.
    """

    real_time: RealTime
    name: str

    def is_real_time_over(self) -> bool:
        """Whether the run's real time is over; if so, the run fails."""
        if not self.real_time.is_over:
            return False
        self.fail(PhaseTimeout(self.name, self.real_time.seconds or 0.0, "still running"))
        return True


# How many steps `Busy` counts.
_STEPS = 1_000


class Busy:
    """Counts for a while which tasks take the steps."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        self._counts: collections.Counter[tuple[str, SourcePlace | str | None]] = (
            collections.Counter()
        )

    @property
    def is_complete(self) -> bool:
        """Whether it has seen enough."""
        return self._counts.total() >= _STEPS

    def note(self, callback: Any, args: tuple[Any, ...]) -> None:
        """Count a step that is about to run."""
        task = _asyncio_compat.task_of_step(callback)
        if task is None:
            name = getattr(callback, "__qualname__", repr(callback))
            self._counts["a callback", name] += 1
        else:
            self._counts[repr(task.get_name()), place_in(task)] += 1

    def lines(self) -> list[str]:
        """A line for each task or callback that took steps, the busiest first."""
        total = self._counts.total()
        counts: collections.Counter[tuple[str, str]] = collections.Counter()
        for (who, where), count in self._counts.items():
            counts[who, self._told(where)] += count
        return [
            f"{who}{' at ' if place else ''}{place}: {count:,} of the last {total:,} steps"
            for (who, place), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]

    def _told(self, where: SourcePlace | str | None) -> str:
        if isinstance(where, SourcePlace):
            where = SourcePlace.relative_to(where.path, where.line, self._folder)
        return str(where or "")
