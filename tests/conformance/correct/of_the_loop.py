"""What asyncio promises of callbacks, async generators and exceptions, and of the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.conformance.correct.table import correct


@correct
async def call_soon_keeps_its_order() -> None:
    loop = asyncio.get_running_loop()
    called: list[int] = []
    for number in range(6):
        loop.call_soon(called.append, number)
    assert not called
    await asyncio.sleep(0)
    assert called == list(range(6))


@correct
async def call_soon_runs_in_the_next_turn() -> None:
    loop = asyncio.get_running_loop()
    called: list[str] = []

    def first() -> None:
        called.append("first")
        loop.call_soon(called.append, "second")

    loop.call_soon(first)
    await asyncio.sleep(0)
    assert called == ["first"]
    await asyncio.sleep(0)
    assert called == ["first", "second"]


@correct
async def a_cancelled_callback_is_not_called() -> None:
    loop = asyncio.get_running_loop()
    called: list[int] = []
    loop.call_soon(called.append, 1).cancel()
    await asyncio.sleep(0)
    assert not called


@correct
async def an_exception_in_a_callback_goes_to_the_handler() -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)
    assert isinstance(told[0]["exception"], ZeroDivisionError)
    loop.set_exception_handler(None)


@correct
async def an_abandoned_async_generator_is_finalised() -> None:
    closed = []

    async def count() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async for number in count():
        if number == 2:
            break
    await asyncio.sleep(1)
    assert closed


@correct
async def an_async_generator_keeps_its_place() -> None:
    async def count(start: int) -> AsyncIterator[int]:
        for number in range(start, start + 3):
            await asyncio.sleep(0)
            yield number

    async def collect(start: int) -> list[int]:
        return [number async for number in count(start)]

    assert list(await asyncio.gather(collect(0), collect(10))) == [[0, 1, 2], [10, 11, 12]]


@correct
async def an_exit_stack_closes_in_reverse() -> None:
    closed: list[int] = []

    @contextlib.asynccontextmanager
    async def opened(number: int) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        try:
            yield number
        finally:
            await asyncio.sleep(1)
            closed.append(number)

    async with contextlib.AsyncExitStack() as stack:
        for number in range(3):
            await stack.enter_async_context(opened(number))
    assert closed == [2, 1, 0]


@correct
async def clean_up_runs_to_its_end_on_cancellation() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            steps.append("begin")
            await asyncio.sleep(1)
            steps.append("end")

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert steps == ["begin", "end"]


@correct
async def an_event_is_seen_once_it_was_awaited() -> None:
    """A producer that awaits its consumer's answer finds what that wrote before."""
    request, answer = asyncio.Event(), asyncio.Event()
    box: list[int] = []

    async def consume() -> None:
        await request.wait()
        box.append(42)
        answer.set()

    task = asyncio.create_task(consume())
    request.set()
    await answer.wait()
    assert box == [42]
    await task


@correct
async def a_future_wakes_all_who_await_it() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait() -> int:
        return await future

    tasks = [asyncio.create_task(wait()) for _ in range(4)]
    await asyncio.sleep(0)
    future.set_result(5)
    assert await asyncio.gather(*tasks) == [5] * 4


@correct
async def background_tasks_that_are_kept_and_cancelled_leave_nothing() -> None:
    kept: set[asyncio.Task[None]] = set()

    async def work(number: int) -> None:
        await asyncio.sleep(number)

    for number in range(5):
        task = asyncio.create_task(work(number))
        kept.add(task)
        task.add_done_callback(kept.discard)
    await asyncio.sleep(20)
    assert not kept


@correct
async def request_coalescing_by_a_shared_task() -> None:
    calls = 0
    running: asyncio.Task[int] | None = None

    async def fetch() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1)
        return calls

    async def get() -> int:
        nonlocal running
        if running is None:
            running = asyncio.create_task(fetch())
        return await asyncio.shield(running)

    assert await asyncio.gather(*(get() for _ in range(5))) == [1] * 5


@correct
async def a_worker_pool_with_a_sentinel_ends() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    results: dict[int, int] = {}

    async def work() -> None:
        while True:
            number = await queue.get()
            if number < 0:
                queue.put_nowait(number)
                return
            await asyncio.sleep(number % 2)
            results[number] = number * number

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work())
        for number in range(7):
            queue.put_nowait(number)
        queue.put_nowait(-1)
    assert results == {number: number * number for number in range(7)}


@correct
async def debug_mode_changes_nothing() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    called: list[int] = []
    loop.call_soon(called.append, 1)
    loop.call_later(1, called.append, 2)
    await asyncio.gather(asyncio.sleep(2), asyncio.sleep(3))
    assert called == [1, 2]
    loop.set_debug(False)
