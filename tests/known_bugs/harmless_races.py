"""Programs in which tasks overlap, and nothing is lost that one after the other would not lose."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import aldente


class Span(NamedTuple):
    """A part of a row."""

    start: int
    stop: int


async def same_value_loaded_twice() -> None:
    """Two that miss a cache load equal values: the second stores what is there."""
    cache: dict[str, list[str]] = {}

    async def get(key: str) -> list[str]:
        if key not in cache:
            await asyncio.sleep(0.01)
            cache[key] = [key.upper()]
        return cache[key]

    await asyncio.gather(get("a"), get("a"), get("b"))


async def flag_set_twice() -> None:
    """Two that close both set the flag."""
    closed = False

    async def close() -> None:
        nonlocal closed
        if not closed:
            await asyncio.sleep(0)
            closed = True

    await asyncio.gather(close(), close())


async def counted_at_once() -> None:
    """A counter is changed without an await in between, after a check that holds anyway."""
    hits = limit = 0

    async def hit() -> None:
        nonlocal hits, limit
        if hits < 1000:
            await asyncio.sleep(0.01)
            hits += 1
            limit = max(limit, hits)

    await asyncio.gather(*(hit() for _ in range(4)))


async def added_in_another_order() -> None:
    """A log gets its lines in another order than one task after the other would write them."""
    lines: list[str] = []

    async def write(name: str) -> None:
        if len(lines) < 100:
            lines.append(f"{name} begins")
            await asyncio.sleep(0)
            lines.append(f"{name} ends")

    await asyncio.gather(write("a"), write("b"))


async def read_again_after_the_await() -> None:
    """A value is compared with what it was, and computed anew if it has changed."""
    value = 0

    async def add(amount: int) -> None:
        nonlocal value
        while True:
            before = value
            await asyncio.sleep(0)
            if value == before:
                value = before + amount
                return

    await asyncio.gather(add(1), add(2), add(3))


async def single_flight() -> None:
    """All that miss wait for one task that loads."""
    loading: dict[str, asyncio.Task[str]] = {}

    async def load(key: str) -> str:
        await asyncio.sleep(0.01)
        return key.upper()

    async def get(key: str) -> str:
        if key not in loading:
            loading[key] = asyncio.create_task(load(key))
        return await asyncio.shield(loading[key])

    await asyncio.gather(get("a"), get("a"), get("b"))


async def waits_until_it_may() -> None:
    """A place is taken when it is free, at once; until then tasks look again and again."""
    is_taken = False

    async def work() -> None:
        nonlocal is_taken
        while is_taken:
            await asyncio.sleep(0.01)
        is_taken = True
        await asyncio.sleep(0.02)
        is_taken = False

    await asyncio.gather(work(), work(), work())


async def signalled_by_a_condition() -> None:
    """A waiter goes on when a condition says so."""
    items: list[int] = []
    changed = asyncio.Condition()

    async def put(item: int) -> None:
        async with changed:
            items.append(item)
            changed.notify()

    async def get() -> int:
        async with changed:
            await changed.wait_for(lambda: items)
            return items.pop()

    await asyncio.gather(get(), put(1), get(), put(2))


async def when_it_was_used_last() -> None:
    """What is stored is a moment, which is another one after the other."""
    loop = asyncio.get_running_loop()
    used = {"session": loop.time()}

    async def touch() -> None:
        before = used["session"]
        await asyncio.sleep(0.01)
        used["session"] = max(before, loop.time())

    await asyncio.gather(touch(), touch())


async def highest_wins() -> None:
    """Only a higher version replaces what is there, which is compared without an await."""
    version = 0

    async def store(number: int) -> None:
        nonlocal version
        await asyncio.sleep(0.01 * (3 - number))
        version = max(version, number)

    await asyncio.gather(store(1), store(2))


async def another_value_each_time() -> None:
    """Each run stores other values, which no schedule decides."""
    token = ""

    async def renew() -> None:
        nonlocal token
        if not token:
            await asyncio.sleep(0.01)
            token = f"{uuid4()} {id(object())}"

    await asyncio.gather(renew(), renew())


async def kept_on_the_way_to_the_end() -> None:
    """Workers that are cancelled at the very end leave what they have taken, which nothing uses."""
    free = [1, 2]

    async def work(seconds: float) -> None:
        while True:
            item = free.pop()
            await asyncio.sleep(seconds)
            free.append(item)
            if seconds < 1:
                return

    tasks = [asyncio.create_task(work(seconds)) for seconds in (0.1, 1.0)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def put_back_by_a_callback() -> None:
    """What a cancelled task has taken is put back by its callback."""
    free = [1, 2]

    async def use(seconds: float) -> None:
        item = free.pop()
        with contextlib.suppress(ValueError):
            await asyncio.sleep(seconds)
            free.append(item)

    def put_back(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            free.append(0)

    task = asyncio.create_task(use(1))
    task.add_done_callback(put_back)
    await use(0.1)
    task.cancel()
    await asyncio.wait([task])
    await use(0.1)


async def handed_from_task_to_task() -> None:
    """One task takes from a queue what another puts; the reader is cancelled in between."""
    queue: list[int] = []
    numbers = itertools.count()

    async def produce() -> None:
        for _ in range(4):
            queue.append(next(numbers))
            await asyncio.sleep(0.01)

    async def consume() -> None:
        while True:
            while queue:
                queue.pop()
            await asyncio.sleep(0.01)

    reader = asyncio.create_task(consume())
    await produce()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert len(queue) < 5


async def appended_when_it_has_come() -> None:
    """The list is what a result is added to; nothing of it was read before the await."""
    results: list[int] = []
    found: set[int] = set()

    async def fetch(number: int) -> int:
        await asyncio.sleep(0.01 * number)
        return number

    async def work(number: int) -> None:
        results.append(await fetch(number))
        found.add(await fetch(number))
        await asyncio.sleep(0); results.append(number)  # noqa: E702  # fmt: skip

    await asyncio.gather(*(work(number) for number in (1, 2, 3, 1)))


async def stored_by_two_parts_of_a_key() -> None:
    """Others store other elements in between; the same one gets an equal value."""
    cache: dict[tuple[int, int], int] = {}

    async def get(first: int, second: int) -> int:
        if (first, second) not in cache:
            await asyncio.sleep(0.01)
            cache[first, second] = first + second
        return cache[first, second]

    await asyncio.gather(get(1, 2), get(2, 3), get(1, 2), get(2, 3), get(1, 3))


async def stored_by_a_computed_key() -> None:
    """As before, but the source does not tell which element it is."""
    cache: dict[str, int] = {}

    async def get(name: str) -> None:
        if name.lower() not in cache:
            await asyncio.sleep(0.01)
            cache[name.lower()] = len(name)

    await asyncio.gather(*(get(name) for name in ("a", "bb", "A", "BB", "c")))


async def first_one_stays() -> None:
    """`setdefault` leaves what another has stored in the meantime."""
    cache: dict[str, int] = {}
    numbers = itertools.count()

    async def get(key: str) -> int:
        if key not in cache:
            await asyncio.sleep(0.01)
            cache.setdefault(key, next(numbers))
        return cache[key]

    await asyncio.gather(get("a"), get("a"), get("b"))


async def ranges_loaded_twice() -> None:
    """What has an attribute called `stop` is nothing that has to be stopped."""
    cache: dict[str, range | Span] = {}

    async def get(key: str, value: range | Span) -> None:
        if key not in cache:
            await asyncio.sleep(0.01)
            cache[key] = value

    loads = (("range", range(3)), ("range", range(3)), ("span", Span(0, 3)), ("span", Span(0, 3)))
    await asyncio.gather(*(get(*load) for load in loads))


async def latest_answer_wins() -> None:
    """An answer that is too late is dropped, by a line that may do nothing."""
    asked, answer = 0, None

    async def ask(number: int) -> None:
        nonlocal asked, answer
        asked += 1
        mine = asked
        await asyncio.sleep(0.01 * number)
        if mine == asked: answer = number  # noqa: E701  # fmt: skip

    await asyncio.gather(ask(3), ask(1), ask(2))
    assert answer is not None


async def greatest_number_at_once() -> None:
    """How many there were at most is more when they overlap, and none of them is forgotten."""
    active = peak = 0

    async def work(seconds: float) -> None:
        nonlocal active, peak
        active += 1
        number = active
        await asyncio.sleep(seconds)
        peak = max(peak, number)
        active -= 1

    await asyncio.gather(work(0.02), work(0.01))


class Pool:
    """A pool that takes no connection back of which it does not know what state it is in.

    Args:
        way: how it drops one.
    """

    def __init__(self, way: str) -> None:
        self._way = way
        self.free = ["a", "b"]
        self.closed: list[str] = []

    async def use(self) -> None:
        """Use a connection for a while."""
        await getattr(self, self._way)()

    async def close(self, connection: str) -> None:
        """Close a connection."""
        await asyncio.sleep(0)
        self.closed.append(connection)

    async def by_handler(self) -> None:
        """An `except` block closes it."""
        connection = self.free.pop()
        try:
            await asyncio.sleep(0.01)
        except BaseException:
            await self.close(connection)
            raise
        self.free.append(connection)

    async def by_finally(self) -> None:
        """A `finally` block closes it, if it was not used to the end."""
        connection, is_good = self.free.pop(), False
        try:
            await asyncio.sleep(0.01)
            is_good = True
        finally:
            if is_good:
                self.free.append(connection)
            else:
                self.closed.append(connection)

    def take(self) -> str:
        """A free connection."""
        return self.free.pop()

    async def by_caller(self) -> None:
        """As by a handler, but a method takes it."""
        connection = self.take()
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.closed += [connection]
            raise
        self.free.append(connection)

    async def by_generator(self) -> None:
        """A context manager that is a generator closes it."""
        async with self.borrowed():
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[str]:
        """A free connection, for a while."""
        connection = self.free.pop()
        try:
            yield connection
        except BaseException:
            await self.close(connection)
            raise
        self.free.append(connection)

    async def by_manager(self) -> None:
        """A context manager that is an object closes it."""
        async with Borrowed(self):
            await asyncio.sleep(0.01)


class Borrowed:
    """A connection, for a while.

    Args:
        pool: whose connection it is.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection = ""

    async def __aenter__(self) -> None:
        self._connection = self._pool.free.pop()

    async def __aexit__(self, kind: object, error: BaseException | None, *others: object) -> None:
        if error is None:
            self._pool.free.append(self._connection)
        else:
            await self._pool.close(self._connection)


async def dropped_when_cancelled(way: str) -> None:
    """A cancelled use leaves the pool one connection fewer, and others use what is left."""
    pool = Pool(way)
    request = aldente.may_be_cancelled(asyncio.create_task(pool.use()))
    await asyncio.wait([request])
    await asyncio.create_task(pool.use())


async def unsent_stays_in_the_outbox() -> None:
    """What could not be sent is still to be sent, as an assertion says."""
    outbox: list[str] = []

    async def send(text: str, *, fails: bool = False) -> None:
        outbox.append(text)
        await asyncio.sleep(0.01)
        if fails:
            raise ConnectionError
        outbox.remove(text)

    await asyncio.gather(send("a"), send("b", fails=True), return_exceptions=True)
    assert outbox == ["b"]


def _named(way: str) -> Callable[[], Coroutine[Any, Any, None]]:
    async def program() -> None:
        await dropped_when_cancelled(way)

    program.__name__ = f"dropped_{way}"
    return program


PROGRAMS: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (
    same_value_loaded_twice,
    flag_set_twice,
    counted_at_once,
    added_in_another_order,
    read_again_after_the_await,
    single_flight,
    waits_until_it_may,
    signalled_by_a_condition,
    when_it_was_used_last,
    highest_wins,
    another_value_each_time,
    kept_on_the_way_to_the_end,
    put_back_by_a_callback,
    handed_from_task_to_task,
    appended_when_it_has_come,
    stored_by_two_parts_of_a_key,
    stored_by_a_computed_key,
    first_one_stays,
    ranges_loaded_twice,
    latest_answer_wins,
    greatest_number_at_once,
    unsent_stays_in_the_outbox,
    *map(_named, ("by_handler", "by_finally", "by_caller", "by_generator", "by_manager")),
)
