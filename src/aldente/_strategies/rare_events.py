"""`SeldomChoices`: draws when rare events happen, evenly over the moments of a run.

A cancellation should come at one of a program's awaits, or at two; with an even choice at each of
them it would nearly always come at the first. The strategy learns from earlier runs how many
moments there are in a run.
"""

from __future__ import annotations

import random

# In how many of twenty runs no event happens, one event, and so on.
_NUMBERS = (0, 1, 2, 3)
_WEIGHTS = (3, 12, 4, 1)

# The probability at each moment, as long as the number of moments is not known.
_FIRST = 0.1


class SeldomChoices:
    """Draws rare choices for the runs of a strategy.

    Args:
        seed: the seed of all runs.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._length = 0
        self._position = 0
        self._chosen: set[int] = set()

    def start(self) -> None:
        """Begin a run."""
        self._position = 0
        if self._length:
            (number,) = self._random.choices(_NUMBERS, _WEIGHTS)
            number = min(number, self._length)
            self._chosen = set(self._random.sample(range(self._length), number))

    def choose(self) -> int:
        """1 if the event happens now, else 0."""
        position = self._position
        self._position = position + 1
        if not self._length:
            return int(self._random.random() < _FIRST)
        return int(position in self._chosen)

    def end(self) -> None:
        """Learn how many moments the run had."""
        self._length = max(self._length, self._position)
