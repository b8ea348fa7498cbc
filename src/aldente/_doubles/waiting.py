"""The one place where a double waits before it answers.

A loop that decides itself when answers come has a method ``wait_for_answer``: it is awaited with
the number of seconds that the answer is to take, None when the test does not say. What is waited
for says so: reports of deadlocks show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def is_decided_by_loop() -> bool:
    """Whether the running loop decides when answers come."""
    try:
        return hasattr(asyncio.get_running_loop(), "wait_for_answer")
    except RuntimeError:
        # A coroutine can be run by hand.
        return False


async def wait_for_answer(seconds: float | None) -> None:
    """Wait until an answer is due.

    Args:
        seconds: how long it takes, in seconds of the loop's time; None when nothing was said, and
            then it is there at once.
    """
    if is_decided_by_loop():
        loop: Any = asyncio.get_running_loop()
        await loop.wait_for_answer(seconds)
    elif seconds is not None:
        await asyncio.sleep(seconds)


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
