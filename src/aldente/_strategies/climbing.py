"""`Climbing`: changes schedules that have come somewhere new, to come further.

As fuzzers guided by coverage do with inputs; here what is changed are choices. A bug that lies
behind many races is reached one race after the other if each shows in the program's path.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from aldente._simulation.choices import Options
from aldente._strategies.seldom import SeldomChoices

# How many schedules are kept of those that hold a record, and of the others.
_MOST_RECORDS = 32
_MOST_OTHERS = 128


class Climbing:
    """Begins as a schedule that is kept, and goes another way somewhere.

    Args:
        seed: what all runs depend on.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._records: list[Sequence[int]] = []
        self._others: list[Sequence[int]] = []
        self._model: Sequence[int] = ()
        self._position = 0
        # Where it goes another way; what it does after that; how probable each change is.
        self._leaving = 0
        self._tail = "random"
        self._rate = 0.0
        self._seldom = SeldomChoices(seed)

    def keep(self, choices: Sequence[int], *, is_record: bool) -> None:
        """A run was new.

        Args:
            choices: its schedule.
            is_record: whether it came further than others.
        """
        kept, most = (self._records, _MOST_RECORDS) if is_record else (self._others, _MOST_OTHERS)
        kept.append(tuple(choices))
        if len(kept) > most:
            # Of those that hold a record the first have been surpassed.
            del kept[0 if is_record else self._random.randrange(most)]

    def start(self) -> bool:
        """There is always another run."""
        draw = self._random.random
        self._seldom.start()
        self._position = 0
        self._model = self._pick()
        length = len(self._model)
        if length == 0 or draw() < 0.3:
            # A few changes anywhere.
            self._leaving, self._tail = -1, "model"
            self._rate = self._random.choice((1.0, 2.0, 4.0)) / max(length, 1)
        else:
            # One change, in the last part of it as often as in all that comes before.
            nearest = 0 if draw() < 0.5 else length - max(1, length // 4)
            self._leaving = self._random.randrange(nearest, length)
            self._tail = self._random.choice(("random", "random", "model", "stock"))
            self._rate = 0.0
        return True

    def _pick(self) -> Sequence[int]:
        records, others = self._records, self._others
        if records and (not others or self._random.random() < 0.7):
            # The newest half of the time, the one before a quarter of it, and so on.
            age = 0
            while age < len(records) - 1 and self._random.random() < 0.5:
                age += 1
            return records[-1 - age]
        return self._random.choice(others) if others else ()

    def choose(self, count: int, options: Options) -> int:
        """As the schedule that is kept, or another way."""
        is_seldom = count == 2 and options.is_seldom
        seldom = self._seldom.choose() if is_seldom else 0
        position = self._position
        self._position = position + 1
        draw = self._random.random
        if position >= len(self._model):
            return self._beyond(count, is_seldom, seldom)
        old = min(self._model[position], count - 1)
        if position == self._leaving or (self._rate and draw() < self._rate):
            other = int(draw() * (count - 1))
            return other + (other >= old)
        if position < self._leaving or self._tail == "model":
            return old
        return self._beyond(count, is_seldom, seldom)

    def _beyond(self, count: int, is_seldom: bool, seldom: int) -> int:
        """What it does where it follows no schedule any more."""
        if self._tail == "stock":
            return 0
        return seldom if is_seldom else int(self._random.random() * count)

    def end(self) -> None:
        """Learn how often something might have happened; `keep` is told what is worth it."""
        self._seldom.end()
