"""What programs under faults and crashes rely on: time-outs, retries, synced files, majorities."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aldente
from tests.conformance.correct.serving import Connection, close
from tests.conformance.correct.table import correct

PORT = 7000


async def answer(reply: Callable[[str], str]) -> None:
    """Answer lines on this host, for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while (line := await reader.readline()).endswith(b"\n"):
                writer.write(f"{reply(line.decode().strip())}\n".encode())
                await writer.drain()

    server = await asyncio.start_server(handle, "0.0.0.0", PORT)
    await server.serve_forever()


async def dial(host: str) -> Connection:
    """Connect to a host as soon as it serves."""
    while True:
        try:
            return await asyncio.open_connection(host, PORT)
        except ConnectionError:
            await asyncio.sleep(0.2)


async def ask(host: str, question: str) -> str:
    """Ask a question on a connection of its own."""
    reader, writer = await dial(host)
    try:
        writer.write(f"{question}\n".encode())
        line = await reader.readline()
    finally:
        await close(writer)
    if not line.endswith(b"\n"):
        raise ConnectionResetError
    return line.decode().strip()


async def insist(host: str, question: str) -> str:
    """Ask until there is an answer; a host that has crashed may leave a question without one."""
    while True:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(3):
                return await ask(host, question)


def sync(path: Path) -> None:
    """Sync a file or folder."""
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


# Resets.


@correct
async def a_key_makes_a_request_safe_to_repeat() -> None:
    net = aldente.network()
    done: dict[str, int] = {}

    def pay(request: str) -> str:
        key, amount = request.split()
        done.setdefault(key, int(amount))
        return "paid"

    net.host("bank").run(answer(pay))
    with net.may_break("bank", times=2):
        assert await insist("bank", "first 10") == "paid"
        assert await insist("bank", "second 20") == "paid"
    assert sum(done.values()) == 30


@correct
async def a_reset_is_seen_by_both_ends() -> None:
    net = aldente.network()
    seen: list[str] = []

    async def read(who: str, reader: asyncio.StreamReader) -> None:
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            seen.append(who)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read("server", reader)
        await close(writer)

    server = net.host("server")
    with server:
        listener = await asyncio.start_server(handle, "0.0.0.0", PORT)
    reader, writer = await asyncio.open_connection("server", PORT)
    await asyncio.sleep(1)
    net.connection(writer).reset()
    await read("client", reader)
    await asyncio.sleep(1)
    assert sorted(seen) == ["client", "server"]
    await close(writer)
    listener.close()


@correct
async def who_connects_again_subscribes_again() -> None:
    net = aldente.network()
    subscribers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            if await reader.readline() == b"subscribe\n":
                subscribers.add(writer)
                await reader.read()
        subscribers.discard(writer)

    async def publish() -> None:
        async with await asyncio.start_server(handle, "0.0.0.0", PORT):
            for number in itertools.count():
                await asyncio.sleep(1)
                for writer in list(subscribers):
                    writer.write(b"%d\n" % number)

    net.host("broker").run(publish())
    got: list[int] = []
    with net.may_break("broker"):
        while len(got) < 3:
            reader, writer = await dial("broker")
            with contextlib.suppress(ConnectionError):
                writer.write(b"subscribe\n")
                while len(got) < 3 and (line := await reader.readline()).endswith(b"\n"):
                    got.append(int(line))
            await close(writer)
    assert got == sorted(set(got))


# Crashes.


@correct
async def a_time_out_shows_that_a_host_is_gone() -> None:
    net = aldente.network()
    feed = net.host("feed")

    async def run() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError), contextlib.closing(writer):
                while not writer.is_closing():
                    writer.write(b"beat\n")
                    await writer.drain()
                    await asyncio.sleep(0.5)

        async with await asyncio.start_server(handle, "0.0.0.0", PORT) as server:
            await server.serve_forever()

    feed.run(run())
    beats = 0
    with feed.may_crash(restart=run):
        while beats < 4:
            reader, writer = await dial("feed")
            with contextlib.suppress(ConnectionError, TimeoutError):
                while beats < 4:
                    async with asyncio.timeout(2):
                        if not await reader.readline():
                            break
                    beats += 1
            await close(writer)


@correct
async def a_synced_log_is_there_after_a_crash() -> None:
    net = aldente.network()
    store = net.host("store")
    log = store.disk / "log"

    def append(entry: str) -> str:
        with log.open("a") as file:
            file.write(f"{entry}\n")
            file.flush()
            os.fsync(file.fileno())
        return "stored"

    def run() -> Any:
        return answer(append)

    store.run(run())
    with store.may_crash(restart=run):
        for entry in ("one", "two"):
            assert await insist("store", entry) == "stored"
            await asyncio.sleep(0.5)
            assert entry in log.read_text().split()


@correct
async def a_file_that_is_renamed_is_whole() -> None:
    net = aldente.network()
    node = net.host("node")
    path = node.disk / "state"
    found: list[list[str]] = []

    async def run() -> None:
        found.append(path.read_text().split() if path.exists() else ["0"] * 20)
        for number in itertools.count(1):
            new = path.with_suffix(".new")
            new.write_text(f"{number} " * 20)
            sync(new)
            new.rename(path)
            await asyncio.sleep(0.5)

    node.run(run())
    with node.may_crash(restart=run, after=0.2, times=2):
        await asyncio.sleep(2)
    await asyncio.sleep(1)
    assert all(len(words) == 20 and len(set(words)) == 1 for words in found)


@correct
async def a_crash_runs_no_more_code_of_its_host() -> None:
    net = aldente.network()
    node = net.host("node")
    steps: list[str] = []

    @contextlib.asynccontextmanager
    async def noting() -> AsyncIterator[None]:
        try:
            yield
        finally:
            steps.append("the end of a block")

    async def work() -> None:
        async with noting(), asyncio.timeout(100):
            try:
                for _ in range(4):
                    await asyncio.sleep(0.5)
                    steps.append("work")
            finally:
                steps.append("finally")

    async def run() -> None:
        async with noting(), asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(work())

    node.run(run())
    await asyncio.sleep(1.2)
    node.crash()
    before = list(steps)
    await asyncio.sleep(5)
    assert steps == before
    assert "finally" not in steps


@correct
async def a_job_is_done_again_when_its_worker_has_crashed() -> None:
    net = aldente.network()
    loop = asyncio.get_running_loop()
    results: set[str] = set()
    free = {"one": 0.0, "two": 0.0}

    def queue(request: str) -> str:
        verb, _, job = request.partition(" ")
        if verb == "done":
            results.add(job)
        now = loop.time()
        for each, since in free.items():
            if each not in results and since <= now:
                free[each] = now + 4
                return each
        return "nothing"

    async def work() -> None:
        job = "nothing"
        while True:
            job = await insist("queue", "take" if job == "nothing" else f"done {job}")
            await asyncio.sleep(1)

    net.host("queue").run(answer(queue))
    worker = net.host("worker")
    worker.run(work())
    with worker.may_crash(restart=work):
        await asyncio.sleep(2)
    for _ in range(30):
        if len(results) == 2:
            return
        await asyncio.sleep(1)
    raise AssertionError(results)


@correct
async def who_awaits_a_task_learns_that_its_host_has_crashed() -> None:
    node = aldente.network().host("node")
    task = node.run(asyncio.sleep(2, "done"))
    with node.may_crash():
        try:
            assert await task == "done"
        except aldente.errors.HostCrashed:
            assert not node.is_up
    assert task.done()


# Partitions.


@correct
async def a_majority_elects_one_leader_in_each_term() -> None:
    net = aldente.network()
    names = ("one", "two", "three")
    leaders: list[int] = []
    votes: dict[str, int] = dict.fromkeys(names, 0)

    def voter(name: str) -> Callable[[str], str]:
        def vote(term: str) -> str:
            if int(term) <= votes[name]:
                return f"no {votes[name]}"
            votes[name] = int(term)
            return "yes 0"

        return vote

    async def ask_for_vote(name: str, term: int) -> tuple[bool, int]:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1):
                word, known = (await ask(name, str(term))).split()
                return word == "yes", int(known)
        return False, 0

    async def stand(name: str) -> None:
        term = 1
        for _ in range(2):
            replies = await asyncio.gather(*(ask_for_vote(each, term) for each in names))
            if sum(is_yes for is_yes, _ in replies) >= 2:
                leaders.append(term)
            term = max(term, *(known for _, known in replies)) + 1
            await asyncio.sleep(1)

    for name in names:
        net.host(name).run(answer(voter(name)))
    with net.may_partition("one", seconds=2):
        tasks = [net.host(name).run(stand(name)) for name in names[:2]]
        await asyncio.gather(*tasks)
    assert len(set(leaders)) == len(leaders)


@correct
async def a_client_does_without_what_it_cannot_reach() -> None:
    net = aldente.network()
    net.host("prices").run(answer(lambda name: f"{name} costs 3"))
    cached = "price unknown"
    with net.may_partition("prices", seconds=5):
        for _ in range(2):
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1):
                    cached = await ask("prices", "tea")
            assert cached in ("price unknown", "tea costs 3")
    net.heal()
    assert await insist("prices", "tea") == "tea costs 3"


@correct
async def a_stream_waits_for_the_end_of_a_partition() -> None:
    net = aldente.network()
    loop = asyncio.get_running_loop()
    net.host("server").run(answer(str.upper))
    reader, writer = await dial("server")
    net.partition("server")
    began = loop.time()
    writer.write(b"hello\n")
    loop.call_later(5, net.heal)
    assert await reader.readline() == b"HELLO\n"
    assert loop.time() - began >= 5
    await close(writer)


@correct
async def replicas_that_count_apart_agree_in_the_end() -> None:
    net = aldente.network()
    names = ("berlin", "paris")
    counts: dict[str, dict[str, int]] = {name: dict.fromkeys(names, 0) for name in names}

    def merger(name: str) -> Callable[[str], str]:
        def merge(state: str) -> str:
            for each, count in zip(names, map(int, state.split()), strict=True):
                counts[name][each] = max(counts[name][each], count)
            return "merged"

        return merge

    async def spread(name: str, other: str) -> None:
        for _ in range(2):
            counts[name][name] += 1
            await insist(other, " ".join(map(str, counts[name].values())))
            await asyncio.sleep(0.5)

    for name in names:
        net.host(name).run(answer(merger(name)))
    with net.may_partition(*names, seconds=3):
        pairs = (names, names[::-1])
        await asyncio.gather(*(net.host(name).run(spread(name, other)) for name, other in pairs))
    assert counts["berlin"] == counts["paris"] == {"berlin": 2, "paris": 2}


class Mailbox(asyncio.DatagramProtocol):
    """Has what comes in a queue, with its sender."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))


async def mailbox(**options: Any) -> tuple[asyncio.DatagramTransport, Mailbox]:
    return await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, **options)


async def with_receiver(host: aldente.Host, send: Callable[[], Awaitable[None]]) -> list[bytes]:
    """What a host gets, each with an acknowledgement, while something sends."""
    got: list[bytes] = []
    with host:
        transport, requests = await mailbox(local_addr=("0.0.0.0", PORT))

    async def receive() -> None:
        while True:
            data, sender = await requests.received.get()
            if data not in got:
                got.append(data)
            transport.sendto(data, sender)

    receiver = host.run(receive())
    await send()
    receiver.cancel()
    transport.close()
    return got


@correct
async def acknowledged_datagrams_arrive_over_a_lossy_link() -> None:
    net = aldente.network()
    host = net.host("collector")
    net.link("test", host, latency=0.05, loss=0.3)

    async def send() -> None:
        transport, replies = await mailbox(remote_addr=("collector", PORT))
        for number in range(3):
            data, reply = b"%d" % number, b""
            while reply != data:
                transport.sendto(data)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        while reply != data:
                            reply, _ = await replies.received.get()
        transport.close()

    assert await with_receiver(host, send) == [b"0", b"1", b"2"]


@correct
async def a_lossy_link_loses_nothing_of_a_stream() -> None:
    net = aldente.network()
    net.host("server").run(answer(str.upper))
    net.link("server", "test", loss=0.3, latency=0.02)
    reader, writer = await dial("server")
    for word in ("one", "two", "three"):
        writer.write(f"{word}\n".encode())
    for word in ("ONE", "TWO", "THREE"):
        assert await reader.readline() == f"{word}\n".encode()
    await close(writer)


@correct
async def latency_and_bandwidth_are_the_least_that_it_takes() -> None:
    net = aldente.network()
    loop = asyncio.get_running_loop()
    net.host("server").run(answer(lambda line: str(len(line))))
    reader, writer = await dial("server")
    net.link("server", "test", latency=0.25, bandwidth=1000)
    began = loop.time()
    writer.write(b"x" * 499 + b"\n")
    assert await reader.readline() == b"499\n"
    # There: half a second for 500 bytes, and a quarter; back: 4 bytes, and a quarter.
    assert loop.time() - began >= 0.5 + 0.25 + 0.004 + 0.25 - 1e-9
    await close(writer)
