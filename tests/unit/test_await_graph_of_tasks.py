"""An await graph knows which tasks a task waits for, whatever it waits by and however they began."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from aldente._diagnosis.await_graph import snapshot
from aldente._diagnosis.waits import AwaitGraph, WaitKind
from tests.unit.test_await_graph import awaited, forever, look_at, named, spawn

Program = Callable[[], Coroutine[Any, Any, None]]

has_call_graphs = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="tasks don't tell who awaits them"
)


async def by_wait_for_of_gather() -> None:
    one, two = spawn(forever(), "one"), spawn(forever(), "two")
    await asyncio.wait_for(asyncio.gather(one, two), timeout=3600)


async def by_wait_for_of_shield() -> None:
    await asyncio.wait_for(asyncio.shield(spawn(forever(), "one")), timeout=3600)


async def by_wait_for_that_cancels() -> None:
    async def mind_no_cancellation() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            await forever()

    task = spawn(mind_no_cancellation(), "one")
    await asyncio.sleep(0)
    await asyncio.wait_for(task, timeout=0)


async def by_as_completed_with_a_limit() -> None:
    for earliest in asyncio.as_completed([spawn(forever(), "one")], timeout=3600):
        await earliest


async def by_async_iteration() -> None:
    done: Any = asyncio.as_completed([spawn(forever(), "one"), spawn(forever(), "two")])
    if sys.version_info < (3, 13):
        for earliest in done:
            await earliest
    async for task in done:
        await task


async def by_group_within_a_time_out() -> None:
    async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
        group.create_task(forever(), name="one")


async def by_a_task_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        await group.create_task(forever(), name="one")


WAYS = {
    by_wait_for_of_gather: ["one", "two"],
    by_wait_for_of_shield: ["one"],
    by_wait_for_that_cancels: ["one"],
    by_as_completed_with_a_limit: ["one"],
    by_async_iteration: ["one", "two"],
    by_group_within_a_time_out: ["one"],
    by_a_task_in_a_group: ["one"],
}


@pytest.mark.parametrize("program", WAYS)
def test_the_tasks_that_are_waited_for(program: Program) -> None:
    """Ways to wait that are made of others come to the tasks all the same."""
    graph = look_at(program)
    assert named(graph).wait.kind is WaitKind.TASKS
    assert awaited(graph) == WAYS[program]


async def before_a_gather_is_awaited() -> None:
    futures = asyncio.gather(spawn(forever(), "one"))
    await forever()
    await futures


async def within_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever(), name="one")
        await forever()


async def within_a_group_of_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(forever, name="one")
        await forever()


@pytest.mark.parametrize(
    "program", [before_a_gather_is_awaited, within_a_group, within_a_group_of_anyio]
)
def test_tasks_that_are_not_waited_for_yet(program: Program) -> None:
    """Tasks that are going to be waited for do not count while the task waits for something else."""
    graph = look_at(program)
    assert named(graph).wait.kind is WaitKind.FUTURE
    assert awaited(graph) == []


# Groups of libraries.


async def leave_group_of_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(forever, name="one")
        group.start_soon(anyio.sleep, 0, name="done")
        group.start_soon(forever, name="two")


async def leave_group_within_another() -> None:
    async with asyncio.TaskGroup() as outer:
        outer.create_task(forever(), name="of the outer group")
        await leave_group_of_anyio()


@has_call_graphs
@pytest.mark.parametrize("program", [leave_group_of_anyio, leave_group_within_another])
def test_groups_of_libraries(program: Program) -> None:
    """A task at the end of a library's group waits for the group's tasks, and for no others."""
    graph = look_at(program)
    assert (named(graph).wait.kind, named(graph).wait.through) == (
        WaitKind.TASKS,
        "anyio.TaskGroup",
    )
    assert awaited(graph) == ["one", "two"]
    frame = named(graph).frame
    assert frame is not None
    assert frame.source == "async with anyio.create_task_group() as group:"


def test_groups_of_libraries_before_tasks_told_who_awaits_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where tasks do not tell it, the future is shown that the group waits for."""
    monkeypatch.setattr("aldente._asyncio_compat.is_awaited_by", lambda future, task: False)
    graph = look_at(leave_group_of_anyio)
    assert (named(graph).wait.kind, awaited(graph)) == (WaitKind.FUTURE, [])


# Tasks that begin at once.


def begin_tasks_at_once() -> None:
    factory = vars(asyncio)["eager_task_factory"]
    asyncio.get_running_loop().set_task_factory(factory)


async def with_eager_tasks() -> None:
    begin_tasks_at_once()
    async with asyncio.TaskGroup() as group:
        group.create_task(forever(), name="one")
        group.create_task(asyncio.sleep(0), name="two")
        group.create_task(forever(), name="three")


async def with_eager_tasks_of_gather() -> None:
    begin_tasks_at_once()
    await asyncio.gather(spawn(forever(), "one"), spawn(forever(), "three"))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
@pytest.mark.parametrize("program", [with_eager_tasks, with_eager_tasks_of_gather])
def test_eager_tasks(program: Program) -> None:
    """Tasks that have begun at once and wait are known as others are."""
    graph = look_at(program)
    assert awaited(graph) == ["one", "three"]
    assert named(graph, "one").wait.kind is WaitKind.FUTURE


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_a_task_that_has_another_begin() -> None:
    """It runs, as the one does that begins within it; each is shown with its own functions."""
    graphs: list[AwaitGraph] = []

    async def innermost() -> None:
        graphs.append(snapshot(asyncio.all_tasks()))

    async def begin(names: list[str]) -> None:
        if not names:
            await innermost()
            return
        make: Any = asyncio.Task
        loop = asyncio.get_running_loop()
        make(begin(names[1:]), loop=loop, name=names[0], eager_start=True)

    async def main() -> None:
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        await begin(["one", "two"])

    asyncio.run(main())
    (graph,) = graphs
    kinds = {task.name: task.wait.kind for task in graph.tasks}
    assert kinds == dict.fromkeys(("main", "one", "two"), WaitKind.RUNNING)
    functions = {
        task.name: [frame.function.rpartition(".")[2] for frame in task.own_frames]
        for task in graph.tasks
    }
    assert functions == {
        "main": ["main", "begin"],
        "one": ["begin"],
        "two": ["begin", "innermost"],
    }


# What asyncio itself tells.

TOLD = [
    *(program for program in WAYS if program is not by_a_task_in_a_group),
    leave_group_of_anyio,
    with_eager_tasks_of_gather,
]


@has_call_graphs
@pytest.mark.parametrize("program", TOLD)
def test_what_asyncio_tells_of_who_awaits_whom(program: Program) -> None:
    """The tasks that a task waits for are those that asyncio's call graphs give, where it is blocked."""

    async def watch() -> tuple[list[str], list[str]]:
        main = asyncio.create_task(program(), name="main")
        for _ in range(20):
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        ours = awaited(snapshot([main]))
        told = [
            task.get_name()
            for task in tasks
            if main in [graph.future for graph in _call_graph(task).awaited_by]
        ]
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=10)
        return ours, sorted(told)

    ours, told = asyncio.run(watch())
    assert ours == told


def _call_graph(task: asyncio.Task[Any]) -> Any:
    capture: Any = asyncio.capture_call_graph  # type: ignore[attr-defined]
    return capture(task, limit=0)
