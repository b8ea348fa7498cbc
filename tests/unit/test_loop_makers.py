"""Which test a loop or task belongs to is remembered as long as it may matter, and no longer."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from aldente._rules.observation import LoopMakers


@pytest.fixture
def makers() -> LoopMakers:
    """The makers of a run in which one test is running."""
    return LoopMakers(lambda: "test_it.py::test_it")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that no test has made."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def fail() -> None:
    """Raise."""
    raise ValueError("broken")


def turn(loop: asyncio.AbstractEventLoop, times: int = 2) -> None:
    """Let the loop go round."""
    for _ in range(times):
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_loops_are_noted_as_they_are_made(makers: LoopMakers) -> None:
    """A loop belongs to the test that makes it, and with it all that is on it."""
    with makers.installed():
        made = asyncio.new_event_loop()
    other = asyncio.new_event_loop()
    assert makers.is_noted(made)
    assert makers.maker_of(made) == "test_it.py::test_it"
    assert makers.maker_of(made.create_future()) == "test_it.py::test_it"
    assert not makers.is_noted(other)
    assert makers.maker_of(other.create_future()) is None
    assert makers.maker_of(object()) is None
    made.close()
    other.close()


def test_loops_that_are_not_the_tests(makers: LoopMakers) -> None:
    """A loop that is made while nothing is to be noted, or between tests, belongs to no test."""
    between = LoopMakers(lambda: None)
    makers.is_noting = False
    with makers.installed(), between.installed():
        made = asyncio.new_event_loop()
    assert not makers.is_noted(made)
    assert not between.is_noted(made)
    made.close()


def test_installing_is_undone(makers: LoopMakers) -> None:
    """Loops are made as before once it is left."""
    before = asyncio.BaseEventLoop.__init__
    with makers.installed():
        assert asyncio.BaseEventLoop.__init__ is not before
    assert asyncio.BaseEventLoop.__init__ is before


def test_loops_and_tasks_are_held_weakly(
    makers: LoopMakers, loop: asyncio.AbstractEventLoop
) -> None:
    """What has been noted is freed as if it had not been."""
    noted: list[Any] = [asyncio.new_event_loop(), loop.create_task(asyncio.sleep(3600))]
    for each in noted:
        makers.note(each, "test_it.py::test_it")
    noted[0].close()
    noted[1].cancel()
    turn(loop)
    kept = [weakref.ref(each) for each in noted]
    noted.clear()
    del each
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_another_task_with_the_number_of_one_that_is_gone(
    makers: LoopMakers, loop: asyncio.AbstractEventLoop
) -> None:
    """A task that Python puts where a noted one was is not taken for that."""
    for number in range(100):
        task = loop.create_task(fail(), name=f"noted {number}")
        makers.note(task, "test_it.py::test_it")
        address = id(task)
        loop.set_exception_handler(lambda loop, context: None)
        turn(loop)
        del task
        other = loop.create_task(asyncio.sleep(0), name="other")
        assert not makers.is_noted(other)
        assert makers.maker_of(other) is None
        was_put_there = id(other) == address
        turn(loop)
        if was_put_there:
            return
    pytest.skip("Python put no task where another one was")


def test_a_task_that_is_being_freed(makers: LoopMakers, loop: asyncio.AbstractEventLoop) -> None:
    """When asyncio tells of a task that the garbage collector frees, its test is still known."""
    told = []
    loop.set_exception_handler(
        lambda loop, context: told.append(makers.maker_of(context["future"]))
    )

    async def fail_in_cycle() -> None:
        cycle: list[object] = [asyncio.current_task()]
        cycle.append(cycle)
        await fail()

    task = loop.create_task(fail_in_cycle())
    makers.note(task, "test_it.py::test_it")
    turn(loop)
    del task
    gc.collect()
    assert told == ["test_it.py::test_it"]


async def return_nothing() -> None:
    """End well."""


async def wait() -> None:
    """Wait until it is cancelled."""
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    ("function", "is_kept"), [(return_nothing, False), (wait, False), (fail, True)]
)
def test_tasks_that_are_done(
    makers: LoopMakers, loop: asyncio.AbstractEventLoop, function: Any, is_kept: bool
) -> None:
    """A task is forgotten when it ends, unless its exception may still be told of."""
    task = loop.create_task(function())
    makers.note(task, "test_it.py::test_it")
    assert makers.maker_of(task) == "test_it.py::test_it"
    turn(loop)
    if not task.done():
        task.cancel()
        turn(loop)
    assert makers.is_noted(task) is is_kept
    # Looking at it has not counted as asking for it.
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
    del task
    gc.collect()
    assert len(told) == int(is_kept)


def test_a_task_whose_exception_is_seen(
    makers: LoopMakers, loop: asyncio.AbstractEventLoop
) -> None:
    """A failed task is forgotten too when somebody has taken its exception before it was told."""
    task = loop.create_task(fail())
    task.add_done_callback(asyncio.Task.exception)
    makers.note(task, "test_it.py::test_it")
    turn(loop)
    assert not makers.is_noted(task)


def test_a_loop_in_a_reference_cycle(makers: LoopMakers) -> None:
    """Its test is known while its finalizers run, and forgotten when the next loop is noted."""
    told: list[str | None] = []

    class Client:
        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.itself, self.loop = self, loop

        def __del__(self) -> None:
            told.append(makers.maker_of(self.loop))

    loop = asyncio.new_event_loop()
    makers.note(loop, "test_it.py::test_maker")
    client = Client(loop)
    loop.close()
    del loop, client
    gc.collect()
    assert told == ["test_it.py::test_maker"]
    makers.forget_gone()
    assert not makers._others
