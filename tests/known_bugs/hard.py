"""Bugs that show in very few of all schedules."""

from __future__ import annotations

import asyncio


async def four_constraints(is_fixed: bool) -> None:
    """Fails if four pairs of steps of four tasks are all in the unusual order."""
    seen: dict[tuple[int, int], int] = {}

    async def work(number: int) -> None:
        for step in range(4):
            await asyncio.sleep(0)
            seen[number, step] = len(seen)

    if is_fixed:
        for number in range(4):
            await work(number)
    else:
        await asyncio.gather(*map(work, range(4)))
    is_unusual = (
        seen[3, 0] < seen[0, 0]
        and seen[2, 2] < seen[1, 0]
        and seen[0, 3] < seen[2, 3]
        and seen[1, 3] < seen[3, 3]
    )
    assert not is_unusual


async def starved_task(is_fixed: bool) -> None:
    """A task that polls gives up after thirty looks, and the other has had no turn by then."""
    looks = 0
    is_done = False

    async def poll() -> None:
        nonlocal looks
        while not is_done:
            looks += 1
            assert looks < 30
            await asyncio.sleep(0.01 if is_fixed else 0)

    async def finish() -> None:
        nonlocal is_done
        for _ in range(3):
            await asyncio.sleep(0)
        is_done = True

    await asyncio.gather(poll(), finish(), asyncio.sleep(0))


async def one_of_5040_orders(is_fixed: bool) -> None:
    """Fails in one of all orders of seven tasks."""
    order: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        order.append(number)

    if is_fixed:
        for number in range(7):
            await work(number)
    else:
        await asyncio.gather(*map(work, range(7)))
    assert order != [3, 6, 0, 5, 1, 4, 2]


async def _race(is_fixed: bool) -> int:
    """The number of the one of two that goes on first; fixed, the second waits for the first."""
    first: list[int] = []

    async def run(number: int) -> None:
        await asyncio.sleep(0)
        first.append(number)

    if is_fixed:
        await run(0)
        await run(1)
    else:
        await asyncio.gather(run(0), run(1))
    return first[0]


async def ladder(is_fixed: bool) -> None:
    """Thirteen races must each go the unusual way; the first that does not ends the program."""
    for _ in range(13):
        if await _race(is_fixed) == 0:
            return
    raise AssertionError("all thirteen went the unusual way")


async def ladder_of_flags(is_fixed: bool) -> None:
    """Thirteen races must each go their way; how many do shows in how often a line is reached."""
    won = 0
    for number in range(13):
        if await _race(is_fixed) != number % 2:
            won += 1
    assert won < 13
