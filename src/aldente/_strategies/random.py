"""`Random`: every option is as likely as the others, independent of all before."""

from __future__ import annotations

import random
from collections.abc import Sequence


class Random:
    """Chooses evenly, in every run anew.

    Args:
        seed: what the choices of all runs depend on.

    >>> strategy = Random(1)
    >>> strategy.start(), strategy.choose(1000, []), strategy.choose(1000, [])
    (True, 134, 847)
    """

    def __init__(self, seed: int) -> None:
        self._next = random.Random(seed).random

    def start(self) -> bool:
        """There is always another run."""
        return True

    def choose(self, count: int, options: Sequence[object]) -> int:
        """Any of them."""
        return int(self._next() * count)

    def end(self) -> None:
        """Do nothing."""
