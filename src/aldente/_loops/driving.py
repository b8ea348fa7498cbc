"""Runs an event loop until a task is done, with no more turns of the loop than that takes."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from aldente import _asyncio_compat

T = TypeVar("T")


def run_task(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    """Run a loop until a task is done, and return its result, as ``run_until_complete`` does.

    That has the loop go round once more to find out that a task is done. For a task that waits for
    nothing, as most small tests are, this is the greater part of what running it costs.

    Args:
        loop: the loop of the task; not running.
        task: the task.

    Raises:
        BaseException: what the task raised.
        RuntimeError: somebody stopped the loop before.

    >>> loop = asyncio.new_event_loop()
    >>> run_task(loop, loop.create_task(asyncio.sleep(0, "done")))
    'done'
    >>> loop.close()
    """

    def stop(task: asyncio.Task[Any]) -> None:
        if task.cancelled() or not isinstance(task.exception(), (KeyboardInterrupt, SystemExit)):
            loop.stop()
        # Those two have ended the run already, and the loop must not stop in the next one.

    def stop_when_done() -> None:
        if task.done():
            loop.stop()
        else:
            task.add_done_callback(stop)

    # Its turn is right after the task's first step.
    handle = loop.call_soon(stop_when_done)
    try:
        run_until_stopped(loop)
    finally:
        handle.cancel()
        task.remove_done_callback(stop)
    if not task.done():
        raise stopped_early()
    return task.result()


def run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and whatever has been scheduled by then for its next turn."""
    loop.run_forever()
    if _asyncio_compat.may_have_ready_callbacks(loop):
        # run_until_complete would have noticed the end in that turn.
        loop.stop()
        loop.run_forever()


def stopped_early() -> RuntimeError:
    """What ``run_until_complete`` raises when somebody stops its loop."""
    return RuntimeError("Event loop stopped before Future completed.")
