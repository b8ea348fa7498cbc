"""The only module that touches private names of asyncio.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import asyncio
import functools
import sys
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

    ``_get_running_loop`` is documented as the form of ``get_running_loop`` that does not raise; it
    is several times cheaper than catching an exception. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return asyncio._get_running_loop() is not None


def current_event_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that ``asyncio.set_event_loop`` made current in this thread, or None.

    The public ``get_event_loop`` makes a loop where there is none, or raises, and warns. ``_local``
    is where asyncio's own policy keeps it; other policies answer None. Checked on CPython 3.11,
    3.12 and 3.13.
    """
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    return getattr(getattr(policy, "_local", None), "_loop", None)


def may_have_tasks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `asyncio.all_tasks` may have tasks of the loop; False only if it surely does not.

    ``_scheduled_tasks`` and ``_eager_tasks`` (3.12 and 3.13; ``_all_tasks`` on 3.11) hold the tasks
    of all loops, so when they are empty there are none. Asking costs a tenth of listing them.
    Checked on CPython 3.11, 3.12 and 3.13; later ones keep their tasks elsewhere and are asked for
    the list.
    """
    return any(_TASK_SETS) if _TASK_SETS else True


# The sets inside the weak ones, which are asked in a tenth of the time.
_TASK_SETS = [
    getattr(getattr(asyncio.tasks, name), "data", getattr(asyncio.tasks, name))
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
    if hasattr(asyncio.tasks, name) and sys.version_info < (3, 14)
]


def may_have_ready_callbacks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether callbacks may be waiting for their turn; False only if there surely are none.

    ``_ready`` is the queue of ``BaseEventLoop``. Loops that do not show it (uvloop) answer True,
    and go round once more. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(loop, "_ready", True))


def may_have_async_generators(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may know unfinished async generators; False only if it surely does not.

    ``_asyncgens`` is a weak set of ``BaseEventLoop``. Loops without it (uvloop) answer True, and
    are asked to shut down whatever they have, as are those whose method somebody has replaced.
    Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(loop, "_asyncgens", True)) or "shutdown_asyncgens" in getattr(
        loop, "__dict__", {}
    )


def may_have_default_executor(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may have started its default executor; False only if it surely did not.

    ``_default_executor`` is None on ``BaseEventLoop`` until ``run_in_executor(None, ...)`` is first
    called. Loops without it (uvloop) answer True. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return getattr(loop, "_default_executor", True) is not None


def silence_destroyed_task(task: asyncio.Task[Any]) -> None:
    """Keep a task that was given up from logging "Task was destroyed but it is pending!".

    ``_log_destroy_pending`` is the switch asyncio uses itself in ``run_until_complete`` and
    ``gather`` for tasks it has already accounted for. Checked on CPython 3.11, 3.12 and 3.13.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def is_policy_untouched() -> bool:
    """Whether `asyncio.new_event_loop` makes asyncio's own kind of loop, as far as is known.

    ``_event_loop_policy`` is None or asyncio's own policy until somebody sets another one. The
    public ``get_event_loop_policy`` warns since CPython 3.14. Checked on CPython 3.11, 3.12 and
    3.13.
    """
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    if asyncio.events.new_event_loop is not _NEW_EVENT_LOOP:
        return False
    policy_class: Any = type(policy)
    return policy is None or (
        _is_from_asyncio(policy_class) and "new_event_loop" not in vars(policy)
    )


_NEW_EVENT_LOOP = asyncio.events.new_event_loop


@functools.cache
def _is_from_asyncio(policy_class: Any) -> bool:
    module: str = policy_class.__module__
    return module.startswith("asyncio.")
