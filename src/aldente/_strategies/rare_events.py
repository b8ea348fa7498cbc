"""`SeldomChoices`: when something happens that seldom should, evenly over the moments of a run.

A program is cancelled at one of its awaits, or at two; with an even choice at each of them it would
nearly always be at the first. How many there are in a run is learned from those before.
"""

from __future__ import annotations

import random

# In how many of twenty runs nothing, one thing, and so on happens.
_NUMBERS = (0, 1, 2, 3)
_WEIGHTS = (3, 12, 4, 1)

# How probable it is at each moment, as long as it is not known how many there are.
_FIRST = 0.1


class SeldomChoices:
    """Draws such choices for the runs of a strategy.

    Args:
        seed: what all runs depend on.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._length = 0
        self._position = 0
        self._chosen: set[int] = set()

    def start(self) -> None:
        """A run begins."""
        self._position = 0
        if self._length:
            (number,) = self._random.choices(_NUMBERS, _WEIGHTS)
            number = min(number, self._length)
            self._chosen = set(self._random.sample(range(self._length), number))

    def choose(self) -> int:
        """Whether it happens now: 1 if it does, else 0."""
        position = self._position
        self._position = position + 1
        if not self._length:
            return int(self._random.random() < _FIRST)
        return int(position in self._chosen)

    def end(self) -> None:
        """Learn how many choices there were."""
        self._length = max(self._length, self._position)
