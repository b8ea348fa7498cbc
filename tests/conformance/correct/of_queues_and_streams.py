"""What asyncio promises of queues, and of streams."""

from __future__ import annotations

import asyncio

import aldente
from tests.conformance.correct.table import correct, correct_since


@correct
async def a_queue_keeps_the_order() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    got: list[int] = []

    async def put() -> None:
        for number in range(8):
            await queue.put(number)
            await asyncio.sleep(0)

    async def get() -> None:
        for _ in range(8):
            got.append(await queue.get())

    await asyncio.gather(put(), get())
    assert got == list(range(8))


@correct
async def a_full_queue_makes_the_putter_wait() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(2)

    async def put() -> None:
        for number in range(6):
            await queue.put(number)
            assert queue.qsize() <= 2

    async def get() -> list[int]:
        return [await queue.get() for _ in range(6)]

    _, got = await asyncio.gather(put(), get())
    assert got == list(range(6))


@correct
async def join_waits_for_what_was_put() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    done: list[int] = []

    async def work() -> None:
        while True:
            number = await queue.get()
            await asyncio.sleep(number % 3)
            done.append(number)
            queue.task_done()

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for number in range(9):
        queue.put_nowait(number)
    await queue.join()
    assert sorted(done) == list(range(9))
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


@correct
async def nothing_is_lost_between_many_workers() -> None:
    queue: asyncio.Queue[int | None] = asyncio.Queue(3)
    got: list[int] = []

    async def put(start: int) -> None:
        for number in range(start, start + 4):
            await queue.put(number)

    async def work() -> None:
        while (number := await queue.get()) is not None:
            got.append(number)
            await asyncio.sleep(0)

    workers = [asyncio.create_task(work()) for _ in range(2)]
    await asyncio.gather(put(0), put(10))
    for _ in workers:
        await queue.put(None)
    await asyncio.gather(*workers)
    assert sorted(got) == [0, 1, 2, 3, 10, 11, 12, 13]


@correct
async def a_priority_queue_gives_the_least() -> None:
    queue: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
    for number in (3, 1, 2):
        queue.put_nowait(number)
    assert [await queue.get() for _ in range(3)] == [1, 2, 3]


@correct_since(3, 13)
async def a_queue_that_is_shut_down_wakes_its_getters() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def get() -> str:
        try:
            await queue.get()
        except asyncio.QueueShutDown:  # type: ignore[attr-defined]
            return "shut down"
        return "got one"

    tasks = [asyncio.create_task(get()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.shutdown()  # type: ignore[attr-defined]
    assert await asyncio.gather(*tasks) == ["shut down"] * 3


@correct
async def a_stream_keeps_all_bytes_in_order() -> None:
    (_, writer), (reader, other) = aldente.stream_pair()

    async def send() -> None:
        for number in range(10):
            writer.write(bytes([number]) * number)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()

    received, _ = await asyncio.gather(reader.read(), send())
    assert received == b"".join(bytes([number]) * number for number in range(10))
    other.close()
    await other.wait_closed()


@correct
async def a_server_answers_over_a_stream() -> None:
    (reader, writer), (server_reader, server_writer) = aldente.stream_pair()

    async def serve() -> None:
        while line := await server_reader.readline():
            server_writer.write(line.upper())
            await server_writer.drain()
        server_writer.close()
        await server_writer.wait_closed()

    server = asyncio.create_task(serve())
    for word in (b"one\n", b"two\n", b"three\n"):
        writer.write(word)
        await writer.drain()
        assert await reader.readline() == word.upper()
    writer.write_eof()
    await server
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@correct
async def a_fast_writer_waits_for_a_slow_reader() -> None:
    (_, writer), (reader, other) = aldente.stream_pair(limit=10)
    writer.transport.set_write_buffer_limits(high=20)
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(20):
            writer.write(b"x" * 10)
            await writer.drain()
            sent += 10
        writer.write_eof()

    task = asyncio.create_task(send())
    await asyncio.sleep(10)
    assert sent < 200
    assert len(await reader.read()) == 200
    await task
    for each in (writer, other):
        each.close()
        await each.wait_closed()


@correct
async def readexactly_and_readuntil_take_what_they_need() -> None:
    (_, writer), (reader, other) = aldente.stream_pair()

    async def send() -> None:
        for part in (b"ab", b"cd;", b"rest"):
            writer.write(part)
            await asyncio.sleep(1)
        writer.close()

    task = asyncio.create_task(send())
    assert await reader.readexactly(3) == b"abc"
    assert await reader.readuntil(b";") == b"d;"
    assert await reader.read() == b"rest"
    await task
    other.close()
    for each in (writer, other):
        await each.wait_closed()
