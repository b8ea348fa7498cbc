# test_joining_fixed.py
import asyncio

import aldente

from chat import open_room
from chat_fixed import Room
from test_joining import join


@aldente.explore(runs=20)
async def test_a_name_is_taken_once():
    async with open_room(Room()) as url:
        joined = await asyncio.gather(join(url), join(url))
    assert sorted(joined) == [False, True]
