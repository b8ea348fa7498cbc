"""Bugs of clients and servers: how streams are cut, what is lost at an end, what comes late."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


@contextlib.asynccontextmanager
async def serving(handle: Callable[[Reader, Writer], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve connections during a block, and until the last one has been handled; gives the port."""
    handlers: set[Any] = set()

    async def note(reader: Reader, writer: Writer) -> None:
        handlers.add(asyncio.current_task())
        await handle(reader, writer)

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
    await server.wait_closed()
    if handlers:
        await asyncio.wait(handlers)


async def connect(port: int) -> tuple[Reader, Writer]:
    return await asyncio.open_connection("127.0.0.1", port)


async def close(writer: Writer) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def shout(reader: Reader, writer: Writer) -> None:
    while line := await reader.readline():
        writer.write(line.upper())
    await close(writer)


# Framing.


async def partial_read(is_fixed: bool) -> None:
    """A server takes what one read gives for the whole request."""
    requests: list[object] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        data = await (reader.readline() if is_fixed else reader.read(4096))
        requests.append(json.loads(data))
        await close(writer)

    async with serving(handle) as port:
        reader, writer = await connect(port)
        writer.write(json.dumps({"user": "anna", "amount": 10}).encode() + b"\n")
        await reader.read()
        await close(writer)
    assert requests == [{"user": "anna", "amount": 10}]


async def glued_messages(is_fixed: bool) -> None:
    """Measurements are sent one by one, and a collector takes each read for one of them."""
    values: list[float] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        while data := await (reader.readline() if is_fixed else reader.read(100)):
            values.append(float(data))
        await close(writer)

    async with serving(handle) as port:
        _, writer = await connect(port)
        for value in (20.5, 21.0, 21.5):
            writer.write(f"{value}\n".encode())
            await writer.drain()
            await asyncio.sleep(1)
        await close(writer)
    assert values == [20.5, 21.0, 21.5]


async def body_expected_with_head(is_fixed: bool) -> None:
    """A server finds the body of a request behind its head, as head and body come together."""
    bodies: list[bytes] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        if is_fixed:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.split(b":")[1]))
        else:
            data = await reader.read(65536)
            while b"\r\n\r\n" not in data:
                data += await reader.read(65536)
            _, _, body = data.partition(b"\r\n\r\n")
        bodies.append(body)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await close(writer)

    async with serving(handle) as port:
        reader, writer = await connect(port)
        writer.write(b"PUT /\r\nContent-Length: 12\r\n\r\n" + b"all of this!")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await close(writer)
    assert bodies == [b"all of this!"]


async def character_cut_in_two(is_fixed: bool) -> None:
    """A client decodes what comes piece by piece, and a piece ends within a character."""

    async def send(reader: Reader, writer: Writer) -> None:
        writer.write("żółw, jeż, łoś".encode())
        await close(writer)

    async with serving(send) as port:
        reader, writer = await connect(port)
        decoder = codecs.getincrementaldecoder("utf-8")()
        text = ""
        while data := await reader.read(1000):
            text += decoder.decode(data) if is_fixed else data.decode()
        await close(writer)
    assert text == "żółw, jeż, łoś"


async def end_taken_for_complete(is_fixed: bool) -> None:
    """A server stores an upload that ends because its client has given up."""
    stored: list[bytes] = []
    content = b"".join(b"%d" % number for number in range(5))

    async def store(reader: Reader, writer: Writer) -> None:
        size = int(await reader.readline())
        data = await reader.read()
        if not is_fixed or len(data) == size:
            stored.append(data)
        await close(writer)

    async def upload(port: int) -> None:
        _, writer = await connect(port)
        try:
            writer.write(b"%d\n" % len(content))
            for number in range(5):
                await asyncio.sleep(0.15)
                writer.write(content[number : number + 1])
        finally:
            await close(writer)

    async with serving(store) as port:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(upload(port), 1.0)
        await asyncio.sleep(1)
    assert all(data == content for data in stored)


# Whose reply it is.


async def reply_given_to_another(is_fixed: bool) -> None:
    """Requests share a connection, and replies are given to them in the order of the requests."""

    async def handle(reader: Reader, writer: Writer) -> None:
        async def reply(line: bytes) -> None:
            await asyncio.sleep(0.1)
            writer.write(line.upper())

        async with asyncio.TaskGroup() as group:
            while line := await reader.readline():
                group.create_task(reply(line))
        await close(writer)

    async with serving(handle) as port:
        reader, writer = await connect(port)
        waiting: dict[str, asyncio.Future[str]] = {}

        async def receive() -> None:
            while line := await reader.readline():
                number, text = line.decode().split()
                waiting.pop(number if is_fixed else next(iter(waiting))).set_result(text)

        async def ask(number: int, text: str) -> str:
            waiting[str(number)] = asyncio.get_running_loop().create_future()
            writer.write(f"{number} {text}\n".encode())
            return await waiting[str(number)]

        receiver = asyncio.create_task(receive())
        replies = await asyncio.gather(*map(ask, (1, 2, 3), ("anna", "ben", "cleo")))
        await close(writer)
        await receiver
    assert replies == ["ANNA", "BEN", "CLEO"]


async def reply_left_by_time_out(is_fixed: bool) -> None:
    """A request is given up, and the next one on the connection reads its reply."""

    async def handle(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                await asyncio.sleep(0.6)
                writer.write(line.upper())
        await close(writer)

    async with serving(handle) as port:
        reader, writer = await connect(port)
        for name in (b"anna\n", b"ben\n"):
            try:
                async with asyncio.timeout(1.0):
                    writer.write(name)
                    reply = await reader.readline()
            except TimeoutError:
                if is_fixed:
                    await close(writer)
                    reader, writer = await connect(port)
            else:
                assert reply == name.upper()
        await close(writer)


async def two_writers_on_a_connection(is_fixed: bool) -> None:
    """Two tasks send head and body of messages, and one sends while the other gets its body."""
    got: list[bytes] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        while head := await reader.readline():
            got.append(await reader.readexactly(int(head)))
        await close(writer)

    async with serving(handle) as port:
        _, writer = await connect(port)
        lock = asyncio.Lock() if is_fixed else contextlib.nullcontext()

        async def send(pause: float, body: bytes) -> None:
            await asyncio.sleep(pause)
            async with lock:
                writer.write(b"%d\n" % len(body))
                await asyncio.sleep(0.2)
                writer.write(body)
                await writer.drain()

        await asyncio.gather(send(0.1, b"12345"), send(0.4, b"1234567890"))
        await close(writer)
        await asyncio.sleep(1)
    assert sorted(got) == [b"12345", b"1234567890"]


# Retries and new connections.


async def stale_connection_from_pool(is_fixed: bool) -> None:
    """A client uses a kept connection, which the server has closed as nothing came for a second."""

    async def handle(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            while line := await asyncio.wait_for(reader.readline(), 1.0):
                writer.write(line.upper())
        await close(writer)

    async def client(port: int) -> None:
        reader, writer = await connect(port)
        for pause in (0.0, 0.8, 0.8):
            await asyncio.sleep(pause)
            reply = b""
            for _ in range(2 if is_fixed else 1):
                if reader.at_eof():
                    await close(writer)
                    reader, writer = await connect(port)
                with contextlib.suppress(ConnectionError):
                    writer.write(b"hello\n")
                    if reply := await reader.readline():
                        break
                await close(writer)
                reader, writer = await connect(port)
            assert reply == b"HELLO\n"
        await close(writer)

    async with serving(handle) as port:
        await asyncio.create_task(client(port))


async def sent_again_and_applied_twice(is_fixed: bool) -> None:
    """A server closes a connection before its reply has come, and the client sends again."""
    balance = 0
    seen: set[bytes] = set()

    async def handle(reader: Reader, writer: Writer) -> None:
        nonlocal balance
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while line := await reader.readline():
                    if not is_fixed or line not in seen:
                        balance += 10
                    seen.add(line)
                    await asyncio.sleep(0.6)
                    writer.write(b"done\n")
        await close(writer)

    async def pay(port: int) -> None:
        for _ in range(5):
            reader, writer = await connect(port)
            writer.write(b"payment 1\n")
            reply = await reader.readline()
            await close(writer)
            if reply:
                return

    async with serving(handle) as port:
        await pay(port)
    assert balance == 10


async def reconnect_storm(is_fixed: bool) -> None:
    """A lost connection is replaced by the task that reads, and by the one that sends."""
    open_now = most = 0

    async def handle(reader: Reader, writer: Writer) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if most == 1:
            await asyncio.sleep(0.25)
            writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        open_now -= 1
        await close(writer)

    async def client(port: int) -> None:
        reader, writer = await connect(port)
        opened = [writer]
        lock = asyncio.Lock()

        async def reconnect(lost: Writer) -> None:
            nonlocal reader, writer
            async with lock:
                if is_fixed and writer is not lost:
                    return
                reader, writer = await connect(port)
                opened.append(writer)

        async def receive() -> None:
            used = writer
            with contextlib.suppress(ConnectionError):
                await reader.read(100)
            await reconnect(used)

        async def beat() -> None:
            for _ in range(4):
                await asyncio.sleep(0.1)
                used = writer
                used.write(b"alive\n")
                try:
                    await used.drain()
                except ConnectionError:
                    await reconnect(used)

        receiver = asyncio.create_task(receive())
        await beat()
        await receiver
        for each in opened:
            await close(each)

    async with serving(handle) as port:
        await client(port)
    assert most == 1


async def started_before_server(is_fixed: bool) -> None:
    """A client connects when the server should be up, which has read its configuration first."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with serving(shout) as free:
            pass
        found.set_result(free)
        await asyncio.sleep(0.3)
        server = await asyncio.start_server(shout, "127.0.0.1", free)
        await asyncio.sleep(5)
        server.close()

    async def client() -> None:
        port = await found
        await asyncio.sleep(0.5)
        while True:
            try:
                reader, writer = await connect(port)
                break
            except ConnectionRefusedError:
                if not is_fixed:
                    raise
                await asyncio.sleep(0.5)
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        await close(writer)

    await asyncio.gather(serve(), client())
