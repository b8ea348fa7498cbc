# test_session.py
import asyncio

import aldente

from session import Session


@aldente.explore
async def test_two_at_once(http):
    session = Session(http)

    async def get(path, after):
        await asyncio.sleep(after)
        return await session.get(path)

    assert await asyncio.gather(get("/a", 0), get("/b", 0.15)) == ["ok", "ok"]
