"""The suspended functions of a task, down to what it awaits, and the locks it holds.

asyncio does not record which locks and semaphores a task holds. But a function inside
``async with lock:`` keeps a reference to the ``__aexit__`` that it will call at the end of the
block, and Python's garbage collector shows it.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
)
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._stacks import frame_of, frames_of_threads, variables_of, with_callers

# The attributes with the frame of a coroutine, generator or async generator, and with what it
# awaits. Coroutines that are compiled to C may have them too.
_ATTRIBUTES = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))

# Python's own wrappers between an await and a coroutine or async generator, by the names of their
# types, which are not exported.
_WRAPPERS = frozenset(
    {"async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper"}
)

# More than any program can nest within Python's recursion limit.
_LONGEST = 100_000


class EnteredFunction(NamedTuple):
    """A function that a task has entered and not left.

    Attributes:
        owner: the coroutine, generator or async generator; None for a running function.
        frame: its frame.
    """

    owner: Any
    frame: FrameType

    @property
    def function(self) -> str:
        """The qualified name of the function."""
        return self.frame.f_code.co_qualname


def links_of(coroutine: object) -> list[EnteredFunction]:
    """The suspended functions of a coroutine, the outermost first.

    It follows async generators and ``__await__`` methods. The list ends before the first awaitable
    that does not show what it awaits, and before a future.
    """
    links: list[EnteredFunction] = []
    seen: set[int] = set()
    current: object = coroutine
    while current is not None and id(current) not in seen and len(links) < _LONGEST:
        seen.add(id(current))
        frame, awaited = _look_into(current)
        if frame is not None:
            links.append(EnteredFunction(current, frame))
            current = awaited
        else:
            current = _wrapped_by(current)
    return links


def running_links(coroutine: object, others: Iterable[object] = ()) -> list[EnteredFunction]:
    """The functions of a running coroutine, the outermost first.

    Args:
        coroutine: the coroutine of a task.
        others: those of other tasks; one of them that runs within it is left out.
    """
    outermost, _ = _look_into(coroutine)
    if outermost is None:
        return []
    within = [_look_into(other)[0] for other in others if is_running(other)]
    for innermost in frames_of_threads().values():
        if stack := _frames_back_to(outermost, innermost):
            own = itertools.takewhile(lambda frame: frame not in within, reversed(stack))
            links = [EnteredFunction(None, frame) for frame in own]
            links[:1] = [EnteredFunction(coroutine, outermost)]
            return links
    return [EnteredFunction(coroutine, outermost)]


def is_running(coroutine: object) -> bool:
    """Whether a coroutine runs now, itself or by another one within it."""
    return type(coroutine) is CoroutineType and coroutine.cr_running


def is_not_started(coroutine: object) -> bool:
    """Whether a coroutine has not begun to run."""
    return (
        type(coroutine) is CoroutineType
        and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    )


def _frames_back_to(outermost: FrameType, innermost: FrameType) -> list[FrameType]:
    frames = with_callers(innermost)
    return frames[: frames.index(outermost) + 1] if outermost in frames else []


def _look_into(awaitable: object) -> tuple[FrameType | None, Any]:
    """The frame of an awaitable and what it awaits."""
    for frame_attribute, awaited_attribute in _ATTRIBUTES:
        frame = _if_readable(frame_of, awaitable, frame_attribute)
        if frame is not None:
            return frame, _if_readable(getattr, awaitable, awaited_attribute)
    return None, None


def _if_readable(read: Callable[[object, str], Any], thing: object, name: str) -> Any:
    try:
        return read(thing, name)
    except Exception:  # missing, or a property of a custom awaitable that fails
        return None


def _wrapped_by(awaitable: object) -> object:
    """The awaitable inside one without a frame of its own, or None.

    ``__await__`` may return any iterator, for example one that delegates to the iterator of a
    coroutine in one of its attributes.
    """
    for referent in _referents_of_object(awaitable):
        if type(referent).__name__ in _WRAPPERS or _is_under_way(referent):
            return referent
    return None


def _referents_of_object(thing: object) -> Iterator[object]:
    for referent in gc.get_referents(thing):
        if type(referent) is dict:
            yield from referent.values()
        else:
            yield referent


def _is_under_way(thing: object) -> bool:
    if type(thing) is CoroutineType:
        return thing.cr_suspended
    if type(thing) is GeneratorType:
        return thing.gi_suspended
    return type(thing) is AsyncGeneratorType and thing.ag_running


_HELD = (asyncio.Lock, asyncio.Semaphore, asyncio.Condition)

# The types that lead from a context manager, such as an AsyncExitStack, to those it will exit.
_CONTAINERS = (dict, list, tuple, deque, AsyncGeneratorType)

# How deeply nested context managers may be, and how many objects to look at for one function.
_DEEPEST = 6
_MOST = 2_000


def held_by(links: Sequence[EnteredFunction]) -> list[tuple[Any, EnteredFunction]]:
    """The locks and semaphores that the functions of a task hold by ``async with``.

    Args:
        links: the functions of the task, from `links_of`.

    Returns:
        Each lock or semaphore with the function that holds it; for a condition its lock.
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


def time_out_around(links: Sequence[EnteredFunction]) -> asyncio.Timeout | None:
    """A time-out that will end a task's wait; None when there is none."""
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
        referents: the referents of a coroutine or async generator for the garbage collector: its
            function, its variables and then its stack, in this order.

    Up to Python 3.13 the stack has the bound method ``__aexit__``; from 3.14 on the function
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
    # __exit__ too: a library's time-out, or an ExitStack.
    return type(function) is FunctionType and function.__name__ in ("__aexit__", "__exit__")


def _leave_out_what_is_entered(
    managers: list[object], following: Sequence[EnteredFunction]
) -> None:
    """Remove the manager of an ``async with`` that the function is still entering."""
    if not following or following[0].frame.f_code.co_name != "__aenter__":
        return
    entered = variables_of(following[0].frame).get("self")
    for index in reversed(range(len(managers))):
        if managers[index] is entered:
            del managers[index]
            return


def _inner_managers(link: EnteredFunction, managers: Sequence[object]) -> Iterator[object]:
    """The managers entered inside context managers, exit stacks and async generators."""
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
    """Whether it is a running async generator, which is in the list of functions itself."""
    return type(thing) is AsyncGeneratorType and thing.ag_running


def _lock_of(thing: Any) -> Any:
    if issubclass(type(thing), asyncio.Condition):
        return _asyncio_compat.lock_of_condition(thing)
    return thing
