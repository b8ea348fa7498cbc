"""Event loops are used again only when nobody can tell them from new ones."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aldente._loops.recycling import LoopPool


@pytest.fixture
def pool() -> Iterator[LoopPool]:
    """A pool that is closed after the test."""
    pool = LoopPool()
    yield pool
    pool.close()


async def answer() -> int:
    return 42


def use(pool: LoopPool, use_it: Callable[[Any], object] = lambda loop: None) -> int:
    """Have a loop for a while, and give its identity, which is also that of the selector in it."""
    box: list[Any] = [pool()]
    assert box[0].run_until_complete(answer()) == 42
    use_it(box[0])
    selector = box[0]._selector
    if pool.keep(box):
        assert not box
    else:
        box.pop().close()
    return id(selector)


def test_a_loop_is_used_again(pool: LoopPool) -> None:
    """What a trivial coroutine leaves is as good as new."""
    kept = use(pool)
    assert use(pool, lambda loop: loop.run_until_complete(asyncio.sleep(0.001))) == kept
    assert use(pool) == kept


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
        lambda loop: loop.close(),
    ],
)
def test_a_changed_loop_is_closed(pool: LoopPool, change: Callable[[Any], object]) -> None:
    """Whatever is set, scheduled or registered on a loop, no other test meets it."""
    loops = []

    def use_it(loop: Any) -> None:
        change(loop)
        loops.append(weakref.ref(loop))

    use(pool, use_it)
    (changed,) = loops
    assert changed() is None or changed().is_closed()
    generators.clear()


@pytest.mark.parametrize("hold", [lambda loop: loop, weakref.ref, lambda loop: loop.time])
def test_a_loop_that_somebody_knows_is_closed(
    pool: LoopPool, hold: Callable[[Any], object]
) -> None:
    """Who holds a loop, weakly too, would see that it is used again."""
    held = []
    use(pool, lambda loop: held.append(hold(loop)))
    box = [pool()]
    known = held[0]
    loop = known() if isinstance(known, weakref.ref) else getattr(known, "__self__", known)
    assert loop is None or (loop is not box[0] and loop.is_closed())
    assert box[0].run_until_complete(answer()) == 42
    del loop
    box.pop().close()


def test_threads_wake_a_loop_that_is_used_again(pool: LoopPool) -> None:
    """``call_soon_threadsafe`` wakes every user of a loop."""

    def be_woken(loop: Any) -> None:
        future = loop.create_future()
        timer = threading.Timer(0.01, loop.call_soon_threadsafe, [future.set_result, 42])
        timer.start()
        assert loop.run_until_complete(future) == 42
        timer.join()

    kept = use(pool, be_woken)
    assert use(pool, be_woken) == kept


def test_a_child_process_leaves_the_loops_of_its_parent_alone(
    pool: LoopPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept in one process is not lent in another, which shares its selector."""
    parent = os.getpid()
    kept = use(pool)
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: parent + 1)
        box: list[Any] = [pool()]
        assert id(box[0]._selector) != kept
        assert pool.keep(box)
        pool.close()
    assert use(pool) == kept


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
