# counter.py
from aiohttp import web


class Counter:
    count = 0


COUNTER = web.AppKey("COUNTER", Counter)


async def add(request: web.Request) -> web.Response:
    counter = request.app[COUNTER]
    counter.count = counter.count + int(await request.text())
    return web.Response(text=str(counter.count))


def make_app() -> web.Application:
    app = web.Application()
    app[COUNTER] = Counter()
    app.router.add_post("/", add)
    return app
