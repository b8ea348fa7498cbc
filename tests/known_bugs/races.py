"""Programs without an assertion in which an update is lost, or something is never put back.

Fixed, each does the same without that. `aldente.serializable` is not told of anything here: only the
rule ``race`` can find them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aldente


def guard(is_fixed: bool) -> contextlib.AbstractAsyncContextManager[Any]:
    """A lock in fixed programs."""
    return asyncio.Lock() if is_fixed else contextlib.nullcontext()


async def counted_by_two(is_fixed: bool) -> None:
    """Two requests add to a counter that is read before an await."""

    class Counter:
        def __init__(self) -> None:
            self.value = 0
            self.guard = guard(is_fixed)

        async def add(self, amount: int) -> None:
            async with self.guard:
                before = self.value
                await asyncio.sleep(0.01)
                self.value = before + amount

    counter = Counter()
    await asyncio.gather(counter.add(1), counter.add(2))


async def computed_in_a_function(is_fixed: bool) -> None:
    """The old value goes through a function and an argument before the new one is stored."""
    balances = {"ann": 100}
    lock = guard(is_fixed)

    async def save(name: str, amount: int) -> None:
        await asyncio.sleep(0)
        balances[name] = amount

    async def pay(name: str, amount: int) -> None:
        async with lock:
            left = balances[name]
            await save(name, left - amount)

    await asyncio.gather(pay("ann", 10), pay("ann", 20))


async def added_after_an_await(is_fixed: bool) -> None:
    """`+=` reads its target before the await on its right side."""
    total = 0
    lock = guard(is_fixed)

    async def fetch(amount: int) -> int:
        await asyncio.sleep(0.01 * amount)
        return amount

    async def add(amount: int) -> None:
        nonlocal total
        async with lock:
            total += await fetch(amount)

    await asyncio.gather(add(1), add(2))


async def last_seat_sold_twice(is_fixed: bool) -> None:
    """Stock order has the second customer come after the first has bought."""

    class Shop:
        def __init__(self) -> None:
            self.seats = 1
            self.guard = guard(is_fixed)

        async def buy(self) -> None:
            async with self.guard:
                if self.seats:
                    await asyncio.sleep(0.01)
                    self.seats -= 1

    async def late(shop: Shop) -> None:
        await asyncio.sleep(0.015)
        await shop.buy()

    shop = Shop()
    await asyncio.gather(shop.buy(), late(shop))


async def lazily_connected_twice(is_fixed: bool) -> None:
    """Two first uses make a connection each, and the first one is never closed."""

    class Connection:
        async def close(self) -> None:
            await asyncio.sleep(0)

    class Client:
        def __init__(self) -> None:
            self.connection: Connection | None = None
            self.guard = guard(is_fixed)

        async def use(self) -> None:
            async with self.guard:
                if self.connection is None:
                    await asyncio.sleep(0.01)
                    self.connection = Connection()

    client = Client()
    await asyncio.gather(client.use(), client.use())
    assert client.connection is not None
    await client.connection.close()


async def state_reopened(is_fixed: bool) -> None:
    """A job that was idle is set to busy after another task has closed it."""

    class Job:
        def __init__(self) -> None:
            self.state = "idle"
            self.guard = guard(is_fixed)

        async def start(self) -> None:
            async with self.guard:
                if self.state == "idle":
                    await asyncio.sleep(0.01)
                    self.state = "busy"

        async def close(self) -> None:
            await asyncio.sleep(0.005)
            async with self.guard:
                self.state = "closed"

    job = Job()
    await asyncio.gather(job.start(), job.close())


async def refilled_with_old(is_fixed: bool) -> None:
    """A read fills the cache with what a write has replaced in the meantime."""

    class Store:
        def __init__(self) -> None:
            self.stored, self.cached = "old", ""
            self.guard = guard(is_fixed)

        async def read(self) -> None:
            async with self.guard:
                value = self.stored
                await asyncio.sleep(0.01)
                self.cached = value

        async def write(self, value: str) -> None:
            async with self.guard:
                self.stored = value
                self.cached = value

    store = Store()
    await asyncio.gather(store.read(), store.write("new"))


async def subscriber_dropped(is_fixed: bool) -> None:
    """A list is replaced by one that was made from it before an await."""
    names: list[str] = []
    lock = guard(is_fixed)

    async def subscribe(name: str) -> None:
        nonlocal names
        async with lock:
            before = list(names)
            await asyncio.sleep(0)
            names = [*before, name]

    await asyncio.gather(subscribe("ann"), subscribe("bob"), subscribe("cid"))


async def connection_kept_by_cancelled(is_fixed: bool) -> None:
    """A request that is cancelled does not put its connection back."""

    class Pool:
        def __init__(self) -> None:
            self.free = ["a", "b"]

        async def use(self, seconds: float) -> None:
            connection = self.free.pop()
            try:
                await asyncio.sleep(seconds)
            finally:
                if is_fixed:
                    self.free.append(connection)
            if not is_fixed:
                self.free.append(connection)

    pool = Pool()
    slow = asyncio.create_task(pool.use(1.0))
    await pool.use(0.1)
    slow.cancel()
    await asyncio.wait([slow])
    await pool.use(0.1)


async def permit_kept_by_failed(is_fixed: bool) -> None:
    """A request that fails does not release its permit of a semaphore."""
    permits = asyncio.Semaphore(2)

    async def ask(number: int) -> None:
        await permits.acquire()
        try:
            await asyncio.sleep(0.01)
            if number == 1:
                raise ConnectionError
        except ConnectionError:
            if is_fixed:
                permits.release()
            raise
        permits.release()

    await asyncio.gather(*(ask(number) for number in range(4)), return_exceptions=True)


async def slot_counted_for_ever(is_fixed: bool) -> None:
    """A job that may be cancelled is counted as running for ever."""

    class Workers:
        running = 0

        async def work(self) -> None:
            self.running += 1
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if is_fixed:
                    self.running -= 1
                raise
            self.running -= 1

    workers = Workers()
    first = aldente.may_be_cancelled(asyncio.create_task(workers.work()))
    await asyncio.wait([first])
    await workers.work()


PROGRAMS = (
    counted_by_two,
    computed_in_a_function,
    added_after_an_await,
    last_seat_sold_twice,
    lazily_connected_twice,
    state_reopened,
    refilled_with_old,
    subscriber_dropped,
    connection_kept_by_cancelled,
    permit_kept_by_failed,
    slot_counted_for_ever,
)
