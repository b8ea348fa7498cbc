"""What is under way when a host crashes or a link is cut: it behaves as by Linux's TCP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable
from typing import Any

import pytest

import aldente
from tests.unit.hosted import PORT, Reader, Writer, ask, connect, result_of, serve


def clock() -> float:
    return asyncio.get_running_loop().time()


async def error_of(awaitable: Awaitable[Any]) -> tuple[type[BaseException], float]:
    """The error with which something ends, and after how long."""
    begin = clock()
    try:
        await awaitable
    except OSError as error:
        return type(error), clock() - begin
    pytest.fail("no error")


def test_a_silent_host_does_not_answer_an_attempt_under_way() -> None:
    """It is given up when Linux would, not refused; the same if the link is cut."""

    async def main() -> list[tuple[type[BaseException], float]]:
        net = aldente.network()
        found = []
        for name in ("crashed", "cut"):
            host = net.host(name)
            host.run(serve())
            net.link(name, "test", latency=1)
            attempt = asyncio.create_task(asyncio.open_connection(name, PORT))
            await asyncio.sleep(0.5)
            if name == "crashed":
                host.crash(silent=True)
            else:
                net.partition(name)
            found.append(await error_of(attempt))
        return found

    assert result_of(main) == [(TimeoutError, 126.5)] * 2


def test_what_reaches_a_silent_host_is_given_up() -> None:
    """Its sender hears of it after 924.6 s, though it had left before the crash."""

    async def main() -> tuple[type[BaseException], float]:
        net = aldente.network()
        db = net.host("db")
        db.run(serve())
        net.link("db", "test", latency=1)
        reader, writer = await connect("db")
        writer.write(b"hello\n")
        await asyncio.sleep(0.5)
        db.crash(silent=True)
        kind, seconds = await error_of(reader.readline())
        return kind, round(seconds, 3)

    assert result_of(main) == (TimeoutError, 925.1)


def test_a_silent_host_does_not_refuse_datagrams_under_way() -> None:
    """It is not there to send the error that says that nothing has the port."""
    errors: list[Exception] = []

    class Noting(asyncio.DatagramProtocol):
        def error_received(self, exc: Exception) -> None:
            errors.append(exc)

    async def main() -> None:
        net = aldente.network()
        db = net.host("db")
        net.link("db", "test", latency=1)
        loop = asyncio.get_running_loop()
        sender, _ = await loop.create_datagram_endpoint(
            Noting, remote_addr=("db", PORT), family=socket.AF_INET
        )
        sender.sendto(b"hello")
        db.crash(silent=True)
        await asyncio.sleep(5)
        sender.close()

    result_of(main)
    assert errors == []


async def noting(got: list[bytes]) -> None:
    """Serve, and note what comes."""

    async def note(reader: Reader, writer: Writer) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                got.append(data)

    async with await asyncio.start_server(note, "0.0.0.0", PORT) as server:
        await server.serve_forever()


def test_a_crashed_host_sends_nothing_again() -> None:
    """What has waited for the end of a partition is lost with the host that would send it."""
    got: list[bytes] = []

    async def send() -> None:
        _, writer = await asyncio.open_connection("sink", PORT)
        writer.write(b"before")
        await asyncio.sleep(2)
        writer.write(b"after")
        await asyncio.sleep(100)

    async def main() -> None:
        net = aldente.network()
        db = net.host("db")
        net.host("sink").run(noting(got))
        await asyncio.sleep(0.1)
        db.run(send())
        await asyncio.sleep(1)
        net.partition("db")
        await asyncio.sleep(2)
        db.crash(silent=True)
        net.heal()
        await asyncio.sleep(100)

    result_of(main)
    assert got == [b"before"]


def test_a_reset_is_lost_in_a_partition() -> None:
    """Nobody sends it again, so that a peer hears of the crash when it sends something itself."""

    async def main() -> None:
        net = aldente.network()
        db = net.host("db")
        db.run(serve())
        reader, writer = await connect("db")
        net.partition("db")
        db.crash(silent=False)
        net.heal()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 1_000)
        with pytest.raises(ConnectionResetError):
            await ask(reader, writer)

    result_of(main)


def test_nothing_comes_on_a_connection_that_was_given_up() -> None:
    """Its peer, which sends later, sees a reset."""

    async def main() -> tuple[list[type[BaseException]], bytes]:
        net = aldente.network()
        loop = asyncio.get_running_loop()
        with net.host("db"):
            server = socket.create_server(("0.0.0.0", PORT))
        server.setblocking(False)
        own = socket.socket()
        own.setblocking(False)
        with server, own:
            await loop.sock_connect(own, ("db", PORT))
            its, _ = await loop.sock_accept(server)
            with its:
                net.partition("db")
                await loop.sock_sendall(own, b"own")
                await asyncio.sleep(500)
                await loop.sock_sendall(its, b"its")
                await asyncio.sleep(500)
                net.heal()
                errors = [(await error_of(loop.sock_recv(end, 10)))[0] for end in (own, its)]
                return errors, await loop.sock_recv(own, 10)

    assert result_of(main) == ([TimeoutError, ConnectionResetError], b"")


def test_a_host_that_starts_again_has_nothing_left_to_send() -> None:
    """What a slow link had not taken of its bytes before the crash delays none after it."""

    async def send_much(_: Reader, writer: Writer) -> None:
        writer.write(bytes(100_000))
        await asyncio.sleep(1_000)

    async def serve_much() -> None:
        async with await asyncio.start_server(send_much, "0.0.0.0", PORT) as server:
            await server.serve_forever()

    async def main() -> bool:
        net = aldente.network()
        db = net.host("db")
        net.link("db", "test", bandwidth=100)
        db.run(serve_much())
        _, before = await connect("db")
        await asyncio.sleep(1)
        db.crash(silent=True)
        before.close()
        db.restart(serve)
        begin = clock()
        reader, writer = await connect("db")
        answer = await ask(reader, writer)
        writer.close()
        return answer == b"hello\n" and clock() - begin < 1

    assert result_of(main)
