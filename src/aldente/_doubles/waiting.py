"""The only module in which a double waits before it answers.

A loop that decides itself when answers come has a coroutine method ``wait_for_answer``; its
argument is the time of the answer in seconds, None if the test sets no time. The awaited future
describes itself, for reports of deadlocks.
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
        # A coroutine can run without a loop, by `send`.
        return False


async def wait_for_answer(seconds: float | None) -> None:
    """Wait until an answer is due.

    Args:
        seconds: how long it takes, in seconds of the loop's time; None if the test sets no time, so
            that it comes at once.
    """
    if is_decided_by_loop():
        loop: Any = asyncio.get_running_loop()
        await loop.wait_for_answer(seconds)
    elif seconds is not None:
        await asyncio.sleep(seconds)


def described_future(describe: Callable[[], str]) -> asyncio.Future[Any]:
    """A future of the running loop that describes what it stands for.

    Args:
        describe: returns the description, a phrase; called when a report needs it.
    """
    future = _DescribedFuture(loop=asyncio.get_running_loop())
    future.aldente_waits_for = describe
    return future


class _DescribedFuture(asyncio.Future[Any]):
    aldente_waits_for: Callable[[], str]
