"""Sockets, streams, pipes, child processes and signals."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conformance.bodies.table import TICK, Note, after, body


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Note) -> None:
    for line in (b"one\n", b"two\n"):
        writer.write(line)
        await writer.drain()
        note(await reader.readline())
    try:
        async with asyncio.timeout(TICK):
            await reader.readline()
    except TimeoutError:
        note("nothing came")
    if writer.can_write_eof():
        writer.write_eof()
        note(await reader.read())
    writer.close()
    await writer.wait_closed()


def answer(note: Note) -> Callable[..., Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(TICK / 4)
            writer.write(line.upper())
        note("end of input")
        writer.write(b"bye")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    return answer


async def close(server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()


@body
async def streams_over_tcp(note: Note) -> None:
    server = await asyncio.start_server(answer(note), "127.0.0.1", 0)
    await talk(*await asyncio.open_connection(*server.sockets[0].getsockname()), note)
    await close(server)


@body
async def streams_over_unix_sockets(note: Note) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        server = await asyncio.start_unix_server(answer(note), path)
        await talk(*await asyncio.open_unix_connection(path), note)
        await close(server)


@body
async def streams_over_tls(note: Note) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate())
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    server = await asyncio.start_server(answer(lambda what: None), "127.0.0.1", 0, ssl=context)
    address = server.sockets[0].getsockname()
    await talk(*await asyncio.open_connection(*address, ssl=client), note)
    await close(server)


def certificate() -> list[str]:
    """The certificate that Python's own tests use, and its key; nothing where they are not."""
    found = importlib.util.find_spec("test")
    folder = Path(found.origin).parent if found is not None and found.origin else Path()
    for place in (folder / "certdata", folder):
        if (place / "ssl_cert.pem").exists():
            return [str(place / "ssl_cert.pem"), str(place / "ssl_key.pem")]
    return []


@body
async def much_data(note: Note) -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(40):
            writer.write(b"x" * 100_000)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(send, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with asyncio.timeout(1000 * TICK):
        received = 0
        while data := await reader.read(50_000):
            received += len(data)
            await asyncio.sleep(TICK / 40)
    note(received)
    writer.close()
    await close(server)


@body
async def a_refused_connection(note: Note) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        try:
            async with asyncio.timeout(100 * TICK):
                await asyncio.open_connection(*unused.getsockname())
        except ConnectionRefusedError as error:
            note(type(error))


@body
async def a_lost_connection(note: Note) -> None:
    class Server(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            note("made")
            asyncio.get_running_loop().call_later(TICK, transport.abort)

    class Client(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            note("lost", type(error))
            lost.set()

    loop, lost = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    await loop.create_connection(Client, *server.sockets[0].getsockname())
    await lost.wait()
    await close(server)


@body
async def a_pair_of_sockets(note: Note) -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()

    def write_once() -> None:
        note("writable")
        loop.remove_writer(left)

    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        reading = asyncio.create_task(loop.sock_recv(left, 10))
        await after(1, note, "sending")
        await loop.sock_sendall(right, b"hello")
        note(await reading)
        loop.add_reader(left, lambda: note("readable", left.recv(10)))
        loop.add_writer(left, write_once)
        loop.call_later(TICK, right.send, b"again")
        await asyncio.sleep(2 * TICK)
        note(loop.remove_reader(left), loop.remove_reader(left))


@body
async def datagrams(note: Note) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            note("asked", data)
            asyncio.get_running_loop().call_later(TICK, self.transport.sendto, data, address)

    class Ask(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: Any) -> None:
            note("answered", data)
            answered.set()

    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    server, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    client, _ = await loop.create_datagram_endpoint(
        Ask, remote_addr=server.get_extra_info("sockname")
    )
    client.sendto(b"question")
    async with asyncio.timeout(50 * TICK):
        await answered.wait()
    client.close()
    server.close()


@body
async def pipes(note: Note) -> None:
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
    )
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writing, "wb", 0))
    loop.call_later(TICK, writer.write, b"through the pipe\n")
    loop.call_later(2 * TICK, writer.close)
    note(await reader.readline())
    note(await reader.read())
    transport.close()


@body
async def a_child_process(note: Note) -> None:
    code = "import sys; print(sys.stdin.read().upper()); print('error', file=sys.stderr); exit(3)"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", code),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        note(await child.communicate(b"input"), child.returncode)


@body
async def a_slow_child_process_within_a_timeout(note: Note) -> None:
    child = await asyncio.create_subprocess_exec("sleep", str(8 * TICK))
    async with asyncio.timeout(1000 * TICK):
        note(await child.wait())


@body
async def a_child_process_that_is_killed(note: Note) -> None:
    child = await asyncio.create_subprocess_shell("read line", stdin=asyncio.subprocess.PIPE)
    try:
        await asyncio.wait_for(child.wait(), 2 * TICK)
    except TimeoutError:
        note("hangs")
    child.kill()
    note(await child.wait())


@body
async def signals(note: Note) -> None:
    loop, handled = asyncio.get_running_loop(), asyncio.Event()

    def handle(*names: str) -> None:
        note(names)
        handled.set()

    loop.add_signal_handler(signal.SIGUSR1, handle, "usr1")
    os.kill(os.getpid(), signal.SIGUSR1)
    await handled.wait()
    handled.clear()
    loop.call_later(TICK, os.kill, os.getpid(), signal.SIGUSR1)
    await handled.wait()
    note(loop.remove_signal_handler(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1))
