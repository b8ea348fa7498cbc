"""Futures that say what is waited for: reports of deadlocks show it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def telling_future(told: Callable[[], str]) -> asyncio.Future[Any]:
    """A future of the running loop that says what is waited for.

    Args:
        told: what to say, when somebody asks; a phrase.
    """
    future = _TellingFuture(loop=asyncio.get_running_loop())
    future.aldente_waits_for = told
    return future


class _TellingFuture(asyncio.Future[Any]):
    aldente_waits_for: Callable[[], str]
