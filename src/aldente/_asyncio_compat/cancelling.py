"""Who has cancelled a task, as far as asyncio tells."""

from __future__ import annotations

import asyncio
import gc
from typing import Any


def is_cancelled_by_group(task: asyncio.Task[Any]) -> bool:
    """Whether ``TaskGroup.cancel()``, of CPython 3.15 and newer, has cancelled the task around it.

    A cancellation doesn't tell where it comes from, and a task knows nothing of its groups. They
    know it as ``_parent_task`` as long as it is within them, and have ``_parent_cancel_requested``
    once they have cancelled it; those of which a task has failed have ``_errors`` too. Checked on
    CPython 3.15.
    """
    if not hasattr(asyncio.TaskGroup, "cancel"):
        return False
    # An object refers by its dictionary once that was asked for.
    return any(
        isinstance(referrer, dict | asyncio.TaskGroup) and _has_cancelled(referrer, task)
        for referrer in gc.get_referrers(task)
    )


def _has_cancelled(group: asyncio.TaskGroup | dict[Any, Any], task: asyncio.Task[Any]) -> bool:
    attributes = group if isinstance(group, dict) else vars(group)
    return (
        attributes.get("_parent_task") is task
        and bool(attributes.get("_parent_cancel_requested"))
        and not attributes.get("_errors")
    )
