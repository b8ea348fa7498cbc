"""The ends of ``socket.socketpair`` in simulated runs: simulated once the loop gets one of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading

import pytest

import aldente
from tests.unit.hosted import outcomes_of, result_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pairs are no Unix sockets there")


async def read_all(made: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        with contextlib.suppress(BlockingIOError):
            data += made.recv(100)
        await asyncio.sleep(0.001)
    return data


def test_a_stream_on_an_end() -> None:
    """What was sent before and after arrives, in both directions, and the end of the stream."""

    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        there.send(b"before ")
        there.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=here)
        loop.call_soon(there.send, b"and after\n")
        got = [await reader.readline()]
        writer.write(b"back")
        got.append(await read_all(there, 4))
        there.close()
        got.append(await reader.read())
        writer.close()
        await writer.wait_closed()
        return got

    assert asyncio.run(main()) == result_of(main) == [b"before and after\n", b"back", b""]


def test_its_deliveries_are_choices() -> None:
    """As those of all connections: what is sent may come in parts."""

    async def main() -> bytes:
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        there.send(b"hello")
        with there, contextlib.closing(writer):
            return await reader.read(100)

    assert {b"hello", b"h", b"hell"} <= outcomes_of(main, runs=60)


def test_datagrams() -> None:
    """Each end receives what the other one has sent, before and after, in order."""

    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with here, there:
            for made in (here, there):
                made.setblocking(False)
            there.send(b"one")
            got = [await loop.sock_recv(here, 100)]
            await loop.sock_sendall(there, b"two")
            await loop.sock_sendall(here, b"three")
            got += [await loop.sock_recv(each, 100) for each in (here, there)]
            return got

    assert asyncio.run(main()) == result_of(main) == [b"one", b"two", b"three"]


def test_a_watched_end() -> None:
    """``add_reader`` takes an end as well."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            got = loop.create_future()
            loop.add_reader(here, lambda: got.set_result(here.recv(100)))
            there.send(b"x")
            found: bytes = await got
            loop.remove_reader(here)
            return found

    assert asyncio.run(main()) == result_of(main) == b"x"


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_end_whose_other_is_closed(is_kept: bool) -> None:
    """It reads what was sent, and then the end of the stream."""

    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        here.setblocking(False)
        there.send(b"bye")
        there.close()
        if not is_kept:
            del there
        with here:
            return [await loop.sock_recv(here, 100) for _ in range(2)]

    assert asyncio.run(main()) == result_of(main) == [b"bye", b""]


def test_ends_that_the_loop_does_not_get_are_the_system_s() -> None:
    """A thread that blocks at the other end goes on, as without a simulation."""

    async def main() -> bytes:
        here, there = socket.socketpair()
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(there.recv(100)))
        thread.start()
        here.send(b"hello")
        thread.join()
        with here, there:
            return got[0]

    assert result_of(main) == b"hello"


def test_a_pair_from_before_the_run_is_outside() -> None:
    """Nothing is known of what is at its other end."""
    here, there = socket.socketpair()

    async def main() -> None:
        await asyncio.open_connection(sock=here)

    with here, there, pytest.raises(aldente.OutsideSimulation, match="peer from before the run"):
        result_of(main)


def test_the_function_is_as_before() -> None:
    """After a run `socket.socketpair` is the system's."""
    before = socket.socketpair

    async def main() -> bool:
        return socket.socketpair is before

    assert result_of(main) is False
    assert socket.socketpair is before
