# test_counter_fixed.py
import asyncio

import aldente
from aiohttp.test_utils import TestClient, TestServer

from counter import COUNTER
from counter_fixed import make_app


@aldente.explore(runs=10)
async def test_two_clients():
    app = make_app()
    async with TestClient(TestServer(app)) as client:
        await asyncio.gather(client.post("/", data="1"), client.post("/", data="10"))
    assert app[COUNTER].count == 11
