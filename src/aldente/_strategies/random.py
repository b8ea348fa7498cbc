"""`Random`: every option is as likely as the others, independent of all before."""

from __future__ import annotations

import random
from collections.abc import Sequence


class Random:
    """Chooses evenly. The first run is in the order of stock asyncio.

    Args:
        seed: what the choices of all runs depend on.

    >>> strategy = Random(1)
    >>> strategy.start(), strategy.choose(1000, []), strategy.start()
    (True, 0, True)
    >>> strategy.choose(1000, [])
    504
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self._next = lambda: 0.0
        self._runs = 0

    def start(self) -> bool:
        """There is always another run."""
        self._next = self._random if self._runs else _lowest
        self._runs += 1
        return True

    def choose(self, count: int, options: Sequence[object]) -> int:
        """Any of them."""
        return int(self._next() * count)

    def end(self) -> None:
        """Do nothing."""


def _lowest() -> float:
    return 0.0
