"""What a step has read and written, and whether two steps are independent.

Names, not objects, stand for what steps share: two attributes of the same name count as one. So two
steps that are independent here are really independent; the converse does not hold.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

_NOTHING: frozenset[str] = frozenset()

# Names for what is no variable: the elements of containers, the positions of iterators, the states
# of futures, and whether a resumption is ready that has waited.
ITEMS, ITERATORS, FUTURES, PATIENCE = "[items]", "[iterators]", "[futures]", "[patience]"

# The end of tasks: two steps may both write it, as each ends another task.
ENDED = "[ended]"
_SHARED = frozenset({ENDED})


class Effects(NamedTuple):
    """What a step does besides changes of its task's local variables.

    Attributes:
        reads: the names that it reads.
        writes: the names that it changes.
        is_wild: whether it may do anything else.
        left: if it ends a task of a ``gather`` or a ``TaskGroup``, how many tasks of that have not
            ended; else 0.
    """

    reads: frozenset[str] = _NOTHING
    writes: frozenset[str] = _NOTHING
    is_wild: bool = False
    left: int = 0

    def is_independent_of(self, other: Effects) -> bool:
        """Whether two steps that are ready at once lead to the same state in either order.

        >>> one, other = Effects(reads=frozenset({"a"})), Effects(writes=frozenset({"a"}))
        >>> one.is_independent_of(one), one.is_independent_of(other)
        (True, False)
        """
        return (
            not self.is_wild
            and not other.is_wild
            and self.writes & other.writes <= _SHARED
            and self.writes.isdisjoint(other.reads)
            and self.reads.isdisjoint(other.writes)
        )

    def after(self, other: Effects) -> Effects:
        """The effects of the same step after an independent one."""
        if not self.left or not other.left:
            return self
        # The last task to end wakes the one that waits for all, so that step does not only count.
        return self._replace(left=self.left - 1) if self.left > 1 else ANYTHING


ANYTHING = Effects(is_wild=True)

# Steps that need not be tried next, by their task's key: another run has taken them at an earlier
# choice, and only independent steps lie between that choice and here (Godefroid 1996).
SleepSet = dict[Hashable, Effects]


def pass_step(sleep: SleepSet, step: Effects) -> SleepSet:
    """The sleep set after a step: only steps independent of it still sleep."""
    return {
        key: effects.after(step)
        for key, effects in sleep.items()
        if effects.is_independent_of(step)
    }
