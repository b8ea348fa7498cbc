"""More objects whose methods are meant to be atomic: what keeps names, files, jobs, documents."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aldente


def guard(is_fixed: bool) -> Any:
    """A lock around what belongs together, which the fixed twin holds."""
    return asyncio.Lock() if is_fixed else contextlib.nullcontext()


async def name_registered_twice(is_fixed: bool) -> None:
    """A name is free until the mail has been sent."""

    class Users:
        def __init__(self) -> None:
            self.mails: dict[str, str] = {}

        async def register(self, name: str, mail: str) -> str:
            if name in self.mails:
                return "taken"
            if is_fixed:
                self.mails[name] = mail
            await asyncio.sleep(0.01)
            self.mails[name] = mail
            return "welcome"

    users = aldente.serializable(Users())
    async with asyncio.TaskGroup() as group:
        group.create_task(users.register("ann", "a@x"), name="first")
        group.create_task(users.register("ann", "b@x"), name="second")


async def moved_file_nowhere(is_fixed: bool) -> None:
    """A file that is being moved is in no folder for a while."""

    class Folders:
        def __init__(self) -> None:
            self.files = {"inbox": ["file"], "done": list[str]()}

        async def move(self) -> None:
            self.files["inbox"].remove("file")
            if not is_fixed:
                await asyncio.sleep(0)
            self.files["done"].append("file")

        async def find(self) -> list[str]:
            await asyncio.sleep(0)
            return [name for name, files in self.files.items() if "file" in files]

    folders = aldente.serializable(Folders())
    await asyncio.gather(folders.find(), folders.move())


async def pool_too_large(is_fixed: bool) -> None:
    """A pool counts a connection only when it is connected."""

    class Pool:
        def __init__(self) -> None:
            self.connected = 0
            self.guard = guard(is_fixed)

        async def acquire(self) -> str:
            async with self.guard:
                if self.connected == 1:
                    return "none is free"
                await asyncio.sleep(0.02)
                self.connected += 1
                return "connected"

    pool = aldente.serializable(Pool())
    await asyncio.gather(pool.acquire(), pool.acquire())


async def two_leaders(is_fixed: bool) -> None:
    """A node asks who leads, and then says that it does."""

    class Election:
        def __init__(self) -> None:
            self.leader: str | None = None
            self.guard = guard(is_fixed)

        async def stand(self, node: str) -> bool:
            async with self.guard:
                leader = await self._ask()
                if leader is None:
                    await self._announce(node)
                return leader is None

        async def _ask(self) -> str | None:
            await asyncio.sleep(0)
            return self.leader

        async def _announce(self, node: str) -> None:
            await asyncio.sleep(0)
            self.leader = node

    election = aldente.serializable(Election())
    await asyncio.gather(election.stand("a"), election.stand("b"))


async def job_taken_twice(is_fixed: bool) -> None:
    """A worker peeks at the next job, and removes it when it has been written to the journal."""

    class Jobs:
        def __init__(self) -> None:
            self.waiting = ["one", "two"]
            self.journal: list[str] = []

        async def take(self) -> str:
            job = self.waiting.pop(0) if is_fixed else self.waiting[0]
            await asyncio.sleep(0.01)
            self.journal.append(job)
            if not is_fixed:
                self.waiting.remove(job) if job in self.waiting else None
            return job

    jobs = aldente.serializable(Jobs(), state=lambda: (jobs.waiting, sorted(jobs.journal)))
    await asyncio.gather(jobs.take(), jobs.take())


async def document_overwritten(is_fixed: bool) -> None:
    """An edit loads a document, changes a field and saves all of it."""

    class Documents:
        def __init__(self) -> None:
            self.document = {"title": "-", "text": "-"}
            self.guard = guard(is_fixed)

        async def edit(self, field: str, value: str) -> None:
            async with self.guard:
                loaded = dict(self.document)
                await asyncio.sleep(0.01)
                loaded[field] = value
                await asyncio.sleep(0.01)
                self.document = loaded

    documents = aldente.serializable(Documents())
    await asyncio.gather(documents.edit("title", "a"), documents.edit("text", "b"))


async def event_before_subscription(is_fixed: bool) -> None:
    """A subscriber gets a snapshot, and misses what comes before it is registered."""

    class Feed:
        def __init__(self) -> None:
            self.events: list[int] = []
            self.received: list[list[int]] = []

        async def subscribe(self) -> None:
            snapshot = list(self.events)
            if not is_fixed:
                await asyncio.sleep(0)
            self.received.append(snapshot)

        async def publish(self, event: int) -> None:
            self.events.append(event)
            for each in self.received:
                each.append(event)

    feed = aldente.serializable(Feed())
    await asyncio.gather(feed.subscribe(), feed.publish(1))


async def flushed_twice(is_fixed: bool) -> None:
    """A flush writes the buffer, and empties it when that is done."""

    class Log:
        def __init__(self) -> None:
            self.buffer: list[str] = []
            self.written: list[str] = []

        async def add(self, line: str) -> None:
            self.buffer.append(line)

        async def flush(self) -> None:
            lines = self.buffer
            if is_fixed:
                self.buffer = []
            await asyncio.sleep(0.01)
            self.written += lines
            if not is_fixed:
                self.buffer = []

    log = aldente.serializable(Log())
    await log.add("one")
    await asyncio.gather(log.flush(), log.flush())


async def quota_overdrawn(is_fixed: bool) -> None:
    """A service asks its quota, does the work and books it then: two objects are one whole."""

    class Quota:
        def __init__(self) -> None:
            self.left = 1

        async def take(self) -> bool:
            await asyncio.sleep(0)
            if not self.left:
                return False
            self.left -= 1
            return True

        async def peek(self) -> int:
            await asyncio.sleep(0)
            return self.left

    class Service:
        def __init__(self, quota: Quota) -> None:
            self.quota = quota
            self.done: list[str] = []

        async def work(self, what: str) -> bool:
            if is_fixed:
                if not await self.quota.take():
                    return False
            elif not await self.quota.peek():
                return False
            await asyncio.sleep(0)
            self.done.append(what)
            if not is_fixed:
                await self.quota.take()
            return True

    quota = Quota()
    service = Service(quota)
    aldente.serializable(service, quota)
    await asyncio.gather(service.work("a"), service.work("b"))


async def first_reader_gone(is_fixed: bool) -> None:
    """A shared lock counts its readers in two steps: the writer enters while one reads."""

    class Shared:
        def __init__(self) -> None:
            self.readers = 0
            self.text = "old"
            self.guard = guard(is_fixed)

        async def read(self) -> tuple[str, str]:
            async with self.guard:
                self.readers += 1
                first = self.text
                await asyncio.sleep(0.01)
                self.readers -= 1
                return first, self.text

        async def write(self) -> bool:
            async with self.guard:
                await asyncio.sleep(0.005)
                if self.readers > 1:
                    return False
                self.text = "new"
                return True

    shared = aldente.serializable(Shared())
    await asyncio.gather(shared.read(), shared.write())


PROGRAMS = (
    name_registered_twice,
    moved_file_nowhere,
    pool_too_large,
    two_leaders,
    job_taken_twice,
    document_overwritten,
    event_before_subscription,
    flushed_twice,
    quota_overdrawn,
    first_reader_gone,
)
