"""The one place where a double waits before it answers.

A loop that decides itself when answers come has a method ``wait_for_answer``: it is awaited with
the number of seconds that the answer is to take, None when the test does not say.
"""

from __future__ import annotations

import asyncio


async def wait_for_answer(seconds: float | None) -> None:
    """Wait until an answer is due.

    Args:
        seconds: how long it takes, in seconds of the loop's time; None when nothing was said, and
            then it is there at once.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # A coroutine can be run by hand.
        loop = None
    decide = getattr(loop, "wait_for_answer", None)
    if decide is not None:
        await decide(seconds)
    elif seconds is not None:
        await asyncio.sleep(seconds)
