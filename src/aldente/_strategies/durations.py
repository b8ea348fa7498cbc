"""`DrawnDurations`: draws how much longer what a run waits for takes than it has to.

Some bugs need one thing that is slow while all else is as fast as ever, others need several. So
half of the runs have one or two slow things, chosen evenly among all that they wait for; in the
other half each may be slow. The strategy learns from earlier runs how many durations there are in a
run.

`SeldomChoices` draws when rare events happen, evenly over the moments of a run. A cancellation
should come at one of a program's awaits, or at two; with an even choice at each of them it would
nearly always come at the first.
"""

from __future__ import annotations

import random

from aldente._simulation.choices import Options

# In how many of all runs only few things are slow, and how many those are.
_FEW = 0.5
_NUMBERS = (1, 2, 3)
_WEIGHTS = (5, 4, 1)

# With which probability each is slow in the other runs.
_SLOW = 3 / 7


class DrawnDurations:
    """Draws the choices of durations for the runs of a strategy.

    Args:
        seed: the seed of all runs.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed ^ 0xD0_5E)
        self._length = 0
        self._position = 0
        # The positions of those that are slow; None if each may be.
        self._slow: set[int] | None = None

    def start(self) -> None:
        """Begin a run."""
        self._position = 0
        self._slow = None
        if self._length and self._random.random() < _FEW:
            (number,) = self._random.choices(_NUMBERS, _WEIGHTS)
            self._slow = set(self._random.sample(range(self._length), min(number, self._length)))

    def choose(self, count: int) -> int:
        """An option: 0 for what takes no longer than it has to."""
        position = self._position
        self._position = position + 1
        draw = self._random.random
        is_slow = draw() < _SLOW if self._slow is None else position in self._slow
        return 1 + int(draw() * (count - 1)) if is_slow else 0

    def end(self) -> None:
        """Learn how many durations the run had."""
        self._length = max(self._length, self._position)


class DrawnValues:
    """Draws the choices of a run that are not about which task goes on, where chance is uneven.

    Args:
        seed: the seed of all runs.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed ^ 0x10_55)
        self._rare = RareChoices(seed)
        self._durations = DrawnDurations(seed)
        # Those that come otherwise than they were sent are few in half of the runs, too.
        self._deliveries = DrawnDurations(seed ^ 0xDE_11)

    def start(self) -> None:
        """Begin a run."""
        self._rare.start()
        self._durations.start()
        self._deliveries.start()

    def choose(self, count: int, options: Options) -> int | None:
        """An option; None where all options are equally probable."""
        if options.is_durations:
            return self._durations.choose(count)
        if options.is_delivery:
            return self._deliveries.choose(count)
        if options.probability:
            return int(self._random.random() < options.probability)
        return self._rare.choose() if options.is_seldom else None

    def end(self) -> None:
        """Learn how many such choices the run had."""
        self._rare.end()
        self._durations.end()
        self._deliveries.end()


# In how many of twenty runs no event happens, one event, and so on.
_NUMBERS_OF_EVENTS = (0, 1, 2, 3)
_WEIGHTS_OF_EVENTS = (3, 12, 4, 1)

# The probability at each moment, as long as the number of moments is not known.
_FIRST_OF_EVENTS = 0.1


class RareChoices:
    """Draws rare choices for the runs of a strategy.

    Args:
        seed: the seed of all runs.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._length = 0
        self._position = 0
        self._chosen: set[int] = set()

    def start(self) -> None:
        """Begin a run."""
        self._position = 0
        if self._length:
            (number,) = self._random.choices(_NUMBERS_OF_EVENTS, _WEIGHTS_OF_EVENTS)
            number = min(number, self._length)
            self._chosen = set(self._random.sample(range(self._length), number))

    def choose(self) -> int:
        """1 if the event happens now, else 0."""
        position = self._position
        self._position = position + 1
        if not self._length:
            return int(self._random.random() < _FIRST_OF_EVENTS)
        return int(position in self._chosen)

    def end(self) -> None:
        """Learn how many moments the run had."""
        self._length = max(self._length, self._position)
