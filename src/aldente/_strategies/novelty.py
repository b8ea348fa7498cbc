"""`Novelty`: what a run has done that no run before it did."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from aldente._simulation.choices import Options, Place
from aldente._strategies.lines import Line

# Up to so many, each further time that a line is reached is something new; then each doubling.
_EXACT = 32

# How many pairs of steps are remembered, which bounds the memory.
_MOST_PAIRS = 50_000


class News(NamedTuple):
    """What was new in a run.

    Attributes:
        records: how many lines or places were reached more often than ever, or for the first time.
        others: how many were reached as often as never before.
        pairs: how many pairs of steps followed each other for the first time.
    """

    records: int
    others: int
    pairs: int

    @property
    def value(self) -> int:
        """How much it is worth, from 0: the program's path says more than the order of steps."""
        return 3 * (self.records > 0) + 2 * (self.others > 0) + (self.pairs > 0)


class Novelty:
    """Compares each run with all before it."""

    def __init__(self) -> None:
        self._records: dict[Hashable, int] = {}
        self._levels: set[tuple[Hashable, int]] = set()
        self._pairs: set[int] = set()
        self._new_pairs = 0
        self._counts: dict[Place, int] = {}
        self._last: tuple[Hashable, Place] = ("", ())

    def start(self) -> None:
        """A run begins."""
        self._counts = {}
        self._new_pairs = 0
        self._last = ("", ())

    def note(self, choice: int, options: Options) -> None:
        """A step was chosen."""
        place = options.place(choice)
        step = (options.key(choice), place)
        pair = hash((self._last, step))
        if pair not in self._pairs and len(self._pairs) < _MOST_PAIRS:
            self._pairs.add(pair)
            self._new_pairs += 1
        self._counts[place] = self._counts.get(place, 0) + 1
        self._last = step

    def end(self, lines: Mapping[Line, int]) -> News:
        """The run has ended, and has reached these lines so often."""
        records = others = 0
        # One line more than ever is progress too, even if each alone was reached before.
        found = [*self._counts.items(), *lines.items(), *([("lines", len(lines))] if lines else [])]
        for what, count in found:
            level = count if count <= _EXACT or what == "lines" else _EXACT + count.bit_length()
            if level > self._records.get(what, 0):
                self._records[what] = level
                self._levels.add((what, level))
                records += 1
            elif (what, level) not in self._levels:
                self._levels.add((what, level))
                others += 1
        return News(records, others, self._new_pairs)
