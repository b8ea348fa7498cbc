"""What asyncio promises of tasks, groups, gather, wait, shield and as_completed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from typing import Any

from tests.conformance.correct.table import correct, correct_since


@correct
async def one_sleep_of_zero_starts_a_new_task() -> None:
    started = []

    async def child() -> None:
        started.append("child")

    task = asyncio.create_task(child())
    assert not started
    await asyncio.sleep(0)
    assert started == ["child"]
    await task


@correct
async def tasks_start_in_the_order_of_their_creation() -> None:
    started: list[int] = []

    async def child(number: int) -> None:
        started.append(number)
        await asyncio.sleep(0)

    tasks = [asyncio.create_task(child(number)) for number in range(6)]
    await asyncio.sleep(0)
    assert started == list(range(6))
    await asyncio.wait(tasks)


@correct
async def gather_starts_in_order_and_returns_in_order() -> None:
    started: list[int] = []

    async def child(number: int) -> int:
        started.append(number)
        await asyncio.sleep(3 - number)
        return number

    assert await asyncio.gather(*map(child, range(4))) == [0, 1, 2, 3]
    assert started == [0, 1, 2, 3]


@correct
async def gather_gives_the_first_exception_and_leaves_the_others_running() -> None:
    ended = []

    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("fails")

    async def go_on() -> None:
        await asyncio.sleep(10)
        ended.append(True)

    other = asyncio.create_task(go_on())
    try:
        await asyncio.gather(fail(), other)
    except ValueError:
        assert not ended
    else:
        raise AssertionError
    await other
    assert ended


@correct
async def gather_with_exceptions_returns_them_in_place() -> None:
    async def fail(number: int) -> int:
        await asyncio.sleep(number)
        if number % 2:
            raise ValueError(number)
        return number

    results = await asyncio.gather(*map(fail, range(4)), return_exceptions=True)
    assert [isinstance(each, ValueError) for each in results] == [False, True, False, True]


@correct
async def cancelling_a_gather_cancels_its_children() -> None:
    cancelled = []

    async def child(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    gathered = asyncio.gather(child(1), child(2))
    await asyncio.sleep(0)
    gathered.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gathered
    assert sorted(cancelled) == [1, 2]


@correct
async def a_task_group_waits_for_all_and_cancels_on_failure() -> None:
    seen: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("fails")

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(wait())
            group.create_task(fail())
    except* ValueError as caught:
        seen.append(f"{len(caught.exceptions)} failed")
    assert seen == ["cancelled"] * 3 + ["1 failed"]


@correct
async def a_task_group_takes_tasks_from_its_tasks() -> None:
    done: list[int] = []

    async with asyncio.TaskGroup() as group:

        async def child(depth: int) -> None:
            await asyncio.sleep(0)
            if depth:
                group.create_task(child(depth - 1))
                group.create_task(child(depth - 1))
            done.append(depth)

        group.create_task(child(3))
    assert len(done) == 15


@correct
async def a_cancellation_arrives_at_the_next_await() -> None:
    async def child() -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return "cleaned up"
        return "not cancelled"

    task = asyncio.create_task(child())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cleaned up"


@correct
async def a_task_cancelled_before_its_start_never_starts() -> None:
    started: list[bool] = []

    async def child() -> None:
        started.append(True)

    task = asyncio.create_task(child())
    task.cancel()
    assert await asyncio.wait([task]) == ({task}, set())
    assert task.cancelled()
    assert not started


@correct
async def shield_keeps_the_inner_task_running() -> None:
    async def inner() -> int:
        await asyncio.sleep(5)
        return 7

    task = asyncio.create_task(inner())

    async def outer() -> None:
        await asyncio.shield(task)

    waiting = asyncio.create_task(outer())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert await task == 7


@correct
async def wait_for_the_first_one_gives_at_least_one() -> None:
    tasks = {asyncio.create_task(asyncio.sleep(number, number)) for number in range(1, 5)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert done
    assert done | pending == tasks
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


@correct
async def as_completed_gives_each_result_once() -> None:
    results = [
        await each
        for each in asyncio.as_completed([asyncio.sleep(number, number) for number in range(5)])
    ]
    assert sorted(results) == [0, 1, 2, 3, 4]


@correct
async def an_exception_in_a_task_is_raised_where_it_is_awaited() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("fails")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    assert isinstance(task.exception(), LookupError)


@correct
async def done_callbacks_are_called_in_order() -> None:
    called: list[int] = []
    future = asyncio.get_running_loop().create_future()

    def call(number: int, future: object) -> None:
        called.append(number)

    for number in range(5):
        future.add_done_callback(functools.partial(call, number))
    future.set_result(None)
    assert not called
    await asyncio.sleep(0)
    assert called == list(range(5))


@correct
async def code_between_awaits_is_never_interrupted() -> None:
    counter = 0

    async def add() -> None:
        nonlocal counter
        for _ in range(5):
            before = counter
            counter = before + 1
            await asyncio.sleep(0)

    await asyncio.gather(*(add() for _ in range(4)))
    assert counter == 20


@correct
async def awaiting_what_is_done_does_not_yield() -> None:
    other: list[bool] = []

    async def note() -> None:
        other.append(True)

    done = asyncio.get_running_loop().create_future()
    done.set_result(1)
    task = asyncio.create_task(note())
    for _ in range(3):
        assert await done == 1
        assert not other
    await task


@correct
async def tasks_have_contexts_of_their_own() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(0)

    async def change(number: int) -> None:
        assert variable.get() == 0
        variable.set(number)
        await asyncio.sleep(number % 3)
        assert variable.get() == number

    await asyncio.gather(*map(change, range(1, 6)))
    assert variable.get() == 0


@correct
async def uncancel_counts() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        assert task.cancelling() == 1
        assert task.uncancel() == 0
    await asyncio.sleep(0)


@correct_since(3, 12)
async def eager_tasks_run_at_once_up_to_their_first_await() -> None:
    loop = asyncio.get_running_loop()
    factory: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009 - 3.11 has none
    loop.set_task_factory(factory)
    seen: list[str] = []

    async def child(name: str) -> str:
        seen.append(name)
        await asyncio.sleep(1)
        return name

    first = loop.create_task(child("first"))
    second = loop.create_task(child("second"))
    assert seen == ["first", "second"]
    assert list(await asyncio.gather(first, second)) == ["first", "second"]
    loop.set_task_factory(None)


@correct
async def a_custom_task_factory_is_used() -> None:
    class Task(asyncio.Task[Any]):
        pass

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> Any:
        return Task(coro, loop=loop, **kwargs)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(make)
    task = loop.create_task(asyncio.sleep(1, "done"))
    assert type(task) is Task
    assert await task == "done"
    loop.set_task_factory(None)


@correct
async def names_of_tasks_are_kept() -> None:
    task = asyncio.create_task(asyncio.sleep(0), name="mine")
    assert task.get_name() == "mine"
    await task
    assert asyncio.create_task(asyncio.sleep(0)).get_name().startswith("Task-")


@correct
async def all_tasks_has_what_is_not_done() -> None:
    task = asyncio.create_task(asyncio.sleep(1))
    assert asyncio.all_tasks() == {task, asyncio.current_task()}
    await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
