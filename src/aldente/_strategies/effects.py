"""What a step has read and written, and whether two steps may change places.

Names stand for what steps may have in common, not objects: two attributes of the same name are
taken for the same. So two steps that are independent here are independent, not the other way round.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

_NOTHING: frozenset[str] = frozenset()

# What is no variable: the elements of containers, the positions of iterators, the states of
# futures, and whether a resumption is ready that lets time pass.
ITEMS, ITERATORS, FUTURES, PATIENCE = "[items]", "[iterators]", "[futures]", "[patience]"

# That tasks have ended: each step that writes it ends another one.
ENDED = "[ended]"
_SHARED = frozenset({ENDED})


class Effects(NamedTuple):
    """What a step does besides changing the variables that only its task knows.

    Attributes:
        reads: the names of what it reads.
        writes: the names of what it changes.
        is_wild: whether it may do anything else.
        left: if it ends a task that is counted (``gather``, ``TaskGroup``), how many of those with
            it have not ended; 0 if it ends none.
    """

    reads: frozenset[str] = _NOTHING
    writes: frozenset[str] = _NOTHING
    is_wild: bool = False
    left: int = 0

    def is_independent_of(self, other: Effects) -> bool:
        """Whether two steps that are ready at once lead to the same in either order.

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
        """What the same step does once an independent one has gone before it."""
        if not self.left or not other.left:
            return self
        # Whoever ends last wakes the task that waits for all, which is no matter of counting.
        return self._replace(left=self.left - 1) if self.left > 1 else ANYTHING


ANYTHING = Effects(is_wild=True)

# Steps that need not be taken next, by who takes them: they were taken before, at a place from
# which only independent steps have led here.
SleepSet = dict[Hashable, Effects]


def pass_step(sleep: SleepSet, step: Effects) -> SleepSet:
    """What still sleeps after a step."""
    return {
        key: effects.after(step)
        for key, effects in sleep.items()
        if effects.is_independent_of(step)
    }
