"""Which task waits for what, by its name in the user's code, and which tasks could end the wait."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
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
from aldente._diagnosis.inspection import EnteredFunction, held_by
from aldente._diagnosis.waiting import AnyTask, LiveTask, look_at, tasks_behind
from aldente._diagnosis.waits import (
    AwaitGraph,
    Phrases,
    SuspendedFrame,
    TaskLink,
    Wait,
    WaitingTask,
    WaitKind,
)
from aldente._runner.generator_task import hosted_generator
from aldente._source import is_users, place_of
from aldente._stacks import variables_of

# The longest path of attributes and items from a variable to an object: self.pool.queue has two.
_LONGEST_EXPRESSION = 2

# How many items of a container, and how many attributes in all, the search looks at, so that a
# report about a program with much data does not take long.
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

# Types that lead to no primitive, or that all code shares.
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

    Use one for one snapshot, while nothing else runs. It does not look at all of very much data.
    """

    def __init__(self) -> None:
        self._parts_left = _PART_LIMIT
        # Keeps the objects alive, so that their identities are not reused.
        self._parts: dict[int, tuple[object, list[tuple[str, Any]]]] = {}

    def names_in(self, frame: FrameType) -> dict[int, str]:
        """The shortest expression for each object that a function can reach, by its identity."""
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
        except Exception:  # a custom attribute or key that fails: no name from there
            pass
        self._parts[id(value)] = value, parts
        return parts


def _add_lock(found: dict[int, str], condition: asyncio.Condition, expression: str) -> None:
    """Name a condition's lock after the condition, unless it has a name of its own."""
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
    """The parts of a value, if possible without running code of its class."""
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


def snapshot(tasks: Iterable[AnyTask]) -> AwaitGraph:
    """Find out what tasks wait for, and which tasks could end their waits.

    It changes and patches nothing, and the result keeps nothing of the program alive. Call it in
    the thread of the tasks' event loop, or while that is blocked.

    Args:
        tasks: the tasks; it leaves out those that are done, and adds unfinished ones that they wait
            for, directly or not.

    >>> import asyncio
    >>> async def wait():
    ...     await asyncio.Event().wait()
    >>> async def main():
    ...     task = asyncio.create_task(wait(), name="waiter")
    ...     await asyncio.sleep(0)
    ...     graph = snapshot([task])
    ...     task.cancel()
    ...     return graph
    >>> [(task.name, task.wait.kind.value) for task in asyncio.run(main()).tasks]
    [('waiter', 'event')]
    """
    return _Snapshot(_look_at_all(tasks)).graph()


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts ``Task-2`` before ``Task-10``.

    >>> sorted(["main", "Task-10", "Task-2"], key=natural_key)
    ['Task-2', 'Task-10', 'main']
    """
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return tuple((0, int(number), "") if number else (1, 0, text) for number, text in parts)


def _look_at_all(tasks: Iterable[AnyTask]) -> list[LiveTask]:
    """Look at tasks, and at those they wait for, in a deterministic order."""
    found: dict[AnyTask, LiveTask] = {}
    left = [task for task in tasks if not task.done()]
    while left:
        task = left.pop()
        if task not in found:
            found[task] = look_at(task)
            left.extend(tasks_behind(found[task].wait.futures))
    return sorted(found.values(), key=_order)


def _order(live: LiveTask) -> tuple[Any, ...]:
    places = tuple((link.frame.f_code.co_filename, link.frame.f_lineno) for link in live.links)
    return natural_key(live.task.get_name()), _coroutine_name(live), places


def _coroutine_name(live: LiveTask) -> str:
    coroutine = live.task.get_coro()
    name = getattr(coroutine, "__qualname__", None)
    hosted = hosted_generator(coroutine)
    if hosted is not None:
        name = getattr(hosted, "__qualname__", name)
    if name is None:  # a step of an async generator
        return live.links[0].function if live.links else type(coroutine).__name__
    return str(name)


class _Snapshot:
    """The facts about all tasks, while nothing runs."""

    def __init__(self, tasks: Sequence[LiveTask]) -> None:
        self._tasks = tasks
        self._index = {live.task: index for index, live in enumerate(tasks)}
        self._finder = NameFinder()
        # By the identity of an object: its name in each task, the tasks that hold it, the tasks
        # that wait for it, and its number.
        self._known: dict[int, dict[int, str]] = {}
        self._held: dict[int, dict[int, TaskLink]] = {}
        self._waiters: dict[tuple[WaitKind, int], set[int]] = {}
        self._known_to: dict[tuple[WaitKind, int], tuple[TaskLink, ...]] = {}
        self._numbers: dict[int, int] = {}
        # By task: the functions of the user's code, the innermost first, with the names in them.
        self._names: list[list[dict[int, str]]] = []
        for index, live in enumerate(tasks):
            self._add(index, live)

    def graph(self) -> AwaitGraph:
        """The plain facts."""
        tasks = tuple(self._waiting_task(index, live) for index, live in enumerate(self._tasks))
        return AwaitGraph(tasks)

    def _add(self, index: int, live: LiveTask) -> None:
        """Collect what a task has in variables, holds and waits for."""
        own = _own_links(live.links)
        names = [self._finder.names_in(link.frame) for link in reversed(own or live.links[:1])]
        if not own and names:
            # The `self` of a library's method means nothing to the user.
            names = [{thing: name for thing, name in names[0].items() if name != "self"}]
        self._names.append(names)
        for names_in_function in names:
            for identity, expression in names_in_function.items():
                self._known.setdefault(identity, {}).setdefault(index, expression)
        for thing, link in held_by(live.links):
            called = self._finder.names_in(link.frame).get(id(thing))
            known = self._known.get(id(thing), {}).get(index)
            self._held.setdefault(id(thing), {})[index] = TaskLink(index, called or known)
        if live.wait.subject is not None:
            self._waiters.setdefault((live.wait.kind, id(live.wait.subject)), set()).add(index)

    def _waiting_task(self, index: int, live: LiveTask) -> WaitingTask:
        own = _own_links(live.links)
        return WaitingTask(
            name=live.task.get_name(),
            coroutine=_coroutine_name(live),
            frames=tuple(_frame(link) for link in live.links),
            own_frames=tuple(_frame(link) for link in own),
            wait=self._wait(index, live),
        )

    def _wait(self, index: int, live: LiveTask) -> Wait:
        wait = live.wait
        subject = wait.subject
        # asyncio keeps some tasks in sets, so they need a deterministic order.
        tasks = sorted(self._index[task] for task in tasks_behind(wait.futures))
        holders = self._held.get(id(subject), {}) if subject is not None else {}
        origin = None
        if wait.kind is WaitKind.FUTURE and isinstance(subject, asyncio.Future):
            origin = _asyncio_compat.origin_of(subject)
        return Wait(
            kind=wait.kind,
            type_name="" if subject is None else type(subject).__name__,
            expression=self._expression(index, subject),
            number=self._number(subject),
            through=wait.through,
            detail=wait.detail,
            is_any=wait.is_any or wait.kind is WaitKind.SEMAPHORE,
            tasks=tuple(tasks),
            holders=tuple(holders[task] for task in sorted(holders)),
            known_to=self._others(wait.kind, subject),
            limited_by=wait.limited_by,
            made_at=None if origin is None else origin.place,
            made_by="" if origin is None else origin.task,
        )

    def _expression(self, index: int, subject: Any) -> str | None:
        """The name of an object in the innermost of the user's functions that has one."""
        if subject is None:
            return None
        for names in self._names[index]:
            if id(subject) in names:
                return names[id(subject)]
        return None

    def _number(self, subject: Any) -> int | None:
        if subject is None:
            return None
        return self._numbers.setdefault(id(subject), len(self._numbers) + 1)

    def _others(self, kind: WaitKind, subject: Any) -> tuple[TaskLink, ...]:
        """The tasks that have an object in a variable, but do not wait for it in the same way."""
        if subject is None:
            return ()
        key = kind, id(subject)
        if key not in self._known_to:
            known = self._known.get(id(subject), {})
            waiters = self._waiters.get(key, ())
            self._known_to[key] = tuple(
                TaskLink(task, known[task]) for task in sorted(known) if task not in waiters
            )
        return self._known_to[key]


def _own_links(links: Sequence[EnteredFunction]) -> list[EnteredFunction]:
    return [link for link in links if is_users(link.frame.f_code.co_filename)]


def _frame(link: EnteredFunction) -> SuspendedFrame:
    return SuspendedFrame(place_of(link.frame), link.function, link.frame.f_code.co_firstlineno)


def wait_in_words(live: LiveTask, name: str | None = None, holders: Iterable[AnyTask] = ()) -> str:
    """What a task waits for, such as ``waits for an Event to be set``; empty if that is not known.

    Args:
        live: the task.
        name: the name of what it waits for in the user's code; None for its type.
        holders: the tasks that hold it.
    """
    wait = live.wait
    if wait.kind is WaitKind.READY:
        return "lets other tasks run"
    if wait.kind is WaitKind.TIMER:
        return f"waits for {wait.detail.removeprefix('asyncio.') or 'a timer'}"
    if wait.kind in (WaitKind.RUNNING, WaitKind.NOT_STARTED, WaitKind.UNKNOWN):
        return ""
    others = sorted(
        (task for task in tasks_behind(wait.futures) if task is not live.task),
        key=lambda task: natural_key(task.get_name()),
    )
    # This task is the first one of the graph.
    waited = tuple(range(1, len(others) + 1))
    links: list[TaskLink] = []
    for holder in holders:
        is_itself = holder is live.task
        links.append(TaskLink(0 if is_itself else len(others) + 1, name))
        others += [] if is_itself else [holder]
    described = Wait(
        wait.kind,
        "" if wait.subject is None else type(wait.subject).__name__,
        name,
        through=wait.through,
        detail=wait.detail,
        is_any=wait.is_any,
        tasks=waited,
        holders=tuple(links),
        limited_by=wait.limited_by,
    )
    graph = AwaitGraph(
        (_task(live.task.get_name(), described), *(_task(other.get_name()) for other in others))
    )
    return Phrases(graph, frozenset()).what(0)


def _task(name: str, wait: Wait | None = None) -> WaitingTask:
    return WaitingTask(name, "", (), (), wait or Wait(WaitKind.READY))
