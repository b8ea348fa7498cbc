"""The network of simulated runs: addresses, deliveries, refusals, and sockets from elsewhere."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import warnings
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.network import refusals
from aldente._simulation.network.sockets import endpoints_behind
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random

Main = Callable[[], Coroutine[Any, Any, Any]]


def in_stock_order(main: Main) -> Run:
    return simulate(main, Fifo(), RunSettings())


def result_of(main: Main) -> Any:
    run = in_stock_order(main)
    assert run.error is None, run.error
    return run.result


def outcomes_of(main: Main, seeds: int = 60) -> set[Any]:
    """What a program returns under some schedules."""
    return {aldente.run(main, seed=seed) for seed in range(seeds)}


def strategy_of(seed: int) -> Random:
    strategy = Random(seed)
    strategy.start()
    return strategy


async def send_and_read(*parts: bytes) -> tuple[bytes, ...]:
    """What a server reads of some writes, each in a turn of its own."""
    pieces: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            pieces.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    writer.write_eof()
    await reader.read()
    writer.close()
    server.close()
    return tuple(pieces)


# Addresses.


def test_ports_are_the_same_in_every_run() -> None:
    """They begin at 32768, first the server's, then the client's."""

    async def main() -> list[Any]:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0)
        found = [each.getsockname() for each in server.sockets]
        _, writer = await asyncio.open_connection("127.0.0.1", found[0][1])
        found += [writer.get_extra_info("sockname"), writer.get_extra_info("peername")]
        writer.close()
        server.close()
        return found

    for _ in range(2):
        assert result_of(main) == [
            *(("127.0.0.1", 32768), ("127.0.0.1", 32769)),
            ("127.0.0.1", 32768),
        ]


@pytest.mark.parametrize(
    ("host", "family", "expected"),
    [
        ("localhost", 0, "127.0.0.1"),
        ("LOCALHOST.", 0, "127.0.0.1"),
        ("api.localhost", 0, "127.0.0.1"),
        ("localhost", socket.AF_INET6, "::1"),
        ("127.0.0.2", 0, "127.0.0.2"),
        ("::1", 0, "::1"),
        (None, 0, "127.0.0.1"),
        (b"localhost", 0, "127.0.0.1"),
        # A look-up of an address finds that address, wherever it is.
        ("10.1.2.3", 0, "10.1.2.3"),
    ],
)
def test_names_of_this_machine(host: Any, family: int, expected: str) -> None:
    """They are found without asking the system."""

    async def main() -> Any:
        return await asyncio.get_running_loop().getaddrinfo(
            host, "http", family=family, type=socket.SOCK_STREAM
        )

    [(found, kind, proto, _, address)] = result_of(main)
    assert address[:2] == (expected, 80)
    assert kind == socket.SOCK_STREAM
    assert proto == socket.IPPROTO_TCP
    assert found == (socket.AF_INET6 if ":" in expected else socket.AF_INET)


@pytest.mark.parametrize("host", ["redis.internal", b"redis.internal"])
def test_names_of_other_machines(host: Any) -> None:
    """What nothing in the run is called is refused, with what the run serves instead."""

    async def main() -> None:
        async with await asyncio.start_server(print, "localhost", 6379):
            await asyncio.get_running_loop().getaddrinfo(host, 6379)

    failure = aldente.search(main).failure
    assert failure is not None
    assert (
        "Fix: nothing in the run has the name redis.internal (served: 127.0.0.1:6379); start a "
        "server in the test, on a host of that name (aldente.network().host('redis.internal')) or "
        "at localhost, or replace the client"
    ) in str(failure.exception)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("localhost", "no-such-service"), socket.EAI_SERVICE),
        (("127.0.0.1", 80, socket.AF_INET6), socket.EAI_ADDRFAMILY),
        (("127.0.0.1", 80, 0, socket.SOCK_SEQPACKET), socket.EAI_SOCKTYPE),
    ],
)
def test_a_wrong_look_up_fails_as_on_linux(arguments: Any, number: int) -> None:
    """The error is a `socket.gaierror` with the number of the system."""
    host, port, family, kind = (*arguments, 0, 0)[:4]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo(host, port, family=family, type=kind)

    error = in_stock_order(main).error
    assert isinstance(error, socket.gaierror)
    assert error.errno == number


def test_names_of_addresses() -> None:
    """The way back, with and without names."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        return (
            await loop.getnameinfo(("127.0.0.1", 80)),
            await loop.getnameinfo(("127.0.0.1", 80), flags),
            await loop.getnameinfo(("10.0.0.1", 4)),
        )

    assert result_of(main) == (("localhost", "http"), ("127.0.0.1", "80"), ("10.0.0.1", "4"))


# Deliveries.


def test_stock_order_delivers_as_it_was_sent() -> None:
    """Each write comes by itself, at once."""
    assert result_of(lambda: send_and_read(b"one\n", b"two\n")) == (b"one\n", b"two\n")


def test_a_stream_is_cut_and_joined() -> None:
    """After the first byte, before the last, at a line end or in the middle; with the next one."""
    found = outcomes_of(partial(send_and_read, b"ab\ncd"), 40)
    assert found == {(b"ab\ncd",), (b"a", b"b\ncd"), (b"ab\nc", b"d"), (b"ab\n", b"cd")}
    two = outcomes_of(partial(send_and_read, b"12", b"34"))
    assert {(b"12", b"34"), (b"1234",), (b"1", b"2", b"34"), (b"12", b"3", b"4")} <= two
    assert {b"".join(pieces) for pieces in two} == {b"1234"}


def test_order_io_varies_deliveries_too() -> None:
    """They come from outside of the loop's memory."""
    rules = RunSettings(order="io")
    found = {
        simulate(partial(send_and_read, b"12"), strategy_of(seed), rules).result
        for seed in range(20)
    }
    assert found == {(b"12",), (b"1", b"2")}


def test_data_is_late_but_in_order() -> None:
    """While another task sleeps, each message may take some time."""

    async def main() -> tuple[bytes, float]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"1")
            writer.write(b"2")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        other = asyncio.create_task(asyncio.sleep(0.08))
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        data = await reader.read()
        when = asyncio.get_running_loop().time() - 100_000
        writer.close()
        await other
        server.close()
        return data, round(when, 4)

    assert result_of(main) == (b"12", 0)
    found = outcomes_of(main)
    assert {data for data, _ in found} == {b"12"}
    assert {0, 0.08, 0.1} <= {when for _, when in found}


def test_datagrams_come_in_any_order() -> None:
    """Each may come after the next one; none is lost or doubled."""

    async def main() -> tuple[bytes, ...]:
        loop = asyncio.get_running_loop()
        found: list[bytes] = []
        done = loop.create_future()

        class Receiver(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                found.append(data)
                if len(found) == 3:
                    done.set_result(None)

        receiver, _ = await loop.create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
        address = receiver.get_extra_info("sockname")
        sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, None, address)
        for number in range(3):
            sender.sendto(b"%d" % number)
        await done
        sender.close()
        receiver.close()
        return tuple(found)

    assert result_of(main) == (b"0", b"1", b"2")
    found = outcomes_of(main)
    assert {tuple(sorted(each)) for each in found} == {(b"0", b"1", b"2")}
    assert {(b"1", b"0", b"2"), (b"0", b"2", b"1")} <= found


def test_what_waits_for_the_next_comes_when_nothing_else_can_happen() -> None:
    """A request that is held does not wait for ever for one that depends on its answer."""

    async def main() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(1))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        answer = await reader.read()
        writer.close()
        server.close()
        return answer

    exploration = aldente.search(main, strategy="dfs", runs=500, slack=0)
    assert exploration.failure is None
    assert exploration.exhausted


def test_back_pressure() -> None:
    """A writer waits once 256 KiB have not been read, and its transport's buffer is full."""

    async def main() -> tuple[bool, int]:
        go_on = asyncio.Event()
        count = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            await go_on.wait()
            while data := await reader.read(10_000):
                count += len(data)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(bytes(1_000_000))
        drained = asyncio.create_task(writer.drain())
        await asyncio.sleep(1)
        has_waited = not drained.done()
        go_on.set()
        await drained
        writer.write_eof()
        await reader.read()
        writer.close()
        server.close()
        return has_waited, count

    assert result_of(main) == (True, 1_000_000)
    assert outcomes_of(main, 10) == {(True, 1_000_000)}


# What is outside.


def test_a_connection_that_nothing_serves() -> None:
    """When it makes the run fail it is OutsideSimulation, with the line and what is served."""

    async def main() -> None:
        async with await asyncio.start_server(print, "localhost", 4000):
            await asyncio.open_connection("127.0.0.1", 4001)

    error = in_stock_order(main).error
    assert isinstance(error, aldente.OutsideSimulation)
    assert error.place.endswith(f"test_network.py:{main.__code__.co_firstlineno + 2}")
    assert str(error) == (
        "socket.connect() needs a real socket, but was called in a simulated run at "
        f"{error.place}.\n"
        "A simulated run depends on nothing but its schedule, so that it can be run again; the "
        "world outside has timings of its own.\n"
        "Fix: nothing in the run listens at 127.0.0.1:4001 (served: 127.0.0.1:4000); start a "
        "server in the test, or replace the client with a double (aldente.Double, "
        "httpx.MockTransport, httpx.ASGITransport); with real sockets, time can be virtual but not "
        "simulated."
    )
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_a_refusal_may_be_what_a_test_is_about() -> None:
    """A client that expects it, and one that tries again until its server is there, pass."""

    async def main() -> int:
        with pytest.raises(ConnectionRefusedError) as caught:
            await asyncio.open_connection("127.0.0.1", 4000)
        assert caught.value.errno == errno.ECONNREFUSED

        async def begin() -> asyncio.Server:
            await asyncio.sleep(1)
            return await asyncio.start_server(lambda _, writer: writer.close(), "localhost", 4000)

        server = asyncio.create_task(begin())
        tries = 0
        while True:
            tries += 1
            try:
                _, writer = await asyncio.open_connection("localhost", 4000)
            except ConnectionRefusedError:
                await asyncio.sleep(0.4)
            else:
                break
        writer.close()
        (await server).close()
        return tries

    assert result_of(main) == 4
    assert aldente.search(main, runs=30).failure is None


def test_an_assertion_about_a_refusal_is_its_own_error() -> None:
    """A test that has caught a refusal fails by what it asserts then; a library's error does not."""

    async def main(error: Exception) -> None:
        try:
            await asyncio.open_connection("127.0.0.1", 4000)
        except ConnectionRefusedError:
            raise error  # noqa: B904

    own = in_stock_order(partial(main, AssertionError("what is used instead is wrong"))).error
    assert isinstance(own, AssertionError)
    library = in_stock_order(partial(main, RuntimeError("no connection"))).error
    assert isinstance(library, aldente.OutsideSimulation)
    assert isinstance(library.__cause__, RuntimeError)


def test_a_refusal_after_the_server_has_closed_is_its_own_error() -> None:
    """The run did serve the address, so that nothing real is missing."""

    async def main() -> None:
        server = await asyncio.start_server(print, "localhost", 4000)
        server.close()
        await asyncio.open_connection("localhost", 4000)

    assert isinstance(in_stock_order(main).error, ConnectionRefusedError)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", None])
def test_a_refusal_before_the_server_has_begun_is_its_own_error(host: str | None) -> None:
    """Also with a server at all addresses: nothing real is missing, the client was too early."""

    async def main() -> None:
        async def begin() -> None:
            await asyncio.sleep(1)
            server = await asyncio.start_server(print, host, 4000)
            server.close()

        task = asyncio.create_task(begin())
        try:
            await asyncio.open_connection("127.0.0.1", 4000)
        finally:
            await task

    assert isinstance(in_stock_order(main).error, ConnectionRefusedError)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_really_listens_is_seen(kind: socket.SocketKind, host: str) -> None:
    """At once, and nothing is sent there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        real = socket.socket(family, kind)
        real.bind((host, 0))
    except OSError:
        pytest.skip("there is no IPv6")
    with real:
        if kind == socket.SOCK_STREAM:
            real.listen()
        address = real.getsockname()
        assert refusals.is_served_outside(kind, address)
    assert not refusals.is_served_outside(kind, address)


def test_a_call_that_would_block_is_refused() -> None:
    """A socket with a time-out works as long as it need not wait."""

    async def main() -> bytes:
        with socket.create_server(("127.0.0.1", 4000)) as listening:
            client = socket.create_connection(("127.0.0.1", 4000), timeout=5)
            server, _ = listening.accept()
            with client, server:
                client.sendall(b"hello")
                data = server.recv(100)
                assert data == b"hello"
                return server.recv(100)

    error = in_stock_order(main).error
    assert isinstance(error, aldente.OutsideSimulation)
    assert (error.called, error.touched) == ("socket.recv()", "a wait that blocks the loop")
    assert error.place.endswith(f"test_network.py:{main.__code__.co_firstlineno + 8}")


# Sockets from elsewhere.


def test_python_gets_its_sockets_back() -> None:
    """After a run, sockets are real; those of other threads and subclasses always are."""
    original = socket.socket.__init__

    class Own(socket.socket):
        pass

    async def main() -> list[str]:
        def make() -> str:
            with socket.socket() as made:
                return type(made).__module__ + str(type(made) is socket.socket)

        with Own() as own, socket.socket() as simulated:
            assert isinstance(simulated, socket.socket)
            assert type(simulated) is not socket.socket
            assert repr(simulated).startswith("<socket.socket fd=")
            return [type(own).__name__, await asyncio.to_thread(make)]

    assert result_of(main) == ["Own", "socketTrue"]
    assert socket.socket.__init__ is original
    with socket.socket() as made:
        assert type(made) is socket.socket


def test_a_socket_that_was_bound_before_the_run_serves_in_it() -> None:
    """As fixtures make them for servers; nothing outside can connect while the run lasts."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        address = bound.getsockname()

        async def main() -> bytes:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(await reader.readline())
                writer.close()

            server = await asyncio.start_server(serve, sock=bound.dup())
            assert server.sockets[0].getsockname() == address
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"hello\n")
            answer = await reader.readline()
            writer.close()
            server.close()
            return answer

        assert result_of(main) == b"hello\n"


def test_a_socket_that_is_dropped_is_closed() -> None:
    """Its peer reads the end of the stream, as Linux closes what nothing refers to."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, listening.getsockname())
            server, _ = await loop.sock_accept(listening)
            with server, warnings.catch_warnings():
                # Not recorded, as the record would keep the socket.
                warnings.simplefilter("ignore", ResourceWarning)
                del client
                return await loop.sock_recv(server, 10)

    assert result_of(main) == b""


def test_a_file_is_sent(tmp_path: Path) -> None:
    """Piece by piece, as the system can't do it."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 10_000)

    async def main() -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with path.open("rb") as file:
                await asyncio.get_running_loop().sendfile(writer.transport, file)
            writer.close()

        server = await asyncio.start_server(serve, "localhost", 4000)
        reader, writer = await asyncio.open_connection("localhost", 4000)
        data = await reader.read()
        writer.close()
        server.close()
        return len(data)

    assert outcomes_of(main, 5) == {100_000}


def test_a_unix_socket(tmp_path: Path) -> None:
    """Its file is made, and removed as asyncio's own server does on this Python."""
    path = str(tmp_path / "s")

    async def main() -> tuple[bytes, bool]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_unix_server(serve, path)
        reader, writer = await asyncio.open_unix_connection(path)
        assert writer.get_extra_info("peername") == path
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.close()
        is_there = Path(path).exists()  # noqa: ASYNC240
        server.close()
        return answer, is_there

    assert outcomes_of(main, 5) == {(b"hello\n", True)}
    missing = in_stock_order(lambda: asyncio.open_unix_connection(str(tmp_path / "none")))
    assert isinstance(missing.error, FileNotFoundError)


def certificate() -> str | None:
    """The interpreter's own certificate for localhost; None where it has none."""
    support = pytest.importorskip("test.support")
    folder = Path(support.__file__).parent.parent
    found = [folder / "certdata/keycert.pem", folder / "keycert.pem"]
    return next((str(path) for path in found if path.exists()), None)


def test_tls() -> None:
    """It is Python's own, on the simulated sockets; what it sends is cut like all else."""
    path = certificate()
    if path is None:
        pytest.skip("there is no certificate")
    served, asked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    served.load_cert_chain(path)
    asked.check_hostname, asked.verify_mode = False, ssl.CERT_NONE

    async def main() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "localhost", 4000, ssl=served)
        reader, writer = await asyncio.open_connection("localhost", 4000, ssl=asked)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return answer

    assert outcomes_of(main, 20) == {b"HELLO\n"}
    for seed in range(5):
        first, second = (simulate(main, strategy_of(seed), RunSettings()).choices for _ in range(2))
        assert first == second


def test_a_run_that_leaves_a_connection_open_is_freed() -> None:
    """What is behind its sockets keeps nothing of the run alive."""
    kept: list[weakref.ref[Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "localhost", 4000)
        transport, _ = await loop.create_connection(asyncio.Protocol, "localhost", 4000)
        await asyncio.sleep(1)
        kept.extend(map(weakref.ref, (transport, server, loop)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert in_stock_order(main).error is None
        for _ in range(2):
            # First its sockets are closed, and then nothing leads to the loop.
            gc.collect()
    assert [reference() for reference in kept] == [None] * 3
    assert not endpoints_behind


# Stories.


def test_the_story_says_how_it_came() -> None:
    """With the numbers of bytes and the addresses."""

    async def main() -> None:
        pieces = await send_and_read(b"ping\n")
        assert pieces == (b"ping\n",)

    failure = aldente.search(main).failure
    assert failure is not None
    report = failure.report()
    assert (
        "(network)  5 bytes from 127.0.0.1:32769 to 127.0.0.1:32768 come in two parts, of "
        in report
    )


def test_processes_of_the_machine_still_talk(tmp_path: Path) -> None:
    """Unix sockets that block and talk to nothing in the run are real, as multiprocessing's."""
    path = str(tmp_path / "s")

    async def main() -> bytes:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
            listening.bind(path)
            listening.listen()
            client.connect(path)
            client.sendall(b"hello")
            server, _ = listening.accept()
            with server:
                return server.recv(10)

    assert result_of(main) == b"hello"
