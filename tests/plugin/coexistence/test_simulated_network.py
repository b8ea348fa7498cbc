"""Real clients and servers in simulated runs: they work under every schedule, and runs replay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.random import Random
from tests.conformance.bodies.with_connections import certificate
from tests.conformance.correct.serving import client_context, server_context

Main = Callable[[], Coroutine[Any, Any, Any]]

# How many schedules are tried, and of how many of them two runs are compared.
RUNS = 50
COMPARED = 4

with_tls = pytest.mark.parametrize(
    "is_encrypted",
    [
        pytest.param(False, id="plain"),
        pytest.param(
            True,
            id="tls",
            marks=pytest.mark.skipif(not certificate(), reason="Python's tests are not there"),
        ),
    ],
)


def run_under(seed: int, main: Main) -> Run:
    strategy = Random(seed)
    strategy.start()
    return simulate(main, strategy, RunSettings())


def check(main: Main, *, runs: int = RUNS) -> None:
    """No schedule makes a program fail; two runs with a schedule are the same."""
    exploration = aldente.search(main, runs=runs, seed=1)
    assert exploration.failure is None, exploration.failure.report()
    assert exploration.escaped == ""
    for seed in range(COMPARED):
        one, other = (run_under(seed, main) for _ in range(2))
        assert one.error is other.error is None
        assert repr(one.result) == repr(other.result)
        assert (one.choices, one.counts) == (other.choices, other.counts)


# aiohttp


def aiohttp_routes() -> list[Any]:
    from aiohttp import web

    async def shout(request: web.Request) -> web.Response:
        return web.Response(text=(await request.text()).upper())

    async def count(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(b"%d\n" % number)
            await asyncio.sleep(0.01)
        await response.write_eof()
        return response

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    return [web.post("/shout", shout), web.get("/count", count), web.get("/echo", echo)]


@contextlib.asynccontextmanager
async def aiohttp_server(is_encrypted: bool) -> AsyncIterator[str]:
    from aiohttp import web

    app = web.Application()
    app.add_routes(aiohttp_routes())
    runner = web.AppRunner(app)
    await runner.setup()
    context = server_context() if is_encrypted else None
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if is_encrypted else 'http'}://localhost:{port}"
    finally:
        # As its documentation says, for connections with TLS.
        await asyncio.sleep(0.25)
        await runner.cleanup()


@with_tls
def test_aiohttp(is_encrypted: bool) -> None:
    """Its client and server exchange requests and streams on kept connections."""
    aiohttp = pytest.importorskip("aiohttp")

    async def main() -> list[bytes]:
        async with (
            aiohttp_server(is_encrypted) as url,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=client_context(), limit=2)
            ) as session,
        ):

            async def post(text: str) -> None:
                async with session.post(f"{url}/shout", data=text) as response:
                    assert await response.text() == text.upper()

            await asyncio.gather(*map(post, ("one", "two" * 500, "three")))
            async with session.get(f"{url}/count") as response:
                lines = [line async for line in response.content]
            assert lines == [b"0\n", b"1\n", b"2\n"]
            return lines

    check(main, runs=10 if is_encrypted else RUNS)


@with_tls
def test_websockets_of_aiohttp(is_encrypted: bool) -> None:
    """Messages come whole and in order, and the closing handshake ends."""
    aiohttp = pytest.importorskip("aiohttp")

    async def main() -> list[str]:
        async with (
            aiohttp_server(is_encrypted) as url,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/echo", ssl=client_context()) as socket,
        ):
            texts = ["one", "", "three" * 50]
            for text in texts:
                await socket.send_str(text)
            got = [(await socket.receive_str()) for _ in texts]
            assert got == [text.upper() for text in texts]
        return got

    check(main, runs=10 if is_encrypted else RUNS)


# httpx, uvicorn and Starlette


def starlette_app(notes: list[str]) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    async def upload(request: Request) -> JSONResponse:
        size = 0
        async for part in request.stream():
            size += len(part)
        return JSONResponse({"size": size})

    async def events(request: Request) -> StreamingResponse:
        async def produce() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(produce(), media_type="text/event-stream")

    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text((await socket.receive_text()).upper())
        await socket.close()

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        notes.append("begin")
        yield
        notes.append("end")

    routes = [
        Route("/upload", upload, methods=["POST"]),
        Route("/events", events),
        WebSocketRoute("/echo", echo),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


@contextlib.asynccontextmanager
async def uvicorn_server(app: Any, is_encrypted: bool) -> AsyncIterator[int]:
    import uvicorn

    files = certificate() if is_encrypted else [None, None]
    config = uvicorn.Config(
        app,
        port=8123,
        log_level=logging.CRITICAL,
        ssl_certfile=files[0],
        ssl_keyfile=files[1],
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield 8123
    finally:
        server.should_exit = True
        await serving


@with_tls
def test_uvicorn_with_httpx(is_encrypted: bool) -> None:
    """Uploads and server-sent events come whole, within the lifespan of the application."""
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")

    async def main() -> list[str]:
        notes: list[str] = []
        scheme = "https" if is_encrypted else "http"
        async with uvicorn_server(starlette_app(notes), is_encrypted) as port:
            url = f"{scheme}://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, verify=client_context()) as client:
                reply = await client.post("/upload", content=b"x" * 3000)
                assert reply.json() == {"size": 3000}
                async with client.stream("GET", "/events") as response:
                    lines = [line async for line in response.aiter_lines() if line]
        assert lines == ["data: 0", "data: 1", "data: 2"]
        assert notes == ["begin", "end"]
        return lines

    check(main, runs=20)


def test_uvicorn_with_websockets() -> None:
    """A client of the library websockets talks to an application of Starlette."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    client = pytest.importorskip("websockets.asyncio.client")

    async def main() -> str:
        async with (
            uvicorn_server(starlette_app([]), False) as port,
            client.connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as socket,
        ):
            await socket.send("hello")
            reply: str = await socket.recv()
        assert reply == "HELLO"
        return reply

    check(main, runs=20)


# websockets


@with_tls
def test_websockets(is_encrypted: bool) -> None:
    """Its client and server exchange messages, and both see the close."""
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import ServerConnection, serve

    async def main() -> list[object]:
        async def reverse(socket: ServerConnection) -> None:
            async for message in socket:
                await socket.send(message[::-1])

        options: dict[str, Any] = {"ssl": server_context()} if is_encrypted else {}
        async with serve(reverse, "localhost", 8765, **options):
            scheme = "wss" if is_encrypted else "ws"
            options = {"ssl": client_context()} if is_encrypted else {}
            async with connect(f"{scheme}://localhost:8765", proxy=None, **options) as socket:
                for text in ("abc", "def", "x" * 300):
                    await socket.send(text)
                got: list[object] = [await socket.recv() for _ in range(3)]
        assert got == ["cba", "fed", "x" * 300]
        return got

    check(main, runs=30)


# anyio


@with_tls
def test_anyio(is_encrypted: bool) -> None:
    """Its streams have the bytes in order, as do those that it encrypts."""
    pytest.importorskip("anyio")
    import anyio
    from anyio.abc import ByteStream
    from anyio.streams.buffered import BufferedByteReceiveStream
    from anyio.streams.tls import TLSListener

    async def main() -> bytes:
        async def shout(stream: ByteStream) -> None:
            async with stream:
                received = BufferedByteReceiveStream(stream)
                await stream.send((await received.receive_exactly(5)).upper())

        listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=7777)
        if is_encrypted:
            listener = TLSListener(listener, server_context())
        context: Any = client_context() if is_encrypted else None
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, shout)
            async with await anyio.connect_tcp(
                "127.0.0.1", 7777, ssl_context=context, tls_standard_compatible=False
            ) as stream:
                await stream.send(b"hello")
                got = await BufferedByteReceiveStream(stream).receive_exactly(5)
            group.cancel_scope.cancel()
        await listener.aclose()
        assert got == b"HELLO"
        return got

    check(main, runs=60)
