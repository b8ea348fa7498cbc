"""Event loops are used again only when nobody can tell them from new ones."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aldente._runner.pool import LoopPool


@pytest.fixture(autouse=True)
def unknown_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The aldente that runs these tests does not note, and so know, the loops that they make."""
    monkeypatch.setattr("aldente._rules.observation.LoopMakers.note", lambda *arguments: None)


@pytest.fixture
def pool() -> Iterator[LoopPool]:
    """A pool that is closed after the test."""
    pool = LoopPool()
    yield pool
    pool.close()


async def answer() -> int:
    return 42


def use(pool: LoopPool, use_it: Callable[[Any], object] = lambda loop: None) -> bool:
    """Have a loop for a while, and give whether the pool keeps it for the next."""
    box: list[Any] = [pool()]
    assert box[0].run_until_complete(answer()) == 42
    use_it(box[0])
    kept = pool.keep(box)
    assert kept is not bool(box)
    if not kept:
        box.pop().close()
    return kept


def identity(pool: LoopPool) -> int:
    """Which loop the pool gives; it stays the pool's, so nothing else can have the number."""
    box = [pool()]
    number = id(box[0])
    assert pool.keep(box)
    return number


def test_a_loop_is_used_again(pool: LoopPool) -> None:
    """What a trivial coroutine leaves is as good as new."""
    first = identity(pool)
    assert use(pool)
    assert use(pool, lambda loop: loop.run_until_complete(asyncio.sleep(0.001)))
    assert identity(pool) == first


async def leave_async_generator() -> None:
    async def numbers() -> Any:
        yield 1

    generators.append(numbers())
    await anext(generators[-1])


generators: list[Any] = []


@pytest.mark.parametrize(
    "change",
    [
        lambda loop: loop.set_debug(True),
        lambda loop: loop.set_exception_handler(lambda loop, context: None),
        lambda loop: loop.set_task_factory(lambda loop, coroutine, **kwargs: None),
        lambda loop: setattr(loop, "slow_callback_duration", 1),
        lambda loop: setattr(loop, "added", 1),
        lambda loop: loop.call_soon(print),
        lambda loop: loop.call_later(100, print),
        lambda loop: loop.add_reader(loop._csock, print),
        lambda loop: loop.run_until_complete(loop.run_in_executor(None, print)),
        lambda loop: loop.run_until_complete(leave_async_generator()),
        lambda loop: loop.run_until_complete(loop.shutdown_asyncgens()),
        lambda loop: loop.stop(),
        lambda loop: loop._csock.close(),
        lambda loop: setattr(loop, "__class__", type("Patched", (type(loop),), {})),
        lambda loop: loop.close(),
    ],
)
def test_a_changed_loop_is_not_kept(pool: LoopPool, change: Callable[[Any], object]) -> None:
    """Whatever is set, scheduled or registered on a loop, no other test meets it."""
    assert not use(pool, change)
    generators.clear()


@pytest.mark.parametrize("hold", [lambda loop: loop, weakref.ref, lambda loop: loop.time])
def test_a_loop_that_somebody_knows_is_not_kept(
    pool: LoopPool, hold: Callable[[Any], object]
) -> None:
    """Who holds a loop, weakly too, would see that it is used again."""
    held = []
    assert not use(pool, lambda loop: held.append(hold(loop)))
    held.clear()
    assert use(pool)


def test_threads_wake_a_loop_that_is_used_again(pool: LoopPool) -> None:
    """``call_soon_threadsafe`` wakes every user of a loop."""

    def be_woken(loop: Any) -> None:
        future = loop.create_future()
        timer = threading.Timer(0.01, loop.call_soon_threadsafe, [future.set_result, 42])
        timer.start()
        assert loop.run_until_complete(future) == 42
        timer.join()

    assert use(pool, be_woken)
    assert use(pool, be_woken)


def test_a_child_process_leaves_the_loops_of_its_parent_alone(
    pool: LoopPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept in one process is not lent in another, which shares its selector."""
    parent = os.getpid()
    kept = identity(pool)
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: parent + 1)
        assert identity(pool) != kept
        pool.close()
    assert identity(pool) == kept


def test_loops_of_a_policy_are_not_kept(pool: LoopPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy of the user's makes every loop, and each of them is closed."""
    made = []

    class Policy:
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            made.append(asyncio.SelectorEventLoop())
            return made[-1]

    monkeypatch.setattr("asyncio.events._event_loop_policy", Policy())
    use(pool)
    use(pool)
    assert len(made) == 2
    assert all(loop.is_closed() for loop in made)


def test_a_policy_without_attributes_is_asked(
    pool: LoopPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but ``new_event_loop`` is expected of a policy."""

    class Policy:
        __slots__ = ()

        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop()

    monkeypatch.setattr("asyncio.events._event_loop_policy", Policy())
    assert not use(pool)


def test_a_patched_way_of_making_loops_is_used(
    pool: LoopPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who patches ``asyncio.events.new_event_loop`` gets the loops made by that."""
    assert use(pool)
    made = []

    def new_event_loop() -> asyncio.AbstractEventLoop:
        made.append(asyncio.SelectorEventLoop())
        return made[-1]

    monkeypatch.setattr("asyncio.events.new_event_loop", new_event_loop)
    monkeypatch.setattr("asyncio.new_event_loop", new_event_loop)
    assert not use(pool)
    assert len(made) == 1
