"""Several tasks at once, and what they share."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.conformance.bodies.table import TICK, Note, after, body, fail_after


@body
async def gather(note: Note) -> None:
    note(await asyncio.gather(after(2, note, "a"), after(1, note, "b")))
    note(
        await asyncio.gather(
            fail_after(1, ValueError("one")), after(2, note, "c"), return_exceptions=True
        )
    )
    rest = asyncio.create_task(after(3, note, "goes on"))
    try:
        await asyncio.gather(rest, fail_after(1, ValueError("two")), fail_after(2, KeyError()))
    except ValueError as error:
        note(error)
    await rest


@body
async def wait(note: Note) -> None:
    for condition in (
        asyncio.FIRST_COMPLETED,
        asyncio.FIRST_EXCEPTION,
        asyncio.ALL_COMPLETED,
    ):
        tasks = [
            asyncio.create_task(after(1, note, "a"), name="a"),
            asyncio.create_task(fail_after(2, ValueError("b")), name="b"),
            asyncio.create_task(after(3, note, "c"), name="c"),
        ]
        done, pending = await asyncio.wait(tasks, return_when=condition)
        note(condition, sorted(task.get_name() for task in done), len(pending))
        await asyncio.gather(*tasks, return_exceptions=True)
    task = asyncio.create_task(after(3, note, "d"))
    note([len(each) for each in await asyncio.wait([task], timeout=TICK)])
    await task


@body
async def as_completed(note: Note) -> None:
    for future in asyncio.as_completed([after(ticks, note, ticks) for ticks in (3, 1, 2)]):
        note("got", await future)
    try:
        for future in asyncio.as_completed(
            [after(ticks, note, ticks) for ticks in (1, 4)], timeout=2.5 * TICK
        ):
            note("got", await future)
    except TimeoutError:
        note("timed out")


@body
async def task_group(note: Note) -> None:
    async with asyncio.TaskGroup() as group:
        first = group.create_task(after(2, note, "first"))
        group.create_task(after(1, note, "second"))
    note(first.result())


@body
async def task_group_with_errors(note: Note) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail_after(1, ValueError("a")))
            group.create_task(after(4, note, "sibling"))
            await after(4, note, "body")
    except* ValueError as errors:
        note(repr(errors.exceptions))


@body
async def task_groups_nested(note: Note) -> None:
    try:
        async with asyncio.TaskGroup() as outer:
            outer.create_task(after(5, note, "outer sibling"))
            async with asyncio.TaskGroup() as inner:
                inner.create_task(fail_after(1, ValueError("a")))
                inner.create_task(after(3, note, "inner sibling"))
    except* ValueError as errors:
        note(repr(errors))


@body
async def queues(note: Note) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(2)

    async def produce() -> None:
        for number in range(5):
            await queue.put(number)
            note("put", number)

    async def consume() -> None:
        while True:
            note("got", await queue.get())
            await asyncio.sleep(TICK)
            queue.task_done()

    consumer = asyncio.create_task(consume())
    await produce()
    await queue.join()
    note(queue.empty())
    consumer.cancel()
    await asyncio.wait([consumer])


@body
async def queues_with_an_order(note: Note) -> None:
    kinds: list[asyncio.Queue[int]] = [asyncio.PriorityQueue(), asyncio.LifoQueue()]
    for queue in kinds:
        for number in (2, 3, 1):
            queue.put_nowait(number)
        note([await queue.get() for _ in range(3)])
        with suppress(TimeoutError):
            await asyncio.wait_for(queue.get(), TICK)
            note("never")


@body
async def locks(note: Note) -> None:
    lock = asyncio.Lock()

    async def hold(name: str) -> None:
        try:
            async with lock:
                await after(1, note, name)
        except asyncio.CancelledError:
            note("gave up", name)

    tasks = [asyncio.create_task(hold(name)) for name in "abcd"]
    await asyncio.sleep(0.5 * TICK)
    tasks[2].cancel()
    await asyncio.gather(*tasks)
    note(lock.locked())


@body
async def semaphores(note: Note) -> None:
    semaphore = asyncio.BoundedSemaphore(2)

    async def enter(name: str) -> None:
        async with semaphore:
            note("in", name)
            await asyncio.sleep(TICK)
            note("out", name)

    await asyncio.gather(*map(enter, "abcde"))
    try:
        semaphore.release()
    except ValueError as error:
        note(error)


@body
async def conditions(note: Note) -> None:
    condition = asyncio.Condition()
    numbers: list[int] = []

    async def wait_for_length(length: int) -> None:
        async with condition:
            await condition.wait_for(lambda: len(numbers) >= length)
            note("has", length)

    tasks = [asyncio.create_task(wait_for_length(length)) for length in (3, 1, 2)]
    for number in range(3):
        await asyncio.sleep(TICK)
        async with condition:
            numbers.append(number)
            condition.notify_all()
    await asyncio.gather(*tasks)


@body
async def barriers(note: Note) -> None:
    barrier = asyncio.Barrier(3)

    async def arrive(ticks: int) -> None:
        await asyncio.sleep(ticks * TICK)
        note("arrived", ticks)
        place = await barrier.wait()
        note("left", ticks, place)

    await asyncio.gather(*map(arrive, (1, 3, 2)))
    task = asyncio.create_task(barrier.wait())
    await asyncio.sleep(TICK)
    await barrier.abort()
    note(repr((await asyncio.gather(task, return_exceptions=True))[0]))


@body
async def events(note: Note) -> None:
    event = asyncio.Event()

    async def wait(name: str) -> None:
        await event.wait()
        note(name)

    tasks = [asyncio.create_task(wait(name)) for name in "abc"]
    await after(1, note, "setting")
    event.set()
    await asyncio.gather(*tasks)
