"""The functions that are under way in a task, from its coroutine to what it awaits."""

from __future__ import annotations

import gc
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

from aldente._stacks import frame_of, frames_of_threads, with_callers

# The names of the attributes that give the frame of a coroutine, generator or async generator, and
# what it awaits. Coroutines that are compiled to C may have them too.
_ATTRIBUTES = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))

# Python's own objects that stand between an await and a coroutine or async generator, by the names
# of their types, which are not exported.
_WRAPPERS = frozenset(
    {"async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper"}
)

# More than Python's recursion limit lets anybody nest.
_LONGEST = 100_000


class Link(NamedTuple):
    """A function that is under way in a task.

    Attributes:
        owner: the coroutine, generator or async generator; None for a function that runs.
        frame: its frame.
    """

    owner: Any
    frame: FrameType

    @property
    def function(self) -> str:
        """The qualified name of the function."""
        return self.frame.f_code.co_qualname


def links_of(coroutine: object) -> list[Link]:
    """The functions that are under way in a suspended coroutine, the outermost first.

    Async generators and ``__await__`` methods are followed. The list ends before the first
    awaitable that does not show what it awaits, and before a future.
    """
    links: list[Link] = []
    seen: set[int] = set()
    current: object = coroutine
    while current is not None and id(current) not in seen and len(links) < _LONGEST:
        seen.add(id(current))
        frame, awaited = _look_into(current)
        if frame is not None:
            links.append(Link(current, frame))
            current = awaited
        else:
            current = _wrapped_by(current)
    return links


def running_links(coroutine: object, others: Iterable[object] = ()) -> list[Link]:
    """The functions that are under way in a coroutine that runs now, the outermost first.

    Args:
        coroutine: the coroutine of a task.
        others: those of other tasks; one of them that is under way within it is left out.
    """
    outermost, _ = _look_into(coroutine)
    if outermost is None:
        return []
    within = [_look_into(other)[0] for other in others if is_running(other)]
    for innermost in frames_of_threads().values():
        if stack := _frames_back_to(outermost, innermost):
            own = itertools.takewhile(lambda frame: frame not in within, reversed(stack))
            links = [Link(None, frame) for frame in own]
            links[:1] = [Link(coroutine, outermost)]
            return links
    return [Link(coroutine, outermost)]


def is_running(coroutine: object) -> bool:
    """Whether a coroutine runs now, be it that another one runs within."""
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
    except Exception:  # not there, or a property of somebody's awaitable that fails
        return None


def _wrapped_by(awaitable: object) -> object:
    """What an awaitable without a frame of its own goes on to, or None.

    ``__await__`` may return any iterator, for example one that passes on to the iterator of
    another coroutine that it keeps in an attribute.
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
