"""`Auto`: several strategies, each used as much as it still finds something new.

None is best for all programs: few ordered steps are found by `Pct`, partial orders by `Pos`, what
is left of a small space by chance, and a bug behind many races by `Climbing`. No schedule is tried
twice, so a small space is exhausted.
"""

from __future__ import annotations

import random

from aldente._simulation.choices import Options
from aldente._strategies.coverage_guided import Climbing, LineCounter, Novelty, Unseen
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random

# With more options than these a strategy that looks at all of them at each choice is left out.
_MOST_FOR_POS = 60
_MOST_FOR_PCT = 300

# What a strategy is worth that finds nothing, and how fast what it has found is forgotten.
_LEAST = 0.15
_MEMORY = 0.95


class Auto:
    """Uses several strategies; its first run is the order of stock asyncio.

    Args:
        seed: what all runs depend on.
    """

    begins_in_stock_order = True

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        seeds = [self._random.randrange(2**63) for _ in range(4)]
        self._climbing = Climbing(seeds[0])
        self._members: list[Random | Pct | Pos | Climbing] = [
            Random(seeds[1]),
            Pct(seeds[2]),
            Pos(seeds[3]),
            self._climbing,
        ]
        self._worth = [1.0] * len(self._members)
        self._turn = 0
        self._runs = 0
        self._most_options = 0
        self._choices: list[int] = []
        self._unseen = Unseen(random.Random(self._random.random()))
        self._novelty = Novelty()
        self._lines = LineCounter()

    def start(self) -> bool:
        """Whether there is a schedule that was not tried."""
        if self.is_exhaustive:
            return False
        self._choices = []
        self._turn = self._pick() if self._runs else 1  # Pct, which learns the length
        self._members[self._turn].start()
        self._unseen.start()
        self._novelty.start()
        self._lines.start()
        return True

    def _pick(self) -> int:
        weights = [_LEAST + worth for worth in self._worth]
        if self._most_options > _MOST_FOR_PCT:
            weights[1] = 0.0
        if self._most_options > _MOST_FOR_POS:
            weights[2] = 0.0
        (turn,) = self._random.choices(range(len(weights)), weights)
        return turn

    def choose(self, count: int, options: Options) -> int:
        """As the strategy whose turn it is, unless nothing new is left there."""
        choice = self._members[self._turn].choose(count, options)
        choice = self._unseen.lead(count, choice)
        self._novelty.note(choice, options)
        self._choices.append(choice)
        if count > self._most_options:
            self._most_options = count
        return choice

    def end(self) -> None:
        """See what was new."""
        self._lines.stop()
        self._unseen.end()
        self._members[self._turn].end()
        news = self._novelty.end(self._lines.counts)
        if news.value:
            self._climbing.keep(self._choices, is_record=news.records > 0)
        self._runs += 1
        worth = self._worth
        worth[self._turn] = _MEMORY * worth[self._turn] + (1 - _MEMORY) * news.value

    @property
    def is_exhaustive(self) -> bool:
        """Whether every schedule was tried."""
        return self._runs > 0 and self._unseen.is_exhausted

    @property
    def coverage(self) -> str:
        """What was tried, in words."""
        if not self.is_exhaustive:
            return ""
        if self._runs == 1:
            return "There is one schedule only."
        return f"All {self._runs:,} schedules were tried; there are no others."
