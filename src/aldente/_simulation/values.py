"""`value_of`: the form in which values of two runs are compared."""

from __future__ import annotations

import collections
import enum
import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

_PLAIN = (type(None), bool, int, complex, str, bytes)

# The modules whose objects show all that they are by `repr`. By name, as they take long to import.
_SHOWN_BY_REPR = frozenset(
    (
        "datetime",
        "_datetime",
        "_pydatetime",
        "decimal",
        "_decimal",
        "_pydecimal",
        "fractions",
        "ipaddress",
        "pathlib",
        "pathlib._local",
        "re",
        "uuid",
        "zoneinfo",
    )
)

# The modules of Python whose objects are no values.
_NO_VALUES = frozenset(
    (
        "asyncio",
        "_asyncio",
        "builtins",
        "concurrent",
        "contextvars",
        "functools",
        "itertools",
        "logging",
        "operator",
        "random",
        "threading",
        "_thread",
        "types",
        "weakref",
        "aldente",
    )
)

# Of how many parts a value may consist.
_MOST_PARTS = 10_000


class TooLarge(Exception):
    """A value consists of too many parts to compare them all."""


# What stands for a value of too many parts.
UNKNOWN = "unknown"

# The types of numbers that may be moments or durations, and of other moments and durations.
_OF_TIME = frozenset(("float", "datetime", "date", "time", "timedelta"))


def value_of(value: Any) -> Hashable:
    """Something hashable that is equal for equal values.

    Objects are equal if their types and attributes are. An object that is not a value, such as a
    lock or a task, is equal to all others of its type.

    Raises:
        TooLarge: it has more than 10,000 parts.

    >>> value_of({"a": [1], "b": 2}) == value_of({"b": 2, "a": [1]})
    True
    >>> value_of([1]) == value_of((1,))
    False
    """
    return _Reader().read(value, ())


def without_times(value: Hashable) -> Hashable:
    """What `value_of` gives, without what depends on when it was made.

    >>> without_times(value_of(("a", 1.5))) == without_times(value_of(("a", 2.5)))
    True
    """
    if isinstance(value, tuple):
        if len(value) == 2 and value[0] in _OF_TIME:
            return value[:1]
        return tuple(without_times(each) for each in value)
    if isinstance(value, frozenset):
        return frozenset(without_times(each) for each in value)
    return value


class _Reader:
    """Reads one value."""

    def __init__(self) -> None:
        self._parts = 0

    def read(self, value: Any, path: tuple[int, ...]) -> Hashable:
        """Something hashable that is equal for equal values.

        Args:
            value: the value.
            path: the identities of what it is in.
        """
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise TooLarge
        kind = type(value)
        if kind in _PLAIN:
            return kind.__name__, value
        if kind is float:
            # No NaN is equal to another.
            return "float", "nan" if math.isnan(value) else value
        if id(value) in path:
            return "the object", path.index(id(value))
        name = kind.__qualname__
        if isinstance(value, enum.Enum):
            return name, value.name
        if any(base.__module__ in _SHOWN_BY_REPR for base in kind.__mro__):
            return name, repr(value)
        inside = (*path, id(value))
        attributes = self._unordered(_attributes(value).items(), inside)
        return name, self._contents(value, inside), attributes

    def _contents(self, value: Any, path: tuple[int, ...]) -> Hashable:
        """What is in a collection, and what an object of a subclass of a plain type is."""
        if isinstance(value, list | tuple | collections.deque):
            return tuple(self.read(each, path) for each in value)
        if isinstance(value, collections.OrderedDict):
            return tuple(self.read(each, path) for each in value.items())
        # A mapping of another kind may do anything when it is read.
        if isinstance(value, dict | collections.UserDict):
            return self._unordered(value.items(), path)
        if isinstance(value, set | frozenset):
            return self._unordered(value, path)
        if isinstance(value, BaseException):
            return self.read(value.args, path)
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        plain: Any
        for plain in (int, float, complex, str, bytes):
            if isinstance(value, plain):
                return self.read(plain(value), path)
        return None

    def _unordered(self, values: Iterable[Any], path: tuple[int, ...]) -> Hashable:
        counts = collections.Counter(self.read(each, path) for each in values)
        return frozenset(counts.items())


def _attributes(value: Any) -> Mapping[str, Any]:
    """The attributes of an object; none if it belongs to Python itself, such as a lock."""
    kind = type(value)
    if kind.__module__.partition(".")[0] in _NO_VALUES or isinstance(value, type):
        return {}
    return attributes_of(value)


def attributes_of(value: Any) -> dict[str, Any]:
    """The attributes that an object has for itself, in a dict or in slots."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in [slots] if isinstance(slots, str) else slots:
            name = slot
            if slot.startswith("__") and not slot.endswith("__"):
                name = f"_{kind.__name__.lstrip('_')}{slot}"
            if slot not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def is_value(value: Any) -> bool:
    """Whether something is compared by its value, and not only by its type.

    >>> is_value([1]), is_value(object())
    (True, False)
    """
    return value_of(value) != (type(value).__qualname__, None, frozenset())
