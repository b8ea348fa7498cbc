"""Bugs that need an await to take longer than another one."""

from __future__ import annotations

import asyncio


async def cache_stampede(is_fixed: bool) -> None:
    """A cache is asked again while the first request is still under way."""
    requests = 0
    cache: dict[str, str] = {}
    pending: dict[str, asyncio.Task[str]] = {}

    async def fetch(key: str) -> str:
        nonlocal requests
        requests += 1
        await asyncio.sleep(1)
        cache[key] = key.upper()
        return cache[key]

    async def get(key: str) -> str:
        if key in cache:
            return cache[key]
        if not is_fixed:
            return await fetch(key)
        if key not in pending:
            pending[key] = asyncio.create_task(fetch(key))
        return await pending[key]

    async def later() -> str:
        await asyncio.sleep(1.4)
        return await get("a")

    assert list(await asyncio.gather(get("a"), later())) == ["A", "A"]
    assert requests == 1


async def token_refresh(is_fixed: bool) -> None:
    """Two clients refresh the same token, and the second makes that of the first invalid."""
    token = 0
    refreshed: list[int] = []
    lock = asyncio.Lock()

    async def refresh(seen: int) -> None:
        nonlocal token
        if token != seen:
            return
        await asyncio.sleep(0.5)
        token += 1
        refreshed.append(token)

    async def client(pause: float) -> None:
        await asyncio.sleep(pause)
        if token == 0:
            if is_fixed:
                async with lock:
                    await refresh(0)
            else:
                await refresh(0)

    await asyncio.gather(client(1.0), client(1.7))
    assert refreshed == [1]


async def out_of_order_answers(is_fixed: bool) -> None:
    """The answer for what was typed first comes last, and is shown."""
    shown = ""
    newest = 0

    async def search(text: str, number: int, seconds: float) -> None:
        nonlocal shown, newest
        newest = number
        await asyncio.sleep(seconds)
        if not is_fixed or newest == number:
            shown = text

    async def type_in() -> None:
        first = asyncio.create_task(search("a", 1, 1.0))
        await asyncio.sleep(0.3)
        second = asyncio.create_task(search("ab", 2, 0.9))
        await asyncio.gather(first, second)

    await type_in()
    assert shown == "ab"


async def lease_expired(is_fixed: bool) -> None:
    """A worker believes in its lease longer than the server does, and another one has it."""
    owner = ""
    wrote: list[str] = []

    async def work(name: str) -> None:
        nonlocal owner
        owner = name
        await asyncio.sleep(0.8)
        if not is_fixed or owner == name:
            wrote.append(name)

    async def takeover() -> None:
        await asyncio.sleep(1)
        if not wrote:
            await work("second")

    await asyncio.gather(work("first"), takeover())
    assert len(wrote) == 1


async def heartbeat_missed(is_fixed: bool) -> None:
    """A heartbeat that comes a little late is taken for a dead worker, and its job is given away."""
    last = 0.0
    loop = asyncio.get_running_loop()
    started = loop.time()
    given_away = False
    is_alive = True

    async def beat() -> None:
        nonlocal last
        for _ in range(3):
            await asyncio.sleep(1)
            last = loop.time() - started

    async def watch() -> None:
        nonlocal given_away
        await asyncio.sleep(1.5)
        while is_alive:
            if loop.time() - started - last > (3 if is_fixed else 1.2):
                given_away = True
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await beat()
    is_alive = False
    await watching
    assert not given_away


async def retry_applied_twice(is_fixed: bool) -> None:
    """A client that is impatient sends its order again, and the first one arrives after all."""
    orders: dict[str, int] = {}
    answered = asyncio.Event()

    async def place(key: str) -> None:
        await asyncio.sleep(0.7)
        if not is_fixed or key not in orders:
            orders[key] = orders.get(key, 0) + 1
        answered.set()

    async def patient() -> None:
        await asyncio.sleep(1)
        if not answered.is_set():
            await place("order")

    await asyncio.gather(place("order"), patient())
    assert orders == {"order": 1}
