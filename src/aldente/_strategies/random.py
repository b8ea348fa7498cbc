"""`Random`: every option is equally likely, at every choice."""

from __future__ import annotations

import random

from aldente._simulation.choices import Options
from aldente._strategies.durations import DrawnValues


class Random:
    """Chooses uniformly at random, anew in every run.

    Args:
        seed: the seed of all runs.

    >>> from aldente._simulation.choices import Picks
    >>> strategy, options = Random(1), Picks(1000, "the test")
    >>> strategy.start(), strategy.choose(1000, options), strategy.choose(1000, options)
    (True, 134, 847)
    """

    def __init__(self, seed: int) -> None:
        self._next = random.Random(seed).random
        self._values = DrawnValues(seed)

    def start(self) -> bool:
        """True: there is always another run."""
        self._values.start()
        return True

    def choose(self, count: int, options: Options) -> int:
        """A random option."""
        drawn = self._values.choose(count, options) if options.is_of_values else None
        if drawn is not None:
            return drawn
        return int(self._next() * count)

    def end(self) -> None:
        """Learn how many rare choices there were."""
        self._values.end()
