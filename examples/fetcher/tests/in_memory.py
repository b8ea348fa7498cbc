"""HTTP in memory: the real client with its pool of connections, on streams in place of sockets."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

import aldente
import httpcore


class _Connection(httpcore.AsyncNetworkStream):
    """The client's end of a connection.

    Args:
        reader: gives what the server sends.
        writer: takes what is sent to it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_open(self) -> bool:
        """Whether the client has not closed it."""
        return not self._writer.is_closing()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive some bytes; none at the end."""
        return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        self._writer.write(buffer)
        await self._writer.drain()

    async def aclose(self) -> None:
        """Close it."""
        self._writer.close()

    def get_extra_info(self, info: str) -> object:
        """There is no socket, so nothing is known of it."""
        return None


class Network(httpcore.AsyncNetworkBackend):
    """Connects the client with a server; every host is the same one.

    Args:
        answer: gives the JSON with which the server answers to a path.
    """

    def __init__(self, answer: Callable[[str], Awaitable[str]]) -> None:
        self._answer = answer
        self._connections: list[_Connection] = []
        self._servers: list[asyncio.Task[None]] = []

    @property
    def open_connections(self) -> int:
        """How many connections the client has not closed."""
        return sum(connection.is_open for connection in self._connections)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; it takes 0.1 seconds."""
        await asyncio.sleep(0.1)
        client, server = aldente.stream_pair()
        self._servers.append(asyncio.create_task(self._serve(*server), name="server"))
        self._connections.append(_Connection(*client))
        return self._connections[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client may close between two requests, or while one is answered.
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                body = await self._answer(request.split()[1].decode())
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write((head + body).encode())
        writer.close()

    async def close(self) -> None:
        """Close what the client has left open, and wait until the server has noticed."""
        for connection in self._connections:
            await connection.aclose()
        await asyncio.gather(*self._servers)
