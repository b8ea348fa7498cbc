"""`end`: the end of a run, with the tasks that its program has left, and its hosts."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.selector_loop import ACCEPTING
from aldente._runner.shutdown import Limits, drain_tasks, end_loop, give_turns, give_up
from aldente._simulation.loop import SimulatedLoop

# How many steps, and how much loop time, the tasks may take that are left after the main task.
_STEPS_OF_END = 20_000
_SECONDS_OF_END = Limits(tasks=30.0, generators=60.0, executor=60.0)
_REAL_SECONDS_OF_END = 10.0


def end(
    loop: SimulatedLoop,
    error: BaseException | None,
    on_main_ended: Callable[[SimulatedLoop], object] | None,
) -> BaseException | None:
    """End all tasks that are left on a loop, and close it; return the error of the run.

    Args:
        loop: the loop, on which the program has ended.
        error: the error of the run so far; None without one.
        on_main_ended: called when only what the program has left is on the loop; None without it.
    """
    task = loop.main_task
    if task is None:
        loop.close()
        return error
    loop.end_program()
    loop.allow_more(_STEPS_OF_END, sum(_SECONDS_OF_END), _REAL_SECONDS_OF_END)
    find_tasks = functools.partial(_asyncio_compat.pending_tasks, loop)
    try:
        error = _end_hosts(loop, error)
        if on_main_ended is not None and task.done():
            # As the test runner does.
            give_turns(loop, find_tasks)
            on_main_ended(loop)
        end_loop(loop, find_tasks, _SECONDS_OF_END, lambda: False)
    except BaseException as raised:
        error = error or raised
        _give_up(loop)
    finally:
        if error is not None and task.done() and not task.cancelled():
            # Marked as retrieved, so that asyncio does not log it: the run reports it.
            task.exception()
        loop.close()
    return error


def _end_hosts(loop: SimulatedLoop, error: BaseException | None) -> BaseException | None:
    """Cancel what was started on hosts; return the error of the run."""
    if not loop.has_hosts:
        return error
    for task in loop.hosts.mains:
        if not _asyncio_compat.has_unseen_exception(task):
            continue
        if error is None:
            error = task.exception()
        else:
            error.add_note(f"Before that, {task.get_name()!r} had failed: {task.exception()!r}")
    # asyncio of Python 3.11 logs an error for each cancelled handler of a stream.
    is_noisy = sys.version_info < (3, 12)
    with (
        loop.without_reports() if is_noisy else contextlib.nullcontext(),
        warnings.catch_warnings(),
    ):
        # What a cancelled task leaves open is closed with its host.
        warnings.simplefilter("ignore", ResourceWarning)
        # A connection that asyncio has accepted is closed by its handler, once it has one.
        drain_tasks(loop, lambda: _tasks_of_program(loop), _SECONDS_OF_END.tasks)
        give_turns(loop, loop.hosts.tasks)
        drain_tasks(loop, loop.hosts.tasks, _SECONDS_OF_END.tasks)
    loop.hosts.end()
    return error


def _tasks_of_program(loop: SimulatedLoop) -> list[asyncio.Task[Any]]:
    """The tasks on hosts, except those in which asyncio accepts a connection."""
    return [
        task
        for task in loop.hosts.tasks()
        if getattr(task.get_coro(), "__qualname__", "") != ACCEPTING
    ]


def _give_up(loop: SimulatedLoop) -> None:
    """Leave tasks as they are, without warnings."""
    tasks = asyncio.all_tasks(loop)
    give_up(tasks)
    for task in tasks:
        coroutine = task.get_coro()
        if (
            inspect.iscoroutine(coroutine)
            and inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
        ):
            coroutine.close()
