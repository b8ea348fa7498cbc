"""Servers and clients of HTTP: FastAPI and Starlette on uvicorn and on hypercorn, aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from tests.conformance.bodies.with_connections import certificate
from tests.conformance.correct.serving import client_context, server_context


def fastapi_app(notes: list[str]) -> Any:
    from tests.plugin.coexistence.networked.fastapi_app import application

    return application(notes)


@contextlib.asynccontextmanager
async def on_uvicorn(app: Any, is_encrypted: bool) -> AsyncIterator[int]:
    import uvicorn

    files = certificate() if is_encrypted else [None, None]
    config = uvicorn.Config(
        app, port=0, log_level=logging.CRITICAL, ssl_certfile=files[0], ssl_keyfile=files[1]
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        # uvicorn 0.54 ends with InvalidState when a websocket is still closing over TLS.
        while server.server_state.connections:
            await asyncio.sleep(0.01)
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def on_hypercorn(app: Any, is_encrypted: bool) -> AsyncIterator[int]:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = ["127.0.0.1:8124"]
    config.loglevel = "CRITICAL"
    if is_encrypted:
        config.certfile, config.keyfile = certificate()
    ended = asyncio.Event()
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=ended.wait))
    while not await _is_listening(8124):
        await asyncio.sleep(0.01)
    try:
        yield 8124
    finally:
        ended.set()
        await serving


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def use(port: int, is_encrypted: bool, *, is_http2: bool = False) -> list[Any]:
    """Requests, an upload, and events of the application, with httpx."""
    import httpx

    url = f"{'https' if is_encrypted else 'http'}://127.0.0.1:{port}"
    options: dict[str, Any] = {"http2": True} if is_http2 else {}
    async with httpx.AsyncClient(base_url=url, verify=client_context(), **options) as client:
        replies = await asyncio.gather(*(client.get(f"/items/{each}") for each in (1, 2)))
        assert [each.json() for each in replies] == [
            {"item": number, "doubled": number * 2} for number in (1, 2)
        ]
        reply = await client.post("/upload", files={"file": ("a.txt", b"x" * 3000)})
        assert reply.json() == {"name": "a.txt", "size": 3000}
        assert (await client.get("/items/none")).status_code == 422
        async with client.stream("GET", "/events") as response:
            lines = [line async for line in response.aiter_lines() if line]
        assert lines == ["data: 0", "data: 1", "data: 2"]
    return [each.http_version for each in replies]


async def fastapi_on_uvicorn(is_encrypted: bool) -> Any:
    notes: list[str] = []
    async with on_uvicorn(fastapi_app(notes), is_encrypted) as port:
        await use(port, is_encrypted)
    assert notes == ["begin", "end"]


async def fastapi_on_hypercorn(is_encrypted: bool) -> Any:
    notes: list[str] = []
    async with on_hypercorn(fastapi_app(notes), is_encrypted) as port:
        versions = await use(port, is_encrypted, is_http2=is_encrypted)
    assert notes == ["begin", "end"]
    # By TLS they agree on the version.
    assert versions == ["HTTP/2" if is_encrypted else "HTTP/1.1"] * 2


async def _talk(port: int, is_encrypted: bool) -> None:
    from websockets.asyncio.client import connect

    options: dict[str, Any] = {"ssl": client_context()} if is_encrypted else {}
    scheme = "wss" if is_encrypted else "ws"
    async with connect(f"{scheme}://127.0.0.1:{port}/shout", proxy=None, **options) as socket:
        texts = ("one", "", "two" * 200)
        for text in texts:
            await socket.send(text)
        assert [await socket.recv() for _ in texts] == [text.upper() for text in texts]


async def websocket_of_fastapi_on_uvicorn(is_encrypted: bool) -> Any:
    async with on_uvicorn(fastapi_app([]), is_encrypted) as port:
        await _talk(port, is_encrypted)


async def websocket_of_fastapi_on_hypercorn(is_encrypted: bool) -> Any:
    async with on_hypercorn(fastapi_app([]), is_encrypted) as port:
        await _talk(port, is_encrypted)


async def pool_of_aiohttp(is_encrypted: bool) -> Any:
    """More requests than connections: they wait for one, and connections are used again."""
    import aiohttp
    from aiohttp import web

    peers = set()

    async def count(request: web.Request) -> web.Response:
        peers.add(request.get_extra_info("peername"))
        await asyncio.sleep(0.01)
        return web.Response(text=request.query["number"])

    app = web.Application()
    app.add_routes([web.get("/", count)])
    runner = web.AppRunner(app)
    await runner.setup()
    context = server_context() if is_encrypted else None
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"{'https' if is_encrypted else 'http'}://127.0.0.1:{runner.addresses[0][1]}/"
    connector = aiohttp.TCPConnector(ssl=client_context(), limit=2)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def get(number: int) -> str:
            async with session.get(url, params={"number": number}) as response:
                return await response.text()

        got = await asyncio.gather(*map(get, range(6)))
    assert got == [str(number) for number in range(6)]
    assert len(peers) <= 2
    # As its documentation says, for connections with TLS.
    await asyncio.sleep(0.25)
    await runner.cleanup()
    return len(peers)
