"""Which locks and semaphores a task holds.

asyncio does not record it. But a function that is inside ``async with lock:`` keeps what it will
call at the end of the block, and Python's garbage collector can see it there.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Iterator, Sequence
from types import AsyncGeneratorType, FunctionType, MethodType
from typing import Any

from aldente import _asyncio_compat
from aldente._diagnosis.suspended import Link
from aldente._stacks import variables_of

_HELD = (asyncio.Lock, asyncio.Semaphore, asyncio.Condition)

# What leads from a context manager, such as an AsyncExitStack, to what it will exit in its turn.
_CONTAINERS = (dict, list, tuple, deque, AsyncGeneratorType)

# How many context managers are followed inside one another, and how many things are looked at for
# one function.
_DEEPEST = 6
_MOST = 2_000


def held_by(links: Sequence[Link]) -> list[tuple[Any, Link]]:
    """The locks and semaphores that the functions of a task hold by ``async with``.

    Args:
        links: the functions that are under way in the task, from `links_of`.

    Returns:
        Each lock or semaphore with the function that holds it. A lock is given for a condition.
    """
    waiting_conditions = {
        id(variables_of(link.frame).get("self"))
        for link in links
        if link.frame.f_code is asyncio.Condition.wait.__code__
    }
    held = []
    for index, link in enumerate(links):
        managers = exits_among(gc.get_referents(link.owner)) if link.owner is not None else []
        _leave_out_what_is_entered(managers, links[index + 1 : index + 2])
        for thing in [*managers, *_inner_managers(link, managers)]:
            # A task that waits for a condition has released its lock.
            if issubclass(type(thing), _HELD) and id(thing) not in waiting_conditions:
                held.append((_lock_of(thing), link))
    return held


def time_out_around(links: Sequence[Link]) -> asyncio.Timeout | None:
    """A time-out that ends what a task waits for; None when there is none."""
    for link in reversed(links):
        if link.owner is None:
            continue
        for manager in exits_among(gc.get_referents(link.owner)):
            if type(manager) is asyncio.Timeout and manager.when() is not None:
                return manager
    return None


def exits_among(referents: Sequence[object]) -> list[object]:
    """The context managers whose blocks a function is in, the outermost first.

    Args:
        referents: what the garbage collector sees in a coroutine or async generator: its function,
            its variables and then what it keeps in between, in this order.

    Up to Python 3.13 it keeps the bound method ``__aexit__``; from 3.14 on the function
    ``__aexit__``, followed by the context manager.

    >>> lock = asyncio.Lock()
    >>> exits_among([lock, lock.__aexit__]) == [lock]
    True
    >>> exits_among([asyncio.Lock.__aexit__, lock]) == [lock]
    True
    """
    managers: list[object] = []
    for index, referent in enumerate(referents):
        if type(referent) is MethodType:
            if _is_exit(referent.__func__):
                managers.append(referent.__self__)
        elif type(referent) is FunctionType and _is_exit(referent) and index + 1 < len(referents):
            following = referents[index + 1]
            if any(referent is vars(base).get("__aexit__") for base in type(following).__mro__):
                managers.append(following)
    return managers


def _is_exit(function: object) -> bool:
    # __exit__ too: a time-out of a library, or a stack of context managers that aren't async.
    return type(function) is FunctionType and function.__name__ in ("__aexit__", "__exit__")


def _leave_out_what_is_entered(managers: list[object], following: Sequence[Link]) -> None:
    """A function that waits at the start of an ``async with`` is not inside it yet."""
    if not following or following[0].frame.f_code.co_name != "__aenter__":
        return
    entered = variables_of(following[0].frame).get("self")
    for index in reversed(range(len(managers))):
        if managers[index] is entered:
            del managers[index]
            return


def _inner_managers(link: Link, managers: Sequence[object]) -> Iterator[object]:
    """What is entered by way of context managers, exit stacks and suspended async generators."""
    level: list[object] = [
        *(manager for manager in managers if not issubclass(type(manager), _HELD)),
        *(
            referent
            for referent in (gc.get_referents(link.owner) if link.owner is not None else ())
            if type(referent) is AsyncGeneratorType
        ),
    ]
    seen = {id(link.owner)}
    for _ in range(_DEEPEST):
        following: list[object] = []
        for thing in level:
            if id(thing) in seen or len(seen) > _MOST or _runs(thing):
                continue
            seen.add(id(thing))
            referents = gc.get_referents(thing)
            inner = exits_among(referents)
            yield from inner
            following.extend(item for item in [*inner, *referents] if type(item) in _CONTAINERS)
            following.extend(item for item in inner if not issubclass(type(item), _HELD))
        level = following


def _runs(thing: object) -> bool:
    """Whether it is an async generator that is itself one of the functions under way."""
    return type(thing) is AsyncGeneratorType and thing.ag_running


def _lock_of(thing: Any) -> Any:
    if issubclass(type(thing), asyncio.Condition):
        return _asyncio_compat.lock_of_condition(thing)
    return thing
