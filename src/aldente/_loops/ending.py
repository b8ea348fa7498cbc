"""Ends what is left on an event loop, in order: tasks, async generators, executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._loops.draining import AnyTask, drain_tasks, wait_for
from aldente.errors import StuckShutdown


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
        """These, or what a time limit says where that is less."""
        return self if seconds is None else Limits(*(min(limit, seconds) for limit in self))


PATIENT = Limits(30.0, 60.0, 60.0)
# Once the user has pressed Ctrl-C and waits for the prompt.
IN_HURRY = Limits(3.0, 3.0, 3.0)

# How many turns of the loop what is about to end is given.
TURNS = 10

FindTasks = Callable[[], Collection[AnyTask]]


def give_turns(loop: asyncio.AbstractEventLoop, find_tasks: FindTasks) -> None:
    """Let the loop go round a few times, for what is about to end anyway.

    A transport that was closed calls its protocol back on the next turn, and an async generator
    that nobody refers to any more is closed by a task that starts then.

    Args:
        loop: the loop; not running.
        find_tasks: gives the tasks that are left.
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
        find_tasks: gives the tasks that are left.
        limits: how long it may take, by loop time.
        is_over: whether the loop was stopped because real time is over.
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


# How long no job may have a way to go on, and how often that is looked at, in seconds.
LIMIT_OF_STUCK_JOBS = 1.0
LOOK_AT_JOBS = 0.05


def _shut_down_executor(
    loop: asyncio.AbstractEventLoop,
    limit: float,
    is_over: Callable[[], bool],
    are_jobs_stuck: Callable[[], bool],
) -> None:
    """Wait for the jobs of the executor; not for those that can only wait for ever."""
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
