"""Sockets of all kinds within one process on virtual time: what was sent arrives before time jumps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.plugin.coexistence.conftest import CheckSilent


def test_datagrams(check_virtual: CheckSilent) -> None:
    """Datagrams within the process come before timers, and a lost one is missed at its time."""
    check_virtual(
        test_it="""
        import asyncio
        import time
        import pytest

        class Answers(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, address):
                if data != b"lost":
                    self.transport.sendto(data.upper(), address)

        class Asks(asyncio.DatagramProtocol):
            def __init__(self):
                self.heard = asyncio.Queue()

            def datagram_received(self, data, address):
                self.heard.put_nowait(data)

        @pytest.fixture
        async def server():
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(
                Answers, local_addr=("127.0.0.1", 0)
            )
            yield transport.get_extra_info("sockname")
            transport.close()

        @pytest.fixture(params=["connected", "bound"])
        async def ask(request, server):
            is_connected = request.param == "connected"
            where = {"remote_addr": server} if is_connected else {"local_addr": ("127.0.0.1", 0)}
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_datagram_endpoint(Asks, **where)

            async def ask(question):
                transport.sendto(question, None if is_connected else server)
                return await protocol.heard.get()

            yield ask
            transport.close()

        async def test_answered(ask, clock):
            began = time.perf_counter()
            for _ in range(100):
                async with asyncio.timeout(0.001):
                    assert await ask(b"hello") == b"HELLO"
            assert clock.elapsed == 0
            assert time.perf_counter() - began < 4.5

        async def test_lost(ask, clock):
            began = time.perf_counter()
            for attempts in range(1, 4):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(5):
                        await ask(b"lost")
                assert clock.elapsed == 5 * attempts
            # Anybody may write to an endpoint that is not connected, so it is listened to.
            assert time.perf_counter() - began < 14
        """,
        passed=4,
    )


def test_streams(check_virtual: CheckSilent) -> None:
    """Connections of TCP, of Unix sockets and of socket pairs within the process: nothing is overtaken by a timer, and silence takes no real time."""
    check_virtual(
        test_it="""
        import asyncio
        import contextlib
        import socket
        import tempfile
        import time
        import pytest

        handlers = set()

        async def serve(reader, writer):
            handlers.add(asyncio.current_task())
            while question := await reader.readline():
                await asyncio.sleep(float(question))
                writer.write(b"answer\\n")
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        @contextlib.asynccontextmanager
        async def connected_by_tcp4():
            async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
                yield await asyncio.open_connection(*server.sockets[0].getsockname())

        @contextlib.asynccontextmanager
        async def connected_by_tcp6():
            if not socket.has_ipv6:
                pytest.skip("no IPv6 here")
            async with await asyncio.start_server(serve, "::1", 0) as server:
                yield await asyncio.open_connection(*server.sockets[0].getsockname()[:2])

        @contextlib.asynccontextmanager
        async def connected_by_unix_socket():
            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/socket"
                async with await asyncio.start_unix_server(serve, path):
                    yield await asyncio.open_unix_connection(path)

        @contextlib.asynccontextmanager
        async def connected_by_pair():
            here, there = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=there)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(serve(reader, writer))
                yield await asyncio.open_connection(sock=here)

        @pytest.fixture(
            params=[
                connected_by_tcp4,
                connected_by_tcp6,
                connected_by_unix_socket,
                connected_by_pair,
            ]
        )
        async def ask(request):
            async with request.param() as (reader, writer):
                async def ask(seconds):
                    writer.write(b"%f\\n" % seconds)
                    return await reader.readline()

                yield ask
                writer.close()
                await writer.wait_closed()
            # On Python 3.11 a server that is closed does not wait for its connections.
            await asyncio.wait(handlers)
            handlers.clear()

        async def test_at_once(ask, clock):
            began = time.perf_counter()
            for _ in range(100):
                async with asyncio.timeout(0.001):
                    assert await ask(0) == b"answer\\n"
            assert clock.elapsed == 0
            assert time.perf_counter() - began < 4.5

        async def test_late(ask, clock):
            began = time.perf_counter()
            for hours in range(1, 101):
                assert await ask(3600) == b"answer\\n"
                assert clock.elapsed == hours * 3600
            assert time.perf_counter() - began < 30

        async def test_timeout(ask, clock):
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await ask(5.001)
            assert clock.elapsed == 5
            assert time.perf_counter() - began < 4.5
        """,
        passed=12,
    )


def test_small_writes(check_virtual: CheckSilent) -> None:
    """What TCP holds back until what was sent before it is acknowledged comes before timers too."""
    check_virtual(
        test_it="""
        import asyncio
        import socket
        import threading
        import time
        import pytest

        async def ask(client):
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, b"question")
            answer = b""
            while len(answer) < 8:
                answer += await loop.sock_recv(client, 100)
            return answer

        async def answer(server):
            loop = asyncio.get_running_loop()
            while await loop.sock_recv(server, 100):
                await loop.sock_sendall(server, b"head")
                await loop.sock_sendall(server, b"tail")
            server.close()

        def answer_in_a_thread(server):
            while server.recv(100):
                server.sendall(b"head")
                server.sendall(b"tail")
            server.close()

        @pytest.fixture
        def connected():
            with socket.create_server(("127.0.0.1", 0)) as listening:
                client = socket.create_connection(listening.getsockname())
                server, _ = listening.accept()
            client.setblocking(False)
            return client, server

        async def test_on_the_loop(connected, clock):
            client, server = connected
            server.setblocking(False)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(answer(server))
                for _ in range(50):
                    async with asyncio.timeout(0.001):
                        assert await ask(client) == b"headtail"
                client.close()
            assert clock.elapsed == 0

        async def test_from_a_thread(connected, clock):
            client, server = connected
            thread = threading.Thread(target=answer_in_a_thread, args=[server])
            thread.start()
            began = time.perf_counter()
            for _ in range(50):
                async with asyncio.timeout(1):
                    assert await ask(client) == b"headtail"
            client.close()
            await asyncio.to_thread(thread.join)
            assert clock.elapsed < 1
            # Less than 50 times the 40 ms for which acknowledging is put off.
            assert time.perf_counter() - began < 2
        """,
        passed=2,
    )


def test_big_transfers(check_virtual: CheckSilent) -> None:
    """A transfer that fills all buffers within the process is over before any timer."""
    check_virtual(
        test_it="""
        import asyncio
        import socket
        import time

        SIZE = 20_000_000

        async def test_streams(clock):
            async def send(reader, writer):
                for _ in range(20):
                    writer.write(b"x" * (SIZE // 20))
                    await writer.drain()
                writer.close()
                await writer.wait_closed()

            async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                async with asyncio.timeout(0.001):
                    assert len(await reader.read()) == SIZE
                writer.close()
                await writer.wait_closed()
            assert clock.elapsed == 0

        async def test_sockets(clock):
            loop = asyncio.get_running_loop()
            here, there = socket.socketpair()
            here.setblocking(False)
            there.setblocking(False)

            async def send():
                await loop.sock_sendall(here, b"x" * SIZE)
                here.close()

            async with asyncio.timeout(0.001), asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                size = 0
                while data := await loop.sock_recv(there, 100_000):
                    size += len(data)
            assert size == SIZE
            there.close()
            assert clock.elapsed == 0
        """,
        passed=2,
    )


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The file with a certificate for localhost that signs itself, and with its key."""
    path = tmp_path / "certificate.pem"
    try:
        trustme = pytest.importorskip("trustme")
    except pytest.skip.Exception:
        openssl = shutil.which("openssl")
        if openssl is None:
            raise
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
        subprocess.run(
            [openssl, "req", *options, "-keyout", path, "-out", path.with_suffix(".crt")],
            check=True,
            capture_output=True,
        )
        with path.open("ab") as file:
            file.write(path.with_suffix(".crt").read_bytes())
    else:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        authority.cert_pem.write_to_path(path, append=True)
    return path


def test_tls(check_virtual: CheckSilent, certificate: Path) -> None:
    """TLS within the process: handshakes come before timers, and those that a peer leaves out are missed at their time."""
    check_virtual(
        conftest=f"""
        import ssl
        import pytest

        @pytest.fixture
        def server_context():
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain({str(certificate)!r})
            return context

        @pytest.fixture
        def client_context():
            return ssl.create_default_context(cafile={str(certificate)!r})
        """,
        test_it="""
        import asyncio
        import time
        import pytest

        async def answer(reader, writer):
            while question := await reader.readline():
                await asyncio.sleep(float(question))
                writer.write(b"answer\\n")
            writer.close()
            await writer.wait_closed()

        async def keep_silent(reader, writer):
            await reader.read()
            writer.close()
            await writer.wait_closed()

        async def test_answers(server_context, client_context, clock):
            began = time.perf_counter()
            server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context)
            async with server:
                port = server.sockets[0].getsockname()[1]
                async with asyncio.timeout(0.001):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, ssl=client_context, server_hostname="localhost"
                    )
                assert clock.elapsed == 0
                for hours in range(1, 21):
                    writer.write(b"3600\\n")
                    assert await reader.readline() == b"answer\\n"
                    assert clock.elapsed == 3600 * hours
                writer.close()
                await writer.wait_closed()
            assert time.perf_counter() - began < 30

        async def test_no_handshake(client_context, clock):
            began = time.perf_counter()
            async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                with pytest.raises(ConnectionAbortedError, match="60.0 seconds"):
                    await asyncio.open_connection(
                        "127.0.0.1", port, ssl=client_context, server_hostname="localhost"
                    )
            assert clock.elapsed == 60
            assert time.perf_counter() - began < 30
        """,
        passed=2,
    )


def test_a_server_in_a_thread(check_virtual: CheckSilent) -> None:
    """A blocking server in a thread of this process answers before the timers of its client."""
    pytest.importorskip("httpx")
    check_virtual(
        conftest="""
        import http.server
        import threading
        import time
        import pytest

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                time.sleep(float(self.path[1:]))
                self.send_response(200)
                self.send_header("Content-Length", "6")
                self.end_headers()
                self.wfile.write(b"answer")

            def log_message(self, *arguments):
                pass

        @pytest.fixture
        def url():
            with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
                thread = threading.Thread(target=server.serve_forever, args=(0.01,))
                thread.start()
                yield f"http://127.0.0.1:{server.server_address[1]}"
                server.shutdown()
                thread.join()
        """,
        test_it="""
        import asyncio
        import time
        import httpx
        import pytest
        import aldente

        async def test_answers(url, clock):
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                for _ in range(10):
                    assert (await client.get("/0.02")).text == "answer"
            assert clock.elapsed < 5

        async def test_answers_at_once(url, clock):
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                answers = await asyncio.gather(*(client.get("/0.02") for _ in range(5)))
            assert [answer.text for answer in answers] == ["answer"] * 5
            assert clock.elapsed < 5

        @aldente.virtual_time(patience=1)
        async def test_more_patience(url, clock):
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                assert (await client.get("/0.3")).text == "answer"
            assert clock.elapsed < 5

        async def test_sleeps(url, clock):
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                await client.get("/0")
                began = time.perf_counter()
                elapsed = clock.elapsed
                for _ in range(5):
                    await asyncio.sleep(3600)
                # The thread that waits for connections wakes every 10 ms, so each sleep takes the
                # patience.
                assert clock.elapsed == pytest.approx(elapsed + 18_000, abs=5)
                assert time.perf_counter() - began < 30
        """,
        passed=4,
    )


def test_a_loop_in_a_thread(check_virtual: CheckSilent) -> None:
    """A server on an event loop of its own, in another thread and in real time, answers before timers."""
    check_virtual(
        conftest="""
        import asyncio
        import threading
        import pytest

        answering = []

        async def answer(reader, writer):
            answering.append(asyncio.current_task())
            while question := await reader.readline():
                await asyncio.sleep(float(question))
                writer.write(b"answer\\n")
            writer.close()
            await writer.wait_closed()

        @pytest.fixture
        def port():
            started = threading.Event()

            async def main():
                nonlocal loop, end, port
                loop = asyncio.get_running_loop()
                end = asyncio.Event()
                async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
                    port = server.sockets[0].getsockname()[1]
                    started.set()
                    await end.wait()
                # On Python 3.11 a server that is closed does not wait for its connections.
                await asyncio.wait(answering)

            loop = end = port = None
            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            started.wait()
            yield port
            loop.call_soon_threadsafe(end.set)
            thread.join()
        """,
        test_it="""
        import asyncio
        import time
        import pytest

        async def test_it(port, clock):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for seconds in [0, 0.01] * 20:
                async with asyncio.timeout(10):
                    writer.write(b"%f\\n" % seconds)
                    assert await reader.readline() == b"answer\\n"
            assert clock.elapsed < 5
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    writer.write(b"1\\n")
                    await reader.readline()
            assert time.perf_counter() - began < 1
            for _ in range(100):
                await asyncio.sleep(3600)
            writer.close()
            await writer.wait_closed()
        """,
        passed=1,
    )
