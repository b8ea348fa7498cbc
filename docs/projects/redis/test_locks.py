# test_locks.py
import asyncio

import aldente
import pytest

from shared import locked


async def test_it_is_held_and_released(redis):
    async with locked(redis, "report", seconds=60):
        assert 0 < await redis.pttl("lock:report") <= 60_000
    assert not await redis.exists("lock:report")


async def test_it_is_released_after_an_error(redis):
    with pytest.raises(ZeroDivisionError):
        async with locked(redis, "report", seconds=60):
            raise ZeroDivisionError
    assert not await redis.exists("lock:report")


async def test_a_lock_of_somebody_else_is_left(redis):
    async with locked(redis, "report", seconds=60):
        await redis.set("lock:report", "somebody else's")
    assert await redis.get("lock:report") == "somebody else's"


@aldente.virtual_time
async def test_one_waits_for_the_other(redis, clock):
    times = []

    async def work():
        async with locked(redis, "report", seconds=60):
            times.append(clock.elapsed)
            await asyncio.sleep(2.5)

    await asyncio.gather(work(), work())
    assert times == [0, 3]
