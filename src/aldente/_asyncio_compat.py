"""The only module that touches private names of asyncio.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import asyncio
from typing import Any


def hide_task(task: asyncio.Task[Any]) -> None:
    """Take a task out of ``asyncio.all_tasks()`` until `show_task` puts it back.

    ``_unregister_task`` is documented under "Extending asyncio" for task implementations of third
    parties, but not exported by the stubs. Checked on CPython 3.11, 3.12 and 3.13.
    """
    asyncio.tasks._unregister_task(task)


def show_task(task: asyncio.Task[Any]) -> None:
    """Put a task back into ``asyncio.all_tasks()``; the counterpart of `hide_task`."""
    asyncio.tasks._register_task(task)


def is_loop_running_here() -> bool:
    """Whether an event loop is running in this thread.

    ``_get_running_loop`` is documented as the form of ``get_running_loop`` that does not raise; it is
    several times cheaper than catching an exception. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return asyncio._get_running_loop() is not None


def may_have_async_generators(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may know unfinished async generators; False only if it surely does not.

    ``_asyncgens`` is a weak set of ``BaseEventLoop``. Loops without it (uvloop) answer True, and are
    asked to shut down whatever they have. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(loop, "_asyncgens", True))


def may_have_default_executor(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may have started its default executor; False only if it surely did not.

    ``_default_executor`` is None on ``BaseEventLoop`` until ``run_in_executor(None, ...)`` is first
    called. Loops without it (uvloop) answer True. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return getattr(loop, "_default_executor", True) is not None


def silence_destroyed_task(task: asyncio.Task[Any]) -> None:
    """Keep a task that was given up from logging "Task was destroyed but it is pending!".

    ``_log_destroy_pending`` is the switch asyncio uses itself in ``run_until_complete`` and ``gather``
    for tasks it has already accounted for. Checked on CPython 3.11, 3.12 and 3.13.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]
