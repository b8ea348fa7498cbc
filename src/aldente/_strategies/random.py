"""`Random`: every option is as likely as the others, whatever was before."""

from __future__ import annotations

import random

from aldente._simulation.choices import Options
from aldente._strategies.rare_events import SeldomChoices


class Random:
    """Chooses evenly, in every run anew.

    Args:
        seed: what the choices of all runs depend on.

    >>> from aldente._simulation.choices import Picks
    >>> strategy, options = Random(1), Picks(1000, "somebody")
    >>> strategy.start(), strategy.choose(1000, options), strategy.choose(1000, options)
    (True, 134, 847)
    """

    def __init__(self, seed: int) -> None:
        self._next = random.Random(seed).random
        self._seldom = SeldomChoices(seed)

    def start(self) -> bool:
        """There is always another run."""
        self._seldom.start()
        return True

    def choose(self, count: int, options: Options) -> int:
        """Any of them."""
        if count == 2 and options.is_seldom:
            return self._seldom.choose()
        return int(self._next() * count)

    def end(self) -> None:
        """Learn how often something might have happened that seldom should."""
        self._seldom.end()
