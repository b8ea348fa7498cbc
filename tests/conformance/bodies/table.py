"""The table of programs, and what they are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Note = Callable[..., None]
Body = Callable[[Note], Awaitable[None]]

# Short, as stock asyncio sleeps it, and long enough that what takes no time is over before the next.
TICK = 0.02
BODIES: dict[str, Body] = {}


def body(function: Body) -> Body:
    """Add a program to the table."""
    BODIES[function.__name__] = function
    return function


async def after(ticks: float, note: Note, what: object) -> object:
    """Note something after a while, or that it was cancelled."""
    try:
        await asyncio.sleep(ticks * TICK)
    except asyncio.CancelledError:
        note("cancelled", what)
        raise
    note(what)
    return what


async def fail_after(ticks: float, error: BaseException) -> None:
    await asyncio.sleep(ticks * TICK)
    raise error
