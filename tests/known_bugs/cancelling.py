"""Code that is not safe to cancel."""

from __future__ import annotations

import asyncio
import contextlib

import aldente


async def unread_reply(is_fixed: bool) -> None:
    """A request is cancelled after it was sent, and the next user of the connection reads its reply."""
    (reader, writer), (server_reader, server_writer) = aldente.stream_pair()
    is_broken = False

    async def serve() -> None:
        with contextlib.suppress(ConnectionError):
            while line := await server_reader.readline():
                server_writer.write(b"reply to " + line)

    async def ask(text: bytes) -> bytes:
        nonlocal is_broken
        writer.write(text + b"\n")
        try:
            return await reader.readline()
        except asyncio.CancelledError:
            is_broken = True
            raise

    server = asyncio.create_task(serve())
    first = asyncio.create_task(ask(b"one"))

    async def stop() -> None:
        for _ in range(6):
            await asyncio.sleep(0)
        first.cancel()

    try:
        await asyncio.gather(first, stop(), return_exceptions=True)
        if not (is_fixed and is_broken):
            assert await ask(b"two") == b"reply to two\n"
    finally:
        writer.close()
        server_writer.close()
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


async def swallowed_cancellation(is_fixed: bool) -> None:
    """A wait with a time-out takes a cancellation for the end of what it waits for, as in 2020."""

    async def wait_for(task: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done() and not is_fixed:
                return
            raise

    async def operation() -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def work() -> None:
        await wait_for(asyncio.create_task(operation()))
        await asyncio.sleep(100)

    worker = asyncio.create_task(work())

    async def stop() -> None:
        for _ in range(9):
            await asyncio.sleep(0)
        worker.cancel()

    began = asyncio.get_running_loop().time()
    await asyncio.gather(worker, stop(), return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 50


async def queue_item_lost(is_fixed: bool) -> None:
    """A consumer is cancelled between taking an item and storing it."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    stored: list[int] = []

    async def consume() -> None:
        while True:
            item = await queue.get()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if is_fixed:
                    stored.append(item)
                raise
            stored.append(item)

    consumer = asyncio.create_task(consume())

    async def produce() -> None:
        for number in range(2):
            queue.put_nowait(number)
            await asyncio.sleep(0)

    async def stop() -> None:
        for _ in range(8):
            await asyncio.sleep(0)
        consumer.cancel()

    await asyncio.gather(produce(), stop())
    await asyncio.gather(consumer, return_exceptions=True)
    while not queue.empty():
        stored.append(queue.get_nowait())
    assert sorted(stored) == [0, 1]


async def lock_kept(is_fixed: bool) -> None:
    """A flag that marks the resource as taken is not put back by who is cancelled."""
    is_taken = False

    async def use() -> None:
        nonlocal is_taken
        while is_taken:
            await asyncio.sleep(0.1)
        is_taken = True
        try:
            await asyncio.sleep(0.5)
        except asyncio.CancelledError:
            if is_fixed:
                is_taken = False
            raise
        is_taken = False

    async def stop() -> None:
        await asyncio.sleep(0.8)
        first.cancel()

    first = asyncio.create_task(use())
    await asyncio.gather(first, stop(), return_exceptions=True)
    assert not is_taken


async def close_while_in_use(is_fixed: bool) -> None:
    """A client is closed while a request of it is under way."""
    is_open = True
    used: list[bool] = []
    requests: set[asyncio.Task[None]] = set()

    async def request() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        used.append(is_open)

    async def close() -> None:
        nonlocal is_open
        for _ in range(5):
            await asyncio.sleep(0)
        if is_fixed:
            await asyncio.gather(*requests)
        is_open = False

    requests.add(asyncio.create_task(request()))
    await asyncio.gather(close(), *requests)
    assert used == [True]


async def clean_up_skipped(is_fixed: bool) -> None:
    """A second cancellation ends the clean-up of the first in its middle."""
    is_closed = False

    async def close() -> None:
        nonlocal is_closed
        await asyncio.sleep(0)
        is_closed = True

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            if is_fixed:
                closing = asyncio.create_task(close())
                while not closing.done():
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.shield(closing)
            else:
                await close()

    worker = asyncio.create_task(work())

    async def stop(pause: int) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        worker.cancel()

    await asyncio.gather(worker, stop(1), stop(5), return_exceptions=True)
    assert is_closed
