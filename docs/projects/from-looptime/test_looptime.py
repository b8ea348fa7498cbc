# test_looptime.py
import asyncio

import pytest


async def retry(attempt, pauses):
    for pause in pauses:
        if await attempt():
            return True
        await asyncio.sleep(pause)
    return False


@pytest.mark.looptime
async def test_gives_up(looptime):
    async def attempt():
        return False

    assert not await retry(attempt, [1, 10, 100])
    assert looptime == 111
