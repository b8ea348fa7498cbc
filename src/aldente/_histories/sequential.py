"""A model as a machine: its states, compared by value, and what each operation does in each."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from aldente._histories.operations import UNSAID, Operation
from aldente._histories.values import by_value, frozen, objects_in, snapshot
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
        is_compared = operation.outcome == "returned" and operation.result is not UNSAID
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
                f"It was raised by the model, when {operation.call} was tried on "
                f"{described(self._states[state])}; a method of a model raises AssertionError "
                "where the operation can't happen, and nothing else."
            )
            raise
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            allowed = f"Its method {operation.name} is async; the methods of a model are not."
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
