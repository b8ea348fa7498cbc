# test_virtual.py
import asyncio

import aldente


async def retry(attempt, pauses):
    for pause in pauses:
        if await attempt():
            return True
        await asyncio.sleep(pause)
    return False


@aldente.virtual_time
async def test_gives_up(clock):
    async def attempt():
        return False

    assert not await retry(attempt, [1, 10, 100])
    assert clock.elapsed == 111
