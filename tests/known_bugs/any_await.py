"""Code that is not safe to be cancelled, or to time out, at each of its awaits."""

from __future__ import annotations

import asyncio
import collections
import contextlib

import aldente


async def handed_over_item_lost(is_fixed: bool) -> None:
    """A channel hands an item over to a consumer that times out before it has gone on."""
    items: list[int] = []
    waiters: collections.deque[asyncio.Future[int]] = collections.deque()

    def put(item: int) -> None:
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(item)
                return
        items.append(item)

    async def get() -> int:
        if items:
            return items.pop()
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if is_fixed and waiter.done() and not waiter.cancelled():
                put(waiter.result())
            raise

    async def consume() -> list[int]:
        try:
            return [await aldente.maybe_timeout(get())]
        except TimeoutError:
            return []

    async def produce() -> None:
        await asyncio.sleep(1)
        put(1)

    received, _ = await asyncio.gather(consume(), produce())
    assert received + items == [1]


async def permit_lost(is_fixed: bool) -> None:
    """A limiter gives a permit to a task that is cancelled before it has gone on."""
    free = 1
    waiters: collections.deque[asyncio.Future[None]] = collections.deque()

    async def acquire() -> None:
        nonlocal free
        if free:
            free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if is_fixed and waiter.done() and not waiter.cancelled():
                release()
            raise

    def release() -> None:
        nonlocal free
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        free += 1

    async def work() -> None:
        await acquire()
        try:
            await asyncio.sleep(0.1)
        finally:
            release()

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    aldente.may_be_cancelled(tasks[1])
    await asyncio.gather(*tasks, return_exceptions=True)
    assert free == 1


async def reply_of_another(is_fixed: bool) -> None:
    """A request times out after it was sent, and its connection goes back into the pool."""
    (reader, writer), (server_reader, server_writer) = aldente.stream_pair()
    pool: asyncio.Queue[str] = asyncio.Queue()
    pool.put_nowait("connection")

    async def serve() -> None:
        with contextlib.suppress(ConnectionError):
            while line := await server_reader.readline():
                server_writer.write(b"reply to " + line)

    async def ask(text: bytes) -> bytes:
        connection = await pool.get()
        is_unread = True
        try:
            writer.write(text + b"\n")
            reply = await reader.readline()
            is_unread = False
            return reply
        finally:
            if is_unread and is_fixed:
                await asyncio.shield(reader.readline())
            pool.put_nowait(connection)

    server = asyncio.create_task(serve())
    with contextlib.suppress(TimeoutError):
        await aldente.maybe_timeout(ask(b"one"))
    reply = await ask(b"two")
    writer.close()
    server_writer.close()
    await server
    assert reply == b"reply to two\n"


async def cancelled_when_done(is_fixed: bool) -> None:
    """A wait returns although it was cancelled, if what it waits for is done at the same moment."""

    async def wait_for(operation: asyncio.Future[int]) -> int:
        try:
            return await asyncio.shield(operation)
        except asyncio.CancelledError:
            if operation.done() and not is_fixed:
                return operation.result()
            raise

    async def fetch() -> int:
        await asyncio.sleep(0.1)
        return 1

    async def work() -> int:
        return await wait_for(asyncio.create_task(fetch()))

    worker = aldente.may_be_cancelled(asyncio.create_task(work()))
    await asyncio.gather(worker, return_exceptions=True)
    assert worker.cancelled() or not worker.cancelling()


async def transfer_without_rollback(is_fixed: bool) -> None:
    """A transfer is cancelled between its two halves; nobody rolls the first one back."""
    accounts = {"a": 10, "b": 0}

    async def write(account: str, amount: int) -> None:
        await asyncio.sleep(0)
        accounts[account] += amount

    async def transfer() -> None:
        await asyncio.sleep(0)
        accounts["a"] -= 10
        try:
            await write("b", 10)
        except asyncio.CancelledError:
            if is_fixed:
                accounts["a"] += 10
            raise

    task = aldente.may_be_cancelled(asyncio.create_task(transfer()))
    await asyncio.gather(task, return_exceptions=True)
    assert sum(accounts.values()) == 10


async def slot_kept(is_fixed: bool) -> None:
    """A task is cancelled between taking a slot and the 'try' that gives it back."""
    slots = asyncio.Semaphore(2)
    announced: list[int] = []

    async def announce(number: int) -> None:
        await asyncio.sleep(0)
        announced.append(number)

    async def work(number: int) -> None:
        if is_fixed:
            async with slots:
                await announce(number)
                await asyncio.sleep(1)
            return
        await slots.acquire()
        await announce(number)
        try:
            await asyncio.sleep(1)
        finally:
            slots.release()

    tasks = [aldente.may_be_cancelled(asyncio.create_task(work(number))) for number in range(3)]
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(1), slots, slots:
        pass
