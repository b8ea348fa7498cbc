"""`Resolver`: finds out of which objects a line uses attributes and elements, when it begins.

An attribute belongs to its instance, by number. The elements of a list, dict, set or deque belong
to the attribute that holds it, if that is the only reference to it: no code can then reach it
without reading that attribute, and code that puts it elsewhere changes that attribute or leaves
two references. So each container has one owner at most, in all steps. The state of a future belongs
to the number of the future. Everything else is by name.
"""

from __future__ import annotations

import collections
import gc
import inspect
import sys
import types
from collections.abc import Iterable, Mapping
from sys import getrefcount
from typing import Any

from aldente._python_compat import identity_of
from aldente._simulation.determinism import SimulatedFuture
from aldente._strategies.effects import FUTURES, ITEMS, ITERATORS, ByObject
from aldente._strategies.instances import UNKNOWN, Instances
from aldente._strategies.plans import HARMLESS, Accesses, LinePlan, OperandKind, Question
from aldente._strategies.symbols import SCALARS, Origin, Symbol

_CONTAINERS = frozenset({list, dict, set, collections.deque})
# What has elements that never change.
_FIXED = SCALARS | {tuple, range}

# The iterators of containers, and of what never changes.
_ITERABLES: tuple[Iterable[object], ...] = (
    *([], {}, set[object](), collections.deque[object]()),
    *((), "", b"", range(0)),
)
_ITERATORS = frozenset(type(iter(each)) for each in _ITERABLES)

Variables = Mapping[str, Any]


class FoundObjects:
    """What was found, by name and by object."""

    __slots__ = ("is_wild", "reads", "reads_of", "writes", "writes_of")

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.is_wild = False
        self.reads_of: set[ByObject] = set()
        self.writes_of: set[ByObject] = set()

    def add(self, accesses: Accesses) -> None:
        """Add accesses by name."""
        self.reads |= accesses.reads
        self.writes |= accesses.writes
        self.is_wild = self.is_wild or accesses.is_wild

    def merge(self, other: FoundObjects) -> None:
        """Add what was found later."""
        self.reads |= other.reads
        self.writes |= other.writes
        self.is_wild = self.is_wild or other.is_wild
        self.reads_of |= other.reads_of
        self.writes_of |= other.writes_of


class Resolver:
    """Follows the plans of lines.

    Args:
        instances: the numbers of the run's instances.

    Attributes:
        found: what was found in the current step, since the last line was disturbed.
    """

    def __init__(self, instances: Instances) -> None:
        self._instances = instances
        self.begin_step()

    def begin_step(self) -> None:
        """Forget what was found."""
        self.found = FoundObjects()
        self._instances.begin_step()
        # No other step knows what was made since then.
        self._newest = self._instances.made
        # The line that has begun last and must not be disturbed, with its frame's identity.
        self._open: LinePlan | None = None
        self._frame = 0
        # Lines in which other code may have run, each with what was found before that code.
        self._disturbed: list[tuple[LinePlan, FoundObjects]] = []
        # The iterators that one frame alone takes from, by its identity and theirs.
        self._drained: set[tuple[int, int]] = set()

    @property
    def has_open_line(self) -> bool:
        """Whether a line has begun that leans on what other code may change."""
        return self._open is not None

    def end_step(self) -> FoundObjects:
        """What the step has done, with what disturbed lines may have done."""
        found = self.found
        for plan, before in reversed(self._disturbed):
            changed = found.writes.union([name for name, _ in found.writes_of])
            if not plan.leans_on.isdisjoint(changed):
                found.add(plan.whole)
            found.merge(before)
        return found

    def enter(self, frame: int) -> None:
        """Note that a line begins in a frame: the one before has ended if it is the same one."""
        if frame != self._frame and self._open is not None:
            self._disturbed.append((self._open, self.found))
            self.found = FoundObjects()
        self._open = None

    def leave(self, frame: int) -> None:
        """Note that a frame returns, and so ends its line."""
        if frame == self._frame:
            self._open = None

    def follow(self, plan: LinePlan, variables: Variables, frame: int) -> None:
        """Find out what a line may do that begins.

        Args:
            plan: its plan.
            variables: the variables of its frame.
            frame: the identity of the frame.
        """
        found = self.found
        if plan.rest is not HARMLESS:
            found.add(plan.rest)
        for owner, reads, writes in plan.uses:
            number = self._instances.number_of(self.value_of(owner, variables))
            if not number:
                found.reads |= reads
                found.writes |= writes
            elif number <= self._newest:
                for name in reads:
                    found.reads_of.add((name, number))
                for name in writes:
                    found.writes_of.add((name, number))
        for question in plan.questions:
            if not self._answer(question, variables, frame):
                found.add(question.otherwise)
        if plan.leans_on:
            self._open, self._frame = plan, frame

    def note_container(
        self, symbol: Symbol, variables: Variables, container: object, *, is_write: bool
    ) -> bool:
        """Note the use of a container's elements; return False if its owner is unknown.

        Args:
            symbol: where it came from.
            variables: the variables of the frame.
            container: the container, of which the caller knows that it is not shared.
            is_write: whether its elements are changed.
        """
        if type(container) not in _CONTAINERS:
            return False
        if symbol.origin is Origin.LOCAL:
            return self._note_held(container, is_write=is_write)
        if symbol.origin is not Origin.ATTRIBUTE:
            return False
        (owner,) = symbol.of
        if owner is None:
            return False
        instance = self.value_of(owner, variables)
        if self._instances.value_of(instance, symbol.name) is not container:
            return False
        self._note_elements(self._instances.number_of(instance), symbol.name, is_write=is_write)
        return True

    def note_future(self, future: object, *, is_write: bool) -> bool:
        """Note the use of a future's state; return False if it is not a plain future of the run."""
        if type(future) is not SimulatedFuture:
            return False
        # Its number depends only on the task that made it, not on other tasks.
        key = (FUTURES, future.number)
        self.found.reads_of.add(key)
        if is_write:
            self.found.writes_of.add(key)
        return True

    def is_compared_by_itself(self, symbol: Symbol, variables: Variables) -> bool:
        """Whether comparing a value with others asks no container for its elements."""
        value = self.value_of(symbol, variables)
        is_known = type(value) in SCALARS or type(value) is SimulatedFuture
        return is_known or self._instances.number_of(value) > 0

    def _note_held(self, container: object, *, is_write: bool) -> bool:
        """Note the use of a container that was read from an attribute in this step."""
        pairs = set(self.found.reads_of).union(*(found.reads_of for _, found in self._disturbed))
        for name, number in pairs:
            instance = self._instances.instance_of(number) if type(number) is int else None
            if instance is not None and self._instances.value_of(instance, name) is container:
                self._note_elements(number, name, is_write=is_write)
                return True
        return False

    def _note_elements(self, number: Any, name: str, *, is_write: bool) -> None:
        if number <= self._newest:
            found, key = self.found, (number, name)
            found.reads_of |= {(name, number), (ITEMS, key)}
            if is_write:
                found.writes_of |= {(ITEMS, key), (ITERATORS, key)}

    def _drain(self, iterator: object, frame: int) -> bool:
        """Note that an iterator is taken from; return False if other code may have it."""
        if type(iterator) not in _ITERATORS:
            return False
        if (
            getrefcount(iterator) > _ALONE_IN_VARIABLE
            and (frame, identity_of(iterator)) not in self._drained
        ):
            return False
        self._drained.add((frame, identity_of(iterator)))
        referents = gc.get_referents(iterator)
        if not referents:
            # It has reached its end, or goes through a range.
            return True
        container = referents.pop()
        if referents or type(container) in _FIXED:
            return not referents
        # Besides its owner, the iterator has it.
        is_alone = type(container) in _CONTAINERS and getrefcount(container) <= _ALONE + 1
        return is_alone and self._note_held(container, is_write=False)

    def value_of(self, symbol: Symbol, variables: Variables) -> object:
        """What a symbol stands for, found without running any code; `UNKNOWN` if that fails."""
        if symbol.origin in (Origin.LOCAL, Origin.CELL):
            return variables.get(symbol.name, UNKNOWN)
        if symbol.origin is not Origin.ATTRIBUTE:
            return UNKNOWN
        (owner,) = symbol.of
        if owner is None:
            return UNKNOWN
        return self._instances.value_of(self.value_of(owner, variables), symbol.name)

    def _is_scalar(self, symbol: Symbol | None, variables: Variables) -> bool:
        if symbol is None:
            return False
        if symbol.origin in (Origin.SCALAR, Origin.CALL):
            # If the call returns anything else, that is noted when it does.
            return True
        if symbol.origin is Origin.RESULT:
            return all(self._is_scalar(each, variables) for each in symbol.of)
        return type(self.value_of(symbol, variables)) in SCALARS

    def _answer(self, question: Question, variables: Variables, frame: int) -> bool:
        """Note what an instruction does; return False if that is not known."""
        kind, operands, _ = question
        if kind is OperandKind.OPERATES:
            return all(self._is_scalar(each, variables) for each in operands)
        first, *others = operands
        if not all(self._is_scalar(each, variables) for each in others):
            return False
        if first.origin in (Origin.SCALAR, Origin.CALL, Origin.RESULT):
            return self._is_scalar(first, variables)
        value = self.value_of(first, variables)
        if kind is OperandKind.ENTERS or kind is OperandKind.ENTERS_ASYNC:
            return _is_python_manager(type(value), is_async=kind is OperandKind.ENTERS_ASYNC)
        if kind is OperandKind.AWAITS:
            return self.note_future(value, is_write=False)
        if kind is OperandKind.DRAINS:
            return self._drain(value, frame)
        if type(value) in _FIXED:
            return kind is OperandKind.READS
        is_variable = first.origin is Origin.LOCAL
        if getrefcount(value) > (_ALONE + _PER_VARIABLE if is_variable else _ALONE):
            return False
        return self.note_container(first, variables, value, is_write=kind is OperandKind.WRITES)


def _is_python_manager(kind: Any, *, is_async: bool) -> bool:
    """Whether the methods of a context manager are functions, whose lines are seen."""
    if kind.__class__ is not type:
        return False
    for name in ("__aenter__", "__aexit__") if is_async else ("__enter__", "__exit__"):
        method = inspect.getattr_static(kind, name, None)
        if type(method) is not types.FunctionType:
            return False
        if is_async and not method.__code__.co_flags & inspect.CO_COROUTINE:
            return False
    return True


def _count_of_held() -> int:
    """How many references `_answer` finds to a container that one dictionary holds."""
    holder = {"items": list[object]()}
    value = holder.get("items")
    return getrefcount(value)


_ALONE = _count_of_held()


def _count_in_variable() -> int:
    """How many references `_drain` finds to an iterator that one variable holds."""

    def count(iterator: object) -> int:
        return getrefcount(iterator)

    holder = {"iterator": iter(())}
    value = holder.get("iterator")
    return count(value)


# A variable is one reference, and its copy by `variables_of` another one.
_PER_VARIABLE = 1 if sys.version_info >= (3, 13) else 2
_ALONE_IN_VARIABLE = _count_in_variable() + _PER_VARIABLE - 1


if sys.version_info >= (3, 13):

    def variables_of(frame: types.FrameType) -> Variables:
        """The local variables of a function's frame."""
        return frame.f_locals

else:

    def variables_of(frame: types.FrameType) -> Variables:
        """The local variables of a function's frame, which it keeps alive no longer than before."""
        found = frame.f_locals
        copied = dict(found)
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED and getrefcount(found) <= _KEPT_BY_FRAME:
            found.clear()
        return copied


# The references to the dictionary that a frame makes, while nothing else has one.
_KEPT_BY_FRAME = 3
