"""What asyncio promises of locks, events, conditions, semaphores and barriers."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.conformance.correct.table import correct


@correct
async def a_lock_keeps_others_out() -> None:
    lock = asyncio.Lock()
    inside = 0

    async def work() -> None:
        nonlocal inside
        for _ in range(3):
            async with lock:
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1

    await asyncio.gather(*(work() for _ in range(4)))


@correct
async def a_lock_is_given_in_the_order_of_waiting() -> None:
    lock = asyncio.Lock()
    got: list[int] = []

    async def work(number: int) -> None:
        async with lock:
            got.append(number)

    await lock.acquire()
    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    lock.release()
    await asyncio.gather(*tasks)
    assert got == list(range(5))


@correct
async def a_cancelled_waiter_does_not_lose_the_lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()

    async def work() -> str:
        async with lock:
            return "got it"

    first, second = asyncio.create_task(work()), asyncio.create_task(work())
    await asyncio.sleep(0)
    lock.release()
    first.cancel()
    assert await second == "got it"
    await asyncio.wait([first])


@correct
async def an_event_wakes_all() -> None:
    event = asyncio.Event()
    woken: list[int] = []

    async def wait(number: int) -> None:
        await event.wait()
        woken.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(4)]
    await asyncio.sleep(1)
    assert not woken
    event.set()
    await asyncio.gather(*tasks)
    assert sorted(woken) == [0, 1, 2, 3]
    await event.wait()


@correct
async def an_event_that_is_cleared_at_once_still_wakes() -> None:
    event = asyncio.Event()
    task = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    event.set()
    event.clear()
    assert await task is True


@correct
async def a_condition_waits_for_its_predicate() -> None:
    condition = asyncio.Condition()
    number = 0

    async def wait() -> int:
        async with condition:
            await condition.wait_for(lambda: number >= 3)
            return number

    async def count() -> None:
        nonlocal number
        for _ in range(5):
            async with condition:
                number += 1
                condition.notify_all()
            await asyncio.sleep(0)

    waited, _ = await asyncio.gather(wait(), count())
    assert waited >= 3


@correct
async def notify_wakes_one() -> None:
    condition = asyncio.Condition()
    woken: list[int] = []

    async def wait(number: int) -> None:
        async with condition:
            await condition.wait()
            woken.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(1)
    async with condition:
        condition.notify()
    await asyncio.sleep(10)
    assert len(woken) == 1
    async with condition:
        condition.notify_all()
    await asyncio.gather(*tasks)
    assert sorted(woken) == [0, 1, 2]


@correct
async def a_condition_holds_its_lock_when_it_has_waited() -> None:
    condition = asyncio.Condition()

    async def wait() -> None:
        async with condition:
            await condition.wait()
            assert condition.locked()
            await asyncio.sleep(1)
            assert condition.locked()

    tasks = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(1)
    async with condition:
        condition.notify_all()
    await asyncio.gather(*tasks)


@correct
async def a_semaphore_limits() -> None:
    semaphore = asyncio.Semaphore(2)
    inside = most = 0

    async def work(number: int) -> None:
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(number)
            inside -= 1

    await asyncio.gather(*map(work, range(6)))
    assert most == 2


@correct
async def a_semaphore_wakes_the_next_when_a_waiter_is_cancelled() -> None:
    semaphore = asyncio.Semaphore(1)
    await semaphore.acquire()

    async def work() -> str:
        async with semaphore:
            return "got it"

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    semaphore.release()
    assert await asyncio.gather(*tasks[1:]) == ["got it", "got it"]


@correct
async def a_bounded_semaphore_refuses_too_many_releases() -> None:
    semaphore = asyncio.BoundedSemaphore(1)
    async with semaphore:
        await asyncio.sleep(0)
    try:
        semaphore.release()
    except ValueError:
        return
    raise AssertionError


@correct
async def a_barrier_lets_all_go_on_together() -> None:
    barrier = asyncio.Barrier(3)
    before: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(number)
        before.append(number)
        await barrier.wait()
        assert sorted(before) == [0, 1, 2]

    await asyncio.gather(*map(work, range(3)))


@correct
async def a_barrier_can_be_used_again() -> None:
    barrier = asyncio.Barrier(2)
    rounds: list[int] = [0, 0]

    async def work(number: int) -> None:
        for _ in range(4):
            rounds[number] += 1
            await barrier.wait()
            assert abs(rounds[0] - rounds[1]) <= 1

    await asyncio.gather(work(0), work(1))


@correct
async def each_of_a_barrier_has_a_number_of_its_own() -> None:
    barrier = asyncio.Barrier(4)

    async def work() -> int:
        position: Any
        async with barrier as position:
            return int(position)

    assert sorted(await asyncio.gather(*(work() for _ in range(4)))) == [0, 1, 2, 3]


@correct
async def once_only_set_up_behind_a_lock() -> None:
    lock = asyncio.Lock()
    made: list[int] = []

    async def get() -> int:
        async with lock:
            if not made:
                await asyncio.sleep(1)
                made.append(len(made))
        return made[0]

    assert await asyncio.gather(*(get() for _ in range(5))) == [0] * 5
    assert made == [0]
