"""Counts how often a schedule leaves the order of stock asyncio.

A *context switch* is not a delayed step. A task that was let go ahead may go on, and one that is
held back may be held further, at no cost: one long run, or one long wait, counts once.
"""

from __future__ import annotations

from collections.abc import Hashable

from aldente._simulation.choices import Options, Place

# Of the tasks held back at once, the counter tracks only the oldest ones, which bounds its time; to
# go ahead of another counts again.
_MOST_HELD = 100


class SwitchCounter:
    """Counts the context switches of one run.

    Attributes:
        total: how many there were so far.
    """

    def __init__(self) -> None:
        self.total = 0
        # The tasks held back, each with its place: a task at another place has gone on meanwhile.
        self._held: dict[Hashable, Place] = {}
        # The task whose run began with a switch, until another one is chosen.
        self._ahead: Hashable = None

    def free(self, options: Options) -> list[int]:
        """The options that are no switch: the oldest, the oldest not held, the same task again."""
        count = len(options)
        if options.is_of_values:
            return [0]
        found = {0, next((n for n in range(count) if not self._is_held(n, options)), 0)}
        keys = options.keys() if self._ahead is not None else []
        if self._ahead in keys:
            found.add(keys.index(self._ahead))
        return sorted(found)

    def note(self, choice: int, options: Options) -> bool:
        """Note the chosen option; return whether it is a switch."""
        if options.is_of_values:
            self.total += choice != 0
            return choice != 0
        key = options.key(choice)
        is_switch = (
            choice != 0
            and key != self._ahead
            and (
                self._is_held(choice, options)
                or not all(self._is_held(number, options) for number in range(choice))
            )
        )
        for number in range(min(choice, _MOST_HELD)):
            self._held[options.key(number)] = options.place(number)
        self._held.pop(key, None)
        if is_switch or key != self._ahead:
            self._ahead = key if is_switch else None
        self.total += is_switch
        return is_switch

    def _is_held(self, number: int, options: Options) -> bool:
        return self._held.get(options.key(number)) == options.place(number)
