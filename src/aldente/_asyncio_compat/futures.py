"""Where a program has made its futures, and in which task.

It uses no private name: `asyncio.BaseEventLoop.create_future` is replaced while it is observed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from aldente._own_errors import containing
from aldente._records import SourcePlace
from aldente._source import caller_finder, is_programs

AnyFuture = asyncio.Future[Any]


class FutureOrigin(NamedTuple):
    """Where a future was made.

    Attributes:
        place: the line of the program's.
        task: the name of the task that ran; empty outside of tasks.
    """

    place: SourcePlace
    task: str


_origins: weakref.WeakKeyDictionary[AnyFuture, FutureOrigin] = weakref.WeakKeyDictionary()


def note_origin(future: AnyFuture, maker: FrameType) -> None:
    """Keep where a future was made, if the program itself has made it.

    Args:
        future: the future.
        maker: the frame that has called ``create_future``.
    """
    # Most futures are those of asyncio's own functions. Not by the frame's code: to ask for that
    # raises an audit event, which takes longer than all else.
    variables = maker.f_globals
    if variables.get("__package__") != "asyncio":
        _note(future, maker, variables.get("__file__"))


@containing("noting where a future was made", None)
def _note(future: AnyFuture, maker: FrameType, path: object) -> None:
    if isinstance(path, str) and is_programs(path):
        task = asyncio.current_task(future.get_loop())
        place = SourcePlace(path, maker.f_lineno)
        _origins[future] = FutureOrigin(place, "" if task is None else task.get_name())


def origin_of(future: AnyFuture) -> FutureOrigin | None:
    """Where a future was made; None if that was not noted."""
    return _origins.get(future)


@contextlib.contextmanager
def noting_origins() -> Iterator[None]:
    """While entered, note the origin of each future that a program makes by its loop."""
    plain = asyncio.BaseEventLoop.create_future
    find_caller = caller_finder()

    def create_future(self: asyncio.BaseEventLoop) -> AnyFuture:
        nonlocal find_caller
        # As the method does, without its frame: in debug mode a future keeps the stack.
        future: AnyFuture = asyncio.futures.Future(loop=self)
        try:
            maker = find_caller()
        except ValueError:
            # Another thread is there.
            return future
        except StopIteration:
            # An interrupt has come there before.
            find_caller = caller_finder()
            return future
        note_origin(future, maker)
        return future

    functools.update_wrapper(create_future, plain)
    asyncio.BaseEventLoop.create_future = create_future  # type: ignore[method-assign]
    try:
        yield
    finally:
        if asyncio.BaseEventLoop.create_future is create_future:
            asyncio.BaseEventLoop.create_future = plain  # type: ignore[method-assign]
