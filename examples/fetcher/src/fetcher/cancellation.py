"""Work that must not be given up half-way when its caller is cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

_T = TypeVar("_T")


async def see_through(
    work: Coroutine[object, object, _T], when_cancelled: Callable[[], None] = lambda: None
) -> _T:
    """Return what some work gives, and stay until it is over, however often we are cancelled.

    `asyncio.shield` would leave when cancelled: the work would go on with nobody there to end it,
    and what it opens, or its thread, would outlive the loop.

    Args:
        work: what is not to be cancelled.
        when_cancelled: called each time, so that the work can be told to end sooner.

    Raises:
        CancelledError: we were cancelled, and the work is over.
    """
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            # Unlike `await task`, `wait` does not pass a cancellation on to the task.
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
            when_cancelled()
    if cancellation is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it as lost
    raise cancellation
