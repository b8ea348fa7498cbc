# notes.py
import asyncio

from aiohttp import web

NOTES = web.AppKey("NOTES", dict[str, str])


async def put(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    request.app[NOTES][name] = await request.text()
    return web.Response(status=201)


async def get(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in request.app[NOTES]:
        raise web.HTTPNotFound
    return web.Response(text=request.app[NOTES][name])


async def wait(request: web.Request) -> web.Response:
    """Answer when there is a note, after a minute at the latest."""
    name = request.match_info["name"]
    for _ in range(60):
        if name in request.app[NOTES]:
            break
        await asyncio.sleep(1)
    return await get(request)


def make_app() -> web.Application:
    app = web.Application()
    app[NOTES] = {}
    app.router.add_put("/notes/{name}", put)
    app.router.add_get("/notes/{name}", get)
    app.router.add_get("/notes/{name}/wait", wait)
    return app
