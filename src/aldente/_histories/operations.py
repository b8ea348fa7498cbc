"""What a history records: operations and transactions, with their moments and outcomes.

Their values are taken as they are at that moment; here they are also compared and shown.
"""

from __future__ import annotations

import asyncio
import collections
import copy
import threading
from collections.abc import Callable, Hashable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType, TracebackType
from typing import Any, Final, Literal, NamedTuple, TypeVar

# Types whose instances never change and are equal by value.
_PLAIN = frozenset(
    {type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented)}
)
_NUMBERS = frozenset({bool, int, float, complex})
# Objects that a copy shares.
_WHOLE = (type, FunctionType, BuiltinFunctionType, ModuleType)


def snapshot(value: Any) -> Any:
    """A value as it is now: lists, dicts, sets, deques and tuples are copied, all the way down.

    Any other object is kept as it is, so that it stays equal to itself.

    >>> inner = [1]
    >>> kept = snapshot({"a": inner})
    >>> inner.append(2)
    >>> kept
    {'a': [1]}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in (list, tuple):
        return kind(map(snapshot, value))
    if kind is dict:
        return {key: snapshot(item) for key, item in value.items()}
    if kind in (set, bytearray) or isinstance(value, (list, dict, set, collections.deque)):
        return copy.copy(value)
    return value


def objects_in(value: Any) -> Iterator[Any]:
    """The objects in a value that `snapshot` keeps as they are, except plain ones.

    >>> error = ValueError()
    >>> list(objects_in([1, {"a": error}])) == [error]
    True
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from objects_in(key)
            yield from objects_in(item)
    elif isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        for item in value:
            yield from objects_in(item)
    elif type(value) not in _PLAIN:
        yield value


def frozen(
    value: Any, is_kept: Callable[[Any], bool] = lambda value: True, path: tuple[int, ...] = ()
) -> Hashable:
    """Something hashable that is equal for values which no program can distinguish.

    Values that are equal may have different ones: the order of a dict counts, and the type.

    Args:
        value: the value.
        is_kept: whether an object stands for itself, and is not to be looked into.
        path: the identities of the objects around it.

    >>> frozen([1, {"a": 2}]) == frozen([1, {"a": 2}])
    True
    >>> frozen([True]) == frozen([1])
    False
    """
    kind = type(value)
    if kind in _NUMBERS:
        return kind, value
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return]
    if id(value) in path:
        return "the object", path.index(id(value))
    inside = (*path, id(value))
    attributes: Hashable = ()
    if getattr(value, "__dict__", None) and isinstance(value, _CONTAINERS):
        attributes = frozen(vars(value), is_kept, inside)
    if isinstance(value, (list, tuple, collections.deque)):
        return kind, tuple(frozen(item, is_kept, inside) for item in value), attributes
    if isinstance(value, dict):
        items = [
            (frozen(key, is_kept, inside), frozen(item, is_kept, inside))
            for key, item in value.items()
        ]
        return kind, tuple(items), attributes
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(frozen(item, is_kept, inside) for item in value), attributes
    if isinstance(value, bytearray):
        return kind, bytes(value)
    return _frozen_object(value, is_kept, inside)


_CONTAINERS = (list, tuple, collections.deque, dict, set, frozenset)


class _Itself:
    """An object that is equal to nothing but itself, hashable or not."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __hash__(self) -> int:
        return id(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self._value is other._value


def _frozen_object(value: Any, is_kept: Callable[[Any], bool], path: tuple[int, ...]) -> Hashable:
    kind: Any = type(value)
    if kind.__hash__ not in (object.__hash__, None):
        try:
            hash(value)
        except TypeError:
            pass
        else:
            return value  # type: ignore[no-any-return]
    if isinstance(value, _WHOLE) or (is_kept(value) and kind.__eq__ is object.__eq__):
        return _Itself(value)
    try:
        # What copy.deepcopy() makes a copy of; a string is the name of something that it shares.
        parts = value.__reduce_ex__(4)
    except Exception:
        return _Itself(value)
    if isinstance(parts, str):
        return _Itself(value)
    # The last ones may be iterators.
    some = [part if place < 3 or part is None else list(part) for place, part in enumerate(parts)]
    return kind, frozen(some, is_kept, path)


def by_value(value: Any) -> Hashable:
    """Something hashable that is equal for equal values; lists and tuples may be equal.

    Raises:
        TypeError: there is something in it that can't be hashed, other than lists, dicts and sets.

    >>> by_value([1]) == by_value([1.0]), by_value({"a": 1, "b": []}) == by_value({"b": [], "a": 1})
    (True, True)
    """
    if isinstance(value, (list, tuple)):
        return list, tuple(map(by_value, value))
    if isinstance(value, dict):
        return dict, frozenset((key, by_value(item)) for key, item in value.items())
    if isinstance(value, set):
        return frozenset(value)
    hash(value)
    return value  # type: ignore[no-any-return]


def shown(value: Any, most: int = 40) -> str:
    """The text of a value in a line, cut to a length.

    >>> shown(list(range(100)), 10)
    '[0, 1, ...'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


T = TypeVar("T")

# What is known of an operation: it has not ended, or was cut short by an exception, so it may have
# had its effect or not; it has returned; it has had no effect.
Outcome = Literal["unknown", "returned", "failed"]


class _NotGiven:
    """The result of an operation for which the test has recorded no return value."""

    def __repr__(self) -> str:
        return "(not recorded)"


NOT_GIVEN: Final = _NotGiven()


class Recorder:
    """Numbers the beginnings and ends of a history in the order in which they come.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._recorded: list[Recorded] = []

    def begin(self, recorded: Recorded) -> int:
        """Add something that begins now; return the number of its beginning."""
        with self._lock:
            self._recorded.append(recorded)
            self._count += 1
            return self._count

    def end(self) -> int:
        """The number of an end that comes now."""
        with self._lock:
            self._count += 1
            return self._count

    def all(self) -> list[Recorded]:
        """What has been recorded so far, in the order of the beginnings."""
        with self._lock:
            return list(self._recorded)


class Recorded:
    """Something with a beginning, an end and an outcome; a context manager.

    Args:
        recorder: numbers its beginning and its end.

    Attributes:
        who: the name of the task, or of the thread, that did it.
        outcome: ``"returned"``, ``"failed"``, or ``"unknown"`` while it has not ended, or if an
            exception left its block.
        began, ended: the numbers of its beginning and its end among those of its history; 0 if
            there was none.
        began_at, ended_at: the loop times of these; None outside of an event loop.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.who = ""
        self.outcome: Outcome = "unknown"
        self.began = 0
        self.ended = 0
        self.began_at: float | None = None
        self.ended_at: float | None = None
        self._recorder = recorder
        self._has_failed = False

    def failed(self) -> None:
        """Say that it has had no effect and never will, as when it was refused."""
        self._has_failed = True

    def _enter(self) -> None:
        if self.began:
            raise RuntimeError(
                f"{self} has already begun; record each one with a 'with' of its own"
            )
        self.who, self.began_at = _who_and_when()
        self.began = self._recorder.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _, self.ended_at = _who_and_when()
        if self._has_failed:
            self.outcome = "failed"
        elif kind is None:
            self.outcome = "returned"
        self.ended = self._recorder.end()


def _who_and_when() -> tuple[str, float | None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread().name, None
    task = asyncio.current_task(loop)
    return "a callback" if task is None else task.get_name(), loop.time()


class Operation(Recorded):
    """An operation of a history, as `History.operation` makes it; the block is its span.

    It is recorded when the block is entered. If the block ends, the operation has returned; if an
    exception leaves the block, a cancellation included, it is of unknown outcome: it may have had
    its effect, or not.

    Attributes:
        name: its name.
        arguments: its positional arguments.
        keywords: its keyword arguments.
        result: what it returned, if the test has recorded it.

    >>> from aldente import history
    >>> with history().operation("get", "a") as operation:
    ...     operation.returns(1)
    1
    >>> operation, operation.who, operation.outcome
    (get('a') = 1, 'MainThread', 'returned')
    """

    def __init__(
        self, recorder: Recorder, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        super().__init__(recorder)
        self.name = name
        self.arguments: tuple[Any, ...] = snapshot(arguments)
        self.keywords: dict[str, Any] = snapshot(keywords)
        self.result: Any = NOT_GIVEN

    def __enter__(self) -> Operation:
        self._enter()
        return self

    def returns(self, value: T) -> T:
        """Say what it returned, and return that.

        A result that is not recorded is not compared with the model's.
        """
        self.result = snapshot(value)
        return value

    @property
    def call(self) -> str:
        """Its name and arguments, as a call."""
        arguments = [shown(value) for value in self.arguments]
        arguments += [f"{key}={shown(value)}" for key, value in self.keywords.items()]
        return f"{self.name}({', '.join(arguments)})"

    def __repr__(self) -> str:
        if self.outcome == "unknown":
            return f"{self.call} ?"
        if self.outcome == "failed":
            return f"{self.call} failed"
        return self.call if self.result is NOT_GIVEN else f"{self.call} = {shown(self.result)}"


class Access(NamedTuple):
    """One access of a transaction.

    Attributes:
        kind: what it did.
        key: the key.
        value: what it has read, written or appended.
    """

    kind: Literal["reads", "writes", "appends"]
    key: Any
    value: Any

    def __str__(self) -> str:
        if self.kind == "appends":
            return f"appends {shown(self.value)} to {shown(self.key)}"
        return f"{self.kind} {shown(self.key)} = {shown(self.value)}"


class Transaction(Recorded):
    """A transaction of a history, as `History.transaction` makes it.

    If the block ends, it has been committed; if an exception leaves the block, it is of unknown
    outcome, or aborted if `failed` was called.

    Attributes:
        name: its name; may be empty.
        accesses: what it did, in order: each with its ``kind``, ``key`` and ``value``.

    >>> from aldente import history
    >>> with history().transaction() as transaction:
    ...     balance = transaction.reads("Ann", 100)
    ...     transaction.writes("Ann", balance - 10)
    >>> transaction
    reads 'Ann' = 100, writes 'Ann' = 90
    """

    def __init__(self, recorder: Recorder, name: str) -> None:
        super().__init__(recorder)
        self.name = name
        self.accesses: list[Access] = []

    def __enter__(self) -> Transaction:
        self._enter()
        return self

    def reads(self, key: Any, value: T) -> T:
        """Record what it has read at a key, and return that; a list if the key is appended to."""
        self.accesses.append(Access("reads", key, snapshot(value)))
        return value

    def writes(self, key: Any, value: Any) -> None:
        """Record a value that it writes at a key, different from all others written there."""
        self.accesses.append(Access("writes", key, snapshot(value)))

    def appends(self, key: Any, value: Any) -> None:
        """Record a value that it appends to the list at a key, different from all others there."""
        self.accesses.append(Access("appends", key, snapshot(value)))

    def __repr__(self) -> str:
        return ", ".join(map(str, self.accesses)) or "nothing"
