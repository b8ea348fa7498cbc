"""`Pos`: a random priority for each step, which samples partial orders more evenly than steps.

Xinhao Yuan, Junfeng Yang, Ronghui Gu: Partial Order Aware Concurrency Sampling. CAV 2018. Each step
gets a priority when it becomes ready, and the highest goes on; then those that race with it get new
ones. A strategy can't see what two steps have in common, so here two of them race when both are in
the same function.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

from aldente._simulation.choices import Options, Place
from aldente._strategies.durations import DrawnValues


class Pos:
    """Takes the step with the highest priority.

    Args:
        seed: the seed of all runs.
    """

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed).random
        # By the task's key and its place.
        self._priorities: dict[tuple[Hashable, Place], float] = {}
        self._values = DrawnValues(seed)

    def start(self) -> bool:
        """True: there is always another run."""
        self._priorities.clear()
        self._values.start()
        return True

    def choose(self, count: int, options: Options) -> int:
        """The step with the highest priority."""
        if options.is_of_values:
            drawn = self._values.choose(count, options)
            return int(self._draw() * count) if drawn is None else drawn
        known = self._priorities
        steps = [(options.key(index), options.place(index)) for index in range(count)]
        # Steps that are not ready any more went on without a choice.
        current = {step: known[step] if step in known else self._draw() for step in steps}
        chosen = max(range(count), key=lambda index: current[steps[index]])
        del current[steps[chosen]]
        functions = set(steps[chosen][1][::2])
        self._priorities = {
            step: priority if functions.isdisjoint(step[1][::2]) else self._draw()
            for step, priority in current.items()
        }
        return chosen

    def end(self) -> None:
        """Learn how many rare choices there were."""
        self._values.end()
