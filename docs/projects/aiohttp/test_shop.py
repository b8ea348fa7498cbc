# test_shop.py
import aiohttp
import aldente
from aiohttp import web
from aiohttp.test_utils import TestServer

from shop import price


@aldente.virtual_time
async def test_a_server_that_is_busy(clock):
    statuses = [503, 503, 200]

    async def answer(request):
        return web.Response(status=statuses.pop(0), text="12")

    app = web.Application()
    app.router.add_get("/penne", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        assert await price(session, str(server.make_url("/penne"))) == 12
    assert clock.elapsed == 20
