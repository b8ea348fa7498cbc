# counter_fixed.py
from aiohttp import web

from counter import COUNTER, Counter


async def add(request: web.Request) -> web.Response:
    amount = int(await request.text())
    counter = request.app[COUNTER]
    counter.count += amount
    return web.Response(text=str(counter.count))


def make_app() -> web.Application:
    app = web.Application()
    app[COUNTER] = Counter()
    app.router.add_post("/", add)
    return app
