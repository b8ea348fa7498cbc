"""`Climbing`: mutates schedules that reached something new, to reach further.

`Novelty` finds what a run did that no run before it did.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from aldente._simulation.choices import Options, Place
from aldente._strategies.durations import DrawnValues
from aldente._strategies.line_counter import Line
from aldente._strategies.shared_coverage import SharedCoverage

# Up to this count, each higher number of visits to a line is new; above it, each doubling.
_EXACT = 32

# How many pairs of steps to remember, which bounds the memory; about, as runs end.
_MOST_PAIRS = 50_000


class News(NamedTuple):
    """What was new in a run.

    Attributes:
        records: how many lines or places the run reached more often than any before, or first.
        others: how many it reached a number of times that no run has before.
        pairs: how many pairs of steps followed each other for the first time.
    """

    records: int
    others: int
    pairs: int

    @property
    def value(self) -> int:
        """The weight of it, from 0: a new path counts more than a new order of steps."""
        return 3 * (self.records > 0) + 2 * (self.others > 0) + (self.pairs > 0)


class Novelty:
    """Compares each run with all before it.

    Attributes:
        shared: what searches in other processes have covered; None without any.
        covered: the lines and places at which the last run was something new, with their levels.
    """

    def __init__(self) -> None:
        self.shared: SharedCoverage | None = None
        self.covered: list[tuple[Hashable, int]] = []
        self._records: dict[Hashable, int] = {}
        self._levels: set[tuple[Hashable, int]] = set()
        self._pairs: set[int] = set()
        # The steps of this run, each by its key and its place.
        self._steps: list[tuple[Hashable, Place]] = []

    def start(self) -> None:
        """A run begins."""
        self._steps = [("", ())]

    def note(self, choice: int, options: Options) -> None:
        """Note a chosen step."""
        self._steps.append(options.step(choice))

    def end(self, lines: Mapping[Line, int], unchanged: int = 0) -> News:
        """End the run, and return what was new.

        Args:
            lines: how often it reached each line.
            unchanged: how many other lines it has reached, each as often as all runs before.
        """
        records = others = 0
        # As hashes, which need less space.
        places = Counter([hash(place) for _, place in islice(self._steps, 1, None)])
        # More different lines than ever is progress too, even if each was reached before.
        number = len(lines) + unchanged
        found = [*places.items(), *lines.items(), *([("lines", number)] if number else [])]
        if self.shared is not None:
            self._learn(self.shared, found)
        self.covered = covered = []
        for what, count in found:
            level = count if count <= _EXACT or what == "lines" else _EXACT + count.bit_length()
            if level > self._records.get(what, 0):
                self._records[what] = level
                self._levels.add((what, level))
                covered.append((what, level))
                records += 1
            elif (what, level) not in self._levels:
                self._levels.add((what, level))
                covered.append((what, level))
                others += 1
        return News(records, others, self._new_pairs())

    def _learn(self, shared: SharedCoverage, found: Sequence[tuple[Hashable, int]]) -> None:
        """Take what others have covered as known, where a run comes for the first time here."""
        shared.number_places(place for _, place in islice(self._steps, 1, None))
        for what, _ in found:
            if what in self._records:
                continue
            levels = shared.levels_of(what)
            if levels:
                self._records[what] = levels.bit_length() - 1
                self._levels.update(
                    (what, level) for level in range(levels.bit_length()) if levels >> level & 1
                )

    def _new_pairs(self) -> int:
        if len(self._pairs) >= _MOST_PAIRS:
            return 0
        new = set(map(hash, pairwise(map(hash, self._steps)))) - self._pairs
        self._pairs |= new
        return len(new)


# How many schedules to keep of those that hold a record, and of the others.
_MOST_RECORDS = 32
_MOST_OTHERS = 128


class Climbing:
    """Follows a kept schedule, and leaves it somewhere.

    Args:
        seed: what all runs depend on.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._draw = self._random.random
        self._records: list[Sequence[int]] = []
        self._others: list[Sequence[int]] = []
        self._model: Sequence[int] = ()
        self._position = 0
        # Where it leaves the schedule; what it does after that; how probable each change is.
        self._leaving = 0
        self._tail = "random"
        self._rate = 0.0
        self._values = DrawnValues(seed)

    def keep(self, choices: Sequence[int], *, is_record: bool) -> None:
        """Keep the schedule of a run that did something new.

        Args:
            choices: the schedule.
            is_record: whether it reached further than others.
        """
        kept, most = (self._records, _MOST_RECORDS) if is_record else (self._others, _MOST_OTHERS)
        kept.append(tuple(choices))
        if len(kept) > most:
            # The oldest records have been surpassed.
            del kept[0 if is_record else self._random.randrange(most)]

    def start(self) -> bool:
        """True: there is always another run."""
        draw = self._random.random
        self._values.start()
        self._position = 0
        self._model = self._pick()
        length = len(self._model)
        if length == 0 or draw() < 0.3:
            # A few changes anywhere.
            self._leaving, self._tail = -1, "model"
            self._rate = self._random.choice((1.0, 2.0, 4.0)) / max(length, 1)
        else:
            # One change: half of the time anywhere, else in the last quarter.
            nearest = 0 if draw() < 0.5 else length - max(1, length // 4)
            self._leaving = self._random.randrange(nearest, length)
            self._tail = self._random.choice(("random", "random", "model", "stock"))
            self._rate = 0.0
        return True

    def _pick(self) -> Sequence[int]:
        records, others = self._records, self._others
        if records and (not others or self._random.random() < 0.7):
            # The newest one half of the time, the one before it a quarter, and so on.
            age = 0
            while age < len(records) - 1 and self._random.random() < 0.5:
                age += 1
            return records[-1 - age]
        return self._random.choice(others) if others else ()

    def choose(self, count: int, options: Options) -> int:
        """The choice of the kept schedule, or a change of it."""
        drawn = self._values.choose(count, options) if options.is_of_values else None
        position = self._position
        self._position = position + 1
        if position >= len(self._model):
            return self._beyond(count, drawn)
        old = self._model[position]
        if old >= count:
            old = count - 1
        if position == self._leaving or (self._rate and self._draw() < self._rate):
            other = int(self._draw() * (count - 1))
            return other + (other >= old)
        if position < self._leaving or self._tail == "model":
            return old
        return self._beyond(count, drawn)

    def _beyond(self, count: int, drawn: int | None) -> int:
        """The choice where it no longer follows the kept schedule."""
        if self._tail == "stock":
            return 0
        return int(self._draw() * count) if drawn is None else drawn

    def end(self) -> None:
        """Learn how many such choices there were; `Auto` calls `keep` if the run was new."""
        self._values.end()
