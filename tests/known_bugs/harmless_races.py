"""Programs in which tasks overlap, and nothing is lost that one after the other would not lose."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any
from uuid import uuid4


async def same_value_loaded_twice() -> None:
    """Two that miss a cache load equal values: the second stores what is there."""
    cache: dict[str, list[str]] = {}

    async def get(key: str) -> list[str]:
        if key not in cache:
            await asyncio.sleep(0.01)
            cache[key] = [key.upper()]
        return cache[key]

    await asyncio.gather(get("a"), get("a"), get("b"))


async def flag_set_twice() -> None:
    """Two that close both set the flag."""
    closed = False

    async def close() -> None:
        nonlocal closed
        if not closed:
            await asyncio.sleep(0)
            closed = True

    await asyncio.gather(close(), close())


async def counted_at_once() -> None:
    """A counter is changed without an await in between, after a check that holds anyway."""
    hits = limit = 0

    async def hit() -> None:
        nonlocal hits, limit
        if hits < 1000:
            await asyncio.sleep(0.01)
            hits += 1
            limit = max(limit, hits)

    await asyncio.gather(*(hit() for _ in range(4)))


async def added_in_another_order() -> None:
    """A log gets its lines in another order than one task after the other would write them."""
    lines: list[str] = []

    async def write(name: str) -> None:
        if len(lines) < 100:
            lines.append(f"{name} begins")
            await asyncio.sleep(0)
            lines.append(f"{name} ends")

    await asyncio.gather(write("a"), write("b"))


async def read_again_after_the_await() -> None:
    """A value is compared with what it was, and computed anew if it has changed."""
    value = 0

    async def add(amount: int) -> None:
        nonlocal value
        while True:
            before = value
            await asyncio.sleep(0)
            if value == before:
                value = before + amount
                return

    await asyncio.gather(add(1), add(2), add(3))


async def single_flight() -> None:
    """All that miss wait for one task that loads."""
    loading: dict[str, asyncio.Task[str]] = {}

    async def load(key: str) -> str:
        await asyncio.sleep(0.01)
        return key.upper()

    async def get(key: str) -> str:
        if key not in loading:
            loading[key] = asyncio.create_task(load(key))
        return await asyncio.shield(loading[key])

    await asyncio.gather(get("a"), get("a"), get("b"))


async def waits_until_it_may() -> None:
    """A place is taken when it is free, at once; until then tasks look again and again."""
    is_taken = False

    async def work() -> None:
        nonlocal is_taken
        while is_taken:
            await asyncio.sleep(0.01)
        is_taken = True
        await asyncio.sleep(0.02)
        is_taken = False

    await asyncio.gather(work(), work(), work())


async def signalled_by_a_condition() -> None:
    """A waiter goes on when a condition says so."""
    items: list[int] = []
    changed = asyncio.Condition()

    async def put(item: int) -> None:
        async with changed:
            items.append(item)
            changed.notify()

    async def get() -> int:
        async with changed:
            await changed.wait_for(lambda: items)
            return items.pop()

    await asyncio.gather(get(), put(1), get(), put(2))


async def when_it_was_used_last() -> None:
    """What is stored is a moment, which is another one after the other."""
    loop = asyncio.get_running_loop()
    used = {"session": loop.time()}

    async def touch() -> None:
        before = used["session"]
        await asyncio.sleep(0.01)
        used["session"] = max(before, loop.time())

    await asyncio.gather(touch(), touch())


async def highest_wins() -> None:
    """Only a higher version replaces what is there, which is compared without an await."""
    version = 0

    async def store(number: int) -> None:
        nonlocal version
        await asyncio.sleep(0.01 * (3 - number))
        version = max(version, number)

    await asyncio.gather(store(1), store(2))


async def another_value_each_time() -> None:
    """Each run stores other values, which no schedule decides."""
    token = ""

    async def renew() -> None:
        nonlocal token
        if not token:
            await asyncio.sleep(0.01)
            token = f"{uuid4()} {id(object())}"

    await asyncio.gather(renew(), renew())


async def kept_on_the_way_to_the_end() -> None:
    """Workers that are cancelled at the very end leave what they have taken, which nothing uses."""
    free = [1, 2]

    async def work(seconds: float) -> None:
        while True:
            item = free.pop()
            await asyncio.sleep(seconds)
            free.append(item)
            if seconds < 1:
                return

    tasks = [asyncio.create_task(work(seconds)) for seconds in (0.1, 1.0)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def put_back_by_a_callback() -> None:
    """What a cancelled task has taken is put back by its callback."""
    free = [1, 2]

    async def use(seconds: float) -> None:
        item = free.pop()
        with contextlib.suppress(ValueError):
            await asyncio.sleep(seconds)
            free.append(item)

    def put_back(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            free.append(0)

    task = asyncio.create_task(use(1))
    task.add_done_callback(put_back)
    await use(0.1)
    task.cancel()
    await asyncio.wait([task])
    await use(0.1)


async def handed_from_task_to_task() -> None:
    """One task takes from a queue what another puts; the reader is cancelled in between."""
    queue: list[int] = []
    numbers = itertools.count()

    async def produce() -> None:
        for _ in range(4):
            queue.append(next(numbers))
            await asyncio.sleep(0.01)

    async def consume() -> None:
        while True:
            while queue:
                queue.pop()
            await asyncio.sleep(0.01)

    reader = asyncio.create_task(consume())
    await produce()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert len(queue) < 5


PROGRAMS = (
    same_value_loaded_twice,
    flag_set_twice,
    counted_at_once,
    added_in_another_order,
    read_again_after_the_await,
    single_flight,
    waits_until_it_may,
    signalled_by_a_condition,
    when_it_was_used_last,
    highest_wins,
    another_value_each_time,
    kept_on_the_way_to_the_end,
    put_back_by_a_callback,
    handed_from_task_to_task,
)
