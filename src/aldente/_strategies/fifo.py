"""`Fifo`: one run, in the order of stock asyncio."""

from __future__ import annotations

from collections.abc import Sequence


class Fifo:
    """Chooses the step that has been ready for longest, as asyncio does.

    >>> strategy = Fifo()
    >>> strategy.start(), strategy.choose(3, []), strategy.start()
    (True, 0, False)
    """

    def __init__(self) -> None:
        self._is_done = False

    def start(self) -> bool:
        """True for the first run only."""
        is_first, self._is_done = not self._is_done, True
        return is_first

    def choose(self, count: int, options: Sequence[object]) -> int:
        """The oldest one."""
        return 0

    def end(self) -> None:
        """Do nothing."""
