"""Ends what is left on an event loop, in order: tasks, async generators, the executor.

It cancels tasks, and waits for their end within a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente.errors import StuckShutdown, StuckTasks

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
        find_tasks: returns the tasks that are left; called again until there are none.
        limit: how long to wait, in seconds of loop time.
        is_over: whether the loop was stopped at its limit of real time.

    Raises:
        StuckTasks: some did not end within the limit. They are given up: they stay pending, without
            a warning.
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
        False if the loop was stopped before that, at its limit of real time.

    Raises:
        RuntimeError: other code stopped or closed the loop.
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

    A task passes its cancellation on to the task that it awaits. When tasks await each other in a
    cycle, it never arrives, and none of them can be cancelled.

    Returns:
        Whether it was cancelled.
    """
    try:
        task.cancel()
    except RecursionError:
        return False
    return True


def give_up(tasks: Collection[AnyTask]) -> None:
    """Leave tasks pending, without asyncio's warning when they are destroyed."""
    for task in tasks:
        _asyncio_compat.silence_destroyed_task(task)


def _close(task: AnyTask) -> None:
    """End the coroutine of a task that can't be cancelled; the task stays pending, unreported."""
    _asyncio_compat.silence_destroyed_task(task)
    coroutine = task.get_coro()
    with contextlib.suppress(RuntimeError, ValueError):
        # It ignores GeneratorExit, or is running.
        if coroutine is not None:
            coroutine.close()


def describe_task(task: AnyTask) -> str:
    """One line with a task's name, its coroutine and the line where it waits.

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
                "message": "a task failed while aldente cancelled it at the end of its scope",
                "exception": exception,
                "task": task,
            }
        )


class Limits(NamedTuple):
    """How long what is left on a loop may take to end, in seconds of loop time.

    Attributes:
        tasks: tasks that were cancelled.
        generators: async generators.
        executor: jobs of the executor.
    """

    tasks: float
    generators: float
    executor: float

    def at_most(self, seconds: float | None) -> Limits:
        """These limits, or a time limit where that is less."""
        return self if seconds is None else Limits(*(min(limit, seconds) for limit in self))


PATIENT = Limits(30.0, 60.0, 60.0)
# After Ctrl-C, when the user waits for the prompt.
IN_HURRY = Limits(3.0, 3.0, 3.0)

# How many iterations of the loop tasks get to end by themselves.
TURNS = 10

FindTasks = Callable[[], Collection[AnyTask]]


def give_turns(loop: asyncio.AbstractEventLoop, find_tasks: FindTasks) -> None:
    """Run the loop for a few iterations, for what is about to end anyway.

    A closed transport calls its protocol in the next iteration, which also starts the task that
    closes an unreferenced async generator.

    Args:
        loop: the loop; not running.
        find_tasks: returns the tasks that are left.
    """
    for _ in range(TURNS):
        if not _asyncio_compat.may_have_ready_callbacks(loop) and not find_tasks():
            return
        loop.call_soon(loop.stop)
        loop.run_forever()


def end_loop(
    loop: asyncio.AbstractEventLoop,
    find_tasks: FindTasks,
    limits: Limits,
    is_over: Callable[[], bool],
    are_jobs_stuck: Callable[[], bool] = lambda: False,
) -> None:
    """End everything on a loop that is about to be closed; every step is taken.

    Args:
        loop: the loop; not running.
        find_tasks: returns the tasks that are left.
        limits: how long it may take, by loop time.
        is_over: whether the loop was stopped at its limit of real time.
        are_jobs_stuck: whether jobs of executors wait for ever.

    Raises:
        StuckTasks: tasks did not end although they were cancelled.
        StuckShutdown: async generators or the executor's jobs did not end.
    """
    try:
        if find_tasks():
            drain_tasks(loop, find_tasks, limits.tasks, is_over)
    finally:
        try:
            if _asyncio_compat.may_have_async_generators(loop):
                generators_end = loop.shutdown_asyncgens()
                what = "an async generator"
                _shut_down(loop, generators_end, what, limits.generators, is_over)
        finally:
            if _asyncio_compat.may_have_default_executor(loop):
                _shut_down_executor(loop, limits.executor, is_over, are_jobs_stuck)


# How long jobs must be stuck, and how often to check that, in seconds.
LIMIT_OF_STUCK_JOBS = 1.0
LOOK_AT_JOBS = 0.05


def _shut_down_executor(
    loop: asyncio.AbstractEventLoop,
    limit: float,
    is_over: Callable[[], bool],
    are_jobs_stuck: Callable[[], bool],
) -> None:
    """Wait for the jobs of the executor, except those that wait for ever."""
    what = "an executor job"
    task = loop.create_task(loop.shutdown_default_executor())
    began = now = loop.time()
    stuck_since: float | None = None
    while not task.done() and now < began + limit:
        if not wait_for(loop, [task], LOOK_AT_JOBS, is_over):
            break
        now = loop.time()
        if task.done() or not are_jobs_stuck():
            stuck_since = None
        elif stuck_since is None:
            stuck_since = now
        elif now > stuck_since + LIMIT_OF_STUCK_JOBS:
            limit = LIMIT_OF_STUCK_JOBS
            break
    _see_end(task, what, limit)


def _shut_down(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, None],
    what: str,
    limit: float,
    is_over: Callable[[], bool],
) -> None:
    task = loop.create_task(coroutine)
    wait_for(loop, [task], limit, is_over)
    _see_end(task, what, limit)


def _see_end(task: asyncio.Task[None], what: str, limit: float) -> None:
    if not task.done():
        _asyncio_compat.silence_destroyed_task(task)
        raise StuckShutdown(what, limit)
    task.result()
