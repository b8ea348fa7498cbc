"""Objects whose methods are meant to be atomic: no assertion, only `aldente.serializable`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aldente


def _guard(is_fixed: bool) -> Any:
    """A lock around what belongs together, which the fixed twin holds."""
    return asyncio.Lock() if is_fixed else contextlib.nullcontext()


async def lost_count(is_fixed: bool) -> None:
    """A counter is kept in a store: two increments read the same value."""

    class Counter:
        def __init__(self) -> None:
            self.value = 0
            self.guard = _guard(is_fixed)

        async def increment(self) -> int:
            async with self.guard:
                value = self.value
                await asyncio.sleep(0.01)
                self.value = value + 1
                return self.value

    counter = aldente.serializable(Counter())
    await asyncio.gather(counter.increment(), counter.increment())


async def limit_of_places(is_fixed: bool) -> None:
    """A course has two places: it counts them before the payment, and adds after it."""

    class Course:
        def __init__(self) -> None:
            self.members = ["ann"]

        async def join(self, name: str) -> bool:
            if len(self.members) >= 2:
                return False
            if is_fixed:
                self.members.append(name)
                await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(0.01)
                self.members.append(name)
            return True

    course = aldente.serializable(Course(), state=lambda: None)
    await asyncio.gather(course.join("bob"), course.join("cid"))


async def double_close(is_fixed: bool) -> None:
    """Two tasks close a connection: each sees it open."""

    class Connection:
        def __init__(self) -> None:
            self.is_open = True
            self.closings = 0

        async def close(self) -> None:
            if not self.is_open:
                return
            if is_fixed:
                self.is_open = False
            await asyncio.sleep(0)
            self.closings += 1
            self.is_open = False

    connection = aldente.serializable(Connection())
    await asyncio.gather(connection.close(), connection.close())


async def stale_cache(is_fixed: bool) -> None:
    """A read that has missed fills the cache with what a write has replaced meanwhile."""

    class Store:
        def __init__(self) -> None:
            self.value = "old"
            self.kept: str | None = None
            self.version = 0

        async def get(self) -> str:
            if self.kept is not None:
                return self.kept
            version, value = self.version, self.value
            await asyncio.sleep(0.01)
            if version == self.version or not is_fixed:
                self.kept = value
            return value

        async def set(self, value: str) -> None:
            self.value = value
            self.kept = None
            self.version += 1

    async def read_later() -> None:
        await asyncio.gather(store.get(), store.set("new"))
        await store.get()

    store = aldente.serializable(Store(), state=lambda: None)
    await read_later()


async def overlapping_refresh(is_fixed: bool) -> None:
    """Two requests find the token expired, and both refresh it: the second ends the first's."""

    class Session:
        def __init__(self) -> None:
            self.token: str | None = None
            self.valid = ""
            self.issued = 0
            self.guard = _guard(is_fixed)

        async def _refresh(self) -> str:
            self.issued += 1
            self.valid = f"token {self.issued}"
            token = self.valid
            await asyncio.sleep(0.01)
            return token

        async def request(self) -> str:
            async with self.guard:
                if self.token is None:
                    self.token = await self._refresh()
            return "done" if self.token == self.valid else "refused"

    session = aldente.serializable(Session())
    await asyncio.gather(session.request(), session.request())


async def reused_slot(is_fixed: bool) -> None:
    """A free slot is looked for, and taken only after it was cleared."""

    class Slots:
        def __init__(self) -> None:
            self.owners: list[str | None] = [None, None]

        async def take(self, owner: str) -> int:
            slot = self.owners.index(None)
            if is_fixed:
                self.owners[slot] = owner
            await asyncio.sleep(0)
            self.owners[slot] = owner
            return slot

    slots = aldente.serializable(Slots())
    await asyncio.gather(slots.take("a"), slots.take("b"))


async def interleaved_protocol(is_fixed: bool) -> None:
    """Requests share a connection: a reply goes to whoever reads first."""

    class Client:
        def __init__(self) -> None:
            self.replies: asyncio.Queue[str] = asyncio.Queue()
            self.guard = _guard(is_fixed)

        async def ask(self, question: str) -> str:
            async with self.guard:
                await asyncio.sleep(0)
                self.replies.put_nowait(f"reply to {question}")
                await asyncio.sleep(0)
                return await self.replies.get()

    client = aldente.serializable(Client())
    await asyncio.gather(client.ask("a"), client.ask("b"))


async def half_done_transfer(is_fixed: bool) -> None:
    """A report adds up accounts while money is on its way between two of them."""

    class Bank:
        def __init__(self) -> None:
            self.accounts = {"a": 10, "b": 0}
            self.guard = _guard(is_fixed)

        async def transfer(self, amount: int) -> None:
            async with self.guard:
                self.accounts["a"] -= amount
                await asyncio.sleep(0.01)
                self.accounts["b"] += amount

        async def total(self) -> int:
            async with self.guard:
                return sum(self.accounts.values())

    bank = aldente.serializable(Bank())
    await asyncio.gather(bank.transfer(3), bank.total())


async def coupon_redeemed_twice(is_fixed: bool) -> None:
    """A coupon is checked, the order is priced, and only then is it marked as used."""

    class Coupons:
        def __init__(self) -> None:
            self.used: set[str] = set()
            self.guard = _guard(is_fixed)

        async def redeem(self, code: str) -> int:
            async with self.guard:
                if code in self.used:
                    raise ValueError(code)
                await asyncio.sleep(0.01)
                self.used.add(code)
                return 5

    coupons = aldente.serializable(Coupons())
    await asyncio.gather(*(coupons.redeem("x") for _ in range(2)), return_exceptions=True)


async def initialised_twice(is_fixed: bool) -> None:
    """A client is made by the first use; two first uses make two."""

    class Lazy:
        def __init__(self) -> None:
            self.made = 0
            self.client: int | None = None
            self.making: asyncio.Task[int] | None = None

        async def _make(self) -> int:
            self.made += 1
            number = self.made
            await asyncio.sleep(0.01)
            return number

        async def get(self) -> int:
            if is_fixed:
                if self.making is None:
                    self.making = asyncio.create_task(self._make())
                self.client = await self.making
            elif self.client is None:
                self.client = await self._make()
            return self.client

    lazy = aldente.serializable(Lazy())
    await asyncio.gather(lazy.get(), lazy.get())


async def number_given_twice(is_fixed: bool) -> None:
    """An invoice gets the number after the greatest one that is stored."""

    class Invoices:
        def __init__(self) -> None:
            self.stored: list[int] = []
            self.guard = _guard(is_fixed)

        async def add(self) -> int:
            async with self.guard:
                number = max(self.stored, default=0) + 1
                await asyncio.sleep(0)
                self.stored.append(number)
                return number

    invoices = aldente.serializable(Invoices(), state=lambda: len(invoices.stored))
    await asyncio.gather(invoices.add(), invoices.add(), invoices.add())


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
            self.guard = _guard(is_fixed)

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
            self.guard = _guard(is_fixed)

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
            self.guard = _guard(is_fixed)

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
            self.guard = _guard(is_fixed)

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
    lost_count,
    limit_of_places,
    double_close,
    stale_cache,
    overlapping_refresh,
    reused_slot,
    interleaved_protocol,
    half_done_transfer,
    coupon_redeemed_twice,
    initialised_twice,
    number_given_twice,
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
