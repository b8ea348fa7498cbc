"""A connection within the process that the kernel has to try again takes real time."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest

import aldente
from aldente._runner.peers import Attempts, takes_more

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/net/tcp"), reason="needs Linux's account of connections"
)

# Longer than the kernel takes to try again, and than a busy machine takes for all of it.
LONG = 100_000.0


@pytest.fixture
def listening() -> Any:
    """A socket at which one connection may wait to be accepted."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen(0)
        opened.setblocking(False)
        yield opened


async def ask(address: Any, limit: float = LONG) -> bytes:
    """Ask a server for something, as clients do."""
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(b"please\n")
            return await reader.readline()
        finally:
            writer.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a client, as servers do."""
    await reader.readline()
    writer.write(b"done\n")
    await writer.drain()
    writer.close()


def test_more_clients_than_may_wait() -> None:
    """All of them are answered in the end, and no time-out comes before the kernel tries again."""

    async def main() -> list[bytes]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1) as server:
            address = server.sockets[0].getsockname()
            return await asyncio.gather(*(ask(address) for _ in range(8)))

    assert aldente.run(main, clock="virtual") == [b"done\n"] * 8


def test_clients_of_a_server_that_accepts_late(listening: socket.socket) -> None:
    """Time jumps to where the first is accepted, and then waits for the others."""
    address = listening.getsockname()

    async def accept() -> None:
        await asyncio.sleep(500)
        loop = asyncio.get_running_loop()
        for _ in range(3):
            accepted, _ = await loop.sock_accept(listening)
            reader, writer = await asyncio.open_connection(sock=accepted)
            await answer(reader, writer)

    async def main() -> tuple[list[bytes], float]:
        *answers, _ = await asyncio.gather(ask(address), ask(address), ask(address), accept())
        return answers, asyncio.get_running_loop().time()

    answers, now = aldente.run(main, clock="virtual")
    assert answers == [b"done\n"] * 3
    assert 100_500 <= now < 100_500 + LONG


def test_a_server_that_never_accepts(listening: socket.socket) -> None:
    """Trying again comes to nothing as long as nobody accepts, so time goes to the time-out."""
    address = listening.getsockname()

    async def main() -> float:
        results = await asyncio.gather(
            *(ask(address, 60) for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [TimeoutError] * 3
        return asyncio.get_running_loop().time()

    assert aldente.run(main, clock="virtual") == 100_060


def test_what_the_kernel_tells(listening: socket.socket) -> None:
    """Which socket is connecting, to where, and whether another one may wait."""
    with socket.socket() as idle, socket.socket() as first:
        assert Attempts().of(idle) is None
        assert takes_more(listening)
        first.connect(listening.getsockname())
        assert Attempts().of(first) is None
        assert not takes_more(listening)
        with socket.socket() as second:
            second.setblocking(False)
            with pytest.raises(BlockingIOError):
                second.connect(listening.getsockname())
            assert Attempts().of(second) == (True, listening.getsockname()[1])
        listening.accept()[0].close()
        assert takes_more(listening)
