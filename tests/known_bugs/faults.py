"""Bugs that show when the network fails: resets, partitions, and datagrams that are lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import aldente

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Answer: TypeAlias = Callable[[str], Awaitable[str]]

PORT = 5000


async def close(writer: Writer) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def serve(handle: Callable[[Reader, Writer], Awaitable[None]]) -> None:
    """Serve on this host, for ever; a connection that breaks ends its handler."""

    async def guard(reader: Reader, writer: Writer) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await handle(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(guard, "0.0.0.0", PORT)
    await server.serve_forever()


async def answer_lines(answer: Answer) -> None:
    """Answer each line on this host, for ever."""

    async def handle(reader: Reader, writer: Writer) -> None:
        while (line := await reader.readline()).endswith(b"\n"):
            reply = await answer(line.decode().strip())
            writer.write(f"{reply}\n".encode())
            await writer.drain()

    await serve(handle)


async def dial(host: str) -> tuple[Reader, Writer]:
    """Connect to a host as soon as it serves."""
    while True:
        try:
            return await asyncio.open_connection(host, PORT)
        except ConnectionError:
            await asyncio.sleep(0.1)


async def exchange(reader: Reader, writer: Writer, question: str) -> str:
    """Ask a question on a connection."""
    writer.write(f"{question}\n".encode())
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("The connection has ended without an answer.")
    return line.decode().strip()


async def ask(host: str, question: str) -> str:
    """Ask a question on a connection of its own."""
    reader, writer = await dial(host)
    try:
        return await exchange(reader, writer, question)
    finally:
        await close(writer)


async def insist(host: str, question: str) -> str:
    """Ask a question until it is answered.

    A host that has crashed after the question has come says nothing any more, even when it is there
    again, so that a time-out is needed.
    """
    while True:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(3):
                return await ask(host, question)


# Resets.


async def deposit_repeated_after_reset(is_fixed: bool) -> None:
    """A connection breaks before the answer has come, and the client asks for the same again."""
    net = aldente.network()
    seen: set[str] = set()
    balance = 0

    async def deposit(request: str) -> str:
        nonlocal balance
        key, amount = request.split()
        if not is_fixed or key not in seen:
            balance += int(amount)
        seen.add(key)
        return "done"

    net.host("bank").run(answer_lines(deposit))
    with net.may_break("bank"):
        await insist("bank", "payment-1 10")
    assert balance == 10


async def pooled_connection_broken(is_fixed: bool) -> None:
    """A client takes a connection from its pool that has broken since it was used."""
    net = aldente.network()

    async def find(name: str) -> str:
        return f"{name}@example.org"

    net.host("users").run(answer_lines(find))
    pool = [await dial("users")]

    async def look_up(name: str) -> str:
        for _ in range(2 if is_fixed else 1):
            reader, writer = pool.pop() if pool else await dial("users")
            try:
                found = await exchange(reader, writer, name)
            except ConnectionError:
                await close(writer)
            else:
                pool.append((reader, writer))
                return found
        raise ConnectionError("The users can't be asked.")

    with net.may_break("users"):
        for name in ("anna", "ben", "cleo"):
            assert await look_up(name) == f"{name}@example.org"
            await asyncio.sleep(1)
    for _, writer in pool:
        await close(writer)


async def subscription_forgotten(is_fixed: bool) -> None:
    """A client connects again after a reset, but does not subscribe again."""
    net = aldente.network()
    subscribers: dict[str, set[Writer]] = {"news": set(), "sport": set()}

    async def handle(reader: Reader, writer: Writer) -> None:
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                subscribers[line.decode().strip()].add(writer)
        finally:
            for writers in subscribers.values():
                writers.discard(writer)

    async def publish() -> None:
        for number in range(6):
            await asyncio.sleep(1)
            for writer in list(subscribers["news"]):
                writer.write(b"%d\n" % number)

    broker = net.host("broker")
    broker.run(serve(handle))
    got: list[int] = []

    async def subscribe(writer: Writer) -> None:
        writer.write(b"news\n")
        await writer.drain()

    async def client() -> None:
        has_subscribed = False
        while True:
            reader, writer = await dial("broker")
            try:
                if is_fixed or not has_subscribed:
                    await subscribe(writer)
                    has_subscribed = True
                while (line := await reader.readline()).endswith(b"\n"):
                    got.append(int(line))
            except ConnectionError:
                pass
            finally:
                await close(writer)

    with net.may_break("broker"):
        listener = asyncio.create_task(client())
        publisher = broker.run(publish())
        await publisher
        await asyncio.sleep(1)
    listener.cancel()
    # One of them may be lost with the connection.
    assert len(got) >= 3


# Partitions.


async def leader_writes_after_its_lease(is_fixed: bool) -> None:
    """A leader that can't renew its lease goes on, as it has not heard that another one leads."""
    net = aldente.network()
    loop = asyncio.get_running_loop()
    term, owner, end = 0, "", 0.0
    log: list[tuple[int, str]] = []

    async def lease(node: str) -> str:
        nonlocal term, owner, end
        now = loop.time()
        if owner != node and now >= end:
            term, owner = term + 1, node
        if owner == node:
            end = now + 2
        return f"{owner} {term}"

    async def store(entry: str) -> str:
        number, node = entry.split()
        if is_fixed and log and int(number) < log[-1][0]:
            return "fenced"
        log.append((int(number), node))
        return "stored"

    net.host("leases").run(answer_lines(lease))
    net.host("storage").run(answer_lines(store))

    async def node(name: str) -> None:
        leader, number = "", "0"
        while True:
            try:
                async with asyncio.timeout(1):
                    leader, number = (await insist("leases", name)).split()
            except TimeoutError:
                pass
            if leader == name:
                await insist("storage", f"{number} {name}")
            await asyncio.sleep(1)

    for name in ("one", "two"):
        net.host(name).run(node(name))
    with net.may_partition("leases", "one", seconds=5):
        await asyncio.sleep(6)
    assert log == sorted(log)


async def counter_loses_in_partition(is_fixed: bool) -> None:
    """Replicas exchange their totals, and the larger one wins when a partition has healed."""
    net = aldente.network()
    names = ("berlin", "paris")
    counts = {name: dict.fromkeys(names, 0) for name in names}

    def total(name: str) -> int:
        return sum(counts[name].values()) if is_fixed else counts[name]["paris"]

    async def replica(name: str) -> None:
        mine = counts[name]

        async def merge(state: str) -> str:
            for each, count in zip(names, map(int, state.split()), strict=True):
                mine[each] = max(mine[each], count)
            return "merged"

        await answer_lines(merge)

    async def spread(name: str, other: str) -> None:
        while True:
            await insist(other, " ".join(map(str, counts[name].values())))
            await asyncio.sleep(1)

    for name, other in (names, names[::-1]):
        host = net.host(name)
        host.run(replica(name))
        host.run(spread(name, other))
    with net.may_partition("berlin", "paris", seconds=3):
        for number in range(3):
            await asyncio.sleep(1.2)
            counts[names[number % 2]][names[number % 2] if is_fixed else "paris"] += 1
    net.heal()
    for _ in range(10):
        await asyncio.sleep(1)
        if [total(name) for name in names] == [3, 3]:
            return
    raise AssertionError(counts)


async def read_from_a_replica_behind(is_fixed: bool) -> None:
    """Who has written reads from a replica that a partition keeps from its primary."""
    net = aldente.network()
    stores: dict[str, dict[str, str]] = {"primary": {}, "replica": {}}
    copying: set[asyncio.Task[str]] = set()

    async def write(request: str) -> str:
        key, value = request.split("=")
        stores["primary"][key] = value
        copy = asyncio.create_task(insist("replica", request))
        copying.add(copy)
        copy.add_done_callback(copying.discard)
        if is_fixed:
            await copy
        return "written"

    async def read_or_copy(request: str) -> str:
        key, _, value = request.partition("=")
        if value:
            stores["replica"][key] = value
        return stores["replica"].get(key, "nothing")

    net.host("primary").run(answer_lines(write))
    net.host("replica").run(answer_lines(read_or_copy))
    with net.may_partition("primary", "replica", seconds=5):
        for number in range(3):
            await insist("primary", f"name={number}")
            await asyncio.sleep(1)
            assert await insist("replica", "name") == str(number)


# Losses.


class Mailbox(asyncio.DatagramProtocol):
    """Has what comes in a queue, with its sender."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))


async def mailbox(**options: Any) -> tuple[asyncio.DatagramTransport, Mailbox]:
    return await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, **options)


async def measurement_sent_once(is_fixed: bool) -> None:
    """A sensor sends each measurement in one datagram, over a link that loses some."""
    net = aldente.network()
    collector, sensor = net.host("collector"), net.host("sensor")
    net.link(collector, sensor, loss=0.1)
    values: dict[int, bytes] = {}
    with collector:
        server, requests = await mailbox(local_addr=("0.0.0.0", PORT))

    async def collect() -> None:
        while True:
            data, sender = await requests.received.get()
            values[int(data)] = data
            server.sendto(data, sender)

    async def measure() -> None:
        transport, answers = await mailbox(remote_addr=("collector", PORT))
        for number in range(5):
            await asyncio.sleep(1)
            transport.sendto(b"%d" % number)
            while is_fixed and number not in {int(data) for data in known(answers)}:
                await asyncio.sleep(0.5)
                transport.sendto(b"%d" % number)
        transport.close()

    heard: list[bytes] = []

    def known(answers: Mailbox) -> list[bytes]:
        while not answers.received.empty():
            heard.append(answers.received.get_nowait()[0])
        return heard

    collector.run(collect())
    await sensor.run(measure())
    await asyncio.sleep(1)
    server.close()
    assert sorted(values) == [0, 1, 2, 3, 4]


async def question_without_time_out(is_fixed: bool) -> None:
    """A client waits for the answer to a datagram that was lost."""
    net = aldente.network()
    net.link("test", net.host("time"), latency=0.05, loss=0.1)

    async def tell() -> None:
        transport, questions = await mailbox(local_addr=("0.0.0.0", PORT))
        while True:
            question, sender = await questions.received.get()
            transport.sendto(question + b": noon", sender)

    net.host("time").run(tell())
    await asyncio.sleep(1)
    transport, answers = await mailbox(remote_addr=("time", PORT))
    for number in range(3):
        question = b"%d" % number
        transport.sendto(question)
        while True:
            try:
                answer, _ = await asyncio.wait_for(
                    answers.received.get(), 1.0 if is_fixed else None
                )
            except TimeoutError:
                transport.sendto(question)
                continue
            if answer.startswith(question):
                break
    transport.close()
