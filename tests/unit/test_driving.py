"""A loop that is driven until a task is done goes the way it goes with run_until_complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from aldente._runner.generator_task import run_task


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that is closed after the test."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


Drive = Callable[[asyncio.AbstractEventLoop, Coroutine[Any, Any, Any]], Any]

WAYS: dict[str, Drive] = {
    "run_until_complete": lambda loop, coroutine: loop.run_until_complete(
        loop.create_task(coroutine)
    ),
    "run_task": lambda loop, coroutine: run_task(loop, loop.create_task(coroutine)),
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def drive(request: pytest.FixtureRequest) -> Drive:
    """asyncio's way to run a coroutine, and ours."""
    way: Drive = request.param
    return way


def test_what_a_task_has_scheduled_has_its_first_turn(
    loop: asyncio.AbstractEventLoop, drive: Drive
) -> None:
    """A callback that a task schedules in its last step is called, and what that schedules is not."""
    called = []

    def first() -> None:
        called.append("first")
        loop.call_soon(called.append, "second")

    async def main() -> str:
        loop.call_soon(first)
        return "result"

    assert drive(loop, main()) == "result"
    assert called == ["first"]


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_task_that_another_waits_for_is_seen_to_its_end(
    loop: asyncio.AbstractEventLoop, drive: Drive, turns: int
) -> None:
    """Tasks that are ready when the task ends have the turn that they would have had."""
    steps = []

    async def other() -> None:
        while True:
            steps.append(1)
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.ensure_future(other())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

    drive(loop, main())
    assert len(steps) == turns
    assert not asyncio.all_tasks(loop)


@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_error_leaves_a_loop_that_can_go_on(
    loop: asyncio.AbstractEventLoop, drive: Drive, error: type[BaseException], turns: int
) -> None:
    """After any exception the next run of the loop is not stopped by what is left of the first."""

    async def fail() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise error

    async def wait() -> str:
        await asyncio.sleep(0.001)
        return "went on"

    with pytest.raises(error):
        drive(loop, fail())
    assert drive(loop, wait()) == "went on"


def test_an_error_of_another_task_leaves_a_loop_that_can_go_on(
    loop: asyncio.AbstractEventLoop, drive: Drive
) -> None:
    """A task that an interrupt of another one has left behind does not stop the loop when it ends."""

    async def interrupt() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        task = asyncio.ensure_future(interrupt())
        await asyncio.sleep(0.001)
        assert task.done()

    async def wait() -> str:
        await asyncio.sleep(0.01)
        return "went on"

    with pytest.raises(KeyboardInterrupt):
        drive(loop, main())
    assert drive(loop, wait()) == "went on"


def test_a_loop_stopped_by_others_is_an_error(
    loop: asyncio.AbstractEventLoop, drive: Drive
) -> None:
    """Somebody else's stop() is told as asyncio tells it."""
    task = None

    async def main() -> None:
        nonlocal task
        task = asyncio.current_task()
        loop.stop()
        await asyncio.sleep(60)

    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        drive(loop, main())
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
