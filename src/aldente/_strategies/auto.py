"""`Auto`: several strategies, each used in proportion to how much it still finds.

None is best for all programs: `Pct` finds bugs that need few ordered steps, `Pos` those that depend
on a partial order, `Random` the rest of a small space, and `Climbing` a bug behind many races.
`Auto` tries no schedule twice, so it exhausts a small space.
"""

from __future__ import annotations

import random

from aldente._simulation.choices import Options
from aldente._strategies.coverage_guided import Climbing, LineCounter, Novelty, Unseen
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random

# With more options than these, `Auto` leaves out `Pos` and `Pct`, which look at all of them at each
# choice.
_MOST_FOR_POS = 60
_MOST_FOR_PCT = 300

# The weight of a strategy that finds nothing, and the factor by which past finds lose weight.
_LEAST = 0.15
_MEMORY = 0.95

# After as many watched runs in a row that were nothing new, only one run of some is watched.
_WATCHED = ((30, 6), (10, 3))


class Auto:
    """A mix of several strategies; its first run is the order of stock asyncio.

    Args:
        seed: the seed of all its runs.
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
        # How many watched runs in a row were nothing new, and how many runs are not watched before
        # the next one that is.
        self._dull = 0
        self._unwatched = 0
        self._is_watched = True
        self._most_options = 0
        self._unseen = Unseen(random.Random(self._random.random()))
        self._novelty = Novelty()
        self._lines = LineCounter()

    def start(self) -> bool:
        """Whether there is an untried schedule."""
        if self.is_exhaustive:
            return False
        self._turn = self._pick() if self._runs else 1  # Pct, which learns the length
        self._members[self._turn].start()
        self._unseen.start()
        self._is_watched = not self._unwatched
        if not self._is_watched:
            self._unwatched -= 1
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
        """The choice of the strategy whose turn it is, unless nothing untried is left there."""
        choice = self._members[self._turn].choose(count, options)
        choice = self._unseen.lead(count, choice)
        if self._is_watched:
            self._novelty.note(choice, options)
        return choice

    def end(self) -> None:
        """Credit the strategy with what was new in the run."""
        self._runs += 1
        unseen = self._unseen
        unseen.end()
        self._most_options = max(self._most_options, max(unseen.counts, default=0))
        self._members[self._turn].end()
        self._lines.pause()
        news = self._novelty.end(self._lines.counts)
        if news.value:
            self._climbing.keep(unseen.choices, is_record=news.records > 0)
        worth = self._worth
        worth[self._turn] = _MEMORY * worth[self._turn] + (1 - _MEMORY) * news.value
        if self._is_watched:
            self._dull = 0 if news.value else self._dull + 1
            self._unwatched = next((of - 1 for dull, of in _WATCHED if self._dull >= dull), 0)
        elif news.value:
            self._dull = self._unwatched = 0

    def release(self) -> None:
        """Leave no trace in Python until the next run: other runs follow, or none."""
        self._lines.stop()

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
