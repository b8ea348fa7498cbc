"""`Pct`: priorities that change at a few places, to find bugs of small depth.

Sebastian Burckhardt, Pravesh Kothari, Madanlal Musuvathi, Santosh Nagarakatte: A Randomized
Scheduler with Probabilistic Guarantees of Finding Bugs. ASPLOS 2010. Each task has a priority, and
the one with the highest goes on; at d - 1 random places the highest becomes the lowest. Each run
finds a bug that needs d steps in a certain order with a probability of at least
1 / (n * k ** (d - 1)), for n tasks and k choices. Here the strategy learns k from earlier runs:
only choices among several options count.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

from aldente._simulation.choices import Followed, Options
from aldente._strategies.durations import DrawnValues

_DEPTHS = 5

# A task that yields this often in a row waits for others in a busy loop, so its priority drops. The
# paper lowers it at the first yield; but a ``sleep(0)`` often stands for something that takes time,
# and starvation shows only if one task is preferred for long.
_MANY_YIELDS = 200


class Pct:
    """Prefers the task with the highest priority; its first run is the order of stock asyncio.

    Args:
        seed: the seed of all runs.
        depth: how many ordered steps the bug needs; None to draw a number for each run.
    """

    begins_in_stock_order = True

    def __init__(self, seed: int, depth: int | None = None) -> None:
        self._random = random.Random(seed)
        self._depth = depth
        self._is_first = True
        self._length = 0
        self._position = 0
        self._lowest = 0.0
        self._changes: set[int] = set()
        self._priorities: dict[Hashable, float] = {}
        # The priorities of the options, in their order.
        self._current: list[float] = []
        self._followed = Followed()
        self._yields = 0
        # The priority of the task that went on last.
        self._last: float | None = None
        self._values = DrawnValues(seed)

    def start(self) -> bool:
        """True: there is always another run."""
        self._priorities.clear()
        self._followed.start()
        self._values.start()
        self._position = 0
        self._lowest = 0.0
        self._last, self._yields = None, 0
        depth = self._depth or self._random.randint(1, _DEPTHS)
        count = min(depth - 1, self._length)
        self._changes = set(self._random.sample(range(self._length), count))
        return True

    def choose(self, count: int, options: Options) -> int:
        """The task with the highest priority."""
        if options.is_of_values:
            return self._value(count, options)
        position = self._position
        self._position = position + 1
        if self._is_first:
            return 0
        current = self._current
        self._followed.follow(count, options, current)
        if len(current) < count:
            self._add_new(count, options)
        # No two tasks have the same priority, so the priority shows whether the last one goes on.
        highest = max(current)
        best = current.index(highest)
        is_busy = self._yields >= _MANY_YIELDS and highest == self._last
        if is_busy or position in self._changes:
            self._lowest -= 1.0
            self._priorities[options.key(best)] = current[best] = self._lowest
            highest = max(current)
            best = current.index(highest)
        if highest == self._last and options.goes_on_by_itself(best):
            self._yields += 1
        else:
            self._yields = 0
        self._last = highest
        return best

    def _value(self, count: int, options: Options) -> int:
        """Any value: no task goes on with it, so there is no priority."""
        drawn = self._values.choose(count, options)
        option = self._random.randrange(count) if drawn is None else drawn
        return 0 if self._is_first else option

    def _add_new(self, count: int, options: Options) -> None:
        """Add the options that are new."""
        current, known = self._current, self._priorities
        for index in range(len(current), count):
            key = options.key(index)
            priority = known.get(key)
            if priority is None:
                priority = known[key] = self._random.random()
            current.append(priority)

    def end(self) -> None:
        """Learn how many choices there were."""
        self._is_first = False
        self._length = max(self._length, self._position)
        self._values.end()
