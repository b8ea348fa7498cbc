"""Programs in which a periodic task goes on while another waits for long: a program that runs one.

    python -m tests.unit.heartbeats closure

A search for what the periodic task can reach goes through all that a process has in memory. That
takes a fifth of a second here, and seconds in a process that runs tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import aldente


async def stuck() -> None:
    """Only a periodic task goes on while two tasks lock two locks in opposite orders."""
    one, two = asyncio.Lock(), asyncio.Lock()

    async def work(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)

    asyncio.create_task(beat())  # noqa: RUF006 - the loop knows it
    await asyncio.gather(work(one, two), work(two, one))


class Box:
    """Keeps an event where every function finds it."""

    event: asyncio.Event


BOX = Box()


async def slow(how: str) -> None:
    """A task polls for long, and then ends the wait of another in one of several ways."""
    event = asyncio.Event()
    current = asyncio.current_task()
    assert current is not None
    ways: dict[str, Any] = {
        "closure": lambda: event.set(),
        "container": [{"deep": (event,)}],
        "cancellation": current,
        "spawned": [event],
    }
    BOX.event = event if how == "global" else asyncio.Event()
    way = ways.get(how)
    del ways

    async def late(events: list[asyncio.Event]) -> None:
        events[0].set()

    async def poll(way: Any) -> None:
        for _ in range(2_500):
            await asyncio.sleep(1)
        if how == "closure":
            way()
        elif how == "container":
            way[0]["deep"][0].set()
        elif how == "global":
            BOX.event.set()
        elif how == "cancellation":
            way.cancel()
        else:
            await asyncio.create_task(late(way))

    task = asyncio.create_task(poll(way))
    with contextlib.suppress(asyncio.CancelledError):
        await event.wait()
    await task


def main(how: str) -> None:
    """Run one of them, and print how it ends."""

    async def program() -> None:
        await (stuck() if how == "stuck" else slow(how))

    try:
        aldente.run(program, seed=0)
    except aldente.DeadlockError:
        print("deadlock")
    else:
        print("ended")


if __name__ == "__main__":
    main(sys.argv[1])
