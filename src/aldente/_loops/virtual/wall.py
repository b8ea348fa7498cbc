"""Has the clocks of the process follow the clock of a loop.

``time.time()``, ``datetime.now()`` and their like are moved by time-machine, which replaces what
they do and so reaches code that has imported them by name. It leaves ``time.monotonic()`` alone;
that is replaced in the module ``time``, so that what the standard library has imported by name
(queues, threads, selectors) goes on with real time. ``time.perf_counter()`` measures real durations
always.
"""

from __future__ import annotations

import importlib
import time
from types import TracebackType
from typing import Any

from aldente.errors import MissingExtra

_NANOSECONDS = 1_000_000_000


class Wall:
    """Leaves the clocks alone."""

    def move_to(self, now: float) -> None:
        """Loop time is ``now`` from here on."""

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
    """While entered, the clocks of the process follow loop time from where they were at first.

    Args:
        start: loop time at the beginning.
        date: what the clocks show at the beginning, in nanoseconds since 1970; None for now.

    Raises:
        MissingExtra: time-machine is not installed.
    """

    def __init__(self, start: float, date: int | None = None) -> None:
        try:
            self._time_machine: Any = importlib.import_module("time_machine")
        except ModuleNotFoundError:
            raise MissingExtra("wall=True", "time-machine", "wall") from None
        self._start = start
        self._passed = 0
        self._wall_start = time.time_ns() if date is None else date
        self._monotonic_start = time.monotonic_ns() if date is None else round(start * _NANOSECONDS)
        self._travel: Any = None
        self._traveller: Any = None
        self._originals: dict[str, Any] = {}

    def move_to(self, now: float) -> None:
        passed = round((now - self._start) * _NANOSECONDS)
        if self._traveller is not None:
            _shift(self._traveller, passed - self._passed)
        self._passed = passed

    def __enter__(self) -> None:
        self._travel = self._time_machine.travel(0, tick=False)
        self._traveller = self._travel.start()
        _shift(self._traveller, self._wall_start + self._passed)
        self._originals = {name: getattr(time, name) for name in ("monotonic", "monotonic_ns")}
        time.monotonic = self._monotonic
        time.monotonic_ns = self._monotonic_ns

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, original in self._originals.items():
            setattr(time, name, original)
        self._travel.stop()
        self._traveller = None

    def _monotonic_ns(self) -> int:
        return self._monotonic_start + self._passed

    def _monotonic(self) -> float:
        return self._monotonic_ns() / _NANOSECONDS


def _shift(traveller: Any, nanoseconds: int) -> None:
    # In two parts, as a float of seconds can't hold the nanoseconds of years.
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    traveller.shift(seconds)
    traveller.shift(rest / _NANOSECONDS)
