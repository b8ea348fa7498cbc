"""Done-callbacks of asyncio that only count tasks, unless theirs is the last one."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Iterable
from types import CodeType, FunctionType, MethodType
from typing import Any


def _inner_code(function: Any, name: str) -> CodeType | None:
    """The code of a function inside another one; None if this Python has no such thing."""
    for constant in function.__code__.co_consts:
        if inspect.iscode(constant) and constant.co_name == name:
            return constant
    return None


# For a callback that does not act on the last task either.
ALWAYS_MORE = sys.maxsize

_CALLBACK_OF_GATHER = _inner_code(asyncio.gather, "_done_callback")
# Clears the notes of which task awaits the children of a `gather`; absent before Python 3.14.
_NOTES_OF_GATHER: Any = getattr(asyncio.tasks, "_discard_awaited_by", None)
_CALLBACK_OF_GROUP: Any = getattr(asyncio.TaskGroup, "_on_task_done", None)
_END_OF_RUN: Any = getattr(asyncio.base_events, "_run_until_complete_cb", None)


def count_left(callback: object, arguments: tuple[Any, ...] | None) -> int:
    """How many tasks a callback still counts that are not done; 0 if it does more than count.

    ``asyncio.gather`` and ``TaskGroup`` count the tasks that have ended well; after the last one
    they wake the task that waits for all. From CPython 3.14 on they also clear the note in each
    task of which task awaits it, and the future of ``gather`` has a callback that does nothing
    else. Only ``_asyncio_awaited_by`` shows those notes. Nothing public distinguishes these
    callbacks from others. Checked on CPython 3.11 to 3.15.

    Args:
        callback: what is to be called.
        arguments: with what; None if it was cancelled.
    """
    if arguments is None or len(arguments) != 1 or not asyncio.isfuture(arguments[0]):
        return 0
    if isinstance(callback, functools.partial) and callback.func is _NOTES_OF_GATHER:
        return ALWAYS_MORE
    if not has_ended_well(arguments[0]):
        return 0
    if isinstance(callback, FunctionType) and callback.__code__ is _CALLBACK_OF_GATHER:
        names = callback.__code__.co_freevars
        cells = callback.__closure__ or ()
        return _undone(cells[names.index("children")].cell_contents) if "children" in names else 0
    if isinstance(callback, MethodType) and callback.__func__ is _CALLBACK_OF_GROUP:
        return _undone(getattr(callback.__self__, "_tasks", ()))
    return 0


def has_ended_well(future: asyncio.Future[Any]) -> bool:
    """Whether a future has a result; asking leaves no trace, unlike ``exception()``.

    After that asyncio takes an exception for handled. Checked on CPython 3.11 to 3.15.
    """
    is_failed = getattr(future, "_exception", None) is not None
    return future.done() and not future.cancelled() and not is_failed


def _undone(futures: Iterable[asyncio.Future[Any]]) -> int:
    return len({id(future) for future in futures if not future.done()})


def ends_run(callback: object) -> bool:
    """Whether a callback is the one with which ``run_until_complete`` ends.

    Checked on CPython 3.11 to 3.15.
    """
    return callback is _END_OF_RUN
