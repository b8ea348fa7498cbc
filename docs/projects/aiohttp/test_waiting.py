# test_waiting.py
import asyncio

import aldente
import pytest

pytestmark = aldente.virtual_time


async def test_a_minute(client, clock):
    response = await client.get("/notes/shopping/wait")
    assert response.status == 404
    assert clock.elapsed == 60


async def test_until_there_is_one(client, clock):
    waiting = asyncio.create_task(client.get("/notes/shopping/wait"))
    await clock.advance(20.5)
    await client.put("/notes/shopping", data="penne")
    assert await (await waiting).text() == "penne"
    assert clock.elapsed == 21


async def test_the_client_gives_up(client, clock):
    with pytest.raises(TimeoutError):
        await client.get("/notes/shopping/wait", timeout=4)
    assert clock.elapsed == 4
