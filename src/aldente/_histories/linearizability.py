"""Looks for an order of the operations of a history in which a model gives the same results.

Wing and Gong's search with Lowe's two additions: an operation takes its place only when the end of
one makes that necessary ("just in time"), and what has been tried is not tried again.
Jeannette Wing, Chun Gong: Testing and Verifying Concurrent Objects, 1993. Gavin Lowe: Testing for
Linearizability, 2017.

A model is a `Machine` to the search: it has states, compared by value, and each operation leads
from one to another.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aldente._histories.operations import (
    NOT_GIVEN,
    Operation,
    by_value,
    frozen,
    objects_in,
    snapshot,
)
from aldente.errors import InvalidSetting


class Move(NamedTuple):
    """What an operation does in a state.

    Attributes:
        result: what it returns there.
        state: the number of the state after it.
    """

    result: Any
    state: int


class Machine:
    """The states of a model that are met, by number, and the moves between them.

    A state is a copy of the model. Each move is made once, as the search meets it again and again.

    Args:
        model: the model before the first operation; it is not changed.
        operations: the operations that it will be asked to do.

    Raises:
        InvalidSetting: the model has no method for one of them, or can't be copied.

    Attributes:
        steps: how many moves it has been asked for.
    """

    def __init__(self, model: object, operations: Iterable[Operation]) -> None:
        self.steps = 0
        self._states: list[Any] = []
        self._numbers: dict[Hashable, int] = {}
        self._moves: dict[tuple[int, Hashable], Move | None] = {}
        self._calls: dict[int, Hashable] = {}
        # Objects of the history stay themselves in the copies of the model.
        self._kept: dict[int, Any] = {}
        self._read_only = frozenset(getattr(model, "read_only", ()))
        operations = list(operations)
        for operation in operations:
            _check_method(model, operation)
            values = [operation.arguments, operation.keywords]
            self._kept.update((id(thing), thing) for thing in objects_in(values))
        for operation in operations:
            call = (operation.name, operation.arguments, operation.keywords)
            self._calls[operation.began] = frozen(call, self._is_kept)
        self.start = self._number(self._copy(model))

    def state(self, number: int) -> Any:
        """The model in a state; it must not be changed."""
        return self._states[number]

    def move(self, state: int, operation: Operation) -> Move | None:
        """What an operation does in a state; None if it can't happen there."""
        self.steps += 1
        key = (state, self._calls[operation.began])
        if key not in self._moves:
            self._moves[key] = self._make(state, operation)
        return self._moves[key]

    def only_reads(self, operation: Operation) -> bool:
        """Whether the model says that an operation changes nothing in any state."""
        return operation.name in self._read_only

    def explains(self, state: int, operation: Operation) -> int | None:
        """The state after an operation, if in this one it does what has been recorded of it."""
        move = self.move(state, operation)
        if move is None:
            return None
        is_compared = operation.outcome == "returned" and operation.result is not NOT_GIVEN
        return move.state if not is_compared or move.result == operation.result else None

    def _copy(self, model: Any) -> Any:
        try:
            return copy.deepcopy(model, dict(self._kept))
        except Exception as error:
            allowed = f"Its state can't be copied: {type(error).__name__}: {error}."
            raise InvalidSetting("model", model, allowed) from error

    def _is_kept(self, thing: Any) -> bool:
        return id(thing) in self._kept

    def _number(self, model: Any) -> int:
        key = frozen(model, self._is_kept)
        number = self._numbers.setdefault(key, len(self._states))
        if number == len(self._states):
            self._states.append(model)
        return number

    def _make(self, state: int, operation: Operation) -> Move | None:
        model = self._copy(self._states[state])
        method = getattr(model, operation.name)
        try:
            result = method(*snapshot(operation.arguments), **snapshot(operation.keywords))
        except AssertionError:
            return None
        except Exception as error:
            error.add_note(
                f"The model raised it when {operation.call} was tried on "
                f"{described(self._states[state])}; a method of a model raises AssertionError "
                "where the operation can't happen, and nothing else."
            )
            raise
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            allowed = f"Its method {operation.name} is async; the methods of a model must not be."
            raise InvalidSetting("model", model, allowed)
        after = self._number(model)
        if after != state and self.only_reads(operation):
            allowed = f"{operation.name!r} is in its read_only, but {operation.call} changes it."
            raise InvalidSetting("model", model, allowed)
        return Move(snapshot(result), after)


def _check_method(model: object, operation: Operation) -> None:
    name = operation.name
    if not name.startswith("_") and callable(getattr(model, name, None)):
        return
    there = [
        name
        for name, value in inspect.getmembers(type(model))
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    allowed = f"It has no method for the operation {name!r}; it has {', '.join(there) or 'none'}."
    raise InvalidSetting("model", model, allowed)


def parts_by_key(
    model: object, operations: Sequence[Operation]
) -> list[tuple[str, list[Operation]]]:
    """The operations of each key, with the key in words, if each concerns just one.

    Otherwise it is one part, without words.

    >>> from aldente._histories.operations import Recorder
    >>> from aldente._histories.models import KeyValue
    >>> get = Operation(Recorder(), "get", ("a",), {})
    >>> parts_by_key(KeyValue(), [get])
    [("'a'", [get('a') ?])]
    """
    names = getattr(model, "per_key", ())
    if not all(operation.name in names and operation.arguments for operation in operations):
        return [("", list(operations))]
    parts: dict[Hashable, list[Operation]] = {}
    for operation in operations:
        try:
            key = by_value(operation.arguments[0])
        except TypeError:
            return [("", list(operations))]
        parts.setdefault(key, []).append(operation)
    return [(repr(part[0].arguments[0]), part) for part in parts.values()]


def described(model: object) -> str:
    """A state of a model in words: its ``repr()``, or its attributes.

    >>> class Model:
    ...     def __init__(self):
    ...         self.value = 1
    >>> described(Model())
    'Model(value=1)'
    """
    if type(model).__repr__ is not object.__repr__:
        return repr(model)
    attributes = ", ".join(f"{name}={value!r}" for name, value in vars(model).items())
    return f"{type(model).__name__}({attributes})"


class OperationEvent(NamedTuple):
    """The beginning or the end of an operation.

    Attributes:
        operation: the operation.
        is_end: whether it is its end.
        bit: a bit for the operation, different from those of all that are pending meanwhile.
        pending: the operations that have begun and not ended before it, with their bits; those that
            return before those of unknown outcome.
        unknown: the bits of the latter.
    """

    operation: Operation
    is_end: bool
    bit: int
    pending: tuple[tuple[int, Operation], ...]
    unknown: int


class Configuration(NamedTuple):
    """Where a search is after some events.

    Attributes:
        placed: the bits of the pending operations that have had their effect.
        state: the number of the model's state.
    """

    placed: int
    state: int


class OutOfSteps(Exception):
    """The search was given up."""


def events_of(operations: Sequence[Operation]) -> list[OperationEvent]:
    """The events of some operations in order; operations of unknown outcome have no end."""
    moments = [(operation.began, False, operation) for operation in operations]
    moments += [
        (operation.ended, True, operation)
        for operation in operations
        if operation.outcome == "returned"
    ]
    moments.sort(key=lambda moment: moment[0])
    events: list[OperationEvent] = []
    pending: dict[int, Operation] = {}
    bits: dict[int, int] = {}
    for _, is_end, operation in moments:
        if not is_end:
            bit = 1
            while bit in pending:
                bit <<= 1
            bits[operation.began] = bit
        bit = bits[operation.began]
        waiting = sorted(pending.items(), key=_last_if_unknown)
        unknown = sum(bit for bit, other in waiting if other.outcome == "unknown")
        events.append(OperationEvent(operation, is_end, bit, tuple(waiting), unknown))
        if is_end:
            del pending[bit]
        else:
            pending[bit] = operation
    return events


def _last_if_unknown(entry: tuple[int, Operation]) -> tuple[bool, int]:
    return entry[1].outcome == "unknown", entry[1].began


def is_linearizable(machine: Machine, operations: Sequence[Operation], most: int) -> bool:
    """Whether some order explains the operations.

    Args:
        machine: the model.
        operations: the operations.
        most: the limit of the machine's steps.

    Raises:
        OutOfSteps: the limit was reached before the answer was known.
    """
    events = events_of(operations)
    tried: dict[int, _Frontier] = {}
    waiting = [(0, Configuration(0, machine.start))]
    while waiting:
        number, here = _passed(events, *waiting.pop())
        if number == len(events):
            return True
        here = _settled(machine, events[number], here)
        if not tried.setdefault(number, _Frontier(events[number].unknown)).add(here):
            continue
        if here.placed & events[number].bit:
            waiting.append((number, here))
            continue
        following = list(_placements(machine, events[number], here, most))
        waiting += [(number, after) for after in reversed(following)]
    return False


class _Frontier:
    """Configurations, without those from which nothing more can happen than from another one.

    An operation of unknown outcome need not have its effect, so one in which fewer of them have had
    it, and which is else the same, can do all that the other can.

    Args:
        unknown: the bits of the operations of unknown outcome.
    """

    def __init__(self, unknown: int) -> None:
        self._unknown = unknown
        self._least: dict[Configuration, list[int]] = {}

    def add(self, one: Configuration) -> bool:
        """Add a configuration; return whether none that is there can do as much."""
        known = one._replace(placed=one.placed & ~self._unknown)
        placed = one.placed & self._unknown
        there = self._least.setdefault(known, [])
        if any(other & placed == other for other in there):
            return False
        there[:] = [other for other in there if other & placed != placed]
        there.append(placed)
        return True

    def __iter__(self) -> Iterator[Configuration]:
        for known, there in self._least.items():
            for placed in there:
                yield known._replace(placed=known.placed | placed)


def _passed(
    events: Sequence[OperationEvent], number: int, here: Configuration
) -> tuple[int, Configuration]:
    """Go on to the next end of an operation that has not had its effect."""
    while number < len(events):
        event = events[number]
        if event.is_end:
            if not here.placed & event.bit:
                break
            here = here._replace(placed=here.placed & ~event.bit)
        number += 1
    return number, here


def _settled(machine: Machine, event: OperationEvent, here: Configuration) -> Configuration:
    """Let all pending operations take their place that change nothing in any state and fit here.

    Whatever can happen later can happen without them too.
    """
    placed = here.placed
    for bit, operation in event.pending:
        if placed & bit or operation.outcome == "unknown" or not machine.only_reads(operation):
            continue
        if machine.explains(here.state, operation) == here.state:
            placed |= bit
    return Configuration(placed, here.state)


def _placements(
    machine: Machine, event: OperationEvent, here: Configuration, most: int
) -> Iterator[Configuration]:
    """Let one more of the pending operations have its effect: first the one that ends."""
    pending = sorted(event.pending, key=lambda entry: entry[0] != event.bit)
    for bit, operation in pending:
        if here.placed & bit:
            continue
        if machine.steps >= most:
            raise OutOfSteps
        state = machine.explains(here.state, operation)
        if state is not None:
            yield Configuration(here.placed | bit, state)


class NoOrder(NamedTuple):
    """Where all orders fail.

    Attributes:
        event: the end that no order reaches.
        reached: all configurations in which the operation that ends might have its effect.
        cut: the number of events after which just one configuration is possible: what comes before
            can't be the reason.
        start: that configuration.
        changing: operations that have changed the state somewhere, by their first numbers.
    """

    event: int
    reached: frozenset[Configuration]
    cut: int
    start: Configuration
    changing: frozenset[int]


def find_failure(
    machine: Machine,
    events: Sequence[OperationEvent],
    most: int,
    start: Configuration | None = None,
) -> NoOrder | None:
    """Follow all orders at once up to the first end that none of them reaches.

    Args:
        machine: the model.
        events: the events.
        most: the limit of the machine's steps.
        start: where to start from; None for the machine's start.

    Raises:
        OutOfSteps: the limit was reached before.
    """
    here = {start or Configuration(0, machine.start)}
    cut, first = 0, next(iter(here))
    changing: set[int] = set()
    for number, event in enumerate(events):
        if not event.is_end:
            continue
        reached = _closure(machine, event, here, most, changing)
        after = _Frontier(event.unknown)
        for one in sorted(reached, key=lambda one: one.placed.bit_count()):
            if one.placed & event.bit:
                after.add(one._replace(placed=one.placed & ~event.bit))
        here = set(after)
        if not here:
            return NoOrder(number, frozenset(reached), cut, first, frozenset(changing))
        if len(here) == 1:
            cut, first = number + 1, next(iter(here))
    return None


def _closure(
    machine: Machine, event: OperationEvent, here: set[Configuration], most: int, changing: set[int]
) -> set[Configuration]:
    """What can be reached before an end; what has placed the operation that ends stays as it is."""
    reached = {_settled(machine, event, one) for one in here}
    waiting = [one for one in reached if not one.placed & event.bit]
    while waiting:
        one = waiting.pop()
        for after in _placements(machine, event, one, most):
            if after.state != one.state:
                placed = after.placed ^ one.placed
                changing.update(op.began for bit, op in event.pending if bit == placed)
            after = _settled(machine, event, after)
            if after not in reached:
                reached.add(after)
                if not after.placed & event.bit:
                    waiting.append(after)
    return reached
