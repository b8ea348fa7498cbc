"""What changes set and how much they add or take, kept to compare it within a run and with others.

It also notes how tasks end, and whether the program reads the clock of the loop.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import weakref
from collections.abc import Hashable
from contextvars import Context
from typing import Any, Literal, NamedTuple

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import frame_at
from aldente._explore.races import SharedAccess
from aldente._explore.shared_names import ObjectNames
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.values import UNKNOWN, TooLarge, value_of
from aldente._source import is_programs

# How a task has ended.
Ending = Literal["returned", "raised", "cancelled"]

# An object whose class has one of these has to be given back: another one is no other value of it.
_CLOSING = ("close", "aclose", "cancel", "release", "disconnect", "stop", "shutdown", "__aexit__")

# What is taken from these by a method, and put back by another.
PERMITS = (asyncio.Semaphore, asyncio.Lock)


class Before(NamedTuple):
    """What there was of something before a line has changed it.

    Attributes:
        size: the `size_of` it.
        value: something that is equal for equal values; None if that is not needed.
    """

    size: int | None
    value: Hashable = None

    @classmethod
    def of(cls, value: Any, *, is_whole: bool) -> Before:
        """What there is now.

        Args:
            value: what a line is going to change.
            is_whole: whether to keep its value too.
        """
        return cls(size_of(value), _value_of(value) if is_whole else None)

    def is_left(self, value: Any) -> bool:
        """Whether a line has surely left a value as it was."""
        return self.value not in (None, UNKNOWN) and self.value == _value_of(value)


class KeptValues:
    """Keeps the values of one run.

    Args:
        loop: the loop of the run.

    Attributes:
        reads_clock: whether the program has read the clock of the loop.
        ends: how each task has ended, by its name.
        renamed: the names of tasks that had others when they were made, by those.
        handled: the places of changes after which a line did something about what was taken that an
            exception or a `finally` block led to.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self.reads_clock = False
        self.ends: dict[str, Ending] = {}
        self.renamed: dict[str, str] = {}
        self.handled: set[int] = set()
        self._made: weakref.WeakKeyDictionary[asyncio.Task[Any], str] = weakref.WeakKeyDictionary()
        loop.task_listeners.append(self._note_made)
        loop.add_hook(self._note_step)
        loop.add_after_hook(self._note_end)
        self._watch_clock(loop)

    def _watch_clock(self, loop: SimulatedLoop) -> None:
        """Note when the program reads the clock of the loop, until that is closed."""
        time = loop.time

        def noting_time() -> float:
            if is_programs(frame_at(1).f_code.co_filename):
                self.reads_clock = True
            return time()

        vars(loop)["time"] = noting_time

    def _note_made(self, task: asyncio.Task[Any], context: Context | None) -> None:
        self._made[task] = task.get_name()

    def _note_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        """Note the name of a task that begins: before Python 3.13 a TaskGroup gives it late."""
        task = _asyncio_compat.task_of_step(callback)
        before = None if task is None else self._made.pop(task, None)
        if task is not None and before is not None and before != task.get_name():
            self.renamed[before] = task.get_name()

    def _note_end(self, callback: Any) -> None:
        task = _asyncio_compat.task_of_step(callback)
        if task is None or not task.done():
            return
        if task.cancelled():
            self.ends[task.get_name()] = "cancelled"
        elif _asyncio_compat.unseen_exception(task) is not None:
            self.ends[task.get_name()] = "raised"
        else:
            self.ends[task.get_name()] = "returned"

    def add_to(
        self, access: SharedAccess, value: Any, before: Before, names: ObjectNames
    ) -> SharedAccess:
        """A change with what it has set.

        Args:
            access: the change.
            value: what a name stands for now, a container that was changed, or its element.
            before: what there was before the change.
            names: the numbers of objects.
        """
        kind = type(value)
        kept: Hashable
        if issubclass(kind, set) and access.element is not None:
            kept, resource = set.__contains__(value, access.element), None
        elif issubclass(kind, dict) and access.element is not None:
            kept = _value_of(dict.get(value, access.element))
            resource = _number_of_resource(dict.get(value, access.element), names)
        else:
            kept, resource = _value_of(value), _number_of_resource(value, names)
        size, after = before.size, size_of(value)
        delta = None if size is None or after is None else after - size
        return access._replace(
            value=kept,
            resource=resource,
            before=size,
            delta=delta,
            changes_nothing=before.is_left(value),
        )


def size_of(value: Any) -> int | None:
    """How much there is of something that can be taken from: a count, or elements; else None."""
    # By their types, and by the methods of those, as a class of the program may have others.
    kind = type(value)
    if issubclass(kind, int) and kind is not bool:
        return int.__int__(value)
    plain: Any
    for plain in (list, dict, set, collections.deque):
        if issubclass(kind, plain):
            return int(plain.__len__(value))
    return None


def _value_of(value: Any) -> Hashable:
    """What a value is compared by; `UNKNOWN` if it is too large, or its own code prevents that."""
    try:
        return value_of(value)
    except TooLarge:
        return UNKNOWN
    except Exception:
        # Of the program's: a property or a comparison that raises, or parts within parts.
        return UNKNOWN


def _number_of_resource(value: Any, names: ObjectNames) -> Hashable:
    """The number of an object that has to be given back; None for others."""
    # A plain attribute of such a name, such as the `stop` of a range, is not a method.
    if any(_methods_of(base) for base in type(value).__mro__):
        return names.number_of(value)
    return None


@functools.lru_cache(maxsize=256)
def _methods_of(kind: type) -> frozenset[str]:
    """The names of the methods by which something is closed that a class itself has."""
    return frozenset(name for name in _CLOSING if callable(vars(kind).get(name)))
