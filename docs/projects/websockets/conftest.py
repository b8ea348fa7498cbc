# conftest.py
import pytest
from websockets.asyncio.client import connect

from chat import Room, open_room


@pytest.fixture
async def url():
    async with open_room(Room()) as url:
        yield url


@pytest.fixture
async def ann(url):
    async with connect(url) as connection:
        await connection.send("ann")
        await connection.recv()
        await connection.send("secret")
        assert await connection.recv() == "welcome"
        yield connection
