"""Locks, conditions and events: deadlocks and wake-ups that are lost."""

from __future__ import annotations

import asyncio
from collections import deque


async def lock_order(is_fixed: bool) -> None:
    """Two transfers in opposite directions lock two accounts in opposite orders."""
    first, second = asyncio.Lock(), asyncio.Lock()

    async def transfer(source: asyncio.Lock, target: asyncio.Lock, pause: int) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        if is_fixed:
            source, target = first, second
        async with source:
            await asyncio.sleep(0)
            async with target:
                pass

    await asyncio.gather(transfer(first, second, 0), transfer(second, first, 4))


async def dining_philosophers(is_fixed: bool) -> None:
    """Five take the left fork and wait for the right one; all five have to be at it at once."""
    forks = [asyncio.Lock() for _ in range(5)]

    async def dine(number: int) -> None:
        left, right = number, (number + 1) % 5
        if is_fixed and number == 4:
            left, right = right, left
        for _ in range(3 * number):
            await asyncio.sleep(0)
        async with forks[left]:
            await asyncio.sleep(0)
            async with forks[right]:
                await asyncio.sleep(0)

    await asyncio.gather(*map(dine, range(5)))


async def missed_notification(is_fixed: bool) -> None:
    """Who waits for a condition without looking first misses what was notified before."""
    condition = asyncio.Condition()
    is_there = False

    async def wait() -> None:
        await asyncio.sleep(0)
        async with condition:
            if is_fixed:
                await condition.wait_for(lambda: is_there)
            else:
                await condition.wait()

    async def deliver() -> None:
        nonlocal is_there
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with condition:
            is_there = True
            condition.notify_all()

    await asyncio.gather(wait(), deliver())


async def event_cleared(is_fixed: bool) -> None:
    """An event is set and cleared at once, and who is not waiting yet waits for ever."""
    changed = asyncio.Event()
    version = 0

    async def watch() -> None:
        seen = version
        await asyncio.sleep(0)
        if is_fixed and version != seen:
            return
        await changed.wait()

    async def change() -> None:
        nonlocal version
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        version += 1
        changed.set()
        changed.clear()

    await asyncio.gather(watch(), change())


class Permits:
    """A semaphore of the year 2021: a wake-up given to a waiter who is cancelled is lost."""

    def __init__(self, count: int, is_fixed: bool) -> None:
        self._count = count
        self._is_fixed = is_fixed
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        while self._count == 0:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if self._is_fixed and waiter.done() and not waiter.cancelled():
                    self._wake_next()
                raise
        self._count -= 1

    def release(self) -> None:
        self._count += 1
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


async def semaphore_wake_up_lost(is_fixed: bool) -> None:
    """The waiter that was woken is cancelled before it goes on, and nobody else is woken."""
    permits = Permits(1, is_fixed)

    async def hold() -> None:
        await permits.acquire()
        for _ in range(3):
            await asyncio.sleep(0)
        permits.release()

    async def want() -> None:
        await permits.acquire()
        try:
            await asyncio.sleep(0)
        finally:
            permits.release()

    holder = asyncio.create_task(hold())
    impatient = asyncio.create_task(want())
    patient = asyncio.create_task(want())

    async def stop() -> None:
        for _ in range(7):
            await asyncio.sleep(0)
        impatient.cancel()

    await asyncio.gather(holder, impatient, patient, stop(), return_exceptions=True)
    assert not patient.cancelled()


async def notify_one_of_two_kinds(is_fixed: bool) -> None:
    """One condition for readers and writers: the one that is notified can't go on, the other could."""
    condition = asyncio.Condition()
    items: list[int] = []

    async def put(number: int) -> None:
        async with condition:
            await condition.wait_for(lambda: not items)
            items.append(number)
            condition.notify_all() if is_fixed else condition.notify()

    async def get() -> int:
        async with condition:
            await condition.wait_for(lambda: bool(items))
            condition.notify_all() if is_fixed else condition.notify()
            return items.pop()

    async def later(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)
        await put(number)

    async def get_later(number: int) -> int:
        for _ in range(number):
            await asyncio.sleep(0)
        return await get()

    await asyncio.gather(later(1), get_later(2), later(6), get_later(7), later(11), get_later(12))


async def upgraded_lock(is_fixed: bool) -> None:
    """Two readers both wait for the other to leave, to become the writer."""
    readers = 0
    changed = asyncio.Condition()

    async def read_and_write(pause: int) -> None:
        nonlocal readers
        for _ in range(pause):
            await asyncio.sleep(0)
        async with changed:
            if is_fixed:
                await changed.wait_for(lambda: readers == 0)
            readers += 1
        await asyncio.sleep(0)
        async with changed:
            await changed.wait_for(lambda: readers == 1)
            readers -= 1
            changed.notify_all()

    await asyncio.gather(read_and_write(0), read_and_write(8))
