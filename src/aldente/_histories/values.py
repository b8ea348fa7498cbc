"""Values of histories: taken as they are at a moment, compared, and shown."""

from __future__ import annotations

import collections
import copy
from collections.abc import Callable, Hashable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

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
    """Something hashable that is equal for values which no program can tell apart.

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
