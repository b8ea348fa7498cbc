"""HTTP clients and servers, used as their documentation says: no rule has anything to say of them."""

from __future__ import annotations

import pytest

from tests.plugin.coexistence.conftest import CheckSilent
from tests.plugin.conftest import RunProject

# The beginning of a module of projects: an aiohttp server, and a fixture of some scope that runs it.
_AIOHTTP_SERVER = """
import asyncio
import aiohttp
import pytest
from aiohttp import web

async def greet(request):
    await asyncio.sleep(0)
    return web.json_response({"hello": request.match_info["name"]})

async def count(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        await response.write(b"%d\\n" % number)
        await asyncio.sleep(0.001)
    await response.write_eof()
    return response

async def upload(request):
    size = 0
    async for chunk in request.content.iter_chunked(1000):
        size += len(chunk)
    return web.json_response(size)

async def echo(request):
    socket = web.WebSocketResponse(heartbeat=5)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "close":
            await socket.close()
        else:
            await socket.send_str(message.data.upper())
    return socket

async def fail(request):
    raise web.HTTPServiceUnavailable

@web.middleware
async def timed(request, handler):
    async with asyncio.timeout(5):
        return await handler(request)

async def background(app):
    async def tick():
        while True:
            await asyncio.sleep(0.01)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

def make_app():
    app = web.Application(middlewares=[timed])
    app.cleanup_ctx.append(background)
    app.add_routes(
        [
            web.get("/count", count),
            web.get("/echo", echo),
            web.get("/fail", fail),
            web.post("/upload", upload),
            web.get("/hello/{name}", greet),
        ]
    )
    return app

@pytest.fixture(scope=SCOPE)
async def url():
    runner = web.AppRunner(make_app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()
"""


def _aiohttp_server(scope: str) -> str:
    return _AIOHTTP_SERVER.replace("SCOPE", repr(scope))


_AIOHTTP_TESTS = """
import asyncio
import aiohttp
import pytest

@pytest.fixture
async def session(url):
    async with aiohttp.ClientSession(url) as session:
        yield session

async def test_json(session):
    async with session.get("/hello/ann") as response:
        assert await response.json() == {"hello": "ann"}

async def test_keep_alive(session):
    for _ in range(3):
        async with session.get("/hello/ann") as response:
            assert response.status == 200
            await response.read()

async def test_at_once(session):
    async def greeted(name):
        async with session.get(f"/hello/{name}") as response:
            return (await response.json())["hello"]

    assert await asyncio.gather(*map(greeted, "abcdef")) == list("abcdef")

async def test_error(session):
    async with session.get("/fail") as response:
        with pytest.raises(aiohttp.ClientResponseError):
            response.raise_for_status()

async def test_stream(session):
    async with session.get("/count") as response:
        assert [line async for line in response.content] == [b"0\\n", b"1\\n", b"2\\n"]

async def test_stream_left_early(session):
    async with session.get("/count") as response:
        assert await response.content.readline() == b"0\\n"

async def test_upload(session):
    async def chunks():
        for _ in range(10):
            yield b"x" * 1000
            await asyncio.sleep(0)

    async with session.post("/upload", data=chunks()) as response:
        assert await response.json() == 10_000

async def test_websocket(session):
    async with session.ws_connect("/echo") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "HELLO"

async def test_websocket_closed_by_the_server(session):
    async with session.ws_connect("/echo") as socket:
        await socket.send_str("close")
        assert [message async for message in socket] == []

async def test_timeout(session):
    with pytest.raises(TimeoutError):
        async with session.get("/count", timeout=aiohttp.ClientTimeout(total=1e-6)) as response:
            await response.read()

async def test_cancelled(session):
    request = asyncio.create_task(session.get("/hello/ann"))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

async def test_unreachable(unused_port):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{unused_port}/")

async def test_dns_failure():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("http://name.invalid/")

async def test_session_closed_by_hand(url):
    session = aiohttp.ClientSession(url)
    try:
        response = await session.get("/hello/ann")
        assert response.status == 200
        response.release()
    finally:
        await session.close()
"""
_UNUSED_PORT = """
import socket
import pytest

@pytest.fixture
def unused_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
"""


def test_aiohttp(check_silent: CheckSilent) -> None:
    """An aiohttp server of any scope, and sessions, streams and websockets that are closed."""
    pytest.importorskip("aiohttp")
    scopes = ["function", "class", "module", "session"]
    check_silent(
        conftest=_UNUSED_PORT,
        **{f"test_{scope}": _aiohttp_server(scope) + _AIOHTTP_TESTS for scope in scopes},
        passed=14 * len(scopes),
    )


def test_aiohttp_of_the_session_on_two_workers(check_silent: CheckSilent) -> None:
    """With pytest-xdist, a server and a client session for the whole run serve many tests."""
    pytest.importorskip("aiohttp")
    check_silent(
        *("-n2", "-p", "no:asyncio"),
        plugins=["xdist"],
        conftest=_aiohttp_server("session")
        + """
@pytest.fixture(scope="session")
async def session(url):
    async with aiohttp.ClientSession(url) as session:
        yield session
""",
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.parametrize("number", range(40))
        async def test_json(session, number):
            async with session.get(f"/hello/{number}") as response:
                assert await response.json() == {"hello": str(number)}

        class TestStreams:
            @pytest.mark.parametrize("number", range(5))
            async def test_stream(self, session, number):
                async with session.get("/count") as response:
                    assert (await response.read()).startswith(b"0")

            @pytest.mark.parametrize("number", range(5))
            async def test_websocket(self, session, number):
                async with session.ws_connect("/echo") as socket:
                    await socket.send_str("x")
                    assert await socket.receive_str() == "X"
        """,
        passed=50,
    )


def test_aiohttps_own_test_client(check_silent: CheckSilent) -> None:
    """aiohttp's TestServer and TestClient, as fixtures, in a test, and in AioHTTPTestCase."""
    pytest.importorskip("aiohttp")
    check_silent(
        conftest=_aiohttp_server("module"),
        test_it="""
        import pytest
        from aiohttp.test_utils import AioHTTPTestCase, TestClient, TestServer
        from conftest import make_app

        @pytest.fixture
        async def client():
            async with TestClient(TestServer(make_app())) as client:
                yield client

        async def test_fixture(client):
            response = await client.get("/hello/ann")
            assert await response.json() == {"hello": "ann"}

        async def test_inside():
            client = TestClient(TestServer(make_app()))
            await client.start_server()
            assert await (await client.get("/count")).text() == "0\\n1\\n2\\n"
            await client.close()

        class TestUnittest(AioHTTPTestCase):
            async def get_application(self):
                return make_app()

            async def test_get(self):
                async with self.client.get("/hello/ann") as response:
                    assert response.status == 200
        """,
        passed=3,
    )


def test_httpx_over_a_loopback_server(check_silent: CheckSilent) -> None:
    """httpx clients that are closed, against a server of asyncio's streams: pools, streams, errors."""
    pytest.importorskip("httpx")
    check_silent(
        test_it="""
        import asyncio
        import contextlib
        import httpx
        import pytest

        async def answer(reader, writer):
            # The other end may be gone at any time.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\\r\\n\\r\\n")
                    path = head.split()[1]
                    if path == b"/drop":
                        break
                    body = path * (10_000 if path == b"/long" else 1)
                    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body))
                    writer.write(body)
                    await writer.drain()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        @pytest.fixture(scope="module")
        async def url():
            async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
                host, port = server.sockets[0].getsockname()
                yield f"http://{host}:{port}"

        @pytest.fixture
        async def client(url):
            async with httpx.AsyncClient(base_url=url) as client:
                yield client

        @pytest.fixture(scope="module")
        async def shared(url):
            async with httpx.AsyncClient(base_url=url) as client:
                yield client

        async def test_get(client):
            for _ in range(3):
                assert (await client.get("/path")).text == "/path"

        @pytest.mark.parametrize("number", range(5))
        async def test_shared(shared, number):
            assert (await shared.get(f"/{number}")).text == f"/{number}"

        async def test_at_once(client):
            responses = await asyncio.gather(*(client.get(f"/{n}") for n in range(10)))
            assert [response.text for response in responses] == [f"/{n}" for n in range(10)]

        async def test_stream(client):
            async with client.stream("GET", "/long") as response:
                assert sum([len(chunk) async for chunk in response.aiter_bytes()]) == 50_000

        async def test_stream_left_early(client):
            async with client.stream("GET", "/long") as response:
                async for chunk in response.aiter_bytes(10):
                    break

        async def test_dropped(client):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/drop")

        async def test_cancelled(client):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await client.get("/path")

        async def test_task_group(client):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.get("/path")) for _ in range(3)]
            assert all(task.result().status_code == 200 for task in tasks)

        async def test_closed_by_hand(url):
            client = httpx.AsyncClient(base_url=url, timeout=5)
            try:
                assert (await client.get("/path")).text == "/path"
            finally:
                await client.aclose()

        def test_sync_client_in_a_sync_test():
            transport = httpx.MockTransport(lambda request: httpx.Response(200))
            with httpx.Client(transport=transport) as client:
                assert client.get("http://example.com").status_code == 200
        """,
        passed=14,
    )


# A project's module: the same app by Starlette's means.
_STARLETTE_APP = """
import asyncio
import contextlib
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

done = []

async def greet(request):
    await asyncio.sleep(0)
    return JSONResponse({"hello": request.path_params["name"]})

def in_a_thread(request):
    return PlainTextResponse("thread")

async def background(request):
    async def later():
        await asyncio.sleep(0)
        done.append(await run_in_threadpool(len, "abc"))

    return PlainTextResponse("soon", background=BackgroundTask(later))

async def count(request):
    async def numbers():
        for number in range(3):
            yield f"{number}\\n"
            await asyncio.sleep(0)

    return StreamingResponse(numbers())

async def echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())

async def header(request, call_next):
    response = await call_next(request)
    response.headers["x-seen"] = "yes"
    return response

@contextlib.asynccontextmanager
async def lifespan(app):
    async def tick():
        while True:
            await asyncio.sleep(0.01)

    task = asyncio.create_task(tick())
    yield {"started": True}
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

app = Starlette(
    routes=[
        Route("/hello/{name}", greet),
        Route("/thread", in_a_thread),
        Route("/background", background),
        Route("/count", count),
        WebSocketRoute("/echo", echo),
    ],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=header)],
    lifespan=lifespan,
)
"""


def test_starlette_by_its_test_client_and_by_httpx(check_silent: CheckSilent) -> None:
    """Starlette's TestClient in sync tests, and httpx's ASGITransport in async ones."""
    pytest.importorskip("starlette")
    check_silent(
        # Newer versions of Starlette would rather have httpx2.
        ini="    ignore:Using .httpx. with\npythonpath = .",
        app=_STARLETTE_APP,
        test_it="""
        import httpx
        import pytest
        from app import app, done, lifespan
        from starlette.testclient import TestClient

        @pytest.fixture
        async def client():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                yield client

        @pytest.fixture(scope="module")
        async def running():
            async with lifespan(app) as state:
                yield state

        def check(responses):
            greeting, thread, background, count = responses
            assert greeting.json() == {"hello": "ann"}
            assert greeting.headers["x-seen"] == "yes"
            assert [thread.text, background.text] == ["thread", "soon"]
            assert count.text == "0\\n1\\n2\\n"
            assert done.pop() == 3

        PATHS = ["/hello/ann", "/thread", "/background", "/count"]

        def test_sync():
            check([TestClient(app).get(path) for path in PATHS])

        def test_sync_with_lifespan():
            with TestClient(app) as client:
                check([client.get(path) for path in PATHS])
                with client.websocket_connect("/echo") as websocket:
                    websocket.send_text("hello")
                    assert websocket.receive_text() == "HELLO"

        async def test_async(client):
            check([await client.get(path) for path in PATHS])

        async def test_async_with_lifespan(running, client):
            check([await client.get(path) for path in PATHS])

        async def test_stream(client):
            async with client.stream("GET", "/count") as response:
                assert [line async for line in response.aiter_lines()] == ["0", "1", "2"]

        def test_sync_again(running):
            with TestClient(app) as client:
                check([client.get(path) for path in PATHS])
        """,
        passed=6,
    )


# The beginning of a module of tests: uvicorn in a task of a fixture.
_UVICORN = """
import asyncio
import pytest
import uvicorn
from app import app

@pytest.fixture(scope=SCOPE)
async def url():
    config = uvicorn.Config(app, host="127.0.0.1", port=0, ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.001)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    await serving
"""


_UVICORN_TESTS = """
import httpx
import websockets

@pytest.fixture
async def client(url):
    async with httpx.AsyncClient(base_url=url) as client:
        yield client

@pytest.mark.parametrize("number", range(4))
async def test_json(client, number):
    response = await client.get(f"/hello/{number}")
    assert response.json() == {"hello": str(number)}

async def test_background(client):
    assert (await client.get("/background")).text == "soon"
    assert (await client.get("/thread")).text == "thread"

async def test_stream(client):
    async with client.stream("GET", "/count") as response:
        assert [line async for line in response.aiter_lines()] == ["0", "1", "2"]

async def test_at_once(client):
    responses = await asyncio.gather(*(client.get("/hello/x") for _ in range(10)))
    assert {response.status_code for response in responses} == {200}

async def test_websocket(url):
    async with websockets.connect(url.replace("http", "ws") + "/echo") as socket:
        await socket.send("hello")
        assert await socket.recv() == "HELLO"
"""


def test_uvicorn_in_a_task_of_a_fixture(check_silent: CheckSilent) -> None:
    """A uvicorn server that a fixture of any scope starts in a task and stops, with its clients."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("websockets")
    scopes = ["function", "module", "session"]
    check_silent(
        ini="pythonpath = .",
        app=_STARLETTE_APP,
        **{
            f"test_{scope}": _UVICORN.replace("SCOPE", repr(scope)) + _UVICORN_TESTS
            for scope in scopes
        },
        passed=8 * len(scopes),
    )


def test_uvicorn_in_a_thread(check_silent: CheckSilent) -> None:
    """A uvicorn server in a thread of a sync session fixture, for sync and async clients."""
    pytest.importorskip("uvicorn")
    check_silent(
        ini="pythonpath = .",
        app=_STARLETTE_APP,
        conftest="""
        import threading
        import time
        import pytest
        import uvicorn
        from app import app

        @pytest.fixture(scope="session")
        def url():
            config = uvicorn.Config(app, host="127.0.0.1", port=0, ws="websockets-sansio")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run)
            thread.start()
            while not server.started and thread.is_alive():
                time.sleep(0.001)
            host, port = server.servers[0].sockets[0].getsockname()
            yield f"http://{host}:{port}"
            server.should_exit = True
            thread.join()
        """,
        test_it="""
        import asyncio
        import httpx

        async def test_async(url):
            async with httpx.AsyncClient(base_url=url) as client:
                assert (await client.get("/hello/ann")).json() == {"hello": "ann"}

        def test_sync(url):
            with httpx.Client(base_url=url) as client:
                assert client.get("/hello/ann").json() == {"hello": "ann"}

        async def test_sync_client_in_a_thread(url):
            response = await asyncio.to_thread(httpx.get, f"{url}/hello/ann")
            assert response.json() == {"hello": "ann"}
        """,
        passed=3,
    )


def test_mocked_http(check_silent: CheckSilent) -> None:
    """respx and pytest-httpx in sync and async tests, with callbacks and errors."""
    pytest.importorskip("respx")
    pytest.importorskip("pytest_httpx")
    check_silent(
        plugins=["respx", "pytest_httpx"],
        test_it="""
        import httpx
        import pytest
        import respx

        @pytest.fixture
        async def client():
            async with httpx.AsyncClient(base_url="https://example.com") as client:
                yield client

        async def test_respx(respx_mock, client):
            respx_mock.get("https://example.com/").respond(json={"answer": 42})
            assert (await client.get("/")).json() == {"answer": 42}

        @respx.mock
        async def test_respx_decorator(client):
            respx.get("https://example.com/").mock(side_effect=httpx.ConnectError)
            with pytest.raises(httpx.ConnectError):
                await client.get("/")

        @respx.mock
        def test_respx_sync():
            respx.get("https://example.com/").respond(204)
            assert httpx.get("https://example.com/").status_code == 204

        async def test_pytest_httpx(httpx_mock, client):
            async def reply(request):
                return httpx.Response(200, text=request.url.path)

            httpx_mock.add_callback(reply)
            assert (await client.get("/path")).text == "/path"

        async def test_pytest_httpx_error(httpx_mock, client):
            httpx_mock.add_exception(httpx.ReadTimeout("slow"))
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/path")
        """,
        passed=5,
    )


def test_websockets(check_silent: CheckSilent) -> None:
    """A server of the package websockets and its clients, closed from either end."""
    pytest.importorskip("websockets")
    check_silent(
        test_it="""
        import asyncio
        import pytest
        from websockets.asyncio.client import connect
        from websockets.asyncio.server import serve
        from websockets.exceptions import ConnectionClosedOK

        async def echo(socket):
            async for message in socket:
                if message == "close":
                    return
                await socket.send(message.upper())

        @pytest.fixture(scope="module")
        async def url():
            async with serve(echo, "127.0.0.1", 0) as server:
                host, port = server.sockets[0].getsockname()
                yield f"ws://{host}:{port}"

        async def test_echo(url):
            async with connect(url) as socket:
                await socket.send("hello")
                assert await socket.recv() == "HELLO"

        async def test_closed_by_the_server(url):
            async with connect(url) as socket:
                await socket.send("close")
                with pytest.raises(ConnectionClosedOK):
                    await socket.recv()

        async def test_many(url):
            async def one(number):
                async with connect(url) as socket:
                    await socket.send(f"n{number}")
                    return await socket.recv()

            assert await asyncio.gather(*map(one, range(5))) == [f"N{n}" for n in range(5)]
        """,
        passed=3,
    )


def test_the_same_pitfalls_are_told(run_project: RunProject) -> None:
    """The corpora can fail: what they do right is told by the rules when it is done wrong."""
    pytest.importorskip("aiohttp")
    result = run_project(
        ini="    ignore::ResourceWarning\naldente_strict = true",
        subprocess=True,
        conftest=_aiohttp_server("module"),
        test_it="""
        import asyncio
        import time
        import aiohttp

        async def test_blocks(url):
            time.sleep(0.001)

        async def test_leaves_a_task(url):
            asyncio.create_task(asyncio.sleep(60))

        async def test_leaves_a_server():
            await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)

        async def test_leaves_a_session(url):
            session = aiohttp.ClientSession(url)
            async with session.get("/hello/ann") as response:
                await response.read()
        """,
    )
    for rule in ("blocking-call", "leaked-task", "leaked-resource"):
        result.stdout.fnmatch_lines([f"{rule} [[]error[]]: *"])
