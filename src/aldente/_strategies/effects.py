"""What a step has read and written, and whether two steps are independent.

An access is by object where it is certain which object it was, see
`aldente._strategies.instances`, and by name otherwise. Accesses by object are dependent if both
name and object are the same. One by name stands for all objects. So two steps that are independent
here are really independent; the converse does not hold.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

_NOTHING: frozenset[str] = frozenset()

# Names for what is not a variable: the elements of containers, the positions of iterators, the
# states of futures, and whether a resumption is ready that has waited.
ITEMS, ITERATORS, FUTURES, PATIENCE = "[items]", "[iterators]", "[futures]", "[patience]"

# The end of tasks: two steps may both write it, as each ends another task.
ENDED = "[ended]"

# The loop to which a primitive of asyncio belongs: two steps may both write it, as both write the
# loop of the run.
BOUND = "[bound]"
_SHARED = frozenset({ENDED, BOUND})

# A name, and the object to which it belongs.
ByObject = tuple[str, Hashable]


class Objects(NamedTuple):
    """Accesses by object.

    Attributes:
        accesses: each with its object.
        names: their names alone.
    """

    accesses: frozenset[ByObject] = frozenset()
    names: frozenset[str] = _NOTHING

    @classmethod
    def of(cls, accesses: Iterable[ByObject]) -> Objects:
        """Some accesses by object."""
        kept = frozenset(accesses)
        return cls(kept, frozenset([name for name, _ in kept])) if kept else NO_OBJECTS


NO_OBJECTS = Objects()


class Effects(NamedTuple):
    """What a step does besides changes of its task's local variables.

    Attributes:
        reads: the names that it reads, of any object.
        writes: the names that it changes, of any object.
        is_wild: whether it may do anything else.
        left: if it ends a task of a ``gather`` or a ``TaskGroup``, how many tasks of that have not
            ended; else 0.
        reads_of: what it reads of which object.
        writes_of: what it changes of which object.
    """

    reads: frozenset[str] = _NOTHING
    writes: frozenset[str] = _NOTHING
    is_wild: bool = False
    left: int = 0
    reads_of: Objects = NO_OBJECTS
    writes_of: Objects = NO_OBJECTS

    def is_independent_of(self, other: Effects) -> bool:
        """Whether two steps that are ready at once lead to the same state in either order.

        >>> one, other = Effects(reads=frozenset({"a"})), Effects(writes=frozenset({"a"}))
        >>> one.is_independent_of(one), one.is_independent_of(other)
        (True, False)
        >>> mine, yours = (Effects(writes_of=Objects.of([("a", number)])) for number in (1, 2))
        >>> mine.is_independent_of(yours), mine.is_independent_of(mine)
        (True, False)
        >>> mine.is_independent_of(one)
        False
        """
        return (
            not self.is_wild
            and not other.is_wild
            and self.writes & other.writes <= _SHARED
            and self.writes.isdisjoint(other.reads)
            and self.reads.isdisjoint(other.writes)
            and _is_apart(self, other)
            and _is_apart(other, self)
            and self.writes_of.accesses.isdisjoint(other.writes_of.accesses)
        )

    def by_name(self) -> Effects:
        """The same, without the object."""
        return self._replace(
            reads=self.reads | self.reads_of.names,
            writes=self.writes | self.writes_of.names,
            reads_of=NO_OBJECTS,
            writes_of=NO_OBJECTS,
        )

    def after(self, other: Effects) -> Effects:
        """The effects of the same step after an independent one."""
        if not self.left or not other.left:
            return self
        # The last task to end wakes the one that waits for all, so that step does not only count.
        return self._replace(left=self.left - 1) if self.left > 1 else ANYTHING


def _is_apart(writer: Effects, other: Effects) -> bool:
    """Whether a step changes nothing by object that another one uses, and nothing by name that
    another one uses by object.
    """
    changed = writer.writes_of
    return (
        changed.accesses.isdisjoint(other.reads_of.accesses)
        and changed.names.isdisjoint(other.reads)
        and changed.names.isdisjoint(other.writes)
        and writer.writes.isdisjoint(other.reads_of.names)
    )


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


def without_objects(sleep: SleepSet) -> SleepSet:
    """A sleep set without objects."""
    return {key: effects.by_name() for key, effects in sleep.items()}
