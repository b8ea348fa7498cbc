"""`Pos`: a random priority for each step, which samples partial orders more evenly than steps.

Xinhao Yuan, Junfeng Yang, Ronghui Gu: Partial Order Aware Concurrency Sampling. CAV 2018. Each step
gets a priority when it becomes ready, and the highest goes on; then those that race with it get new
ones. A strategy can't see what two steps have in common, so here two of them race when both are in
the same function.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

from aldente._simulation.choices import Followed, Options, Place
from aldente._strategies.durations import DrawnValues

# The priority of the step that was chosen last.
_OVER = -1.0

# How many places to remember, which bounds the memory.
_MOST_PLACES = 10_000


class Pos:
    """Takes the step with the highest priority.

    Args:
        seed: the seed of all runs.
    """

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed).random
        # Of each option: the task's key and its place, the functions there, the priority. As long
        # as all priorities will be drawn again before they are used, only the functions are known.
        self._steps: list[tuple[Hashable, Place]] = []
        self._functions: list[frozenset[Hashable]] = []
        self._priorities: list[float] = []
        self._chosen = 0
        self._are_fresh = True
        self._followed = Followed()
        # One set for the same functions, by the functions from the outermost to the innermost.
        self._functions_of: dict[tuple[Hashable, ...], frozenset[Hashable]] = {}
        self._sets: dict[frozenset[Hashable], frozenset[Hashable]] = {}
        self._values = DrawnValues(seed)

    def start(self) -> bool:
        """True: there is always another run."""
        if len(self._functions_of) > _MOST_PLACES:
            self._functions_of.clear()
            self._sets.clear()
        for known in (self._steps, self._functions, self._priorities):
            known.clear()
        self._are_fresh = True
        self._followed.start()
        self._values.start()
        return True

    def choose(self, count: int, options: Options) -> int:
        """The step with the highest priority."""
        draw = self._draw
        if options.is_of_values:
            drawn = self._values.choose(count, options)
            return int(draw() * count) if drawn is None else drawn
        self._look(count, options)
        priorities, functions = self._priorities, self._functions
        if self._are_fresh and functions.count(functions[0]) == count:
            # All race, and none has a priority yet: each is equally likely to have the highest.
            return int(draw() * count)
        if self._are_fresh:
            self._are_fresh = False
            priorities[:] = [draw() for _ in functions]
            self._steps[:] = [options.step(index) for index in range(count)]
        chosen = priorities.index(max(priorities))
        self._chosen = chosen
        own = functions[chosen]
        if functions.count(own) == count:
            self._are_fresh = True
            return chosen
        for index, others in enumerate(functions):
            if index != chosen and not own.isdisjoint(others):
                priorities[index] = draw()
        priorities[chosen] = _OVER
        return chosen

    def _look(self, count: int, options: Options) -> None:
        """Look at the steps that are new, and give a priority to each unless all get new ones."""
        functions = self._functions
        if self._are_fresh:
            self._followed.follow(count, options, functions)
        else:
            self._followed.look(count, options)
            self._give_priorities(count, options)
        for index in range(len(functions), count):
            names = options.functions(index)
            functions.append(self._functions_of.get(names) or self._find_functions(names))

    def _give_priorities(self, count: int, options: Options) -> None:
        steps, priorities, followed = self._steps, self._priorities, self._followed
        known: dict[tuple[Hashable, Place], float] = {}
        if steps and not followed.are_same:
            # Steps that are not ready any more went on without a choice.
            known = dict(zip(steps, priorities, strict=True))
            known.pop(steps[self._chosen], None)
            if followed.taken is not None:
                known.pop(steps[followed.taken], None)
        followed.keep(self._functions, steps, priorities)
        if _OVER in priorities:
            # Another step was taken instead.
            priorities[priorities.index(_OVER)] = self._draw()
        for index in range(len(steps), count):
            step = options.step(index)
            steps.append(step)
            priority = known.get(step)
            priorities.append(self._draw() if priority is None else priority)

    def _find_functions(self, names: tuple[Hashable, ...]) -> frozenset[Hashable]:
        found = frozenset(names)
        self._functions_of[names] = found = self._sets.setdefault(found, found)
        return found

    def end(self) -> None:
        """Learn how many rare choices there were."""
        self._values.end()
