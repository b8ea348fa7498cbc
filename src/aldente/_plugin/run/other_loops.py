"""Explains which loop an object belongs to that was used on another one.

asyncio's message says only that a future or lock belongs to a different loop, or that the loop is
closed.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import weakref
from collections.abc import Collection, Iterator
from types import FrameType
from typing import Any, NamedTuple, cast

from aldente._rules.background_error import errors_within
from aldente._source import is_users

Loop = asyncio.AbstractEventLoop

_OTHER_LOOP = (
    "attached to a different loop",
    "is bound to a different event loop",
    # For a future of another loop that was awaited before.
    "await wasn't used with future",
    # The message of aiohttp and async-timeout, whose client looks for the task on its own loop.
    "Timeout context manager should be used inside a task",
)
_CLOSED = "Event loop is closed"

_BEGINNING = "It is about "
# The beginnings of such notes; the second one is from an explored test.
_EXPLANATIONS = (_BEGINNING, "Every run of an explored test has an event loop of its own")


class LoopOwners:
    """The tests, or wider nodes, that ended loops belonged to.

    Holds only loops that something else still refers to; all others are reused.
    """

    def __init__(self) -> None:
        self._owners: weakref.WeakKeyDictionary[Loop, str] = weakref.WeakKeyDictionary()

    def note(self, loop: Loop, owner: str) -> None:
        """Record the owner of a loop: a node id, or ``the module test_it.py``."""
        try:
            self._owners[loop] = owner
        except TypeError:
            # A loop of another kind may not support weak references.
            return

    def of(self, loop: Loop) -> str | None:
        """The owner of a loop, if that is known."""
        try:
            return self._owners.get(loop)
        except TypeError:
            return None


class _ObjectOfOtherLoop(NamedTuple):
    """An object that belongs to another loop.

    Attributes:
        what: its description.
        loop: the loop.
    """

    what: str
    loop: Loop


def note_other_loop(error: BaseException, own: Loop, owners: LoopOwners) -> None:
    """Add to errors about a different or closed loop which object belongs to which loop.

    Args:
        error: the exception of a test or fixture.
        own: the loop that the test or fixture ran on.
        owners: the owners of loops.
    """
    for inner in errors_within(error):
        message = str(inner) if isinstance(inner, RuntimeError) else ""
        if not message.endswith((*_OTHER_LOOP, _CLOSED)) or _is_explained(inner):
            continue
        found = _find(inner, own)
        if found is not None:
            inner.add_note(_describe(found, owners.of(found.loop)))


def _is_explained(error: BaseException) -> bool:
    return any(note.startswith(_EXPLANATIONS) for note in getattr(error, "__notes__", ()))


def _describe(found: _ObjectOfOtherLoop, owner: str | None) -> str:
    loop = f"the event loop of {owner}" if owner is not None else "another event loop"
    ended = ", which has ended" if found.loop.is_closed() else ""
    return (
        f"{_BEGINNING}{found.what}, made or first used on {loop}{ended}.\n"
        "Fix: make it in the test, or in a fixture of the same scope. Or make it in an async "
        "fixture of a wider scope: all tests that request it run on one loop with it."
    )


def _find(error: BaseException, own: Loop) -> _ObjectOfOtherLoop | None:
    """The object of another loop: by the user's innermost name for it, or else by its type."""
    message = str(error)
    is_closed = message.endswith(_CLOSED)
    frames: list[FrameType] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    frames.reverse()
    users = [frame for frame in frames if is_users(frame.f_code.co_filename)]
    for chosen, is_named in ((users, True), (frames, False)):
        found = [
            (name, value, loop)
            for frame in chosen
            for name, value in _variables(frame)
            if (loop := _loop_of(value)) is not None
            and loop is not own
            and (loop.is_closed() or not is_closed)
        ]
        if found:
            libraries = [frame for frame in frames if frame not in users]
            used = {id(value) for frame in libraries for value in frame.f_locals.values()}
            name, value, loop = min(found, key=lambda each: _doubt(each[1], used, message))
            kind = type(value).__name__
            kind = f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
            return _ObjectOfOtherLoop(f"{name} ({kind})" if is_named else kind, loop)
    return None


def _doubt(value: object, used: Collection[int], message: str) -> int:
    """How doubtful it is that an error is about an object, from 0 on.

    Args:
        value: the object.
        used: the identities of what the library had in variables that raised the error.
        message: that of the error, which may have the type of the object.
    """
    if id(value) in used:
        return 0
    # Before that stands the task which got it.
    about = message.rpartition(" got ")[2]
    return 1 if re.search(rf"\b{re.escape(type(value).__name__)}\b", about) else 2


def _variables(frame: FrameType) -> Iterator[tuple[str, object]]:
    """The objects that a frame's code names: variables, attributes of ``self``, their items."""
    named = [*frame.f_locals.items()]
    named += [
        (name, frame.f_globals[name]) for name in frame.f_code.co_names if name in frame.f_globals
    ]
    if (instance := frame.f_locals.get("self")) is not None:
        attributes = [
            (f"self.{name}", inspect.getattr_static(instance, name, None))
            for name in frame.f_code.co_names
        ]
        named += [pair for pair in attributes if pair[1] is not None]
    yield from named
    for name, value in named:
        yield from ((f"an item of {name}", item) for item in _items_of(value))


def _items_of(container: Any) -> list[Any]:
    """The items of a built-in container, without calling methods that its class overrides."""
    for kind in (list, tuple, set, dict):
        if issubclass(type(container), kind) and kind.__len__(container) <= _MOST_ITEMS:
            return list(dict.values(container) if kind is dict else kind.__iter__(container))
    return []


# Containers with more items are skipped.
_MOST_ITEMS = 100


def _loop_of(value: object) -> Loop | None:
    """The loop of a future, lock or stream, or of a library's object with a ``_loop``."""
    # By type(): mocks fake their __class__.
    if issubclass(type(value), (asyncio.Future, asyncio.Server)):
        return cast("asyncio.Future[Any] | asyncio.Server", value).get_loop()
    if issubclass(type(value), (Loop, type)):
        return None
    loop: Any = inspect.getattr_static(value, "_loop", None)
    if not issubclass(type(loop), Loop):
        # The class may have slots, or compute the attribute.
        loop = vars(value).get("_loop") if hasattr(value, "__dict__") else None
    return cast("Loop", loop) if issubclass(type(loop), Loop) else None
