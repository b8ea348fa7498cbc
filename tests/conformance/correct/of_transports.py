"""What asyncio promises of TLS, and of protocols and transports."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

from tests.conformance.bodies.with_connections import certificate
from tests.conformance.correct.serving import (
    client_context,
    close,
    connect,
    server_context,
    serving,
    shout,
)
from tests.conformance.correct.table import Program, correct

LOCAL = ("127.0.0.1", 0)


def _with_tls(program: Program) -> Program:
    """Add a program to the table, if there is a certificate."""
    return correct(program) if certificate() else program


@_with_tls
async def requests_over_tls_get_their_responses() -> None:
    async with serving(shout, ssl=server_context()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
        for text in (b"one\n", b"two\n"):
            writer.write(text)
            assert await reader.readline() == text.upper()
        assert not writer.can_write_eof()
        await close(writer)


@_with_tls
async def much_data_over_tls_comes_whole() -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(4):
            writer.write(bytes([number]) * 50_000)
            await writer.drain()
        await close(writer)

    async with serving(send, ssl=server_context()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
        for number in range(4):
            assert await reader.readexactly(50_000) == bytes([number]) * 50_000
        assert await reader.read() == b""
        await close(writer)


@_with_tls
async def a_connection_goes_on_over_tls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.drain()
        await writer.start_tls(server_context())
        writer.write((await reader.readline()).upper())
        await writer.drain()
        await reader.read()
        await close(writer)

    async with serving(serve) as port:
        reader, writer = await connect(port)
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go ahead\n"
        await writer.start_tls(client_context())
        writer.write(b"secret\n")
        assert await reader.readline() == b"SECRET\n"
        await close(writer)


# Protocols.


class Lines(asyncio.Protocol):
    """Calls a function with each line, however it comes."""

    def __init__(self, on_line: Callable[[asyncio.Transport, bytes], object]) -> None:
        self._on_line = on_line
        self._rest = b""
        self.transport: asyncio.Transport
        self.lost: asyncio.Future[Exception | None]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(self.transport, line)

    def connection_lost(self, exc: Exception | None) -> None:
        assert not self.lost.done()
        self.lost.set_result(exc)


@correct
async def a_protocol_puts_lines_together() -> None:
    loop = asyncio.get_running_loop()
    got: list[bytes] = []
    is_done = asyncio.Event()

    def answer(transport: asyncio.Transport, line: bytes) -> None:
        transport.write(line[::-1] + b"\n")

    def collect(transport: asyncio.Transport, line: bytes) -> None:
        got.append(line)
        if len(got) == 3:
            is_done.set()

    served: list[Lines] = []

    def serve() -> Lines:
        served.append(Lines(answer))
        return served[-1]

    server = await loop.create_server(serve, *LOCAL)
    address = server.sockets[0].getsockname()
    transport, protocol = await loop.create_connection(lambda: Lines(collect), *address)
    transport.write(b"abc\nde")
    transport.writelines([b"f\n", b"ghi\n"])
    await is_done.wait()
    assert got == [b"cba", b"fed", b"ihg"]
    transport.close()
    assert await protocol.lost is None
    assert await served[0].lost is None
    server.close()
    await server.wait_closed()


@correct
async def a_protocol_is_told_when_to_pause() -> None:
    loop = asyncio.get_running_loop()
    notes: list[str] = []
    may_write = asyncio.Event()
    # More than Linux keeps for a reader that is slow.
    total = 16_000_000

    class Source(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.set_write_buffer_limits(high=100_000, low=10_000)
            self.task = asyncio.create_task(self._write(transport))
            may_write.set()

        def pause_writing(self) -> None:
            notes.append("pause")
            may_write.clear()

        def resume_writing(self) -> None:
            notes.append("resume")
            may_write.set()

        async def _write(self, transport: asyncio.Transport) -> None:
            for _ in range(40):
                await may_write.wait()
                assert transport.get_write_buffer_size() <= 100_000
                transport.write(b"x" * (total // 40))
            transport.close()

    class Sink(asyncio.Protocol):
        def __init__(self) -> None:
            self.count = 0
            self.lost = loop.create_future()

        def connection_made(self, transport: Any) -> None:
            transport.pause_reading()

        def data_received(self, data: bytes) -> None:
            self.count += len(data)

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    server = await loop.create_server(Source, *LOCAL)
    transport, sink = await loop.create_connection(Sink, *server.sockets[0].getsockname())
    await asyncio.sleep(5)
    assert sink.count == 0
    assert notes[-1] == "pause"
    transport.resume_reading()
    assert await sink.lost is None
    assert sink.count == total
    assert notes == ["pause", "resume"] * (len(notes) // 2)
    server.close()
    await server.wait_closed()


@correct
async def a_protocol_keeps_its_half_open() -> None:
    loop = asyncio.get_running_loop()

    class Summing(asyncio.Protocol):
        def __init__(self) -> None:
            self.received = b""

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.received += data

        def eof_received(self) -> bool:
            loop.call_later(0.1, self._answer)
            return True

        def _answer(self) -> None:
            self.transport.write(self.received[::-1])
            self.transport.close()

    server = await loop.create_server(Summing, *LOCAL)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"drawer")
    writer.write_eof()
    assert await reader.read() == b"reward"
    await close(writer)
    server.close()
    await server.wait_closed()


@correct
async def a_buffered_protocol_gets_all() -> None:
    loop = asyncio.get_running_loop()
    is_over = loop.create_future()

    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(5)
            self.received = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            assert 0 < nbytes <= 5
            self.received += self.buffer[:nbytes]

        def eof_received(self) -> None:
            is_over.set_result(self.received)

    server = await loop.create_server(Buffered, *LOCAL)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for part in (b"one, ", b"two and ", b"three"):
        writer.write(part)
        await asyncio.sleep(0.01)
    await close(writer)
    assert await is_over == b"one, two and three"
    server.close()
    await server.wait_closed()


@correct
async def a_file_is_sent_whole() -> None:
    content = bytes(range(256)) * 300

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"head\n")
        loop = asyncio.get_running_loop()
        assert await loop.sendfile(writer.transport, io.BytesIO(content)) == len(content)
        writer.write(b"tail\n")
        await close(writer)

    async with serving(send) as port:
        reader, writer = await connect(port)
        assert await reader.read() == b"head\n" + content + b"tail\n"
        await close(writer)
