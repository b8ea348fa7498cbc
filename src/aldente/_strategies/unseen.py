"""`Unseen`: which schedules were tried already, so that none is tried twice."""

from __future__ import annotations

import random
from collections.abc import Sequence

# How much is remembered, in bytes, which bounds the memory; later schedules may repeat.
_MOST_REMEMBERED = 8_000_000

# What it takes to remember a run besides its choices.
_BYTES_OF_RUN = 250

_NOT_TRIED = None


class _Tail:
    """The rest of a run that no other shares: its choices and counts from a place on."""

    __slots__ = ("choices", "counts", "start")

    def __init__(self, choices: Sequence[int], counts: Sequence[int], start: int) -> None:
        self.choices = choices
        self.counts = counts
        self.start = start


class _Node:
    """A choice that several runs have met: what was tried after each option."""

    __slots__ = ("left", "options")

    def __init__(self, count: int) -> None:
        # Each is not tried, a tail, a node, or True if there is nothing left to try after it.
        self.options: list[_Tail | _Node | bool | None] = [_NOT_TRIED] * count
        self.left = count


class Unseen:
    """Remembers the schedules of runs, and leads a run away from those there were.

    Args:
        draw: gives a number from 0 to 1, for the choice among what is left.
    """

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        # Stands before the first choice.
        self._root = _Node(1)
        self._remembered = 0
        self._is_known = True
        self._path: list[tuple[_Node, int]] = []
        self._choices: list[int] = []
        self._counts: list[int] = []

    @property
    def is_exhausted(self) -> bool:
        """Whether there is no other schedule."""
        return not self._root.left

    def start(self) -> None:
        """A run begins."""
        self._path = [(self._root, 0)]
        self._choices, self._counts = [], []
        self._is_known = True

    def lead(self, count: int, wanted: int) -> int:
        """The option that is wanted, or another one if nothing is left to try after it."""
        choice = wanted
        if self._is_known:
            node = self._next(count)
            if node is None:
                self._is_known = False
            else:
                if node.options[wanted] is True:
                    left = [index for index in range(count) if node.options[index] is not True]
                    if left:
                        choice = left[int(self._draw.random() * len(left))]
                self._path.append((node, choice))
        self._choices.append(choice)
        self._counts.append(count)
        return choice

    def _next(self, count: int) -> _Node | None:
        """The node of the next choice, if runs have met it; the tail of a run becomes one."""
        node, option = self._path[-1]
        after = node.options[option]
        if isinstance(after, _Tail):
            # It was alone on its way; now there are two.
            found = _Node(after.counts[after.start])
            rest = after.start + 1
            is_last = rest == len(after.choices)
            chosen = after.choices[after.start]
            found.options[chosen] = is_last or _Tail(after.choices, after.counts, rest)
            found.left -= is_last
            node.options[option] = after = found
        # A program that depends on more than its schedule may meet other options.
        is_same = isinstance(after, _Node) and len(after.options) == count
        return after if is_same and isinstance(after, _Node) else None

    def end(self) -> None:
        """A run has ended: remember it."""
        position = len(self._path) - 1
        node, option = self._path.pop()
        after = node.options[option]
        length = len(self._choices)
        if position < length:
            if after is _NOT_TRIED and self._remembered < _MOST_REMEMBERED:
                # Only the rest: what comes before is in the tree.
                choices = _packed(self._choices[position:])
                counts = _packed(self._counts[position:])
                per_choice = 1 if isinstance(counts, bytes) else 8
                self._remembered += _BYTES_OF_RUN + 2 * per_choice * (length - position)
                node.options[option] = _Tail(choices, counts, 0)
            return
        while True:
            if node.options[option] is not True:
                node.options[option] = True
                node.left -= 1
            if node.left or not self._path:
                return
            node, option = self._path.pop()


def _packed(numbers: Sequence[int]) -> Sequence[int]:
    return bytes(numbers) if max(numbers) < 256 else tuple(numbers)
