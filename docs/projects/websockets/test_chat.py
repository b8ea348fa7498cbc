# test_chat.py
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError


async def test_talking(ann):
    await ann.send("hello")
    assert await ann.recv() == "ann: hello"


async def test_a_name_is_taken(url, ann):
    async with connect(url) as connection:
        await connection.send("ann")
        with pytest.raises(ConnectionClosedError, match="4000"):
            await connection.recv()
