# test_joining.py
import asyncio

import aldente
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from chat import Room, open_room


async def join(url):
    async with connect(url) as connection:
        try:
            await connection.send("ann")
            await connection.recv()
            await connection.send("secret")
            await connection.recv()
            await asyncio.sleep(60)
        except ConnectionClosedError:
            return False
    return True


@aldente.explore(runs=20)
async def test_a_name_is_taken_once():
    async with open_room(Room()) as url:
        joined = await asyncio.gather(join(url), join(url))
    assert sorted(joined) == [False, True]
