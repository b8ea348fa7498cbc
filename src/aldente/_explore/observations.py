"""What operations of a run have given, to compare runs by value."""

from __future__ import annotations

import collections
import enum
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

from aldente._simulation.operations import Ended, Operations

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Observation(NamedTuple):
    """What the operations of a run have given.

    Attributes:
        things: the classes of what they are operations of, in words.
        results: the result of each, by its caller and name, in words that follow from its value.
        state: the state at the end.
        operations: the operations, in the order in which they have begun.
        shown_state: the state as the report shows it.
        is_ordered: whether operations that did not overlap must keep their order.
        is_plain: whether the program does nothing else than to call them.
    """

    things: str
    results: Hashable
    state: Hashable
    operations: tuple[Ended, ...]
    shown_state: str
    is_ordered: bool
    is_plain: bool

    @property
    def key(self) -> Hashable:
        """Equal for runs that have given the same."""
        return self.results, self.state

    def keeps_order_of(self, other: Observation) -> bool:
        """Whether operations that did not overlap in another run are in the same order in this."""
        places = {_identity(each): number for number, each in enumerate(self.operations)}
        known = [each for each in other.operations if each.call.who is not None]
        return all(
            places[_identity(first)] < places[_identity(second)]
            for first in known
            for second in known
            if first.ended < second.began
        )


def observed(operations: Operations) -> Observation | None:
    """What the operations of a run that has ended have given; None if some have not ended."""
    if not operations.are_over:
        return None
    ended = sorted(operations.ended, key=lambda each: each.began)
    counts = collections.Counter((_identity(each), _outcome(each)) for each in ended)
    results = frozenset(counts.items())
    states = [state() for state in operations.states]
    shown = ", ".join(_shown(state) for state in states)
    state = tuple(value_of(each) for each in states)
    things = " and ".join(dict.fromkeys(type(each).__qualname__ for each in operations.things))
    return Observation(
        things, results, state, tuple(ended), shown, operations.is_ordered, operations.is_plain
    )


def _identity(each: Ended) -> Hashable:
    call = each.call
    arguments = value_of(call.arguments), value_of(call.keywords)
    return call.who, call.place, call.name, arguments


def _outcome(each: Ended) -> Hashable:
    if each.error is None:
        return "returned", value_of(each.result)
    return "raised", type(each.error).__qualname__, value_of(each.error.args)


def value_of(value: Any, path: tuple[int, ...] = ()) -> Hashable:
    """Something hashable that is equal for equal values.

    Objects are equal if their types and attributes are. What is no value, such as a lock or a task,
    is equal to all of its type.

    >>> value_of({"a": [1], "b": 2}) == value_of({"b": 2, "a": [1]})
    True
    >>> value_of([1]) == value_of((1,))
    False
    """
    kind = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return]
    if id(value) in path:
        return "the object", path.index(id(value))
    inside = (*path, id(value))
    if isinstance(value, enum.Enum):
        return kind.__qualname__, value.name
    if isinstance(value, list | tuple | collections.deque):
        return kind.__qualname__, tuple(value_of(each, inside) for each in value)
    if isinstance(value, dict):
        return kind.__qualname__, _unordered(value.items(), inside)
    if isinstance(value, set | frozenset):
        return kind.__qualname__, _unordered(value, inside)
    attributes = getattr(value, "__dict__", None)
    if attributes and kind.__module__.partition(".")[0] not in ("asyncio", "_asyncio"):
        return kind.__qualname__, _unordered(attributes.items(), inside)
    compares: object = kind.__eq__
    if compares is object.__eq__:
        return (kind.__qualname__,)
    try:
        hash(value)
    except TypeError:
        return (kind.__qualname__,)
    return value  # type: ignore[no-any-return]


def is_value(value: Any) -> bool:
    """Whether something is compared by its value, and not only by its type.

    >>> is_value([1]), is_value(object())
    (True, False)
    """
    return value_of(value) != (type(value).__qualname__,)


def _unordered(values: Iterable[Any], path: tuple[int, ...]) -> Hashable:
    counts = collections.Counter(value_of(each, path) for each in values)
    return frozenset(counts.items())


def _shown(state: Any) -> str:
    if type(state) is dict:
        state = {name: value for name, value in state.items() if is_value(value)}
    text = repr(state)
    return text if len(text) <= 200 else f"{text[:197]}..."
