"""Which done-callbacks of asyncio only count is known on every Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import count_left, ends_run
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.fifo import Fifo

Main = Callable[[], Coroutine[Any, Any, object]]


async def nap(times: int) -> None:
    """Take so many steps."""
    for _ in range(times):
        await asyncio.sleep(0)


async def gathered() -> None:
    """Tasks of a gather, which end one after the other."""
    await asyncio.gather(nap(1), nap(3), nap(5))


async def grouped() -> None:
    """Tasks of a group, which end one after the other."""
    async with asyncio.TaskGroup() as group:
        for times in (1, 3, 5):
            group.create_task(nap(times))


def callbacks_of(main: Main) -> list[tuple[str, int]]:
    """The callbacks that are no steps of tasks, each with how many tasks it left undone."""
    found = []

    def note(callback: Any, arguments: tuple[Any, ...]) -> None:
        if _asyncio_compat.task_of_step(callback) is None and not ends_run(callback):
            found.append((repr(callback), count_left(callback, arguments)))

    def make_loop() -> SimulatedLoop:
        loop = SimulatedLoop(Fifo())
        loop.add_hook(note)
        return loop

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    return found


@pytest.mark.parametrize("main", [gathered, grouped])
def test_only_the_callback_of_the_last_task_does_more_than_count(main: Main) -> None:
    """Whatever callbacks asyncio has for tasks that are awaited together, one of them matters."""
    callbacks = callbacks_of(main)
    assert [left for _, left in callbacks[:3]] == [2, 1, 0], callbacks
    assert all(left > 2 for _, left in callbacks[3:]), callbacks


def test_the_callback_of_a_task_that_has_failed_does_more_than_count() -> None:
    """A task that fails ends a gather, so that its callback is one that matters."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError

    async def main() -> None:
        results = await asyncio.gather(fail(), nap(5), return_exceptions=True)
        assert len(results) == 2

    assert callbacks_of(main)[0][1] == 0


def test_other_callbacks_are_no_counting() -> None:
    """A callback of the program matters."""

    async def main() -> None:
        task = asyncio.create_task(nap(1))
        task.add_done_callback(lambda _: None)
        await asyncio.gather(task, nap(5))

    callbacks = callbacks_of(main)
    assert [left for name, left in callbacks if "lambda" in name] == [0]
    assert [left for name, left in callbacks if "_done_callback" in name] == [1, 0]
