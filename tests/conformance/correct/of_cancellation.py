"""What asyncio promises of code that is cancelled, or times out, at any of its awaits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import aldente
from tests.conformance.correct.table import correct, correct_since


@correct
async def a_lock_is_free_whoever_is_cancelled() -> None:
    lock = asyncio.Lock()
    inside = 0

    @contextlib.contextmanager
    def alone() -> Iterator[None]:
        nonlocal inside
        inside += 1
        assert inside == 1
        try:
            yield
        finally:
            inside -= 1

    async def work() -> None:
        async with lock:
            with alone():
                await asyncio.sleep(0.1)

    tasks = [aldente.may_be_cancelled(asyncio.create_task(work())) for _ in range(3)]
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not lock.locked()


@correct_since(3, 12)
async def a_semaphore_keeps_its_permits_whoever_times_out() -> None:
    semaphore = asyncio.Semaphore(2)

    async def work() -> None:
        async with semaphore:
            await asyncio.sleep(0.1)

    results = await asyncio.gather(
        *(aldente.maybe_timeout(work()) for _ in range(4)), return_exceptions=True
    )
    assert all(result is None or isinstance(result, TimeoutError) for result in results)
    async with asyncio.timeout(1), semaphore, semaphore:
        pass


@correct
async def a_queue_keeps_its_items_whoever_is_cancelled() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    got: list[int] = []

    async def consume() -> None:
        got.append(await queue.get())

    async def produce() -> None:
        for number in range(2):
            await asyncio.sleep(0.1)
            await queue.put(number)

    consumers = [aldente.may_be_cancelled(asyncio.create_task(consume())) for _ in range(2)]
    producer = asyncio.create_task(produce())
    await asyncio.gather(*consumers, return_exceptions=True)
    while len(got) < 2:
        got.append(await queue.get())
    assert got == [0, 1]
    await producer


@correct
async def a_condition_is_held_by_who_is_cancelled() -> None:
    condition = asyncio.Condition()
    is_ready = False

    async def wait() -> None:
        async with condition:
            try:
                await condition.wait_for(lambda: is_ready)
            finally:
                assert condition.locked()

    async def notify() -> None:
        nonlocal is_ready
        await asyncio.sleep(1)
        async with condition:
            is_ready = True
            condition.notify_all()

    tasks = [aldente.may_be_cancelled(asyncio.create_task(wait())) for _ in range(2)]
    await asyncio.gather(*tasks, notify(), return_exceptions=True)
    for task in tasks:
        assert task.cancelled() or task.exception() is None
    assert not condition.locked()


@correct
async def a_task_group_leaves_nothing_behind() -> None:
    running = 0

    async def child(number: int) -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(number)
        finally:
            running -= 1

    async def parent() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                aldente.may_be_cancelled(group.create_task(child(number)))
        assert running == 0

    task = aldente.may_be_cancelled(asyncio.create_task(parent()))
    await asyncio.gather(task, return_exceptions=True)
    assert running == 0
    assert task.cancelled() or task.exception() is None


@correct
async def a_time_out_within_a_time_out_is_its_own() -> None:
    async def inner() -> str:
        try:
            return await aldente.maybe_timeout(asyncio.sleep(2, "done"))
        except TimeoutError:
            await asyncio.sleep(1)
            return "inner"

    async def outer() -> str:
        try:
            async with asyncio.timeout(10):
                return await aldente.maybe_timeout(inner())
        except TimeoutError:
            return "outer"

    result = await outer()
    assert result in ("done", "inner", "outer")
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
