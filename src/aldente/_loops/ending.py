"""Ends what is left on an event loop, in order: tasks, async generators, executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from aldente import _asyncio_compat
from aldente._loops.draining import AnyTask, drain_tasks
from aldente.errors import StuckShutdown

# How long async generators and the executor may take, in seconds.
SHUTDOWN_LIMIT = 60.0

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


def end_loop(loop: asyncio.AbstractEventLoop, find_tasks: FindTasks, limit: float) -> None:
    """End everything on a loop that is about to be closed; every step is taken.

    Args:
        loop: the loop; not running.
        find_tasks: gives the tasks that are left.
        limit: how long cancelled tasks may take to end, in seconds.

    Raises:
        StuckTasks: tasks did not end although they were cancelled.
        StuckShutdown: async generators or the executor's jobs did not end.
    """
    try:
        if find_tasks():
            drain_tasks(loop, find_tasks, limit)
    finally:
        try:
            if _asyncio_compat.may_have_async_generators(loop):
                _shut_down(loop, loop.shutdown_asyncgens(), "an async generator")
        finally:
            if _asyncio_compat.may_have_default_executor(loop):
                _shut_down(loop, loop.shutdown_default_executor(), "an executor job")


def _shut_down(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None], what: str
) -> None:
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.wait([task], timeout=SHUTDOWN_LIMIT))
    if not task.done():
        _asyncio_compat.silence_destroyed_task(task)
        raise StuckShutdown(what, SHUTDOWN_LIMIT)
    task.result()
