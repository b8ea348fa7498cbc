# test_session_fixed.py
import asyncio

import aldente

from session_fixed import Session


@aldente.explore
async def test_two_at_once(http):
    session = Session(http)
    assert await asyncio.gather(session.get("/a"), session.get("/b")) == ["ok", "ok"]
