"""What asyncio promises of time, and what people rely on."""

from __future__ import annotations

import asyncio

from tests.conformance.correct.table import correct


@correct
async def a_sleep_takes_at_least_its_time() -> None:
    loop = asyncio.get_running_loop()

    async def nap(seconds: float) -> None:
        began = loop.time()
        await asyncio.sleep(seconds)
        assert loop.time() >= began + seconds

    await asyncio.gather(*map(nap, (0.5, 1, 2, 3)))


@correct
async def a_generous_time_out_does_not_fire() -> None:
    async def work() -> None:
        for _ in range(5):
            await asyncio.sleep(1)

    async with asyncio.timeout(60):
        await asyncio.gather(work(), work(), work())


@correct
async def a_time_out_that_waits_for_nothing_else_fires_in_time() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(5):
            await asyncio.Event().wait()
    except TimeoutError:
        assert loop.time() == began + 5
        return
    raise AssertionError


@correct
async def wait_for_cancels_what_is_late() -> None:
    cancelled = []

    async def late() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    try:
        await asyncio.wait_for(late(), 1)
    except TimeoutError:
        assert cancelled
        return
    raise AssertionError


@correct
async def wait_for_gives_what_is_in_time() -> None:
    assert await asyncio.wait_for(asyncio.sleep(1, "result"), 100) == "result"


@correct
async def plain_timers_fire_in_the_order_of_their_times() -> None:
    loop = asyncio.get_running_loop()
    fired: list[int] = []
    for number in (3, 1, 2):
        loop.call_later(number, fired.append, number)

    async def disturb() -> None:
        for _ in range(8):
            await asyncio.sleep(0.5)

    await asyncio.gather(disturb(), disturb())
    assert fired == [1, 2, 3]


@correct
async def timers_of_one_time_fire_in_the_order_they_were_set() -> None:
    loop = asyncio.get_running_loop()
    fired: list[int] = []
    when = loop.time() + 1
    for number in range(5):
        loop.call_at(when, fired.append, number)
    await asyncio.sleep(2)
    assert fired == [0, 1, 2, 3, 4]


@correct
async def a_cancelled_timer_does_not_fire() -> None:
    loop = asyncio.get_running_loop()
    fired: list[int] = []
    handle = loop.call_later(1, fired.append, 1)
    loop.call_later(0.5, handle.cancel)
    await asyncio.sleep(2)
    assert not fired


@correct
async def a_time_out_can_be_moved() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(1) as limit:
        limit.reschedule(loop.time() + 100)
        await asyncio.sleep(10)
    assert not limit.expired()


@correct
async def nested_time_outs_keep_apart() -> None:
    seen = []
    async with asyncio.timeout(100):
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(50)
        except TimeoutError:
            seen.append("inner")
        await asyncio.sleep(1)
    assert seen == ["inner"]


@correct
async def a_time_out_around_several_steps_is_generous_for_each() -> None:
    async def step() -> None:
        await asyncio.sleep(0.1)

    for _ in range(5):
        await asyncio.wait_for(step(), 1)


@correct
async def waiting_with_a_time_out_gives_back_what_is_pending() -> None:
    slow = asyncio.create_task(asyncio.sleep(1000))
    done, pending = await asyncio.wait([slow], timeout=1)
    assert (done, pending) == (set(), {slow})
    slow.cancel()
    await asyncio.wait([slow])


@correct
async def far_apart_sleeps_keep_their_order() -> None:
    order: list[str] = []

    async def nap(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    # More than twice as long: no await takes that much longer.
    await asyncio.gather(nap(1, "short"), nap(10, "long"), nap(100, "longest"))
    assert order == ["short", "long", "longest"]


@correct
async def a_periodic_task_goes_on_until_it_is_cancelled() -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(1)
            beats += 1

    task = asyncio.create_task(beat())
    await asyncio.sleep(100)
    task.cancel()
    await asyncio.wait([task])
    assert 40 <= beats <= 201


@correct
async def polling_sees_what_happens() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(3)
        done.append(True)

    task = asyncio.create_task(work())
    async with asyncio.timeout(100):
        while not done:
            await asyncio.sleep(0.1)
    await task
