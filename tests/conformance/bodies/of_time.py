"""Sleeps, timers, time-outs and cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.conformance.bodies.table import TICK, Note, after, body


@body
async def sleeps_in_various_orders(note: Note) -> None:
    await asyncio.gather(*(after(ticks, note, ticks) for ticks in (3, 1, 2, 5, 0, 4)))


@body
async def sleeps_in_turns(note: Note) -> None:
    async def sleep_often(name: str, *ticks: int) -> None:
        for number in ticks:
            await asyncio.sleep(number * TICK)
            note(name, number)

    await asyncio.gather(sleep_often("slow", 3, 4), sleep_often("fast", 2, 2, 2))


@body
async def equal_sleeps(note: Note) -> None:
    await asyncio.gather(*(after(1, note, number) for number in range(20)))


@body
async def zero_and_negative_sleeps(note: Note) -> None:
    await asyncio.gather(
        after(0, note, "zero"), after(-1, note, "negative"), after(1, note, "later")
    )


@body
async def two_timers_for_one_time(note: Note) -> None:
    loop = asyncio.get_running_loop()
    when = loop.time() + TICK
    loop.call_at(when, note, "first")
    loop.call_at(when, note, "second")
    await after(2, note, "end")


@body
async def ways_to_call(note: Note) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(TICK, note, "call_later")
    loop.call_at(loop.time() - 1, note, "past call_at")
    loop.call_later(0, note, "call_later of zero")
    loop.call_soon(note, "call_soon")
    loop.call_at(loop.time() + 2 * TICK, note, "call_at")
    note("body")
    await asyncio.sleep(0)
    note("body again")
    await asyncio.sleep(3 * TICK)


@body
async def timers_set_by_timers(note: Note) -> None:
    loop = asyncio.get_running_loop()

    def again(number: int) -> None:
        note(number)
        if number:
            loop.call_later(TICK, again, number - 1)
            loop.call_soon(note, "soon", number)

    again(3)
    await asyncio.sleep(4 * TICK)


@body
async def cancelled_timers(note: Note) -> None:
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(ticks * TICK, note, ticks) for ticks in (1, 2, 3)]
    handles[1].cancel()
    loop.call_later(1.5 * TICK, handles[2].cancel)
    await asyncio.sleep(4 * TICK)
    note([handle.cancelled() for handle in handles])


@body
async def many_cancelled_timers(note: Note) -> None:
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(TICK, note, number) for number in range(300)]
    for handle in handles[:290]:
        handle.cancel()
    await asyncio.sleep(2 * TICK)


@body
async def time_passes(note: Note) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(TICK)
    note(loop.time() - began >= TICK * 0.99)
    now = loop.time()
    note(loop.call_at(now + 7, note).when() == now + 7)


@body
async def a_timeout_that_ends_a_wait(note: Note) -> None:
    try:
        async with asyncio.timeout(TICK):
            await after(3, note, "sleeper")
    except TimeoutError as error:
        note(repr(error))


@body
async def a_timeout_that_is_not_needed(note: Note) -> None:
    async with asyncio.timeout(3 * TICK) as limit:
        await after(1, note, "sleeper")
    note(limit.expired())


@body
async def a_timeout_moved(note: Note) -> None:
    async with asyncio.timeout(TICK) as limit:
        limit.reschedule(asyncio.get_running_loop().time() + 5 * TICK)
        await after(2, note, "sleeper")
    with suppress(TimeoutError):
        async with asyncio.timeout_at(asyncio.get_running_loop().time() - 1):
            await after(2, note, "late")


@body
async def nested_timeouts(note: Note) -> None:
    for outer, inner in ((1, 3), (3, 1)):
        try:
            async with asyncio.timeout(outer * TICK) as outer_limit:
                try:
                    async with asyncio.timeout(inner * TICK) as inner_limit:
                        await after(5, note, "sleeper")
                except TimeoutError:
                    note("inner", inner_limit.expired())
        except TimeoutError:
            note("outer", outer_limit.expired())


@body
async def wait_for(note: Note) -> None:
    note(await asyncio.wait_for(after(1, note, "in time"), 3 * TICK))
    try:
        await asyncio.wait_for(after(3, note, "too late"), TICK)
    except TimeoutError:
        note("timed out")
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0)
    except TimeoutError:
        note("timed out at once")


@body
async def a_timeout_and_a_cancellation(note: Note) -> None:
    async def limited() -> None:
        async with asyncio.timeout(3 * TICK):
            await after(5, note, "sleeper")

    task = asyncio.create_task(limited())
    await asyncio.sleep(TICK)
    note(task.cancel("enough"), task.cancelling())
    try:
        await task
    except asyncio.CancelledError as error:
        note(error.args, task.cancelled())


@body
async def cancellation_refused(note: Note) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(5 * TICK)
        except asyncio.CancelledError:
            await after(1, note, "cleaning up")
        return "done all the same"

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    note(await task, task.cancelled(), task.cancelling())


@body
async def cancelled_before_it_runs(note: Note) -> None:
    task = asyncio.create_task(after(1, note, "never"))
    task.cancel()
    await asyncio.wait([task])
    note(task.cancelled())


@body
async def shield(note: Note) -> None:
    inner = asyncio.create_task(after(2, note, "inner"))
    try:
        await asyncio.wait_for(asyncio.shield(inner), TICK)
    except TimeoutError:
        note("outer timed out")
    note(await inner)
