"""HTTP clients and servers on virtual time: their delays and time-outs are exact, and take no time."""

from __future__ import annotations

import pytest

from tests.plugin.coexistence.conftest import CheckSilent

_VIRTUAL = "aldente_clock = virtual"

# A fixture that serves routes with aiohttp, on the loop of the test.
_AIOHTTP = """
import pytest
from aiohttp import web

@pytest.fixture
async def serve():
    runners = []

    async def serve(*routes, **options):
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, **options)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    yield serve
    for runner in runners:
        await runner.cleanup()
"""


def test_aiohttp_delays(check_silent: CheckSilent) -> None:
    """A server that answers after a minute is waited for exactly that minute, in no real time."""
    pytest.importorskip("aiohttp")
    check_silent(
        ini=_VIRTUAL,
        conftest=_AIOHTTP,
        test_it="""
        import asyncio
        import time
        import aiohttp
        from aiohttp import web

        async def answer_late(request):
            await asyncio.sleep(60)
            return web.Response(text="late")

        async def trickle(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for number in range(60):
                await asyncio.sleep(60)
                await response.write(b"%d\\n" % number)
            await response.write_eof()
            return response

        async def test_one(serve, clock):
            began = time.perf_counter()
            url = await serve(web.get("/", answer_late))
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                assert await response.text() == "late"
                assert clock.elapsed == 60
            assert time.perf_counter() - began < 30

        async def test_one_after_the_other(serve, clock):
            began = time.perf_counter()
            url = await serve(web.get("/", answer_late))
            async with aiohttp.ClientSession() as session:
                for minutes in range(1, 5):
                    async with session.get(url) as response:
                        assert await response.text() == "late"
                    assert clock.elapsed == 60 * minutes
            assert time.perf_counter() - began < 30

        async def test_at_once(serve, clock):
            url = await serve(web.get("/", answer_late))
            async with aiohttp.ClientSession() as session:
                async def get():
                    async with session.get(url) as response:
                        return await response.text()

                assert await asyncio.gather(*(get() for _ in range(20))) == ["late"] * 20
            assert clock.elapsed == 60

        async def test_stream(serve, clock):
            began = time.perf_counter()
            url = await serve(web.get("/", trickle))
            no_timeout = aiohttp.ClientTimeout(total=None)
            async with aiohttp.ClientSession(timeout=no_timeout) as session:
                async with session.get(url) as response:
                    number = 0
                    async for line in response.content:
                        assert int(line) == number
                        number += 1
                        assert clock.elapsed == 60 * number
            assert number == 60
            assert time.perf_counter() - began < 30
        """,
        passed=4,
    )


def test_aiohttp_timeouts(check_silent: CheckSilent) -> None:
    """A time-out of aiohttp against a silent peer is exact; from 5 s on, it is rounded up to a whole second of loop time unless ``ceil_threshold`` is higher."""
    pytest.importorskip("aiohttp")
    check_silent(
        ini=_VIRTUAL,
        conftest=_AIOHTTP,
        test_it="""
        import asyncio
        import time
        import aiohttp
        import pytest
        from aiohttp import ClientTimeout, web

        @pytest.fixture
        async def silent():
            async def handle(reader, writer):
                await reader.read()
                writer.close()

            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                yield "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]

        @pytest.mark.parametrize(
            ("begins", "timeout", "elapsed"),
            [
                # Loop time begins at a whole second, so rounding changes nothing.
                (0, ClientTimeout(total=5), 5),
                (0, ClientTimeout(sock_read=5), 5),
                (0.25, ClientTimeout(total=4.5), 4.75),
                (0.25, ClientTimeout(total=5), 6),
                (0.25, ClientTimeout(total=5, ceil_threshold=60), 5.25),
                (0.25, ClientTimeout(total=None, sock_read=4), 4.25),
            ],
        )
        async def test_it(silent, clock, begins, timeout, elapsed):
            began = time.perf_counter()
            await asyncio.sleep(begins)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                with pytest.raises(TimeoutError):
                    await session.get(silent)
            assert clock.elapsed == elapsed
            assert time.perf_counter() - began < 3.5

        async def test_slow_handler(serve, clock):
            async def answer_late(request):
                await asyncio.sleep(3600)
                return web.Response(text="late")

            began = time.perf_counter()
            # Without this aiohttp lets the handler run on, as in real time, with nobody to end it.
            url = await serve(web.get("/", answer_late), handler_cancellation=True)
            async with aiohttp.ClientSession() as session:
                with pytest.raises(TimeoutError):
                    await session.get(url, timeout=ClientTimeout(total=5))
            assert clock.elapsed == 5
            assert time.perf_counter() - began < 4.5
        """,
        passed=7,
    )


def test_aiohttp_keep_alive(check_silent: CheckSilent) -> None:
    """A server closes an idle connection at its time; until then its timers are few."""
    pytest.importorskip("aiohttp")
    check_silent(
        ini=_VIRTUAL,
        conftest=_AIOHTTP,
        test_it="""
        import asyncio
        import time
        import aiohttp
        from aiohttp import web
        import aldente

        async def greet(request):
            return web.Response(text="hello")

        async def test_closed_by_the_server(serve, clock):
            began = time.perf_counter()
            url = await serve(web.get("/", greet), keepalive_timeout=75)
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[-1]))
            for seconds in [0, 74.5]:
                await asyncio.sleep(seconds)
                writer.write(b"GET / HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")
            assert await reader.read() == b""
            assert clock.elapsed == 74.5 + 75
            writer.close()
            await writer.wait_closed()
            assert time.perf_counter() - began < 30

        async def test_idle_for_hours(serve, clock):
            began = time.perf_counter()
            url = await serve(web.get("/", greet), keepalive_timeout=75)
            async with aiohttp.ClientSession() as session:
                for hours in range(1, 25):
                    async with session.get(url) as response:
                        assert await response.text() == "hello"
                    await asyncio.sleep(3600)
                    assert clock.elapsed == hours * 3600
            # Timers of the server and of the client: about one every 15 s while connected.
            assert asyncio.get_running_loop().waiting._jumps < 24 * 20
            assert time.perf_counter() - began < 30

        async def test_client_idle_for_an_hour(serve, clock):
            url = await serve(web.get("/", greet))
            async with aiohttp.ClientSession() as session:
                async with session.get(url) as response:
                    await response.text()
                await asyncio.sleep(3600)
                # The client measures how long a connection has been idle in real time, and so
                # keeps this one for as long as the server does.
                [[(connection, _)]] = session.connector._conns.values()
                assert asyncio.get_running_loop().waiting._jumps <= 3600 / 15 + 1
                await asyncio.sleep(29)
                assert connection.is_connected()
                # aiohttp 3.11.0 closes it when that time is over, not when it comes.
                await asyncio.sleep(1.000001)
                await aldente.settle()
                assert not connection.is_connected()
        """,
        passed=3,
    )


def test_aiohttp_websocket_heartbeat(check_silent: CheckSilent) -> None:
    """Heartbeats of aiohttp keep a connection for an hour, and find a silent peer at their time."""
    pytest.importorskip("aiohttp")
    check_silent(
        ini=_VIRTUAL,
        conftest=_AIOHTTP,
        test_it="""
        import asyncio
        import time
        import aiohttp
        from aiohttp import web

        async def echo(request):
            socket = web.WebSocketResponse(heartbeat=30)
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data.upper())
            request.config_dict  # alive until here
            return socket

        async def test_an_hour(serve, clock):
            began = time.perf_counter()
            url = await serve(web.get("/", echo))
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(url, heartbeat=30) as socket:
                    for hours in range(1, 4):
                        # Someone has to read, for the pings to be answered.
                        reading = asyncio.create_task(socket.receive_str())
                        await asyncio.sleep(3600)
                        assert not reading.done()
                        await socket.send_str("hello")
                        assert await reading == "HELLO"
                        assert clock.elapsed == 3600 * hours
            assert time.perf_counter() - began < 30

        async def test_silent_peer(serve, clock):
            closed = []

            async def watch(request):
                socket = web.WebSocketResponse(heartbeat=30)
                await socket.prepare(request)
                async for message in socket:
                    pass
                closed.append(clock.elapsed)
                return socket

            url = await serve(web.get("/", watch))
            async with aiohttp.ClientSession() as session:
                socket = await session.ws_connect(url, autoping=False)
                await asyncio.sleep(3600)
                assert closed == [45]
                await socket.close()
        """,
        passed=2,
    )


def test_httpx(check_silent: CheckSilent) -> None:
    """Delays and time-outs of httpx against a server of asyncio are exact."""
    pytest.importorskip("httpx")
    check_silent(
        ini=_VIRTUAL,
        test_it="""
        import asyncio
        import time
        import httpx
        import pytest

        @pytest.fixture
        async def url():
            async def handle(reader, writer):
                while head := await reader.readuntil(b"\\r\\n\\r\\n"):
                    await asyncio.sleep(float(head.split()[1][1:]))
                    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nla")
                    await asyncio.sleep(1)
                    writer.write(b"te")

            handlers = set()

            async def handle_until_closed(reader, writer):
                handlers.add(asyncio.current_task())
                try:
                    await handle(reader, writer)
                except asyncio.IncompleteReadError:
                    writer.close()

            server = await asyncio.start_server(handle_until_closed, "127.0.0.1", 0)
            async with server:
                yield "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
            # On Python 3.11 a server that is closed does not wait for its connections.
            await asyncio.wait(handlers)

        async def test_delay(url, clock):
            began = time.perf_counter()
            async with httpx.AsyncClient(base_url=url, timeout=None) as client:
                for times in range(1, 4):
                    assert (await client.get("/3599")).text == "late"
                    assert clock.elapsed == 3600 * times
            assert time.perf_counter() - began < 30

        async def test_in_time(url, clock):
            async with httpx.AsyncClient(base_url=url) as client:
                assert (await client.get("/4.999")).text == "late"
            assert clock.elapsed == 5.999

        async def test_too_late(url, clock):
            began = time.perf_counter()
            async with httpx.AsyncClient(base_url=url) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.get("/5.001")
                assert clock.elapsed == 5
            assert time.perf_counter() - began < 5

        async def test_pool(url, clock):
            limits = httpx.Limits(max_connections=1)
            async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
                answers = await asyncio.gather(*(client.get("/9") for _ in range(5)))
            assert [answer.text for answer in answers] == ["late"] * 5
            assert clock.elapsed == 50
        """,
        passed=4,
    )


def test_uvicorn(check_silent: CheckSilent) -> None:
    """With uvicorn and Starlette, a sync endpoint's thread is waited for, and an async one's hour passes at once."""
    for library in ("httpx", "starlette", "uvicorn"):
        pytest.importorskip(library)
    check_silent(
        ini=_VIRTUAL,
        conftest="""
        import asyncio
        import time
        import httpx
        import pytest
        import uvicorn
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        import aldente

        def block(request):
            time.sleep(request.path_params["seconds"])
            return PlainTextResponse("from a thread")

        async def sleep(request):
            await asyncio.sleep(3600)
            return PlainTextResponse("an hour later")

        @pytest.fixture
        async def client():
            app = Starlette(routes=[Route("/block/{seconds:float}", block), Route("/sleep", sleep)])
            server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
            serving = asyncio.create_task(server.serve())
            await aldente.eventually(lambda: server.started)
            port = server.servers[0].sockets[0].getsockname()[1]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
            server.should_exit = True
            await serving
        """,
        test_it="""
        import asyncio
        import time
        import httpx
        import pytest

        async def test_sync_endpoint(client, clock):
            assert (await client.get("/block/0.2", timeout=5)).text == "from a thread"
            # Loop time stands still while the loop is busy, and so may be a little behind.
            assert 0 < clock.elapsed < 5

        async def test_sync_endpoints(client, clock):
            requests = (client.get("/block/0.2", timeout=5) for _ in range(5))
            answers = await asyncio.gather(*requests)
            assert [answer.text for answer in answers] == ["from a thread"] * 5
            assert 0 < clock.elapsed < 5

        async def test_too_slow(client, clock):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/block/0.5", timeout=0.1)
            assert 0.1 <= clock.elapsed < 0.5

        async def test_async_endpoint(client, clock):
            began = time.perf_counter()
            assert (await client.get("/sleep", timeout=None)).text == "an hour later"
            assert clock.elapsed == 3600
            assert time.perf_counter() - began < 30

        async def test_after_a_thread(client, clock):
            await client.get("/block/0.2")
            began = time.perf_counter()
            elapsed = clock.elapsed
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/sleep")
            assert clock.elapsed == pytest.approx(elapsed + 5, abs=0.2)
            assert time.perf_counter() - began < 4.5
        """,
        passed=5,
    )


def test_websockets(check_silent: CheckSilent) -> None:
    """Pings and time-outs of websockets keep a connection for an hour, and give a silent one up exactly in time."""
    pytest.importorskip("websockets")
    check_silent(
        ini=_VIRTUAL,
        test_it="""
        import asyncio
        import base64
        import hashlib
        import time
        import pytest
        from websockets.asyncio.client import connect
        from websockets.asyncio.server import serve
        from websockets.exceptions import ConnectionClosedError

        async def echo(socket):
            async for message in socket:
                await socket.send(message.upper())

        async def test_an_hour(clock):
            began = time.perf_counter()
            async with serve(echo, "127.0.0.1", 0, ping_interval=20) as server:
                port = server.sockets[0].getsockname()[1]
                async with connect(f"ws://127.0.0.1:{port}", ping_interval=20) as socket:
                    await asyncio.sleep(3600)
                    await socket.send("hello")
                    assert await socket.recv() == "HELLO"
                    assert clock.elapsed == 3600
                    # Virtual time stands still while a ping is answered.
                    assert socket.latency == 0
            assert clock.elapsed == 3600
            assert time.perf_counter() - began < 30

        @pytest.fixture
        async def silent():
            async def handle(reader, writer):
                # It opens the connection, as a server does, and says nothing ever after.
                head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
                key = head.split("Sec-WebSocket-Key: ")[1].split("\\r\\n")[0]
                key += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                accepted = base64.b64encode(hashlib.sha1(key.encode()).digest())
                writer.write(
                    b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
                    b"Connection: Upgrade\\r\\nSec-WebSocket-Accept: " + accepted + b"\\r\\n\\r\\n"
                )
                await reader.read()
                writer.close()

            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                yield "ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1]

        async def test_unanswered_ping(silent, clock):
            began = time.perf_counter()
            options = dict(ping_interval=20, ping_timeout=15, close_timeout=10)
            async with connect(silent, **options) as socket:
                with pytest.raises(ConnectionClosedError, match="keepalive ping timeout"):
                    await socket.recv()
                assert clock.elapsed == 20 + 15 + 10
            assert time.perf_counter() - began < 30

        async def test_unanswered_close(silent, clock):
            began = time.perf_counter()
            socket = await connect(silent, close_timeout=10)
            await socket.close()
            assert clock.elapsed == 10
            assert time.perf_counter() - began < 9

        async def test_unanswered_opening(clock):
            async def handle(reader, writer):
                await reader.read()
                writer.close()

            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                with pytest.raises(TimeoutError):
                    await connect(f"ws://127.0.0.1:{port}", open_timeout=10)
                assert clock.elapsed == 10
        """,
        passed=4,
    )
