"""What programs rely on that have several requests on a connection, or several connections."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from tests.conformance.correct.serving import close, connect, serving, shout
from tests.conformance.correct.table import correct


@correct
async def a_connection_is_kept_for_several_requests() -> None:
    connections = itertools.count(1)
    idle = 10.0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = b"%d" % next(connections)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                while True:
                    limit.reschedule(asyncio.get_running_loop().time() + idle)
                    if not await reader.readline():
                        break
                    writer.write(b"from connection %s\n" % name)
        await close(writer)

    async with serving(serve) as port:
        reader, writer = await connect(port)
        for _ in range(3):
            writer.write(b"request\n")
            assert await reader.readline() == b"from connection 1\n"
        # The server closes it, when nothing comes.
        assert await reader.read() == b""
        await close(writer)
        reader, writer = await connect(port)
        writer.write(b"request\n")
        assert await reader.readline() == b"from connection 2\n"
        await close(writer)


@correct
async def several_clients_get_their_own_replies() -> None:
    async def client(port: int, name: str) -> None:
        reader, writer = await connect(port)
        for number in range(3):
            writer.write(f"{name} {number}\n".encode())
            await writer.drain()
            assert await reader.readline() == f"{name} {number}\n".upper().encode()
        await close(writer)

    async with serving(shout) as port:
        await asyncio.gather(*(client(port, name) for name in ("anna", "ben", "cleo")))


@correct
async def a_lock_keeps_requests_on_a_shared_connection_apart() -> None:
    async with serving(shout) as port:
        reader, writer = await connect(port)
        lock = asyncio.Lock()

        async def ask(text: bytes) -> None:
            async with lock:
                for part in (text[:2], text[2:], b"\n"):
                    writer.write(part)
                    await writer.drain()
                assert await reader.readline() == text.upper() + b"\n"

        await asyncio.gather(*(ask(text) for text in (b"alpha", b"beta", b"gamma")))
        await close(writer)


@correct
async def numbers_of_requests_tell_replies_apart() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def reply(line: bytes) -> None:
            number, text = line.split()
            await asyncio.sleep(0.01 * (3 - int(number)))
            writer.write(b"%s %s\n" % (number, text.upper()))

        async with asyncio.TaskGroup() as group:
            while line := await reader.readline():
                group.create_task(reply(line))
        await close(writer)

    async with serving(serve) as port:
        reader, writer = await connect(port)
        waiting: dict[int, asyncio.Future[bytes]] = {}

        async def receive() -> None:
            while line := await reader.readline():
                number, text = line.split()
                waiting.pop(int(number)).set_result(text)

        async def ask(number: int, text: bytes) -> None:
            waiting[number] = asyncio.get_running_loop().create_future()
            writer.write(b"%d %s\n" % (number, text))
            assert await waiting[number] == text.upper()

        receiver = asyncio.create_task(receive())
        await asyncio.gather(*(ask(n, text) for n, text in enumerate((b"a", b"b", b"c"))))
        writer.write_eof()
        await receiver
        assert not waiting
        await close(writer)


@correct
async def a_connection_with_an_open_reply_is_not_used_again() -> None:
    requests = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(5.0 if not next(requests) else 0.01)
            writer.write(line.upper())
        await close(writer)

    async def ask(port: int, text: bytes) -> bytes | None:
        reader, writer = await connect(port)
        try:
            async with asyncio.timeout(1.0):
                writer.write(text + b"\n")
                return await reader.readline()
        except TimeoutError:
            return None
        finally:
            await close(writer)

    async with serving(serve) as port:
        assert await ask(port, b"first") in (None, b"FIRST\n")
        assert await ask(port, b"second") in (None, b"SECOND\n")


@correct
async def an_idempotent_request_is_repeated_on_a_new_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One request for each connection, whatever the client thinks.
        if line := await reader.readline():
            writer.write(line.upper())
        await close(writer)

    async with serving(serve) as port:
        kept = await connect(port)

        async def ask(text: bytes) -> bytes:
            nonlocal kept
            for _ in range(2):
                reader, writer = kept
                with contextlib.suppress(ConnectionError):
                    writer.write(text + b"\n")
                    await writer.drain()
                    if reply := await reader.readline():
                        return reply
                await close(writer)
                kept = await connect(port)
            raise ConnectionError

        for text in (b"one", b"two", b"three"):
            assert await ask(text) == text.upper() + b"\n"
            await asyncio.sleep(0.1)
        await close(kept[1])


@correct
async def subscribers_get_all_messages_in_order() -> None:
    subscribers: list[asyncio.StreamWriter] = []
    all_there = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subscribers.append(writer)
        if len(subscribers) == 3:
            all_there.set()
        await reader.read()
        await close(writer)

    async def publish() -> None:
        await all_there.wait()
        for number in range(4):
            for each in subscribers:
                each.write(b"message %d\n" % number)
            await asyncio.gather(*(each.drain() for each in subscribers))
        for each in subscribers:
            each.write_eof()

    async def subscribe(port: int) -> None:
        reader, writer = await connect(port)
        assert [line async for line in reader] == [b"message %d\n" % n for n in range(4)]
        await close(writer)

    async with serving(serve) as port:
        await asyncio.gather(publish(), *(subscribe(port) for _ in range(3)))


@correct
async def a_proxy_passes_on_all_and_the_end() -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await close(writer)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async with serving(upper) as behind:

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            other_reader, other_writer = await connect(behind)
            await asyncio.gather(copy(reader, other_writer), copy(other_reader, writer))
            await close(other_writer)
            await close(writer)

        async with serving(pass_on) as port:
            reader, writer = await connect(port)
            writer.write(b"hello, ")
            await writer.drain()
            writer.write(b"world")
            writer.write_eof()
            assert await reader.read() == b"HELLO, WORLD"
            await close(writer)


@correct
async def a_semaphore_limits_the_requests_at_once() -> None:
    semaphore = asyncio.Semaphore(2)
    running = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running
        async with semaphore:
            running += 1
            assert running <= 2
            writer.write((await reader.readline()).upper())
            await writer.drain()
            running -= 1
        await close(writer)

    async def ask(port: int) -> None:
        reader, writer = await connect(port)
        writer.write(b"hello\n")
        assert await reader.read() == b"HELLO\n"
        await close(writer)

    async with serving(serve) as port:
        await asyncio.gather(*(ask(port) for _ in range(4)))
