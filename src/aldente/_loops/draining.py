"""Cancels tasks and waits for their end, within a limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Any

from aldente import _asyncio_compat
from aldente.errors import StuckTasks

AnyTask = asyncio.Task[Any]


def drain_tasks(
    loop: asyncio.AbstractEventLoop,
    find_tasks: Callable[[], Collection[AnyTask]],
    limit: float,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Cancel tasks once each and run the loop until all of them, and those they start, have ended.

    Exceptions they end with go to the loop's exception handler, as `asyncio.run` does it.

    Args:
        loop: the loop of the tasks; not running.
        find_tasks: gives the tasks that are left; asked again until there are none.
        limit: how long to wait, in seconds of loop time.
        is_over: whether the loop was stopped because real time is over.

    Raises:
        StuckTasks: some did not end within the limit. They are given up: they stay pending,
        silently.
    """
    cancelled: set[AnyTask] = set()
    closed: set[AnyTask] = set()
    deadline = loop.time() + limit
    while tasks := [task for task in find_tasks() if not task.done() and task not in closed]:
        remaining = deadline - loop.time()
        if remaining <= 0:
            break
        for task in tasks:
            if task not in cancelled:
                cancelled.add(task)
                if not try_cancel(task):
                    _close(task)
                    closed.add(task)
        waiting = [task for task in tasks if task not in closed]
        if waiting and not wait_for(loop, waiting, remaining, is_over):
            break
    for task in cancelled:
        _report_exception(loop, task)
    if tasks:
        give_up(tasks)
        raise StuckTasks(sorted(describe_task(task) for task in tasks), limit)


def wait_for(
    loop: asyncio.AbstractEventLoop,
    tasks: Collection[AnyTask],
    limit: float,
    is_over: Callable[[], bool],
) -> bool:
    """Run a loop until tasks are done, or a limit of loop time is over.

    Returns:
        Whether that is so; the loop may have been stopped before, as real time was over.

    Raises:
        RuntimeError: somebody else has stopped or closed the loop.
    """
    waiter = loop.create_task(asyncio.wait(tasks, timeout=limit))
    try:
        loop.run_until_complete(waiter)
    except RuntimeError:
        if not waiter.done():
            _close(waiter)
        if not is_over():
            raise
        return False
    return True


def try_cancel(task: AnyTask) -> bool:
    """Cancel a task, unless it waits for itself through others.

    A cancellation is handed on to the task that is awaited. When tasks await each other in a
    circle, it never arrives, and none of them can be cancelled.

    Returns:
        Whether it was cancelled.
    """
    try:
        task.cancel()
    except RecursionError:
        return False
    return True


def give_up(tasks: Collection[AnyTask]) -> None:
    """Leave tasks pending, without asyncio's message when they are destroyed."""
    for task in tasks:
        _asyncio_compat.silence_destroyed_task(task)


def _close(task: AnyTask) -> None:
    """End the coroutine of a task that can't be cancelled; the task stays pending, silently."""
    _asyncio_compat.silence_destroyed_task(task)
    coroutine = task.get_coro()
    with contextlib.suppress(RuntimeError, ValueError):
        # It ignores the end, or is running.
        if coroutine is not None:
            coroutine.close()


def describe_task(task: AnyTask) -> str:
    """One line that tells a task's name, its coroutine and the line where it waits.

    >>> async def main():
    ...     return describe_task(asyncio.current_task())
    >>> asyncio.run(main()).startswith("'Task-")
    True
    """
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    stack = task.get_stack(limit=1)
    if not stack:
        return f"{task.get_name()!r} running {name}"
    frame = stack[-1]
    return f"{task.get_name()!r} running {name} at {frame.f_code.co_filename}:{frame.f_lineno}"


def _report_exception(loop: asyncio.AbstractEventLoop, task: AnyTask) -> None:
    if not task.done() or task.cancelled():
        return
    exception = task.exception()
    if exception is not None:
        loop.call_exception_handler(
            {
                "message": "a task failed while it was being cancelled at the end of its scope",
                "exception": exception,
                "task": task,
            }
        )
