"""What programs with a network have in common: a server for the time of a block, and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.conformance.bodies.with_connections import certificate

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def serving(handle: Handle, **options: Any) -> AsyncIterator[int]:
    """Serve connections during a block, and wait until all handlers have ended; gives the port."""
    handlers: set[asyncio.Task[None]] = set()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        handlers.add(task)
        task.add_done_callback(handlers.discard)
        await handle(reader, writer)

    server = await asyncio.start_server(note, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*handlers)


async def connect(port: int) -> Connection:
    """Connect to a port of this machine."""
    return await asyncio.open_connection("127.0.0.1", port)


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer lines in capitals until the end of the stream."""
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, also one that the peer has broken."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def server_context() -> ssl.SSLContext:
    """For a server with the certificate of Python's own tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate())
    return context


def client_context() -> ssl.SSLContext:
    """For a client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
