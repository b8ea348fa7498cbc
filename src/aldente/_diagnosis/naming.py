"""What the user's code calls the things that tasks wait for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    FrameType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from aldente import _asyncio_compat
from aldente._stacks import variables_of

# How many attributes and items lead from a variable to a thing at most: self.pool.queue has two.
_LONGEST_EXPRESSION = 2

# How many items of a container and how many attributes in all are looked at, so that a report about
# a program with much data does not take long.
_ITEM_LIMIT = 200
_PART_LIMIT = 300_000

_PRIMITIVES = (
    asyncio.Lock,
    asyncio.Semaphore,
    asyncio.Condition,
    asyncio.Event,
    asyncio.Queue,
    asyncio.Barrier,
    asyncio.Future,
)

_SEQUENCES: tuple[Any, ...] = (list, tuple, deque)

# What can't lead to a thing, or belongs to everybody.
_OPAQUE = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    FrameType,
    asyncio.AbstractEventLoop,
)


class NameFinder:
    """Finds the expressions by which functions reach locks, queues, events, futures and the like.

    Use one for one snapshot, while nothing else runs. Of very much data not all is looked at.
    """

    def __init__(self) -> None:
        self._parts_left = _PART_LIMIT
        # The things themselves are kept so that their identities stay theirs.
        self._parts: dict[int, tuple[object, list[tuple[str, Any]]]] = {}

    def names_in(self, frame: FrameType) -> dict[int, str]:
        """The shortest expression for each thing that a function can reach, by its identity."""
        found: dict[int, str] = {}
        level = list(_variables_and_globals(frame))
        for length in range(_LONGEST_EXPRESSION + 1):
            following: list[tuple[str, Any]] = []
            for expression, value in level:
                if issubclass(type(value), _PRIMITIVES):
                    found.setdefault(id(value), expression)
                    if issubclass(type(value), asyncio.Condition):
                        _add_lock(found, value, expression)
                elif length < _LONGEST_EXPRESSION:
                    following.extend(
                        (expression + suffix, part) for suffix, part in self._parts_of(value)
                    )
            level = following
        return found

    def _parts_of(self, value: Any) -> list[tuple[str, Any]]:
        """The attributes or items of a value, as ``(".name", attribute)`` or ``("[0]", item)``."""
        if issubclass(type(value), _OPAQUE):
            return []
        known = self._parts.get(id(value))
        if known is not None:
            return known[1]
        parts: list[tuple[str, Any]] = []
        try:
            for part in _iterate_parts(value):
                parts.append(part)
                self._parts_left -= 1
                if len(parts) >= _ITEM_LIMIT or self._parts_left <= 0:
                    break
        except Exception:  # somebody's own kind of attribute or key that fails: no name from there
            pass
        self._parts[id(value)] = value, parts
        return parts


def _add_lock(found: dict[int, str], condition: asyncio.Condition, expression: str) -> None:
    """A condition's lock is known by the condition, unless it has a name of its own."""
    lock = _asyncio_compat.lock_of_condition(condition)
    if lock is not None:
        found.setdefault(id(lock), expression)


def _variables_and_globals(frame: FrameType) -> Iterator[tuple[str, Any]]:
    for name, value in variables_of(frame).items():
        if name.isidentifier():  # ".0" is the iterator of a comprehension
            yield name, value
    for name in frame.f_code.co_names:
        if name in frame.f_globals:
            yield name, frame.f_globals[name]


def _iterate_parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a value, without running code of its class where there is a choice."""
    if issubclass(type(value), dict):
        for key, item in dict.items(value):
            if type(key) in (str, int, bytes, tuple):
                yield f"[{key!r:.40}]", item
        return
    for kind in _SEQUENCES:
        if issubclass(type(value), kind):
            for index, item in enumerate(kind.__iter__(value)):
                yield f"[{index}]", item
            return
    for name, item in _attributes_of(value).items():
        if isinstance(name, str):
            yield f".{name}", item
    for name, slot in _slots_of(type(value)):
        try:
            yield f".{name}", slot.__get__(value)
        except AttributeError:
            continue  # the slot is empty


def _attributes_of(value: object) -> dict[Any, Any]:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return attributes if isinstance(attributes, dict) else {}


def _slots_of(kind: type) -> Iterator[tuple[str, Any]]:
    for base in kind.__mro__:
        if "__slots__" in vars(base):
            for name, slot in vars(base).items():
                if isinstance(slot, MemberDescriptorType):
                    yield name, slot
