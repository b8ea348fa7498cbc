"""`Random`: every option is equally likely, at every choice."""

from __future__ import annotations

import random

from aldente._simulation.choices import Options
from aldente._strategies.rare_events import SeldomChoices


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
        self._seldom = SeldomChoices(seed)

    def start(self) -> bool:
        """True: there is always another run."""
        self._seldom.start()
        return True

    def choose(self, count: int, options: Options) -> int:
        """A random option."""
        if count == 2 and options.is_seldom:
            return self._seldom.choose()
        return int(self._next() * count)

    def end(self) -> None:
        """Learn how many rare choices there were."""
        self._seldom.end()
