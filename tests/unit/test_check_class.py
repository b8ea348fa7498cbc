"""`aldente.check_class`: small programs of the operations of a class."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aldente
from aldente._explore.check_class import _orders, _programs


class Cache:
    """Keeps what it loads; `drop` forgets it."""

    def __init__(self, *, is_fixed: bool = False) -> None:
        self.values: dict[int, int] = {}
        self.lock = asyncio.Lock()
        self.is_fixed = is_fixed

    async def get(self, key: int) -> int:
        if self.is_fixed:
            async with self.lock:
                return await self._get(key)
        return await self._get(key)

    async def _get(self, key: int) -> int:
        if key not in self.values:
            await asyncio.sleep(0)
            self.values[key] = self.values.get(key, 0) + 1
        return self.values[key]

    async def drop(self, key: int) -> None:
        self.values.pop(key, None)


GET_AND_DROP: list[Callable[[Cache], Awaitable[object]]] = [
    lambda cache: cache.drop(1),
    lambda cache: cache.get(1),
]


def fixed() -> Cache:
    """A cache that is right."""
    return Cache(is_fixed=True)


def test_found() -> None:
    """The error of a class that is not atomic has the story in its notes."""
    with pytest.raises(aldente.NotAtomic) as caught:
        aldente.check_class(Cache, GET_AND_DROP)
    assert "get(1) returned 1; " in str(caught.value)
    assert "What raced" in caught.value.__notes__[0]


def test_passes() -> None:
    """A class that is atomic passes."""
    aldente.check_class(fixed, GET_AND_DROP, runs=150)


def test_pairs_come_first() -> None:
    """All pairs of operations are tried before larger programs, which are small."""
    operations: list[Any] = ["a", "b"]
    given = [lambda thing, name=name: name for name in operations]
    programs = _programs(given, 0)
    pairs = [next(programs) for _ in range(3)]
    assert [[len(calls) for calls in tasks] for tasks in pairs] == [[1, 1]] * 3
    for _ in range(50):
        tasks = next(programs)
        assert 2 <= len(tasks) <= 3
        assert all(1 <= len(calls) <= 3 for calls in tasks)
        assert _orders([len(calls) for calls in tasks]) <= 150


def test_seeds() -> None:
    """The programs follow from the seed."""

    def first(seed: int) -> list[list[int]]:
        programs = _programs([lambda thing: thing, lambda thing: None], seed)
        return [[len(calls) for calls in next(programs)] for _ in range(20)]

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_runs_are_limited() -> None:
    """There are about as many runs as asked for, and a program is made for each of them."""
    made: list[Cache] = []

    def make() -> Cache:
        made.append(fixed())
        return made[-1]

    aldente.check_class(make, GET_AND_DROP, runs=1)
    assert len(made) < 20


def test_state_and_errors() -> None:
    """`state` is called with the object, and errors of operations are results."""

    class Place:
        taken = 0

        async def take(self) -> None:
            if self.taken:
                raise LookupError
            await asyncio.sleep(0)
            self.taken += 1

    with pytest.raises(aldente.NotAtomic, match=r"raised LookupError\(\); in the end None"):
        aldente.check_class(Place, [lambda place: place.take()], state=lambda place: None)


def test_linearizable_is_passed_on() -> None:
    """With `linearizable` a class that is atomic passes too."""
    aldente.check_class(fixed, GET_AND_DROP, runs=60, linearizable=True)


class Mailbox:
    """A queue whose `get` waits."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()

    async def put(self) -> None:
        await self.queue.put(1)

    async def get(self) -> int:
        return await self.queue.get()


def test_programs_that_wait_for_ever_are_left_out() -> None:
    """A program whose operations wait for ever in every order is no failure."""
    aldente.check_class(Mailbox, [lambda box: box.put(), lambda box: box.get()], runs=150)


def test_nothing_judged() -> None:
    """It does not pass where no program could be judged, and says why."""
    with pytest.raises(aldente.NotJudged) as caught:
        aldente.check_class(Mailbox, [lambda box: box.get()], runs=60)
    assert str(caught.value) == (
        "aldente can't judge whether Mailbox is serializable. The reason: operations may wait for "
        "one another for ever.\n"
        "Fix: pass a `state` that compares less, or leave out the operations that the reason is about."
    )


def test_a_deadlock() -> None:
    """Operations that only wait for one another when they overlap are reported as a deadlock."""

    class Locks:
        def __init__(self) -> None:
            self.locks = [asyncio.Lock(), asyncio.Lock()]

        async def hold(self, first: int) -> None:
            async with self.locks[first]:
                await asyncio.sleep(0)
                async with self.locks[1 - first]:
                    pass

    with pytest.raises(aldente.DeadlockError):
        aldente.check_class(Locks, [lambda locks: locks.hold(0), lambda locks: locks.hold(1)])


class Background:
    """`start` leaves a task, or a callback, that `get` may see or not."""

    def __init__(self) -> None:
        self.value = 0
        self.task: asyncio.Task[None] | None = None

    async def _add(self) -> None:
        self._add_now()

    def _add_now(self) -> None:
        self.value += 1

    async def start(self) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self._add())

    async def call(self) -> None:
        asyncio.get_running_loop().call_soon(self._add_now)

    async def get(self) -> int:
        return self.value


def test_work_in_the_background() -> None:
    """What an operation leaves behind may come before or after the next one."""
    aldente.check_class(Background, [lambda it: it.start(), lambda it: it.get()], runs=60)
    aldente.check_class(Background, [lambda it: it.call(), lambda it: it.get()], runs=60)


def test_choices_within_operations() -> None:
    """What comes from outside may differ between serial runs."""

    class Client:
        async def ask(self) -> str:
            await asyncio.sleep(0)
            return aldente.choose(["yes", "no"])

    aldente.check_class(Client, [lambda client: client.ask()], runs=30)


def test_strategies_of_hypothesis() -> None:
    """Operations can be drawn from a strategy; which ones follows from the seed."""
    strategies = pytest.importorskip("hypothesis.strategies")

    def call(key: int) -> Callable[[Cache], Awaitable[int]]:
        return lambda cache: cache.get(key)

    drawn = strategies.integers(0, 3).map(call)
    texts = []
    for _ in range(2):
        with pytest.raises(aldente.NotAtomic) as caught:
            aldente.check_class(Cache, drawn, seed=3)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    with pytest.raises(aldente.InvalidSetting, match="or a Hypothesis strategy"):
        aldente.check_class(Cache, strategies.integers())


class Worker:
    """Hands its work over to a task, which does it in its own time."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()
        self.done: list[int] = []
        self.worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while True:
            item, future = await self.queue.get()
            self.done.append(item)
            future.set_result(len(self.done))

    def _put(self, item: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((item, future))
        return future

    async def do(self, item: int) -> int:
        return await self._put(item)

    async def begin(self, item: int) -> list[int]:
        self._put(item)
        await asyncio.sleep(0)
        return list(self.done)


def test_work_of_other_tasks() -> None:
    """An object that hands its work over to a task is not judged where no order explains it."""
    aldente.check_class(Worker, [lambda it: it.do(1), lambda it: it.begin(2)], runs=40)


@pytest.mark.parametrize("operations", [[], "get", [1], None, lambda cache: cache.get(1)])
def test_no_operations(operations: Any) -> None:
    """What is no list of functions is refused."""
    with pytest.raises(aldente.InvalidSetting, match="operations"):
        aldente.check_class(Cache, operations)


@pytest.mark.parametrize(("name", "value"), [("make", 1), ("runs", 0), ("seed", "x"), ("state", 1)])
def test_wrong_arguments(name: str, value: Any) -> None:
    """A wrong argument is refused."""
    arguments: dict[str, Any] = {"make": Cache, "operations": GET_AND_DROP, name: value}
    with pytest.raises(aldente.InvalidSetting, match=name):
        aldente.check_class(**arguments)
