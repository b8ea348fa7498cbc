"""`Unseen`: records which schedules were tried, so that none is tried twice."""

from __future__ import annotations

import random
from collections.abc import Sequence

# How many bytes of schedules to remember, which bounds the memory; later ones may repeat.
_MOST_REMEMBERED = 8_000_000

# The memory of a run besides its choices.
_BYTES_OF_RUN = 250

_NOT_TRIED = None


class _Tail:
    """The rest of a run that no other run shares: its choices and counts from a place on."""

    __slots__ = ("choices", "counts", "start")

    def __init__(self, choices: Sequence[int], counts: Sequence[int], start: int) -> None:
        self.choices = choices
        self.counts = counts
        self.start = start


class _Node:
    """A choice that several runs have met: what was tried after each option."""

    __slots__ = ("left", "options")

    def __init__(self, count: int) -> None:
        # Each is `_NOT_TRIED`, a tail, a node, or True if nothing is left to try after it.
        self.options: list[_Tail | _Node | bool | None] = [_NOT_TRIED] * count
        self.left = count


def _split(tail: _Tail) -> _Node:
    """The first choice of a tail, with the rest of it behind the option that was chosen."""
    node = _Node(tail.counts[tail.start])
    rest = tail.start + 1
    is_last = rest == len(tail.choices)
    node.options[tail.choices[tail.start]] = is_last or _Tail(tail.choices, tail.counts, rest)
    node.left -= is_last
    return node


class Unseen:
    """Remembers the schedules of runs, and leads a run away from them.

    Args:
        draw: the generator for the choice among untried options.

    Attributes:
        is_known: whether another run has made all choices of the current run so far. Once none has,
            nothing is known of what follows, and `lead` need not be asked.
    """

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        # Stands before the first choice.
        self._root = _Node(1)
        self._remembered = 0
        self.is_known = True
        self._path: list[tuple[_Node, int]] = []

    @property
    def is_exhausted(self) -> bool:
        """Whether every schedule was tried."""
        return not self._root.left

    def start(self) -> None:
        """A run begins."""
        self._path = [(self._root, 0)]
        self.is_known = True

    def lead(self, count: int, wanted: int) -> int:
        """The wanted option, or another one if nothing is left to try after it."""
        if not self.is_known:
            return wanted
        node, option = self._path[-1]
        after = node.options[option]
        if type(after) is _Tail:
            # One run came this way before; now there are two.
            node.options[option] = after = _split(after)
        # A program that depends on more than its schedule may meet other options.
        if type(after) is not _Node or len(after.options) != count:
            self.is_known = False
            return wanted
        choice = wanted
        if after.options[wanted] is True:
            left = [index for index in range(count) if after.options[index] is not True]
            if left:
                choice = left[int(self._draw.random() * len(left))]
        self._path.append((after, choice))
        return choice

    def end(self, choices: Sequence[int], counts: Sequence[int]) -> None:
        """Remember the run, which has ended.

        Args:
            choices: its choices.
            counts: how many options each of them had.
        """
        position = len(self._path) - 1
        node, option = self._path.pop()
        after = node.options[option]
        length = len(choices)
        if position < length:
            if after is _NOT_TRIED and self._remembered < _MOST_REMEMBERED:
                # Only the rest: the tree has the choices before it.
                rest = _packed(choices[position:])
                rest_of_counts = _packed(counts[position:])
                per_choice = 1 if isinstance(rest_of_counts, bytes) else 8
                self._remembered += _BYTES_OF_RUN + 2 * per_choice * (length - position)
                node.options[option] = _Tail(rest, rest_of_counts, 0)
            return
        while True:
            if node.options[option] is not True:
                node.options[option] = True
                node.left -= 1
            if node.left or not self._path:
                return
            node, option = self._path.pop()


def _packed(numbers: Sequence[int]) -> Sequence[int]:
    try:
        return bytes(numbers)
    except ValueError:
        return tuple(numbers)
