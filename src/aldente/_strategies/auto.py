"""`Auto`: several strategies, each used in proportion to how much it still finds.

None is best for all programs: `Pct` finds bugs that need few ordered steps, `Pos` those that depend
on a partial order, `Random` the rest of a small space, and `Climbing` a bug behind many races.
`Auto` tries no schedule twice, so it exhausts a small space: `Unseen` records which were tried.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from aldente._simulation.choices import Options
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.coverage_guided import Climbing, Novelty
from aldente._strategies.line_counter import LineCounter
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random
from aldente._strategies.shared_coverage import Covering, Shared, SharedCoverage

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


# With more options than these, `Auto` leaves out `Pos` and `Pct`, which look at all of them at each
# choice.
_MOST_FOR_POS = 60
_MOST_FOR_PCT = 300

# How often each strategy is used if all find equally much: `Random`, `Pct`, `Pos`, `Climbing`.
# `Pct` finds more of what needs many steps in one order, such as a deadlock of five tasks.
_SHARES = (0.5, 2.0, 0.5, 1.0)

# The weight of a strategy that finds nothing, and the factor by which past finds lose weight.
_LEAST = 0.15
_MEMORY = 0.95

# After this many runs in a row that reached no further than others, the places of tasks are noted
# in one run of some; so lines are counted if all runs have reached the same ones equally often.
# After so many with nothing new at all, lines are counted in one run of some in any case.
_DULL_PLACES, _ONE_OF, _ONE_OF_EQUAL = 10, 16, 8
_DULL_LINES, _ONE_OF_LINES = 100, 2


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
        self._choose: Callable[[int, Options], int] = self._members[0].choose
        # What the loop records of the current run.
        self._choices: Sequence[int] = ()
        self._counts: Sequence[int] = ()
        self._runs = 0
        # How many runs in a row reached no further than others, and were nothing new at all.
        self._recordless = self._dull = 0
        self._has_places = self._has_lines = True
        self._most_options = 0
        self._unseen = Unseen(random.Random(self._random.random()))
        self._novelty = Novelty()
        self._lines = LineCounter()
        self._shared: SharedCoverage | None = None

    def share(self, shared: Shared) -> None:
        """Begin with what searches in other processes have covered; called before the first run."""
        names = self._lines.names = {}
        self._shared = self._novelty.shared = SharedCoverage(shared, names)
        for each in shared.schedules:
            self._climbing.keep(each.choices, is_record=each.is_record)

    @property
    def news(self) -> Sequence[Covering]:
        """The schedules that covered something new; none without `share`."""
        return () if self._shared is None else tuple(self._shared.news)

    def start(self) -> bool:
        """Whether there is an untried schedule."""
        if self.is_exhaustive:
            return False
        self._turn = self._pick() if self._runs else 1  # Pct, which learns the length
        member = self._members[self._turn]
        member.start()
        self._choose = member.choose
        self._unseen.start()
        self._novelty.start()
        is_dull = self._recordless >= _DULL_PLACES
        self._has_places = not is_dull or self._runs % _ONE_OF == 0
        one_of = _ONE_OF_LINES if self._dull >= _DULL_LINES else 1
        if is_dull and self._lines.are_equal:
            one_of = _ONE_OF_EQUAL
        self._has_lines = self._runs % one_of == 0
        if self._has_lines:
            self._lines.start()
        return True

    def attach(self, loop: SimulatedLoop) -> None:
        """Use the record that the loop of the run keeps of its choices."""
        self._choices, self._counts = loop.choices, loop.counts

    def _pick(self) -> int:
        weights = [
            share * (_LEAST + worth) for share, worth in zip(_SHARES, self._worth, strict=True)
        ]
        if self._most_options > _MOST_FOR_PCT:
            weights[1] = 0.0
        if self._most_options > _MOST_FOR_POS:
            weights[2] = 0.0
        # As `random.choices`, which takes several times as long.
        drawn = self._random.random() * sum(weights)
        last = len(weights) - 1
        return next((turn for turn in range(last) if drawn < sum(weights[: turn + 1])), last)

    def choose(self, count: int, options: Options) -> int:
        """The choice of the strategy whose turn it is, unless nothing untried is left there."""
        choice = self._choose(count, options)
        if self._unseen.is_known:
            choice = self._unseen.lead(count, choice)
        if self._has_places:
            self._novelty.note(choice, options)
        return choice

    def end(self) -> None:
        """Credit the strategy with what was new in the run."""
        self._runs += 1
        choices, counts = self._choices, self._counts
        self._choices = self._counts = ()
        self._unseen.end(choices, counts)
        if self._has_places:
            self._most_options = max(self._most_options, max(counts, default=0))
        self._members[self._turn].end()
        lines = self._lines
        lines.pause()
        counted = (lines.counts, lines.unchanged) if self._has_lines else ({}, 0)
        if not self._has_places and not counted[0]:
            # Nothing was observed.
            return
        news = self._novelty.end(*counted)
        if news.value:
            self._climbing.keep(choices, is_record=news.records > 0)
            if self._shared is not None:
                covered = self._novelty.covered
                self._shared.keep(choices, covered, is_record=news.records > 0)
        worth = self._worth
        worth[self._turn] = _MEMORY * worth[self._turn] + (1 - _MEMORY) * news.value
        self._dull = 0 if news.value else self._dull + 1
        self._recordless = 0 if news.records else self._recordless + 1

    def release(self) -> None:
        """Remove all hooks in Python until the next run, because the search is over."""
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
            return "There is only one schedule."
        return f"All {self._runs:,} schedules were tried; there are no others."
