"""Bugs that show when a host crashes: what it has not synced, and what others wait for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from pathlib import Path

import aldente
from tests.known_bugs.faults import Reader, Writer, answer_lines, close, dial, insist, serve

# Disks.


def write(path: Path, text: str, *, is_synced: bool, mode: str = "w") -> None:
    """Write a file, which a crash leaves as it is if it is synced."""
    with path.open(mode) as file:
        file.write(text)
        if is_synced:
            file.flush()
            os.fsync(file.fileno())


async def log_not_synced(is_fixed: bool) -> None:
    """A store says that it has stored what a crash can take from its log."""
    net = aldente.network()
    store = net.host("store")
    log = store.disk / "log"

    async def run() -> None:
        async def handle(request: str) -> str:
            if request == "list":
                return " ".join(log.read_text().split()) if log.exists() else ""
            write(log, f"{request}\n", is_synced=is_fixed, mode="a")
            return "stored"

        await answer_lines(handle)

    store.run(run())
    with store.may_crash(restart=run):
        for number in range(3):
            assert await insist("store", f"entry-{number}") == "stored"
            await asyncio.sleep(0.5)
    await asyncio.sleep(3)
    stored = (await insist("store", "list")).split()
    assert {"entry-0", "entry-1", "entry-2"} <= set(stored)


async def settings_written_in_place(is_fixed: bool) -> None:
    """A node writes its settings over the old ones, and finds half of them after a crash."""
    net = aldente.network()
    node = net.host("node")
    path = node.disk / "settings.json"

    def save(settings: dict[str, int]) -> None:
        text = json.dumps(settings)
        if not is_fixed:
            write(path, text, is_synced=False)
            return
        new = path.with_suffix(".new")
        write(new, text, is_synced=True)
        new.rename(path)

    async def run() -> None:
        settings = json.loads(path.read_text()) if path.exists() else {"version": 0}
        while True:
            settings["version"] += 1
            save(settings)
            await asyncio.sleep(1)

    node.run(run())
    with node.may_crash(restart=run):
        await asyncio.sleep(3)
    await asyncio.sleep(3)


async def log_removed_before_its_snapshot_is_there(is_fixed: bool) -> None:
    """A store removes its log when a snapshot is written, which is not on the disk by then."""
    net = aldente.network()
    store = net.host("store")
    log, snapshot = store.disk / "log", store.disk / "snapshot"

    def load() -> list[str]:
        return [
            line for path in (snapshot, log) if path.exists() for line in path.read_text().split()
        ]

    async def run() -> None:
        async def handle(request: str) -> str:
            if request == "list":
                return " ".join(load())
            write(log, f"{request}\n", is_synced=True, mode="a")
            entries = load()
            if len(entries) % 2 == 0:
                new = snapshot.with_suffix(".new")
                write(new, "\n".join(entries), is_synced=is_fixed)
                new.rename(snapshot)
                if is_fixed:
                    sync_folder(store.disk.path)
                log.unlink()
                sync_folder(store.disk.path)
            return "stored"

        await answer_lines(handle)

    store.run(run())
    with store.may_crash(restart=run):
        for number in range(4):
            assert await insist("store", f"entry-{number}") == "stored"
            await asyncio.sleep(0.5)
    await asyncio.sleep(3)
    stored = (await insist("store", "list")).split()
    assert {f"entry-{number}" for number in range(4)} <= set(stored)


def sync_folder(path: Path) -> None:
    """Sync the names of files."""
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


# What others wait for.


async def feed_without_heartbeat(is_fixed: bool) -> None:
    """A reader waits for a feed whose host has crashed without a word, and is there again."""
    net = aldente.network()
    feed = net.host("feed")

    async def run() -> None:
        async def handle(reader: Reader, writer: Writer) -> None:
            for price in itertools.count():
                writer.write(b"%d\n" % price)
                await writer.drain()
                await asyncio.sleep(0.5)

        await serve(handle)

    async def follow() -> None:
        prices = 0
        while prices < 5:
            reader, writer = await dial("feed")
            with contextlib.suppress(ConnectionError, TimeoutError):
                while prices < 5:
                    async with asyncio.timeout(2 if is_fixed else None):
                        if not await reader.readline():
                            break
                    prices += 1
            await close(writer)

    feed.run(run())
    with feed.may_crash(restart=run):
        await follow()


async def session_of_before_the_restart(is_fixed: bool) -> None:
    """A client keeps the session that it has got, which the server forgets when it crashes."""
    net = aldente.network()
    server = net.host("server")
    numbers = itertools.count(1)

    async def run() -> None:
        sessions: set[str] = set()

        async def handle(request: str) -> str:
            if request == "log in":
                session = f"session-{next(numbers)}"
                sessions.add(session)
                return session
            return "hello" if request in sessions else "unknown"

        await answer_lines(handle)

    server.run(run())
    with server.may_crash(restart=run):
        session = await insist("server", "log in")
        for _ in range(4):
            reply = await insist("server", session)
            if is_fixed and reply == "unknown":
                session = await insist("server", "log in")
                reply = await insist("server", session)
            assert reply == "hello"
            await asyncio.sleep(1)


async def job_of_a_crashed_worker(is_fixed: bool) -> None:
    """A queue waits for the result of a job from a worker that has crashed."""
    net = aldente.network()
    loop = asyncio.get_running_loop()
    jobs = ["resize", "crop"]
    taken: dict[str, float] = {}
    results: set[str] = set()

    async def handle(request: str) -> str:
        verb, _, job = request.partition(" ")
        if verb == "done":
            results.add(job)
            taken.pop(job, None)
            return "thanks"
        if is_fixed:
            for late in [job for job, since in taken.items() if loop.time() > since + 4]:
                jobs.append(late)
                del taken[late]
        if not jobs:
            return "nothing"
        job = jobs.pop(0)
        taken[job] = loop.time()
        return job

    async def work() -> None:
        while True:
            job = await insist("queue", "take")
            await asyncio.sleep(1.5)
            if job != "nothing":
                await insist("queue", f"done {job}")

    net.host("queue").run(answer_lines(handle))
    worker = net.host("worker")
    worker.run(work())
    with worker.may_crash(restart=work):
        await asyncio.sleep(6)
    await asyncio.sleep(9)
    assert results == {"resize", "crop"}


async def event_lost_between_store_and_broker(is_fixed: bool) -> None:
    """A shop stores an order and then tells of it, and crashes between the two."""
    net = aldente.network()
    shop = net.host("shop")
    orders, told = shop.disk / "orders", shop.disk / "told"
    events: set[str] = set()

    async def note(order: str) -> str:
        events.add(order)
        return "noted"

    async def tell(order: str) -> None:
        await insist("broker", order)
        write(told, f"{order}\n", is_synced=True, mode="a")

    def lines(path: Path) -> list[str]:
        return path.read_text().split() if path.exists() else []

    async def run() -> None:
        async def handle(order: str) -> str:
            if order not in lines(orders):
                write(orders, f"{order}\n", is_synced=True, mode="a")
                await tell(order)
            return "ordered"

        async def tell_rest() -> None:
            for order in set(lines(orders)) - set(lines(told)):
                await tell(order)

        async with asyncio.TaskGroup() as group:
            group.create_task(answer_lines(handle))
            if is_fixed:
                group.create_task(tell_rest())

    net.host("broker").run(answer_lines(note))
    shop.run(run())
    with shop.may_crash(restart=run):
        for order in ("shoes", "hat"):
            assert await insist("shop", order) == "ordered"
            await asyncio.sleep(0.5)
    await asyncio.sleep(5)
    assert events == {"shoes", "hat"}


async def file_moved_twice(is_fixed: bool) -> None:
    """A node moves a file to another one, and crashes before it has removed its own."""
    net = aldente.network()
    old, new = net.host("old"), net.host("new")
    write(old.disk / "file", "content", is_synced=True)

    async def receive(text: str) -> str:
        name, _, content = text.partition(" ")
        if not is_fixed:
            name += str(len(list(new.disk.path.iterdir())))
        write(new.disk / name, content, is_synced=True)
        return "received"

    async def move() -> None:
        path = old.disk / "file"
        if path.exists():
            await insist("new", f"file {path.read_text()}")
            path.unlink()
            sync_folder(old.disk.path)
        await asyncio.Event().wait()

    new.run(answer_lines(receive))
    old.run(move())
    with old.may_crash(restart=move):
        await asyncio.sleep(2)
    await asyncio.sleep(3)
    assert len(list(new.disk.path.iterdir())) == 1
