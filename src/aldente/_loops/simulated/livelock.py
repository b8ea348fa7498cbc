"""What keeps a loop busy that does not come to an end."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

from aldente import _asyncio_compat
from aldente._loops.virtual.timers import place_in
from aldente._records import SourcePlace

# How many steps are looked at.
_STEPS = 1_000


class Busy:
    """Counts for a while who takes the steps."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()

    @property
    def is_complete(self) -> bool:
        """Whether it has seen enough."""
        return self._counts.total() >= _STEPS

    def note(self, callback: Any, args: tuple[Any, ...]) -> None:
        """A step is about to be taken."""
        task = _asyncio_compat.task_of_step(callback)
        if task is None:
            self._counts["a callback", getattr(callback, "__qualname__", repr(callback))] += 1
        else:
            place = place_in(task)
            if place is not None:
                place = SourcePlace.relative_to(place.path, place.line, self._folder)
            self._counts[repr(task.get_name()), str(place or "")] += 1

    def lines(self) -> list[str]:
        """A line for each that took steps, those with the most first."""
        total = self._counts.total()
        return [
            f"{who}{' at ' if place else ''}{place}: {count:,} of the last {total:,} steps"
            for (who, place), count in sorted(
                self._counts.items(), key=lambda item: (-item[1], item[0])
            )
        ]
