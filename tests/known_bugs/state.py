"""State that is read before an await and used after it."""

from __future__ import annotations

import asyncio


async def lost_update(is_fixed: bool) -> None:
    """A balance is read, a query is awaited, and the new balance overwrites that of another."""
    balance = 100
    lock = asyncio.Lock()

    async def withdraw(amount: int) -> None:
        nonlocal balance
        before = balance
        await asyncio.sleep(0.01)
        balance = before - amount

    async def customer(amount: int, pause: float) -> None:
        await asyncio.sleep(pause)
        if is_fixed:
            async with lock:
                await withdraw(amount)
        else:
            await withdraw(amount)

    await asyncio.gather(customer(10, 0.1), customer(20, 0.12))
    assert balance == 70


async def check_then_act(is_fixed: bool) -> None:
    """Two customers both see the last seat free, as the payment is awaited in between."""
    seats = 1
    sold: list[str] = []

    async def buy(name: str, pause: float) -> None:
        nonlocal seats
        await asyncio.sleep(pause)
        if seats:
            if is_fixed:
                seats -= 1
                await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(0.01)
                seats -= 1
            sold.append(name)

    await asyncio.gather(buy("a", 0.1), buy("b", 0.115), buy("c", 0.13))
    assert seats == 0
    assert len(sold) == 1


async def double_initialisation(is_fixed: bool) -> None:
    """A connection is opened on first use, twice when two users come while it is being opened."""
    opened: list[object] = []
    connection: object = None
    lock = asyncio.Lock()

    async def connect() -> object:
        nonlocal connection
        if connection is None:
            await asyncio.sleep(0)
            connection = object()
            opened.append(connection)
        return connection

    async def use(pause: int) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        if is_fixed:
            async with lock:
                await connect()
        else:
            await connect()

    await asyncio.gather(use(0), use(2))
    assert len(opened) == 1


async def write_behind(is_fixed: bool) -> None:
    """A read right after a write finds the old value, as the write is still on its way."""
    store = {"name": "old"}
    pending: dict[str, str] = {}

    async def flush() -> None:
        await asyncio.sleep(0)
        store.update(pending)
        pending.clear()

    async def change() -> str:
        pending["name"] = "new"
        flushing = asyncio.create_task(flush())
        if is_fixed:
            await flushing
        else:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        found = store["name"]
        await flushing
        return found

    assert await change() == "new"


async def limit_exceeded(is_fixed: bool) -> None:
    """More downloads run at once than allowed: the count is raised after the await."""
    running = most = 0
    semaphore = asyncio.Semaphore(1)

    async def fetch() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    async def download(pause: float) -> None:
        await asyncio.sleep(pause)
        if is_fixed:
            async with semaphore:
                await fetch()
        else:
            while running:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            await fetch()

    await asyncio.gather(download(0.1), download(0.11), download(0.15))
    assert most == 1


async def subscriber_lost(is_fixed: bool) -> None:
    """A list of subscribers is replaced by what was read of it before an await."""
    subscribers: list[str] = []

    async def subscribe(name: str) -> None:
        nonlocal subscribers
        if is_fixed:
            await asyncio.sleep(0)
            subscribers = [*subscribers, name]
        else:
            before = subscribers
            await asyncio.sleep(0)
            subscribers = [*before, name]

    async def visit(name: str, pause: int) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        await subscribe(name)

    await asyncio.gather(visit("a", 0), visit("b", 1), visit("c", 2))
    assert sorted(subscribers) == ["a", "b", "c"]


async def iteration_over_changing(is_fixed: bool) -> None:
    """A dictionary of clients is gone through with awaits, and one leaves meanwhile."""
    clients = {number: f"client {number}" for number in range(3)}

    async def broadcast() -> None:
        for _ in list(clients) if is_fixed else clients:
            await asyncio.sleep(0)

    async def leave() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        del clients[1]

    await asyncio.gather(broadcast(), leave())


async def half_done_transfer(is_fixed: bool) -> None:
    """A report adds up accounts while a transfer has left one and not reached the other."""
    accounts = {"a": 50, "b": 50}
    lock = asyncio.Lock()

    async def transfer() -> None:
        async with lock:
            accounts["a"] -= 10
            await asyncio.sleep(0.01)
            accounts["b"] += 10

    async def report() -> int:
        await asyncio.sleep(0.015)
        if is_fixed:
            async with lock:
                return sum(accounts.values())
        return sum(accounts.values())

    _, total = await asyncio.gather(transfer(), report())
    assert total == 100
