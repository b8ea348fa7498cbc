"""Which tasks say that another one waits for them, from CPython 3.14 on."""

from __future__ import annotations

import asyncio
from typing import Any


def is_awaited_by(future: asyncio.Future[Any], task: asyncio.Task[Any]) -> bool:
    """Whether a future is recorded as awaited by a task, now or from its next step on.

    asyncio and libraries tell it by ``future_add_to_awaited_by``. The public way to ask,
    ``capture_call_graph``, goes on to what awaits the task in turn: it fails with a
    RecursionError where tasks await each other in a circle. Before CPython 3.14 nothing is told.
    Checked on CPython 3.14 and 3.15.
    """
    return task in (getattr(future, "_asyncio_awaited_by", None) or ())
