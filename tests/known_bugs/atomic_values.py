"""Programs that no schedule breaks: results and state of many kinds, and tasks made in many ways."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import itertools
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import aldente


async def soon(coroutine: Any) -> Any:
    """Call an operation at a moment that the schedule chooses."""
    await asyncio.sleep(0)
    return await coroutine


class Counter:
    """Counts under a lock."""

    def __init__(self) -> None:
        self.value = 0
        self.lock = asyncio.Lock()

    async def add(self, amount: int = 1) -> int:
        async with self.lock:
            before = self.value
            await asyncio.sleep(0.01)
            self.value = before + amount
            return self.value


async def operations_that_raise() -> None:
    """Errors are results, with what they say."""

    class Account:
        def __init__(self) -> None:
            self.money = 10
            self.lock = asyncio.Lock()

        async def draw(self, amount: int) -> int:
            async with self.lock:
                await asyncio.sleep(0)
                if amount > self.money:
                    raise LookupError(f"{amount} of {self.money}")
                self.money -= amount
                return self.money

    account = aldente.serializable(Account())
    draws = (soon(account.draw(amount)) for amount in (6, 7, 3))
    await asyncio.gather(*draws, return_exceptions=True)


async def generators() -> None:
    """An async generator is no operation; it reads what operations change."""

    class Log:
        def __init__(self) -> None:
            self.lines: list[int] = []

        async def add(self, line: int) -> None:
            await asyncio.sleep(0)
            self.lines.append(line)

        async def follow(self) -> AsyncIterator[int]:
            seen = 0
            while seen < 2:
                while seen < len(self.lines):
                    yield self.lines[seen]
                    seen += 1
                await asyncio.sleep(0)

        async def lines_of(self) -> AsyncIterator[int]:
            return self.follow()

    log = aldente.serializable(Log())

    async def read() -> list[int]:
        return [line async for line in await log.lines_of()]

    await asyncio.gather(read(), log.add(1), soon(log.add(2)))


class Color(enum.Enum):
    """A colour."""

    RED = "red"


class Plain:
    """An object without an == of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self.itself = self
        self.method = self.say

    def say(self) -> str:
        return self.name


class ByIdentity:
    """An object with an == that compares identities."""

    def __init__(self) -> None:
        self.name = "x"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclasses.dataclass(slots=True)
class Entry:
    """A dataclass with slots, which can't be hashed."""

    number: int
    made: datetime.datetime
    price: decimal.Decimal = decimal.Decimal("NaN")
    tags: set[str] = dataclasses.field(default_factory=set)


async def values_of_all_kinds() -> None:
    """Results and state of many types are compared by what they are."""

    class Shelf:
        def __init__(self) -> None:
            self.entries: collections.deque[Entry] = collections.deque(maxlen=5)
            self.by_color: collections.defaultdict[Color, list[Entry]]
            self.by_color = collections.defaultdict(list)
            self.lock = asyncio.Lock()
            self.average = float("nan")
            self.ids = itertools.count()

        async def add(self, number: int) -> tuple[Any, ...]:
            async with self.lock:
                await asyncio.sleep(0)
                made = datetime.datetime(2030, 1, 1) + datetime.timedelta(days=number)
                entry = Entry(number, made, tags={str(number)})
                self.entries.append(entry)
                self.by_color[Color.RED].append(entry)
                return entry, Plain("p"), ByIdentity(), float("nan"), lambda: number, self

    shelf = aldente.serializable(Shelf())
    await asyncio.gather(soon(shelf.add(1)), soon(shelf.add(2)))


@dataclasses.dataclass
class Slotted:
    """A counter with slots."""

    __slots__ = ("lock", "value")
    value: int
    lock: asyncio.Lock

    async def add(self) -> int:
        async with self.lock:
            await asyncio.sleep(0)
            self.value += 1
            return self.value


async def slots() -> None:
    """The state is in slots."""
    slotted = aldente.serializable(Slotted(0, asyncio.Lock()))
    await asyncio.gather(soon(slotted.add()), soon(slotted.add()))


_numbers = itertools.count(1)


async def numbers_of_the_process() -> None:
    """Each result has a number that goes on from run to run."""

    class Desk:
        def __init__(self) -> None:
            self.waiting: dict[int, str] = {}

        async def enqueue(self, name: str) -> int:
            number = next(_numbers)
            await asyncio.sleep(0)
            self.waiting[number] = name
            return number

    desk = aldente.serializable(Desk())
    await asyncio.gather(soon(desk.enqueue("a")), soon(desk.enqueue("b")))


async def random_numbers() -> None:
    """Each operation draws twice, so that those that overlap draw others."""

    class Tokens:
        async def make(self) -> list[float]:
            first = random.random()
            await asyncio.sleep(0)
            return [first, random.random()]

    tokens = aldente.serializable(Tokens())
    await asyncio.gather(tokens.make(), tokens.make())


async def tasks_that_make_tasks() -> None:
    """Tasks of tasks call operations; some have the same name."""
    counter = aldente.serializable(Counter())

    async def two(amount: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(soon(counter.add(amount)), name="same")
            await asyncio.sleep(0)
            group.create_task(counter.add(2 * amount), name="same")

    await asyncio.gather(two(1), two(10))


async def tasks_made_before() -> None:
    """A task that was made before the object is named calls operations."""
    counter = Counter()

    async def later() -> None:
        await asyncio.sleep(0.01)
        await counter.add()
        await counter.add(5)

    early = [asyncio.create_task(later()) for _ in range(2)]
    aldente.serializable(counter)
    await asyncio.gather(counter.add(10), *early)


async def tasks_of_callbacks() -> None:
    """A callback makes the tasks that call operations."""
    counter = aldente.serializable(Counter())
    loop = asyncio.get_running_loop()
    made: list[asyncio.Task[int]] = []
    for seconds in (1, 2):
        loop.call_later(seconds, lambda: made.append(loop.create_task(counter.add())))
    await asyncio.sleep(2)
    await asyncio.gather(*made, counter.add(10))


async def eager_tasks() -> None:
    """Tasks begin eagerly, where Python can do that."""
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    counter = aldente.serializable(Counter())

    async def work() -> None:
        await counter.add(1)
        await asyncio.gather(counter.add(10), soon(counter.add(100)))

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(work())


async def two_things() -> None:
    """A service and its cache are one whole; the cache is also called for itself."""

    class Cache:
        def __init__(self) -> None:
            self.values: dict[str, int] = {}

        async def get(self, name: str) -> int | None:
            await asyncio.sleep(0)
            return self.values.get(name)

    class Service:
        def __init__(self, cache: Cache) -> None:
            self.cache = cache
            self.lock = asyncio.Lock()

        async def load(self, name: str) -> int:
            async with self.lock:
                found = await self.cache.get(name)
                if found is None:
                    await asyncio.sleep(0.01)
                    self.cache.values[name] = found = len(self.cache.values)
                return found

    cache = Cache()
    service = aldente.serializable(Service(cache), cache)
    await asyncio.gather(service.load("a"), soon(service.load("b")), soon(cache.get("a")))


async def attributes_between() -> None:
    """The program reads and sets attributes beside the operations."""

    class Worker:
        def __init__(self) -> None:
            self.is_stopping = False
            self.done: list[str] = []

        async def work(self, what: str) -> str:
            for part in range(2):
                if self.is_stopping:
                    return f"stopped at {part}"
                self.done.append(what)
                await asyncio.sleep(0)
            return "done"

    worker = aldente.serializable(Worker(), state=lambda: sorted(worker.done))

    async def stop() -> None:
        await asyncio.sleep(0)
        worker.is_stopping = True

    await asyncio.gather(worker.work("a"), worker.work("b"), stop())


async def workers_left() -> None:
    """Workers wait in an operation when the program ends."""
    queue = aldente.serializable(Mailbox())
    workers = [asyncio.create_task(_receive(queue)) for _ in range(2)]
    await asyncio.gather(soon(queue.put("a")), soon(queue.put("b")))
    await asyncio.sleep(1)
    del workers


class Mailbox:
    """A queue of mails."""

    def __init__(self) -> None:
        self.mails: asyncio.Queue[str] = asyncio.Queue()
        self.received: list[str] = []

    async def put(self, mail: str) -> None:
        await self.mails.put(mail)

    async def receive(self) -> str:
        mail = await self.mails.get()
        self.received.append(mail)
        return mail


async def _receive(mailbox: Mailbox) -> None:
    while True:
        await mailbox.receive()


async def choices() -> None:
    """What comes from outside is chosen within operations, as are threads of an executor."""

    class Client:
        def __init__(self) -> None:
            self.lock = asyncio.Lock()
            self.answers: list[str] = []

        async def ask(self, name: str) -> str:
            async with self.lock:
                await asyncio.to_thread(len, name)
                answer = name + aldente.choose(["yes", "no"])
                self.answers.append(answer)
                return answer

    client = aldente.serializable(Client())
    await asyncio.gather(client.ask("a"), soon(client.ask("b")))


async def other_calls_after_time() -> None:
    """What the program calls depends on the time that operations have taken."""

    class Service:
        def __init__(self) -> None:
            self.log: set[str] = set()

        async def load(self, name: str) -> None:
            await asyncio.sleep(1)
            self.log.add(name)

        async def retry(self) -> None:
            self.log.add("retry")

    service = aldente.serializable(Service())
    late = asyncio.Event()

    async def watch() -> None:
        await asyncio.sleep(2.5)
        late.set()

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(service.load(name) for name in "abc"))
    if late.is_set():
        await service.retry()
    watching.cancel()


PROGRAMS = (
    operations_that_raise,
    generators,
    values_of_all_kinds,
    slots,
    numbers_of_the_process,
    random_numbers,
    tasks_that_make_tasks,
    tasks_made_before,
    tasks_of_callbacks,
    eager_tasks,
    two_things,
    attributes_between,
    workers_left,
    choices,
    other_calls_after_time,
)
