"""Models of things that several tasks share: what each operation does when it is alone.

A model is a class with a method for each operation. A method returns what the operation returns,
and changes the attributes. An ``AssertionError`` of a method says that the operation can't happen
in this state, or would have to wait. Two attributes make judging faster: ``per_key`` names the
operations that concern only the key which is their first argument, so that a history of nothing
else is judged key by key; ``read_only`` names those that change nothing.

>>> import aldente
>>> history = aldente.history()
>>> with history.operation("write", 1):
...     pass
>>> with history.operation("read") as operation:
...     operation.returns(1)
1
>>> history.linearizable(aldente.models.Register())
True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from aldente._validation import parse_whole

__all__ = ["Counter", "KeyValue", "Lock", "Queue", "Register", "Set"]


def _wait_for(condition: bool) -> None:
    """Say that an operation can't happen unless a condition holds; under ``python -O`` too."""
    if not condition:
        raise AssertionError


class Register:
    """One value.

    Args:
        value: the value before the first operation.

    >>> register = Register()
    >>> register.write(1)
    >>> register.compare_and_set(1, 2), register.compare_and_set(1, 3), register.read()
    (True, False, 2)
    """

    read_only: ClassVar = frozenset({"read"})

    def __init__(self, value: Any = None) -> None:
        self._value = value

    def read(self) -> Any:
        """The value."""
        return self._value

    def write(self, value: Any) -> None:
        """Set the value."""
        self._value = value

    def compare_and_set(self, expected: Any, value: Any) -> bool:
        """Set the value if it is the expected one; return whether it was."""
        is_expected = bool(self._value == expected)
        if is_expected:
            self._value = value
        return is_expected

    def __repr__(self) -> str:
        return f"Register({self._value!r})"


class KeyValue:
    """Values by key, such as a cache or a database; judged key by key.

    Args:
        values: those before the first operation.

    >>> store = KeyValue({"a": 1})
    >>> store.set("b", 2)
    >>> store.get("a"), store.get("b"), store.pop("a"), store.get("a"), store.get("a", 0)
    (1, 2, 1, None, 0)
    >>> store.delete("b")
    >>> store.compare_and_set("b", None, 3), store.contains("b")
    (True, True)
    """

    per_key: ClassVar = frozenset({"get", "set", "pop", "delete", "contains", "compare_and_set"})
    read_only: ClassVar = frozenset({"get", "contains"})

    def __init__(self, values: Mapping[Any, Any] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, key: Any, default: Any = None) -> Any:
        """The value, or the default if there is none."""
        return self._values.get(key, default)

    def set(self, key: Any, value: Any) -> None:
        """Set the value."""
        self._values[key] = value

    def pop(self, key: Any, default: Any = None) -> Any:
        """Remove the value and return it, or the default if there is none."""
        return self._values.pop(key, default)

    def delete(self, key: Any) -> None:
        """Remove the value, if there is one."""
        self._values.pop(key, None)

    def contains(self, key: Any) -> bool:
        """Whether there is a value."""
        return key in self._values

    def compare_and_set(self, key: Any, expected: Any, value: Any) -> bool:
        """Set the value if it is the expected one (None: there is none); return whether it was."""
        is_expected = bool(self._values.get(key) == expected)
        if is_expected:
            self._values[key] = value
        return is_expected

    def __repr__(self) -> str:
        return f"KeyValue({self._values!r})"


class Queue:
    """A queue: first in, first out.

    Args:
        maxsize: how many items it holds; 0 for any number.
        items: those before the first operation.

    >>> queue = Queue()
    >>> queue.put(1)
    >>> queue.put(2)
    >>> queue.size(), queue.get(), queue.poll(), queue.poll()
    (2, 1, 2, None)
    """

    read_only: ClassVar = frozenset({"size"})

    def __init__(self, maxsize: int = 0, items: Iterable[Any] = ()) -> None:
        self._maxsize = parse_whole("maxsize", maxsize, 0, 10**12)
        self._items = list(items)

    def put(self, item: Any) -> None:
        """Add an item at the end; it waits while the queue is full."""
        _wait_for(not self._maxsize or len(self._items) < self._maxsize)
        self._items.append(item)

    def get(self) -> Any:
        """Remove the first item and return it; it waits while there is none."""
        _wait_for(bool(self._items))
        return self._items.pop(0)

    def poll(self) -> Any:
        """Remove the first item and return it, or return None if there is none."""
        return self._items.pop(0) if self._items else None

    def size(self) -> int:
        """How many items there are."""
        return len(self._items)

    def __repr__(self) -> str:
        return f"Queue({self._items!r})"


class Lock:
    """A lock: at most one holds it.

    >>> lock = Lock()
    >>> lock.acquire("Ann")
    >>> lock.try_acquire("Bob"), lock.locked()
    (False, True)
    >>> lock.release("Ann")
    >>> lock.locked()
    False
    """

    read_only: ClassVar = frozenset({"locked"})

    def __init__(self) -> None:
        self._is_locked = False
        self._owner: Any = None

    def acquire(self, owner: Any = None) -> None:
        """Take the lock; it waits while it is held."""
        _wait_for(not self._is_locked)
        self._is_locked, self._owner = True, owner

    def try_acquire(self, owner: Any = None) -> bool:
        """Take the lock if it is free; return whether it was."""
        if self._is_locked:
            return False
        self._is_locked, self._owner = True, owner
        return True

    def release(self, owner: Any = None) -> None:
        """Let the lock go; only the owner who was named when it was taken can do it."""
        _wait_for(self._is_locked and bool(self._owner == owner))
        self._is_locked, self._owner = False, None

    def locked(self) -> bool:
        """Whether it is held."""
        return self._is_locked

    def __repr__(self) -> str:
        owner = "" if self._owner is None else f" by {self._owner!r}"
        return f"Lock(held{owner})" if self._is_locked else "Lock(free)"


class Set:
    """A set; judged item by item, unless ``size`` or ``items`` is among the operations.

    Args:
        items: those before the first operation.

    >>> things = Set("a")
    >>> things.add("b")
    >>> things.discard("a")
    >>> things.contains("a"), things.contains("b"), things.size(), things.items()
    (False, True, 1, {'b'})
    """

    per_key: ClassVar = frozenset({"add", "discard", "contains"})
    read_only: ClassVar = frozenset({"contains", "size", "items"})

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._items = set(items)

    def add(self, item: Any) -> None:
        """Add an item, unless it is there."""
        self._items.add(item)

    def discard(self, item: Any) -> None:
        """Remove an item, if it is there."""
        self._items.discard(item)

    def contains(self, item: Any) -> bool:
        """Whether an item is there."""
        return item in self._items

    def size(self) -> int:
        """How many items there are."""
        return len(self._items)

    def items(self) -> set[Any]:
        """All items."""
        return set(self._items)

    def __repr__(self) -> str:
        return f"Set({self._items!r})" if self._items else "Set()"


class Counter:
    """A number that is counted up and down.

    Args:
        value: the number before the first operation.

    >>> counter = Counter()
    >>> counter.add(5)
    >>> counter.increment(), counter.increment(-2), counter.read()
    (6, 4, 4)
    """

    read_only: ClassVar = frozenset({"read"})

    def __init__(self, value: Any = 0) -> None:
        self._value = value

    def add(self, by: Any = 1) -> None:
        """Add to the number, without a result."""
        self._value += by

    def increment(self, by: Any = 1) -> Any:
        """Add to the number, and return the new one."""
        self._value += by
        return self._value

    def read(self) -> Any:
        """The number."""
        return self._value

    def __repr__(self) -> str:
        return f"Counter({self._value!r})"
