"""The tasks that a library's task group waits for at the end of its block, such as anyio's."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._diagnosis.suspended import Link
from aldente._source import is_users
from aldente._stacks import variables_of

_CONTAINERS = (dict, list, set, frozenset, tuple, deque)


class LibraryGroup(NamedTuple):
    """A task group that is being left.

    Attributes:
        name: its class, for example ``"anyio.TaskGroup"``.
        tasks: its tasks that are not done.
    """

    name: str
    tasks: list[asyncio.Task[Any]]


def group_being_left(task: asyncio.Task[Any], links: Sequence[Link]) -> LibraryGroup | None:
    """The task group of a library at whose end a task waits for a bare future; None if it does not.

    The group has its tasks in an attribute, and from CPython 3.14 on they tell who awaits them.
    Neither is enough by itself: a group may keep other tasks, and its tasks tell so from their
    beginning, whatever the task waits for until then.

    Args:
        task: the task.
        links: the functions that are under way in it.
    """
    frame = links[-1].frame if links else None
    if frame is None or frame.f_code.co_name != "__aexit__" or is_users(frame.f_code.co_filename):
        return None
    group = variables_of(frame).get("self")
    tasks = [
        each
        for each in dict.fromkeys(_tasks_in_attributes(group))
        if not each.done() and _asyncio_compat.is_awaited_by(each, task)
    ]
    if not tasks:
        return None
    package = type(group).__module__.partition(".")[0]
    return LibraryGroup(f"{package}.{type(group).__qualname__}", tasks)


def _tasks_in_attributes(thing: object) -> Iterator[asyncio.Task[Any]]:
    for referent in gc.get_referents(thing):
        for each in [referent, *_contents(referent)]:
            if issubclass(type(each), asyncio.Task):
                yield each
            # Before CPython 3.13 attributes are in a dictionary, as they may be later.
            for content in _contents(each):
                if issubclass(type(content), asyncio.Task):
                    yield content


def _contents(thing: object) -> list[Any]:
    return gc.get_referents(thing) if type(thing) in _CONTAINERS else []
