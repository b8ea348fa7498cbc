"""Objects whose methods are atomic, or can't be compared: no schedule of these fails."""

from __future__ import annotations

import asyncio
import contextlib

import aldente
from tests.known_bugs import atomic_values
from tests.known_bugs.atomic_values import Counter, soon


async def locked_counter() -> None:
    """Three tasks count."""
    counter = aldente.serializable(Counter())
    await asyncio.gather(*(soon(counter.add(amount)) for amount in (1, 10, 100)))


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
    await asyncio.gather(*(soon(cache.get(key)) for key in "aab"))


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
    getters = [soon(channel.get()) for _ in range(2)]
    await asyncio.gather(*getters, channel.put(1), soon(channel.put(2)))


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

    await asyncio.gather(soon(produce()), soon(consume()))


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
    await asyncio.gather(soon(meeting.meet()), soon(meeting.meet()))


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
    await asyncio.gather(soon(gate.enter()), soon(gate.open()))


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
    await asyncio.gather(*(soon(pool.use(name)) for name in "abc"))


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
    await asyncio.gather(soon(counter.add(1)), soon(counter.add(10)))


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
    await asyncio.gather(soon(store.move(1)), soon(store.move(2)))


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
    await asyncio.gather(*(soon(cache.get()) for _ in range(3)))
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
    await asyncio.gather(soon(log.add("a")), soon(log.add("b")), log.add("c"))
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


PROGRAMS = (
    locked_counter,
    several_calls_of_tasks,
    single_flight,
    waiting_getters,
    bounded_channel,
    rendezvous,
    polled_rendezvous,
    semaphore_of_two,
    cancelled_while_it_waits,
    time_out_within,
    time_out_without,
    time_out_of_wait,
    operations_that_call_others,
    work_in_the_background,
    callbacks_in_the_background,
    values_that_expire,
    values_with_a_janitor,
    janitor_of_the_program,
    stamped_with_time,
    rate_limiter,
    *atomic_values.PROGRAMS,
)
