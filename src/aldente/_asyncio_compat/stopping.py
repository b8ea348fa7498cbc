"""Ends suspended coroutines and tasks without running any more of their code, as a crash does.

Python itself ends a suspended coroutine by an exception at its await, so that its ``finally`` and
``with`` blocks run. Here each of its instructions raises as well, by `sys.monitoring`, so that none
of them does. Python 3.11 has no `sys.monitoring`: there, and where other tools have all of its
numbers, a coroutine is kept for ever instead, without its variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    GeneratorType,
    MethodType,
)
from typing import Any, TypeAlias, cast

from aldente._asyncio_compat.stepping import task_of_step

_SUSPENDED = (CoroutineType, GeneratorType, AsyncGeneratorType)
_Suspended: TypeAlias = (
    "CoroutineType[Any, Any, Any] | GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any]"
)


class _Stopped(BaseException):
    """Raised by each instruction of what is stopped."""


def stop_task(
    task: asyncio.Task[Any],
    error: BaseException,
    is_dead: Callable[[Context | None], bool],
) -> None:
    """End a task that does not run at this moment, without running any more of its code.

    No public name shows what a task waits for, or sets the exception of a task. Checked on CPython
    3.11 to 3.15.

    Args:
        task: the task, which is not done.
        error: what its awaits raise in other tasks.
        is_dead: whether callbacks with a context belong to what has crashed, so that they are not
            called.
    """
    waiter: Any = getattr(task, "_fut_waiter", None)
    if waiter is not None:
        for callback, _ in _callbacks_of(waiter):
            if task_of_step(callback) is task:
                waiter.remove_done_callback(callback)
        if waiter.done() and not waiter.cancelled():
            # It has woken the task, which would have looked at its exception.
            waiter.exception()
        elif type(waiter) is asyncio.Future and not _callbacks_of(waiter):
            # A sleep, which would let time pass for nothing.
            waiter.cancel()
        else:
            # Such as that of a job, which may fail still.
            waiter.add_done_callback(_look_at_error, context=Context())
    for callback, context in _callbacks_of(task):
        # A thread may wait for the result, which it has no other way to stop.
        if is_dead(context) and _name_of(callback) != _NOTIFY_OTHER_FUTURE:
            task.remove_done_callback(callback)
    coroutine = task.get_coro()
    # `Task` forbids it, as a task sets its own.
    asyncio.Future.set_exception(task, error)
    # It is not the program that forgets to look at it.
    task._log_traceback = False
    if coroutine is not None:
        stop(coroutine)


def _look_at_error(waiter: asyncio.Future[Any]) -> None:
    if not waiter.cancelled():
        waiter.exception()


# The callback that completes a future of `concurrent.futures` when one of asyncio is done; and the
# one that starts a coroutine for another thread.
_NOTIFY_OTHER_FUTURE = "_chain_future.<locals>._call_set_state"
_START_FOR_THREAD = "run_coroutine_threadsafe.<locals>.callback"


def fail_call_of_thread(callback: Any, error: BaseException) -> None:
    """End a thread's wait for a coroutine that will not be started any more.

    Args:
        callback: one that is not going to be called; only those of `run_coroutine_threadsafe` mean
            that a thread may wait.
        error: what the thread gets.
    """
    if _name_of(callback) == _START_FOR_THREAD:
        names = callback.__code__.co_freevars
        future = callback.__closure__[names.index("future")].cell_contents
        if not future.done():
            future.set_exception(error)


def _name_of(callback: Any) -> str:
    return getattr(callback, "__qualname__", "")


def _callbacks_of(future: Any) -> list[tuple[Any, Context | None]]:
    return list(getattr(future, "_callbacks", None) or ())


def stop(awaitable: Any) -> None:
    """End a suspended coroutine or generator without running any more of its code.

    Args:
        awaitable: the coroutine or generator; other objects are left alone.
    """
    parts = list(_parts(awaitable))
    if not parts:
        return
    codes = {code for code in map(_code_of, parts) if code is not None}
    with _raising(codes) as is_raising:
        for part in parts:
            if not is_raising:
                _keep(part)
            elif _frame_of(part) is not None:
                _throw(part)


def _throw(part: Any) -> None:
    error = _Stopped()
    with contextlib.suppress(_Stopped, StopIteration, StopAsyncIteration):
        if isinstance(part, AsyncGeneratorType):
            part.athrow(error).send(None)
        else:
            part.throw(error)


@contextlib.contextmanager
def _raising(codes: set[CodeType]) -> Iterator[bool]:
    """While entered, some code raises at each instruction in this thread; whether it can here."""
    number = _free_number()
    if number is None:
        yield False
        return
    if sys.version_info >= (3, 12):
        monitoring = sys.monitoring
        event = monitoring.events.INSTRUCTION
        own_thread = threading.get_ident()

        def stop_here(code: CodeType, offset: int) -> None:
            # Others may run the same functions.
            if threading.get_ident() == own_thread:
                raise _Stopped

        monitoring.use_tool_id(number, "aldente")
        try:
            monitoring.register_callback(number, event, stop_here)
            for code in codes:
                monitoring.set_local_events(number, code, event)
            yield True
        finally:
            for code in codes:
                monitoring.set_local_events(number, code, 0)
            monitoring.register_callback(number, event, None)
            monitoring.free_tool_id(number)


def _free_number() -> int | None:
    if sys.version_info >= (3, 12):
        for number in reversed(range(6)):
            if sys.monitoring.get_tool(number) is None:
                return number
    return None


def _parts(awaitable: Any) -> Iterator[_Suspended]:
    """What is suspended in a coroutine: itself, what it awaits, and the generators it has entered.

    The innermost come last, except generators that stand for ``with`` blocks.
    """
    seen: set[int] = set()
    left: deque[Any] = deque([awaitable])
    while left:
        each = left.popleft()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, _SUSPENDED):
            if _frame_of(each) is None:
                continue
            yield each
            left.append(_awaited_by(each))
            left.extend(_entered(each))
        elif type(each).__module__ == "builtins" and not asyncio.isfuture(each):
            # What stands between: the awaitables of `anext`, `asend` and ``__await__``.
            left.extend(one for one in gc.get_referents(each) if isinstance(one, _SUSPENDED))


def _entered(part: _Suspended) -> Iterator[Any]:
    """The generators of the ``with`` and ``async for`` blocks in which something is suspended."""
    for each in gc.get_referents(part):
        owner = each.__self__ if isinstance(each, MethodType) else each
        if isinstance(owner, contextlib.ExitStack | contextlib.AsyncExitStack):
            callbacks: Any = getattr(owner, "_exit_callbacks", ())
            yield from (_generator_of(getattr(one[1], "__self__", None)) for one in callbacks)
        elif isinstance(each, GeneratorType | AsyncGeneratorType):
            yield each
        else:
            yield _generator_of(owner)


def _generator_of(manager: Any) -> Any:
    """The generator of a context manager that was made by `contextlib`; None for others."""
    return getattr(manager, "gen", None) if isinstance(manager, _MANAGERS) else None


# The classes of what `contextlib.contextmanager` and `asynccontextmanager` make.
_MANAGERS: tuple[type, ...] = (
    type(contextlib.contextmanager(lambda: iter(()))()),
    type(contextlib.asynccontextmanager(lambda: cast("Any", None))()),
)


def _awaited_by(part: Any) -> Any:
    for name in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(part, name):
            return getattr(part, name)
    return None


def _frame_of(part: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        if hasattr(part, name):
            found: FrameType | None = getattr(part, name)
            return found
    return None


def _code_of(part: Any) -> CodeType | None:
    frame = _frame_of(part)
    return None if frame is None else frame.f_code


def _keep(part: Any) -> None:
    """Keep something suspended for ever, without its variables."""
    frame = _frame_of(part)
    if frame is None:
        return
    if isinstance(part, AsyncGeneratorType):
        # Else the loop closes it in the end.
        loop = asyncio.get_running_loop()
        getattr(loop, "_asyncgens", set()).discard(part)
    # Here, as a Python without it can do all else.
    import ctypes

    api = ctypes.pythonapi
    # Never decremented, so that nothing ends it, not even the interpreter when it exits.
    api.Py_IncRef(ctypes.py_object(part))
    variables = frame.f_locals
    code = frame.f_code
    for name in code.co_varnames:
        # Other functions may use those in cells.
        if name in variables and name not in code.co_cellvars:
            variables[name] = None
    if sys.version_info < (3, 13):
        # What `f_locals` shows is a copy there.
        api.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
