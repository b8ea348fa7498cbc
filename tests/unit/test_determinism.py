"""What libraries make of asyncio does not depend on addresses in a run."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.anyio_in_runs import InOrder
from aldente._source import caller_finder
from aldente._strategies.random import Random


def test_a_set_in_order() -> None:
    """It is a set, and iterates in the order of additions."""
    items = InOrder("cab")
    assert list(items) == ["c", "a", "b"]
    items.remove("c")
    items.add("c")
    items.add("a")
    assert list(items) == ["a", "b", "c"]
    items.discard("x")
    items.discard("b")
    assert items == {"a", "c"}
    assert len(items) == 2
    assert items.pop() == "a"
    with pytest.raises(KeyError):
        items.remove("x")
    items.clear()
    assert not items
    with pytest.raises(KeyError):
        items.pop()


def test_tasks_that_a_program_makes_itself() -> None:
    """`asyncio.Task(...)` hashes and is named like those of the loop, and is one to isinstance."""
    original = asyncio.Task

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()

        async def nothing() -> None:
            pass

        made = asyncio.create_task(nothing())
        own: asyncio.Task[None] = asyncio.Task(nothing(), loop=loop)
        named: asyncio.Task[None] = asyncio.Task(nothing(), name="mine")
        tasks = [made, own, named]
        await asyncio.gather(*tasks)
        assert all(isinstance(task, asyncio.Task) for task in tasks)
        assert issubclass(type(made), asyncio.Task)
        return [*(task.get_name() for task in tasks), *map(hash, tasks)]

    first, second = aldente.run(main, seed=1), aldente.run(main, seed=1)
    assert first == second
    assert first[:3] == ["Task-2", "Task-3", "mine"]
    assert asyncio.Task is original


def test_a_task_of_another_loop_made_in_a_run() -> None:
    """A thread with a loop of its own may make tasks meanwhile."""

    async def nothing() -> int:
        return 3

    def work() -> int:
        async def make() -> int:
            other: asyncio.Task[None] = asyncio.Task(asyncio.sleep(60))
            await asyncio.sleep(0)
            other.cancel()
            await asyncio.wait([other])
            assert other.cancelled()
            result: int = await asyncio.Task(nothing())
            return result

        return asyncio.run(make())

    async def main() -> int:
        return await asyncio.to_thread(work)

    assert aldente.run(main, seed=1) == 3


def test_scopes_of_anyio_are_cancelled_in_order() -> None:
    """A seed gives the same run twice, though scopes hash by their addresses."""
    anyio = pytest.importorskip("anyio")

    async def main() -> list[str]:
        ended: list[str] = []

        async def work(name: str) -> None:
            try:
                with anyio.CancelScope():
                    await anyio.sleep(10)
            finally:
                ended.append(name)

        async with anyio.create_task_group() as group:
            for name in "abcdefghij":
                group.start_soon(work, name)
            await anyio.sleep(1)
            group.cancel_scope.cancel()
        return ended

    kept: list[object] = []
    found = set()
    for _ in range(10):
        strategy = Random(7)
        strategy.start()
        found.add(tuple(simulate(main, strategy, RunSettings()).result))
        # So that the next scopes have other addresses.
        kept += [bytearray(64 + len(kept)) for _ in range(100)]
    assert len(found) == 1


def test_the_future_of_a_sleep_takes_no_number() -> None:
    """Only asyncio's own sleep gets a future of asyncio's class, whatever asks in between."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        found = [hash(loop.create_future())]
        await asyncio.sleep(1)
        found.append(hash(loop.create_future()))
        await asyncio.wait([asyncio.create_task(asyncio.sleep(1))])
        found.append(hash(loop.create_future()))
        return found

    first, second, third = simulate(main, Random(0), RunSettings()).result
    # `asyncio.wait` has made one.
    assert (second - first, third - second) == (1, 2)


class _Interrupted(BaseException):
    """Comes from outside at any place of a program."""


def test_futures_go_on_having_numbers_after_an_interrupt() -> None:
    """An interrupt that comes while a future is made leaves those made later as they would be."""

    def interrupt(frame: Any, event: str, argument: object) -> None:
        if frame.f_code.co_name == "_frames_of_callers":
            sys.setprofile(None)
            raise _Interrupted

    async def main() -> tuple[type, type, int]:
        loop: Any = asyncio.get_running_loop()
        sys.setprofile(interrupt)
        with pytest.raises(_Interrupted):
            loop.create_future()
        futures = [loop.create_future(), loop.create_future()]
        made: list[Any] = []
        timer = type(loop).call_later

        def call_later(*args: Any, **kwargs: Any) -> Any:
            made.append(args[-2])
            return timer(loop, *args, **kwargs)

        loop.call_later = call_later
        await asyncio.sleep(1)
        return type(made[0]), type(futures[0]), hash(futures[1]) - hash(futures[0])

    result = simulate(main, Random(0), RunSettings())
    assert result.error is None
    of_sleep, of_program, difference = result.result
    assert of_sleep is asyncio.Future
    assert of_program is not asyncio.Future
    assert difference == 1


# The test waits for the thread.
@aldente.allow("blocking-call")
def test_another_thread_may_make_futures_too() -> None:
    """Two threads that make futures at once get some, as on any loop."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        made: list[object] = []

        def make() -> None:
            made.extend(loop.create_future() for _ in range(300))

        thread = threading.Thread(target=make)
        thread.start()
        make()
        thread.join()
        return len(made)

    with _frequent_switches():
        result = simulate(main, Random(0), RunSettings())
    assert result.error is None
    assert result.result == 600


@contextlib.contextmanager
def _frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_a_finder_of_callers_raises_no_audit_event() -> None:
    """That is why there is one: a hook of another library, or of aldente, takes long."""
    events: list[str] = []
    is_watching = False

    def hook(event: str, arguments: object) -> None:
        if is_watching:
            events.append(event)

    find = caller_finder()

    def ask() -> Any:
        return find()

    sys.addaudithook(hook)
    is_watching = True
    frame = ask()
    is_watching = False
    assert frame is sys._getframe()
    assert events == []


async def _protocols() -> set[Any]:
    """Protocols of servers, as they are kept by uvicorn and websockets."""

    class Kept(asyncio.Protocol):
        def __init__(self) -> None:
            kept.append(self)

        def connection_made(self, transport: Any) -> None:
            transport.close()

    kept: list[Any] = []
    server = await asyncio.get_running_loop().create_server(Kept, "127.0.0.1", 4000)
    async with server:
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", 4000)
            await reader.read()
            writer.close()
            await writer.wait_closed()
    return set(kept)


async def _writers() -> set[Any]:
    """Writers of streams, as a chat server keeps them."""
    writers = [writer for _ in range(5) for _, writer in aldente.stream_pair()]
    for writer in writers:
        writer.close()
    return set(writers)


async def _made_of(kind: Callable[[], Any]) -> set[Any]:
    return {kind() for _ in range(10)}


@pytest.mark.parametrize(
    "make",
    [
        _protocols,
        _writers,
        *(
            functools.partial(_made_of, kind)
            for kind in (asyncio.Queue, asyncio.PriorityQueue, asyncio.Event, asyncio.Lock)
        ),
        *(
            functools.partial(_made_of, kind)
            for kind in (asyncio.Semaphore, asyncio.Condition, asyncio.StreamReader)
        ),
    ],
)
def test_sets_of_asyncios_objects_are_in_order(make: Callable[[], Any]) -> None:
    """A set of what a run has made of asyncio's classes is in the same order in each run."""

    async def main() -> list[int]:
        made = await make()
        return [hash(each) for each in made]

    before = make_noise()
    found = set()
    for _ in range(6):
        found.add(tuple(aldente.run(main, seed=3)))
        before += make_noise()
    assert len(found) == 1
    assert len(set(found.pop())) == 10


def make_noise() -> list[bytearray]:
    """Take memory, so that the next objects have other addresses."""
    return [bytearray(64 + number) for number in range(random.SystemRandom().randrange(200))]


def test_what_was_made_before_a_run_keeps_its_hash() -> None:
    """An object in a set from before the run is found in it, and one of a run is after it."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    known = {queue}
    made: list[Any] = []

    class Plain(asyncio.Protocol):
        __slots__ = ()

    plain = Plain()
    others = {plain}

    async def main() -> bool:
        made.extend((asyncio.Queue(), asyncio.Event(), asyncio.Protocol()))
        known.update(made)
        return queue in known and plain in others and all(each in known for each in made)

    init = asyncio.Queue.__init__
    assert aldente.run(main, seed=1)
    assert asyncio.Queue.__init__ is init
    assert queue in known
    assert all(each in known for each in made)
