"""Links between hosts: latency, bandwidth, loss and partitions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest

import aldente
from tests.unit.hosted import PORT, Reader, Writer, ask, connect, outcomes_of, result_of, serve


def clock() -> float:
    return asyncio.get_running_loop().time()


class Datagrams(asyncio.DatagramProtocol):
    """Notes what arrives, and when."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, float]] = []
        self.error: Exception | None = None

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Note a datagram."""
        self.got.append((data, clock()))

    def error_received(self, exc: Exception) -> None:
        """Note an error."""
        self.error = exc


async def receiver_on(host: aldente.Host) -> Datagrams:
    with host:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            Datagrams, local_addr=("0.0.0.0", PORT), family=socket.AF_INET
        )
    return protocol


async def sender_to(name: str) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(name, PORT), family=socket.AF_INET
    )
    return transport


# Latency and bandwidth.


def test_latency_is_exact_in_stock_order() -> None:
    """A connection takes two latencies, and so do a request and its answer."""

    async def main() -> list[float]:
        net = aldente.network()
        net.host("db").run(serve())
        net.link("db", "test", latency=0.25)
        await asyncio.sleep(1)
        begin = clock()
        reader, writer = await connect("db")
        connected = clock() - begin
        await ask(reader, writer)
        answered = clock() - begin - connected
        writer.close()
        return [connected, answered]

    assert result_of(main) == [0.5, 0.5]


def test_the_answer_of_a_closed_end_takes_its_time() -> None:
    """What is sent to an end that reads no more is answered by a reset, after a latency each."""

    async def main() -> float:
        net = aldente.network()

        async def leave(reader: Reader, writer: Writer) -> None:
            writer.close()

        with net.host("db"):
            server = await asyncio.start_server(leave, "0.0.0.0", PORT)
        net.link("db", "test", latency=0.5)
        reader, writer = await asyncio.open_connection("db", PORT)
        assert await reader.read() == b""
        begin = clock()
        writer.write(b"anything")
        with contextlib.suppress(ConnectionError):
            while clock() < begin + 10:
                writer.write(b"more")
                await writer.drain()
                await asyncio.sleep(0.25)
        server.close()
        return clock() - begin

    assert result_of(main) == 1.0


def test_bandwidth_is_shared_by_what_is_sent() -> None:
    """Bytes leave one after the other, in each direction by itself."""

    async def main() -> list[float]:
        net = aldente.network()
        arrivals: list[float] = []

        async def collect(reader: Reader, writer: Writer) -> None:
            while data := await reader.read(100_000):
                arrivals.append(clock())
                if data.endswith(b"!"):
                    break
            writer.close()

        with net.host("db"):
            server = await asyncio.start_server(collect, "0.0.0.0", PORT)
        net.link("test", "db", bandwidth=1000, latency=1)
        reader, writer = await asyncio.open_connection("db", PORT)
        begin = clock()
        writer.write(b"a" * 500)
        writer.write(b"b" * 250)
        await asyncio.sleep(3)
        writer.write(b"c" * 99 + b"!")
        await reader.read()
        writer.close()
        server.close()
        return [round(each - begin, 3) for each in arrivals]

    assert result_of(main) == [1.5, 1.75, 4.1]


def test_latency_applies_to_datagrams() -> None:
    """A datagram takes the latency, and what its bytes need."""

    async def main() -> list[float]:
        net = aldente.network()
        protocol = await receiver_on(net.host("db"))
        net.link("test", "db", latency=0.5, bandwidth=100)
        sender = await sender_to("db")
        begin = clock()
        sender.sendto(b"x" * 50)
        sender.sendto(b"y" * 100)
        await asyncio.sleep(10)
        sender.close()
        return [when - begin for _, when in protocol.got]

    assert result_of(main) == [1.0, 2.0]


def test_a_stream_stays_in_order_over_any_link() -> None:
    """However long each part takes, what arrives is what was sent."""

    async def main() -> None:
        net = aldente.network()
        net.link(net.host("db"), "test", latency=0.1, loss=0.3, bandwidth=1000)
        net.host("db").run(serve())
        reader, writer = await connect("db")
        for number in range(8):
            writer.write(b"%d\n" % number)
            await asyncio.sleep(0.05)
        for number in range(8):
            assert await reader.readline() == b"%d\n" % number
        writer.close()

    exploration = aldente.search(main, runs=100, seed=1)
    assert exploration.failure is None, exploration.failure.report()
    assert exploration.faults["loss"] > 10


def test_what_takes_time_may_take_longer() -> None:
    """The schedule may let an answer come after a time-out that stock order keeps."""

    async def main() -> bool:
        net = aldente.network()
        net.link(net.host("db"), "test", latency=0.4)
        net.host("db").run(serve())
        reader, writer = await connect("db")
        try:
            async with asyncio.timeout(1):
                await ask(reader, writer)
        except TimeoutError:
            return False
        finally:
            writer.close()
        return True

    assert result_of(main) is True
    assert outcomes_of(main, runs=100) == {True, False}
    assert outcomes_of(main, runs=50, slack=0) == {True}


# Loss.


def test_a_lost_datagram_does_not_come() -> None:
    """The schedule chooses which ones are lost; in stock order none is."""

    async def main() -> int:
        net = aldente.network()
        protocol = await receiver_on(net.host("db"))
        net.link("test", "db", loss=0.5)
        sender = await sender_to("db")
        for number in range(3):
            sender.sendto(b"%d" % number)
        await asyncio.sleep(1)
        sender.close()
        return len(protocol.got)

    assert result_of(main) == 3
    assert outcomes_of(main) == {0, 1, 2, 3}


def test_a_lost_part_of_a_stream_comes_later() -> None:
    """It is sent again after 0.2 s, after 0.4 s more, and so on."""

    async def main() -> float:
        net = aldente.network()
        net.host("db").run(serve())
        reader, writer = await connect("db")
        net.link("test", "db", loss=0.4)
        begin = clock()
        assert await ask(reader, writer) == b"hello\n"
        taken = clock() - begin
        writer.close()
        return round(taken, 1)

    found = outcomes_of(main, slack=0)
    assert {0.0, 0.2, 0.4, 0.6} <= found
    assert all(each * 5 == round(each * 5) for each in found)


# Partitions.


def test_a_stream_waits_for_the_end_of_a_partition() -> None:
    """Nothing is lost: what was sent comes when the link is whole again."""

    async def main() -> float:
        net = aldente.network()
        net.host("db").run(serve())
        reader, writer = await connect("db")
        net.partition("db", "test")
        writer.write(b"hello\n")
        begin = clock()
        loop = asyncio.get_running_loop()
        loop.call_later(20, net.heal)
        assert await reader.readline() == b"hello\n"
        writer.close()
        return clock() - begin

    assert result_of(main, slack=0) == 20


def test_datagrams_are_lost_in_a_partition() -> None:
    """Those that are sent meanwhile never come, and the sender hears nothing."""

    async def main() -> list[bytes]:
        net = aldente.network()
        protocol = await receiver_on(net.host("db"))
        sender = await sender_to("db")
        for number in range(3):
            if number == 1:
                net.partition("test", "db")
            sender.sendto(b"%d" % number)
            await asyncio.sleep(1)
            net.heal("db")
        sender.close()
        return [data for data, _ in protocol.got]

    assert result_of(main) == [b"0", b"2"]


def test_a_connection_waits_for_the_end_of_a_partition() -> None:
    """Connecting goes on when the link is whole again, and is given up after 127 s."""

    async def main() -> list[float]:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        taken = []
        for seconds in (60.0, 200.0):
            net.partition("db")
            timer = loop.call_later(seconds, net.heal)
            begin = clock()
            if seconds < 127:
                _, writer = await asyncio.open_connection("db", PORT)
                writer.close()
            else:
                with pytest.raises(TimeoutError, match=r"\[Errno 110\]"):
                    await asyncio.open_connection("db", PORT)
            taken.append(clock() - begin)
            timer.cancel()
            net.heal()
        return taken

    assert result_of(main, slack=0) == [60.0, 127.0]


@pytest.mark.parametrize(
    ("cut", "reached"),
    [
        (lambda net: net.partition("one", "two"), {"one": 1, "two": 1, "one-two": 0}),
        (lambda net: net.partition("one"), {"one": 0, "two": 1, "one-two": 0}),
        (lambda net: net.partition(["one", "two"]), {"one": 0, "two": 0, "one-two": 1}),
        (
            lambda net: net.partition([net.host("one"), "two"], net.here),
            {"one": 0, "two": 0, "one-two": 1},
        ),
    ],
)
def test_sides_of_a_partition(
    cut: Callable[[aldente.Network], object], reached: dict[str, int]
) -> None:
    """One host or several are cut off from others, or from all others."""

    async def main() -> dict[str, int]:
        net = aldente.network()
        one, two = net.host("one"), net.host("two")
        protocols = [await receiver_on(one), await receiver_on(two)]
        cut(net)
        senders = [await sender_to("one"), await sender_to("two")]
        with one:
            senders.append(await sender_to("two"))
        for number, sender in enumerate(senders):
            sender.sendto(b"%d" % number)
        await asyncio.sleep(1)
        for sender in senders:
            sender.close()
        got = [data for protocol in protocols for data, _ in protocol.got]
        return {"one": got.count(b"0"), "two": got.count(b"1"), "one-two": got.count(b"2")}

    assert result_of(main) == reached


def test_the_other_side_alone_can_be_healed() -> None:
    """`heal(other=...)` is about the links of these hosts, not about all."""

    async def main() -> dict[str, int]:
        net = aldente.network()
        protocols = {}
        for name in ("one", "two"):
            protocols[name] = await receiver_on(net.host(name))
            net.partition(name, "test")
        net.heal(other="two")
        for name in protocols:
            sender = await sender_to(name)
            sender.sendto(b"hello")
            sender.close()
        await asyncio.sleep(1)
        return {name: len(protocol.got) for name, protocol in protocols.items()}

    assert result_of(main) == {"one": 0, "two": 1}


def test_what_is_under_way_arrives() -> None:
    """A partition does not take back what has left before it began."""

    async def main() -> float:
        net = aldente.network()
        protocol = await receiver_on(net.host("db"))
        net.link("test", "db", latency=1)
        sender = await sender_to("db")
        sender.sendto(b"before")
        net.partition("db")
        await asyncio.sleep(5)
        sender.close()
        return len(protocol.got)

    assert result_of(main) == 1
