"""Bugs at the ends of connections: closes, resets, and peers that are slow or gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.known_bugs.network import Reader, Writer, close, connect, serving


async def gone_peer_stops_broadcast(is_fixed: bool) -> None:
    """A subscriber has gone, and the server writes to it as it still stands in the list."""
    subscribers: list[Writer] = []
    got: list[bytes] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        subscribers.append(writer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await close(writer)
        # Written to a log.
        await asyncio.sleep(0.03)
        subscribers.remove(writer)

    async def broadcast() -> None:
        for number in range(6):
            for writer in list(subscribers):
                try:
                    writer.write(b"%d\n" % number)
                    await writer.drain()
                except ConnectionError:
                    if not is_fixed:
                        raise
            await asyncio.sleep(0.05)

    async def leave_early(port: int) -> None:
        reader, writer = await connect(port)
        await reader.readline()
        await close(writer)

    async def stay(port: int) -> None:
        reader, writer = await connect(port)
        while line := await reader.readline():
            got.append(line)
            if line == b"5\n":
                break
        await close(writer)

    async with serving(handle) as port:
        clients = [asyncio.create_task(each(port)) for each in (leave_early, stay)]
        while len(subscribers) < 2:
            await asyncio.sleep(0.01)
        await broadcast()
        await asyncio.gather(*clients)
    assert got == [b"%d\n" % number for number in range(6)]


async def reset_during_upload(is_fixed: bool) -> None:
    """A server refuses an upload and closes, and what is still coming resets the connection."""

    async def handle(reader: Reader, writer: Writer) -> None:
        size = int(await reader.readline())
        writer.write(b"too large\n" if size > 100 else b"fine\n")
        if is_fixed:
            await reader.readexactly(size)
        await close(writer)

    async with serving(handle) as port:
        reader, writer = await connect(port)
        writer.write(b"200\n" + b"x" * 200)
        reply = await reader.readline()
        assert reply == b"too large\n"
        assert await reader.read() == b""
        await close(writer)


async def closed_before_it_was_read(is_fixed: bool) -> None:
    """A client closes after its last request, and the reply to an earlier one breaks the connection."""
    log: list[bytes] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                log.append(line)
                writer.write(b"noted\n")
        await close(writer)

    async with serving(handle) as port:
        reader, writer = await connect(port)
        for line in (b"one\n", b"two\n", b"three\n"):
            writer.write(line)
        if is_fixed:
            writer.write_eof()
            await reader.read()
        await close(writer)
        await asyncio.sleep(1)
    assert log == [b"one\n", b"two\n", b"three\n"]


async def close_of_old_connection_drops_new(is_fixed: bool) -> None:
    """A device connects again, and the end of its old connection removes the new one."""
    devices: dict[bytes, Writer] = {}

    async def handle(reader: Reader, writer: Writer) -> None:
        name = await reader.readline()
        devices[name] = writer
        with contextlib.suppress(ConnectionError):
            await reader.read()
        if not is_fixed or devices.get(name) is writer:
            del devices[name]
        await close(writer)

    async with serving(handle) as port:
        _, first = await connect(port)
        first.write(b"sensor\n")
        await asyncio.sleep(1)
        first.close()
        _, second = await connect(port)
        second.write(b"sensor\n")
        await asyncio.sleep(1)
        assert list(devices) == [b"sensor\n"]
        await close(second)


class _Client(asyncio.Protocol):
    """Has a future for each request that is open."""

    def __init__(self, is_fixed: bool) -> None:
        self._is_fixed = is_fixed
        self._rest = b""
        self.waiting: list[asyncio.Future[bytes]] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    async def ask(self, line: bytes) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._is_fixed and self._transport.is_closing():
            raise ConnectionResetError
        self.waiting.append(future)
        self._transport.write(line)
        return await future

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.waiting.pop(0).set_result(line)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self.waiting if self._is_fixed else ():
            if not future.done():
                future.set_exception(ConnectionResetError())

    def close(self) -> None:
        self._transport.close()


async def lost_close(is_fixed: bool) -> None:
    """A request waits for a reply on a connection that the server has closed."""

    async def handle(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            while line := await asyncio.wait_for(reader.readline(), 1.0):
                writer.write(line.upper())
        await close(writer)

    async def client(port: int) -> None:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: _Client(is_fixed), "127.0.0.1", port)
        for pause in (0.0, 0.7, 0.7):
            await asyncio.sleep(pause)
            try:
                assert await protocol.ask(b"ping\n") == b"PING"
            except ConnectionResetError:
                return
        protocol.close()

    async with serving(handle) as port:
        await asyncio.create_task(client(port))


async def slow_reader_blocks_others(is_fixed: bool) -> None:
    """A server sends frames to its viewers one after the other, and one of them is slow."""
    size = 600_000
    viewers: list[Writer] = []
    frame = b"x" * size

    async def handle(reader: Reader, writer: Writer) -> None:
        viewers.append(writer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await close(writer)

    async def view(port: int, pause: float, most: float) -> None:
        reader, writer = await connect(port)
        for _ in range(4):
            async with asyncio.timeout(most):
                await reader.readexactly(size)
            await asyncio.sleep(pause)
        await close(writer)

    async def send(writer: Writer) -> None:
        writer.write(frame)
        await writer.drain()

    async with serving(handle) as port:
        slow = asyncio.create_task(view(port, 0.3, 10))
        while not viewers:
            await asyncio.sleep(0)
        fast = asyncio.create_task(view(port, 0, 0.55))
        while len(viewers) < 2:
            await asyncio.sleep(0)
        sending: list[asyncio.Task[None]] = []
        for _ in range(4):
            for writer in viewers:
                if is_fixed:
                    sending.append(asyncio.create_task(send(writer)))
                else:
                    await send(writer)
            await asyncio.sleep(0.4)
        await asyncio.gather(slow, fast, *sending)


async def slow_reader_fills_memory(is_fixed: bool) -> None:
    """A server writes without waiting for a reader that has become slow."""
    size = 500_000
    peers: list[Writer] = []
    most = 0

    async def handle(reader: Reader, writer: Writer) -> None:
        peers.append(writer)
        await reader.read()
        await close(writer)

    async def consume(port: int) -> None:
        reader, writer = await connect(port)
        for _ in range(12):
            await reader.readexactly(size)
            await asyncio.sleep(0.39)
        await close(writer)

    async with serving(handle) as port:
        consumer = asyncio.create_task(consume(port))
        while not peers:
            await asyncio.sleep(0.01)
        for _ in range(12):
            peers[0].write(b"x" * size)
            most = max(most, peers[0].transport.get_write_buffer_size())
            if is_fixed:
                await peers[0].drain()
            await asyncio.sleep(0.4)
        await consumer
    assert most <= size + 100_000


async def closed_while_requests_run(is_fixed: bool) -> None:
    """A server and its store are closed when requests have had 0.2 s, and one has not."""
    store: list[bytes] | None = []
    requests: set[Any] = set()

    async def handle(reader: Reader, writer: Writer) -> None:
        requests.add(asyncio.current_task())
        line = await reader.readline()
        writer.write(line.upper())
        await close(writer)
        # To find out who has asked.
        await asyncio.sleep(0.15)
        assert store is not None
        store.append(line)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await connect(server.sockets[0].getsockname()[1])
    writer.write(b"hello\n")
    assert await reader.read() == b"HELLO\n"
    await close(writer)
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.2)
    if is_fixed:
        await asyncio.gather(*requests)
    store = None
    await asyncio.gather(*requests)
