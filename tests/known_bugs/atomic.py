"""Objects whose methods are atomic, or not meant to be compared: no schedule of these fails."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import inspect
import itertools
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import aldente


async def _soon(coroutine: Any) -> Any:
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


async def locked_counter() -> None:
    """Three tasks count."""
    counter = aldente.serializable(Counter())
    await asyncio.gather(*(_soon(counter.add(amount)) for amount in (1, 10, 100)))


async def several_calls_of_tasks() -> None:
    """Tasks call one operation after the other, with time in between."""
    counter = aldente.serializable(Counter())

    async def work(name: int) -> None:
        await counter.add(name)
        await asyncio.sleep(0.015)
        await counter.add(name)

    await asyncio.gather(work(1), work(10))


async def single_flight() -> None:
    """All who miss wait for one load."""

    class Cache:
        def __init__(self) -> None:
            self.loads = 0
            self.loading: dict[str, asyncio.Task[str]] = {}

        async def _load(self, key: str) -> str:
            self.loads += 1
            await asyncio.sleep(0.01)
            return key.upper()

        async def get(self, key: str) -> str:
            if key not in self.loading:
                self.loading[key] = asyncio.create_task(self._load(key))
            return await asyncio.shield(self.loading[key])

    cache = aldente.serializable(Cache())
    await asyncio.gather(*(_soon(cache.get(key)) for key in "aab"))


async def waiting_getters() -> None:
    """Two getters wait for what two putters put."""

    class Channel:
        def __init__(self) -> None:
            self.items: list[int] = []
            self.changed = asyncio.Condition()

        async def put(self, item: int) -> None:
            async with self.changed:
                self.items.append(item)
                self.changed.notify()

        async def get(self) -> int:
            async with self.changed:
                await self.changed.wait_for(lambda: self.items)
                return self.items.pop(0)

    channel = aldente.serializable(Channel())
    getters = [_soon(channel.get()) for _ in range(2)]
    await asyncio.gather(*getters, channel.put(1), _soon(channel.put(2)))


async def bounded_channel() -> None:
    """Putters wait for room, the getter for items."""

    class Channel:
        def __init__(self) -> None:
            self.queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def put(self, item: int) -> None:
            await self.queue.put(item)

        async def get(self) -> int:
            return await self.queue.get()

    channel = aldente.serializable(Channel(), state=lambda: channel.queue.qsize())

    async def produce() -> None:
        for item in range(3):
            await channel.put(item)

    async def consume() -> list[int]:
        return [await channel.get() for _ in range(3)]

    await asyncio.gather(_soon(produce()), _soon(consume()))


async def rendezvous() -> None:
    """Each of two operations waits for the other, with a time-out that never ends it."""

    class Meeting:
        def __init__(self) -> None:
            self.here = 0
            self.both = asyncio.Event()

        async def meet(self) -> str:
            self.here += 1
            if self.here == 2:
                self.both.set()
            try:
                async with asyncio.timeout(10):
                    await self.both.wait()
            except TimeoutError:
                return "alone"
            return "met"

    meeting = aldente.serializable(Meeting(), state=lambda: None)
    await asyncio.gather(_soon(meeting.meet()), _soon(meeting.meet()))


async def polled_rendezvous() -> None:
    """One operation polls for what another does."""

    class Gate:
        is_open = False

        async def open(self) -> None:
            self.is_open = True

        async def enter(self) -> str:
            while not self.is_open:
                await asyncio.sleep(0.1)
            return "in"

    gate = aldente.serializable(Gate())
    await asyncio.gather(_soon(gate.enter()), _soon(gate.open()))


async def semaphore_of_two() -> None:
    """A pool lends two of its three things at a time; which one is nobody's business."""

    class Pool:
        def __init__(self) -> None:
            self.places = asyncio.Semaphore(2)
            self.used = 0

        async def use(self, what: str) -> str:
            async with self.places:
                await asyncio.sleep(0.01)
                self.used += 1
                return what

    pool = aldente.serializable(Pool())
    await asyncio.gather(*(_soon(pool.use(name)) for name in "abc"))


async def cancelled_while_it_waits() -> None:
    """An operation is cancelled at any of its awaits; it counts who has asked before it waits."""

    class Counted(Counter):
        asked = 0

        async def add(self, amount: int = 1) -> int:
            self.asked += 1
            return await super().add(amount)

    counter = aldente.serializable(Counted())
    first = aldente.may_be_cancelled(asyncio.create_task(counter.add(1)))
    second = aldente.may_be_cancelled(asyncio.create_task(counter.add(10)))
    await asyncio.gather(first, second, return_exceptions=True)


async def time_out_within() -> None:
    """An operation gives up when the lock takes too long."""

    class Patient(Counter):
        async def add(self, amount: int = 1) -> int:
            try:
                async with asyncio.timeout(0.005):
                    await self.lock.acquire()
            except TimeoutError:
                return -1
            await asyncio.sleep(0.01)
            self.value += amount
            self.lock.release()
            return self.value

    counter = aldente.serializable(Patient())
    await asyncio.gather(_soon(counter.add(1)), _soon(counter.add(10)))


async def time_out_without() -> None:
    """The caller gives up."""
    counter = aldente.serializable(Counter())

    async def patient(amount: int) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(counter.add(amount), 0.015)

    await asyncio.gather(patient(1), patient(10), patient(100))


async def time_out_of_wait() -> None:
    """An operation waits for its own job with `asyncio.wait`, which ends without an exception."""

    class Jobs:
        def __init__(self) -> None:
            self.lock = asyncio.Lock()
            self.done = 0

        async def _work(self) -> None:
            async with self.lock:
                await asyncio.sleep(0.01)
                self.done += 1

        async def work(self) -> str:
            job = asyncio.create_task(self._work())
            finished, _ = await asyncio.wait([job], timeout=0.012)
            return "done" if finished else "still running"

    jobs = aldente.serializable(Jobs(), state=lambda: None)
    await asyncio.gather(jobs.work(), jobs.work())
    await asyncio.sleep(1)


async def operations_that_call_others() -> None:
    """`move` calls `take` and `put`, which are operations too."""

    class Store:
        def __init__(self) -> None:
            self.items = {"a": 3, "b": 0}
            self.lock = asyncio.Lock()
            self.inner = asyncio.Lock()

        async def take(self, name: str, count: int) -> int:
            async with self.inner:
                await asyncio.sleep(0)
                self.items[name] -= count
                return self.items[name]

        async def move(self, count: int) -> dict[str, int]:
            async with self.lock:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.take("a", count))
                    group.create_task(self.take("b", -count))
                return dict(self.items)

    store = aldente.serializable(Store())
    await asyncio.gather(_soon(store.move(1)), _soon(store.move(2)))


async def work_in_the_background() -> None:
    """An operation begins a refresh that ends later: others get the old value until then."""

    class Cache:
        def __init__(self) -> None:
            self.value = 0
            self.refreshing: asyncio.Task[None] | None = None

        async def _refresh(self) -> None:
            value = self.value
            await asyncio.sleep(0)
            self.value = value + 1

        async def get(self) -> int:
            if self.refreshing is None or self.refreshing.done():
                self.refreshing = asyncio.create_task(self._refresh())
            return self.value

    cache = aldente.serializable(Cache())
    await asyncio.gather(*(_soon(cache.get()) for _ in range(3)))
    assert cache.refreshing is not None
    await cache.refreshing


async def callbacks_in_the_background() -> None:
    """An operation has a plain callback do the rest."""

    class Log:
        def __init__(self) -> None:
            self.lines: list[str] = []
            self.flushed = 0

        def _flush(self) -> None:
            self.flushed = len(self.lines)

        async def add(self, line: str) -> int:
            self.lines.append(line)
            asyncio.get_running_loop().call_soon(self._flush)
            return self.flushed

    log = aldente.serializable(Log())
    await asyncio.gather(_soon(log.add("a")), _soon(log.add("b")), log.add("c"))
    await asyncio.sleep(0)


async def values_that_expire() -> None:
    """A value is dropped by a timer, which runs while operations overlap."""

    class Cache:
        def __init__(self) -> None:
            self.values: dict[str, int] = {}

        async def set(self, name: str, value: int) -> None:
            self.values[name] = value
            asyncio.get_running_loop().call_later(1.5, self.values.pop, name, None)

        async def get(self, name: str) -> int | None:
            await asyncio.sleep(1)
            return self.values.get(name)

    cache = aldente.serializable(Cache())
    await cache.set("a", 1)
    await asyncio.gather(cache.get("a"), cache.get("a"))


async def values_with_a_janitor() -> None:
    """A task of an operation drops what is old, in its own time."""

    class Cache:
        def __init__(self) -> None:
            self.values: dict[str, int] = {}
            self.janitor: asyncio.Task[None] | None = None

        async def _clean(self) -> None:
            await asyncio.sleep(1.5)
            self.values.clear()

        async def set(self, name: str, value: int) -> None:
            self.values[name] = value
            self.janitor = self.janitor or asyncio.create_task(self._clean())

        async def get(self, name: str) -> int | None:
            await asyncio.sleep(1)
            return self.values.get(name)

    cache = aldente.serializable(Cache(), state=lambda: None)
    await cache.set("a", 1)
    await asyncio.gather(cache.get("a"), cache.get("a"))


async def janitor_of_the_program() -> None:
    """A task of the program drops what is old, by attribute."""

    class Cache:
        def __init__(self) -> None:
            self.values = {"a": 1}

        async def get(self, name: str) -> int | None:
            await asyncio.sleep(1)
            return self.values.get(name)

    cache = aldente.serializable(Cache())

    async def clean() -> None:
        await asyncio.sleep(2.5)
        cache.values.clear()

    await asyncio.gather(clean(), *(cache.get("a") for _ in range(3)))


async def stamped_with_time() -> None:
    """Results and state have the time of the loop."""

    class Log:
        def __init__(self) -> None:
            self.stamps: dict[str, float] = {}

        async def add(self, line: str) -> float:
            await asyncio.sleep(1)
            self.stamps[line] = asyncio.get_running_loop().time()
            return self.stamps[line]

    log = aldente.serializable(Log())
    await asyncio.gather(log.add("a"), log.add("b"))


async def rate_limiter() -> None:
    """Each caller gets a moment of its own, a second after the last one."""

    class Limiter:
        def __init__(self) -> None:
            self.next = 0.0

        async def wait(self) -> None:
            now = asyncio.get_running_loop().time()
            self.next = max(now, self.next)
            delay, self.next = self.next - now, self.next + 1
            await asyncio.sleep(delay)

    limiter = aldente.serializable(Limiter())
    await asyncio.gather(limiter.wait(), limiter.wait(), limiter.wait())


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
    draws = (_soon(account.draw(amount)) for amount in (6, 7, 3))
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

    await asyncio.gather(read(), log.add(1), _soon(log.add(2)))


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
    await asyncio.gather(_soon(shelf.add(1)), _soon(shelf.add(2)))


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
    await asyncio.gather(_soon(slotted.add()), _soon(slotted.add()))


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
    await asyncio.gather(_soon(desk.enqueue("a")), _soon(desk.enqueue("b")))


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
            group.create_task(_soon(counter.add(amount)), name="same")
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
    for amount in (1, 2):
        loop.call_later(amount, lambda amount=amount: made.append(loop.create_task(counter.add())))
    await asyncio.sleep(2)
    await asyncio.gather(*made, counter.add(10))


async def eager_tasks() -> None:
    """Tasks begin eagerly, where Python can do that."""
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    counter = aldente.serializable(Counter())

    async def work() -> None:
        await counter.add(1)
        await asyncio.gather(counter.add(10), _soon(counter.add(100)))

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
    await asyncio.gather(service.load("a"), _soon(service.load("b")), _soon(cache.get("a")))


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
    await asyncio.gather(_soon(queue.put("a")), _soon(queue.put("b")))
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
    await asyncio.gather(client.ask("a"), _soon(client.ask("b")))


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


PROGRAMS = tuple(
    program
    for name, program in list(globals().items())
    if inspect.iscoroutinefunction(program) and not name.startswith("_")
)
