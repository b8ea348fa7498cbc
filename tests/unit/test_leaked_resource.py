"""The rule ``leaked-resource`` names what is open when its loop ends, and where it was made."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import anyio
import httpx
import pytest

from aldente._records import Finding, SourcePlace
from aldente._rules import leaked_resource, resource_origins
from aldente._rules.resource_origins import Making, Makings
from aldente._source import source_line

AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]

pytestmark = [
    pytest.mark.skipif("sys.platform == 'win32'"),
    # Most of these tests leak on purpose.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def watching() -> Iterator[None]:
    """The rule is watching; what a test has leaked is collected before the next."""
    # The run of these tests looks at resources too, from the first loop on.
    asyncio.new_event_loop().close()
    with leaked_resource.watch(lambda: "test_app.py::test"):
        yield
    gc.collect()


def leaks_of(*functions: AsyncFunction) -> list[Finding]:
    """Run functions on one loop, cancel what they have started, and find what they leak."""
    loop = asyncio.new_event_loop()
    results = []
    try:
        for function in functions:
            results.append(loop.run_until_complete(function()))
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        return leaked_resource.find(loop)
    finally:
        for result in results:
            close(loop, result)
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()


def close(loop: asyncio.AbstractEventLoop, result: Any) -> None:
    """Close what a function has left open, for real."""
    for leaked in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(leaked, asyncio.subprocess.Process):
            with contextlib.suppress(ProcessLookupError):
                leaked.kill()
            leaked._transport.close()  # type: ignore[attr-defined]
        elif isinstance(leaked, (aiohttp.BaseConnector, aiohttp.ClientSession)):
            loop.run_until_complete(leaked.close())
        elif isinstance(leaked, httpx.AsyncClient):
            loop.run_until_complete(leaked.aclose())
        elif hasattr(leaked, "close"):
            leaked.close()


def seen(finding: Finding) -> tuple[str, str]:
    """What a finding says, without the numbers of this run, and the source line of its place."""
    what = re.sub(r":\d{4,5}\b", ":PORT", re.sub(r"pid \d+", "pid PID", finding.what))
    assert finding.rule == "leaked-resource"
    assert finding.place is not None, finding
    assert finding.place.path == __file__
    assert finding.made_by == "test_app.py::test"
    return what, source_line(finding.place)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """A port of another thread's server, which accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


def test_a_connection_is_found() -> None:
    """An open connection is found with its peer, the line that made it, and the fix."""
    with listening() as port:

        async def main() -> Any:
            return (await asyncio.open_connection("127.0.0.1", port))[1]

        finding = only(leaks_of(main))
    assert seen(finding) == (
        "A connection to 127.0.0.1:PORT was still open when its event loop ended.",
        'return (await asyncio.open_connection("127.0.0.1", port))[1]',
    )
    assert finding.fix == (
        "Close it by writer.close() and 'await writer.wait_closed()', or transport.close(); the session, client "
        "or pool of a library by 'async with' or its own close()."
    )


def test_a_server_is_found() -> None:
    """A listening server is found with its addresses, started or not."""

    async def started() -> Any:
        return await asyncio.start_server(echo, "127.0.0.1", 0)

    async def not_started() -> Any:
        return await asyncio.start_server(echo, "127.0.0.1", 0, start_serving=False)

    finding = only(leaks_of(started))
    assert seen(finding) == (
        "A server on 127.0.0.1:PORT was still open when its event loop ended.",
        'return await asyncio.start_server(echo, "127.0.0.1", 0)',
    )
    assert finding.fix == (
        "Use 'async with server:', or server.close() and 'await server.wait_closed()' in the tear-down."
    )
    assert seen(only(leaks_of(not_started)))[0].startswith("A server on 127.0.0.1:PORT")


def test_a_unix_server_is_found(tmp_path: Path) -> None:
    """A server on a Unix socket, and a connection to one, are found with the path."""
    path = os.path.relpath(tmp_path / "s")

    async def main() -> Any:
        server = await asyncio.start_unix_server(echo, path)
        _, writer = await asyncio.open_unix_connection(path)
        return server, writer

    assert [seen(finding) for finding in leaks_of(main)] == [
        (
            f"A server on {path} was still open when its event loop ended.",
            "server = await asyncio.start_unix_server(echo, path)",
        ),
        (
            f"A connection to {path} was still open when its event loop ended.",
            "_, writer = await asyncio.open_unix_connection(path)",
        ),
    ]


def test_an_accepted_connection_goes_with_its_other_end() -> None:
    """Of a connection within the process only the end that was made is found, not the accepted one."""

    async def main() -> Any:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(0.01)
        server.close()
        return writer

    finding = only(leaks_of(main))
    assert seen(finding)[1].startswith("_, writer = await asyncio.open_connection(")


class Silent(asyncio.Protocol):
    """Never closes its connection."""

    made: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.set()


async def accept_silently() -> tuple[asyncio.Server, socket.socket]:
    Silent.made = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)
    client = socket.create_connection(server.sockets[0].getsockname())
    await Silent.made.wait()
    server.close()
    return server, client


def test_an_accepted_connection_is_found() -> None:
    """A connection that a server has accepted is found at the server's line while its peer is open."""
    finding = only(leaks_of(accept_silently))
    assert seen(finding) == (
        "A connection from 127.0.0.1:PORT, accepted by a server, was still open when its event loop ended.",
        'server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)',
    )
    assert finding.details == ("That is where the server that accepted it was made.",)
    assert finding.fix == (
        "Close it in the server's handler, by writer.close() in a 'finally'; and close the other end."
    )


@pytest.mark.skipif("sys.platform != 'linux'", reason="elsewhere the kernel does not tell")
def test_an_accepted_connection_without_peer_is_ending() -> None:
    """An accepted connection whose peer has closed, unnoticed as yet, is not found."""

    async def main() -> Any:
        server, client = await accept_silently()
        client.close()
        return server

    assert leaks_of(main) == []


def test_a_datagram_socket_is_found() -> None:
    """An open datagram socket is found with its address."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        return transport

    finding = only(leaks_of(main))
    assert seen(finding) == (
        "A datagram socket on 127.0.0.1:PORT was still open when its event loop ended.",
        "transport, _ = await loop.create_datagram_endpoint(",
    )
    assert finding.fix == "Close it by transport.close() in a 'finally' or the tear-down."


def test_pipes_are_found() -> None:
    """Both ends of a pipe are found."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        reader, _ = await loop.connect_read_pipe(asyncio.Protocol, os.fdopen(reading, "rb"))
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writing, "wb"))
        return reader, writer

    findings = leaks_of(main)
    assert [seen(finding)[0] for finding in findings] == [
        "A transport for reading a pipe was still open when its event loop ended.",
        "A transport for writing a pipe was still open when its event loop ended.",
    ]
    assert seen(findings[1])[1].startswith("writer, _ = await loop.connect_write_pipe(")
    assert findings[0].fix == "Close it by transport.close()."


@pytest.mark.parametrize("streams", [{}, {"stdin": -1, "stdout": -1}])
def test_a_subprocess_is_found(streams: dict[str, Any]) -> None:
    """A subprocess that nobody has waited for is found once, with its command but not its pipes."""

    async def main() -> Any:
        return await asyncio.create_subprocess_exec("sleep", "60", **streams)

    finding = only(leaks_of(main))
    assert seen(finding) == (
        "The subprocess 'sleep 60' (pid PID) had not been waited for when its event loop ended.",
        'return await asyncio.create_subprocess_exec("sleep", "60", **streams)',
    )
    assert finding.fix == (
        "'await process.wait()' or 'await process.communicate()', after process.terminate() if it does not end by "
        "itself."
    )


def test_a_session_of_aiohttp_is_found() -> None:
    """A session is found once, with its connection, at the line that made it."""
    with answering() as url:

        async def main() -> Any:
            session = aiohttp.ClientSession()
            async with session.get(url) as response:
                await response.text()
            return session

        finding = only(leaks_of(main))
    assert seen(finding) == (
        "The aiohttp.ClientSession, with a connection to 127.0.0.1:PORT, was still open when its event loop ended.",
        "session = aiohttp.ClientSession()",
    )
    assert finding.fix == (
        "Use 'async with aiohttp.ClientSession() as session:', or 'await session.close()' in the tear-down."
    )


def test_an_unused_session_of_aiohttp_is_found() -> None:
    """A session that has made no connection is found too, as aiohttp complains of it."""

    async def main() -> Any:
        return aiohttp.ClientSession()

    assert seen(only(leaks_of(main))) == (
        "The aiohttp.ClientSession was still open when its event loop ended.",
        "return aiohttp.ClientSession()",
    )


def test_a_connector_of_aiohttp_is_found() -> None:
    """A connector that outlives its sessions is found where it was made."""
    with answering() as url:

        async def main() -> Any:
            connector = aiohttp.TCPConnector()
            session = aiohttp.ClientSession(connector=connector, connector_owner=False)
            async with session, session.get(url) as response:
                await response.text()
            return connector

        finding = only(leaks_of(main))
    assert seen(finding) == (
        "The aiohttp.BaseConnector, with a connection to 127.0.0.1:PORT, was still open when its event loop ended.",
        "connector = aiohttp.TCPConnector()",
    )
    assert finding.fix == "Close the session that uses it, or 'await connector.close()'."


def test_a_client_of_httpx_is_found() -> None:
    """A client is found at its line, though its connection was made in a task of a library."""
    with answering() as url:

        async def main() -> Any:
            client = httpx.AsyncClient(trust_env=False)
            assert (await client.get(url)).text == "hello"
            return client

        finding = only(leaks_of(main))
    assert seen(finding) == (
        "The httpx.AsyncClient, with a connection to 127.0.0.1:PORT, was still open when its event loop ended.",
        "client = httpx.AsyncClient(trust_env=False)",
    )
    assert finding.fix == (
        "Use 'async with httpx.AsyncClient() as client:', or 'await client.aclose()' in the tear-down."
    )


def test_a_client_of_httpx_without_connections_is_not_found() -> None:
    """A client that has no connection keeps nothing."""

    async def main() -> Any:
        client = httpx.AsyncClient(
            transport=httpx.MockTransport(lambda request: httpx.Response(204))
        )
        assert (await client.get("http://example.org")).status_code == 204
        return client

    assert leaks_of(main) == []


def test_a_session_that_is_told_is_not_told_again() -> None:
    """What aiohttp says of a session when it is freed is no second finding."""
    found: list[Finding | None] = []
    kept: list[aiohttp.ClientSession] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: found.append(leaked_resource.from_context(context))
        )
        session = aiohttp.ClientSession()
        kept.append(session)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    assert seen(only(leaked_resource.find(loop)))[1] == "session = aiohttp.ClientSession()"
    kept.clear()
    gc.collect()
    loop.close()
    assert found == [None]


def test_a_session_in_a_cycle_has_its_line() -> None:
    """A session that the collector frees, after its weak references have died, has its line and its test."""
    found: list[Finding | None] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: found.append(leaked_resource.from_context(context))
        )
        session = aiohttp.ClientSession()
        vars(session)["itself"] = session
        del session
        gc.collect()

    asyncio.run(main())
    assert found[0] is not None
    assert seen(found[0]) == (
        "Unclosed client session (aiohttp).",
        "session = aiohttp.ClientSession()",
    )


def test_dropped_streams_are_found() -> None:
    """Streams that nobody refers to any more are found, although asyncio closes them then."""
    found: list[Finding] = []

    async def main() -> None:
        await asyncio.open_connection("127.0.0.1", port)

    with listening() as port, leaked_resource.watch(lambda: "test_app.py::test", found.append):
        asyncio.run(main())
    finding = only(found)
    assert seen(finding) == (
        "A connection to 127.0.0.1:PORT was dropped without a close(): nothing refers to it any more.",
        'await asyncio.open_connection("127.0.0.1", port)',
    )
    assert finding.fix.startswith("Close it by writer.close() and 'await writer.wait_closed()'")


def test_streams_that_are_closed_may_be_dropped() -> None:
    """Streams that are closed, those of a subprocess and those of a server's handler are not found."""
    found: list[Finding] = []

    async def main() -> None:
        await use_streams()
        await begin_to_close()
        await use_subprocesses()
        process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
        await process.communicate(b"")

    with leaked_resource.watch(lambda: "test_app.py::test", found.append):
        asyncio.run(main())
        gc.collect()
    assert found == []


def leaks_beside_tasks(function: AsyncFunction) -> list[Finding]:
    """As `leaks_of`, with a look at what is open before tasks are cancelled."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        kept = runner.run(function())
        unended = leaked_resource.Unended(loop)
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        runner.run(asyncio.sleep(0.05))
        found = leaked_resource.find(loop, unended)
        close(loop, kept)
        runner.run(asyncio.sleep(0.01))
    return found


async def connect_to_handler() -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.set()
        await reader.read()
        writer.close()

    served = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    client, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address)
    await served.wait()
    server.close()
    return client


def test_a_client_is_found_though_its_server_ends_it() -> None:
    """A connection that ends because the server's handler is cancelled is found: nobody has closed it."""
    assert seen(only(leaks_beside_tasks(connect_to_handler))) == (
        "A connection to 127.0.0.1:PORT was still open when its event loop ended.",
        "client, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address)",
    )


def test_a_client_that_its_task_closes_is_not_found() -> None:
    """A connection that a task closes when it is cancelled is no leak."""
    assert leaks_beside_tasks(leave_task_that_closes) == []


def test_the_handler_of_an_open_client_is_named() -> None:
    """The task of a server's handler whose client is open is told from other tasks."""

    async def main() -> tuple[Any, set[object], set[object]]:
        client = await connect_to_handler()
        loop = asyncio.get_running_loop()
        before = leaked_resource.handlers_of_clients(loop)
        client.close()
        after = leaked_resource.handlers_of_clients(loop)
        await asyncio.sleep(0.01)
        return client, before, after

    _, before, after = asyncio.run(main())
    assert [type(task) for task in before] == [asyncio.Task]
    assert after == set()


class Minding(asyncio.Protocol):
    """Does something about the end of its connection."""

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing, in this test."""


@pytest.mark.skipif("sys.version_info < (3, 13)", reason="close_clients is new in 3.13")
@pytest.mark.parametrize(("protocol", "count"), [(asyncio.Protocol, 1), (Minding, 0)])
def test_a_client_that_its_server_has_to_close(
    protocol: type[asyncio.Protocol], count: int
) -> None:
    """A client that ends only because of close_clients() is found, unless it minds its end."""

    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            await asyncio.get_running_loop().create_connection(protocol, *address)
            await asyncio.sleep(0.01)
            server.close()
            server.close_clients()  # type: ignore[attr-defined,unused-ignore]

    findings = leaks_beside_tasks(main)
    assert len(findings) == count
    for finding in findings:
        assert seen(finding)[1].endswith(".create_connection(protocol, *address)")


@contextlib.contextmanager
def answering() -> Iterator[str]:
    """The address of another thread's web server, which answers once and keeps the connection."""
    done = threading.Event()

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            done.wait()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=[server], daemon=True)
        thread.start()
        yield "http://{}:{}/".format(*server.getsockname())
        done.set()
        thread.join(60)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """The address of a web server of aiohttp."""

    async def handle(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="hello")

    application = aiohttp.web.Application()
    application.router.add_get("/", handle)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}/".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def use_streams() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        assert await reader.read(5) == b"hello"
        writer.close()
        await writer.wait_closed()


async def begin_to_close() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.close()
    server.close()


async def leave_task_that_closes() -> list[Any]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)

    async def connect() -> None:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        server.close()
        with contextlib.closing(writer):
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(connect())
    await started.wait()
    return [task]


async def use_subprocesses() -> None:
    no_errors: Any = None
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0
    process = await asyncio.create_subprocess_shell("echo hello", stdout=asyncio.subprocess.PIPE)
    assert await process.communicate() == (b"hello\n", no_errors)
    process = await asyncio.create_subprocess_exec("echo", stdout=asyncio.subprocess.PIPE)
    assert await process.wait() == 0
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("no-such-program")


async def use_clients() -> None:
    async with serving() as url:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert await response.text() == "hello"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).text == "hello"


async def use_anyio() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"hello")
    async with await anyio.open_process(["true"]) as process:
        await process.wait()


async def use_the_loop_itself() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(10, print)
    await asyncio.to_thread(loop.call_soon_threadsafe, print)
    loop.remove_signal_handler(10)


async def fail_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    file = await asyncio.to_thread(open, __file__, "rb")
    with file, pytest.raises(ValueError, match="Pipe transport is"):
        await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, file)


@pytest.mark.parametrize(
    "function",
    [
        use_streams,
        begin_to_close,
        leave_task_that_closes,
        use_subprocesses,
        use_clients,
        use_anyio,
        use_the_loop_itself,
        fail_to_connect,
    ],
)
def test_what_is_closed_is_not_found(function: AsyncFunction) -> None:
    """What has been closed, begins to close or closes with its task is no leak, nor is the loop itself."""
    assert leaks_of(function) == []


def test_a_loop_is_not_charged_with_those_of_others() -> None:
    """Each loop has its own resources, also one in another thread."""
    ready, done = threading.Event(), threading.Event()
    found = []

    async def serve() -> Any:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        ready.set()
        await asyncio.to_thread(done.wait)
        return server

    thread = threading.Thread(target=lambda: found.extend(leaks_of(serve)))
    thread.start()
    try:
        assert ready.wait(60)
        assert leaks_of(use_streams) == []
    finally:
        done.set()
        thread.join()
    assert seen(only(found))[0].startswith("A server on")


def test_what_is_older_than_the_watch_is_found() -> None:
    """What was made while nobody was watching is found too, without its place."""
    loop = asyncio.new_event_loop()
    with listening() as port:
        with leaked_resource.watch():
            pass
        made = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resource_origins, "makings", Makings())
            server = loop.run_until_complete(asyncio.start_server(echo, "127.0.0.1", 0))
            made = [
                server,
                loop.run_until_complete(asyncio.open_connection("127.0.0.1", port))[1],
            ]
        findings = leaked_resource.find(loop)
    close(loop, made)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert [finding.place for finding in findings] == [None, None]
    assert [finding.what.split(" on ")[0].split(" to ")[0] for finding in findings] == [
        "A server",
        "A connection",
    ]


def test_a_closed_loop_and_one_of_uvloop_give_nothing() -> None:
    """Loops that can't or don't show what is open on them are taken to have nothing."""
    loop = asyncio.new_event_loop()
    loop.close()
    assert leaked_resource.find(loop) == []
    uvloop = pytest.importorskip("uvloop")
    with contextlib.closing(uvloop.new_event_loop()) as other:
        server = other.run_until_complete(asyncio.start_server(echo, "127.0.0.1", 0))
        assert leaked_resource.find(other) == []
        server.close()
        other.run_until_complete(server.wait_closed())


def test_places_are_remembered_weakly() -> None:
    """Watching keeps nothing alive."""
    gc.collect()
    # Other tests may have left something.
    before = len(resource_origins.makings)
    assert leaks_of(use_streams, use_subprocesses) == []
    gc.collect()
    assert len(resource_origins.makings) == before


class Made:
    """Something that is made."""


def test_a_collection_while_makings_are_looked_at() -> None:
    """What was dropped before may be forgotten in the middle, on the same thread."""
    makings = Makings()
    made = [Made() for _ in range(4)]
    for each in made:
        makings.note(each, Making(each, None, None, None))
    makings.on_collection("start", {})
    del each, made[1]
    first = makings.all()[0]
    reference = first.made

    def is_asked() -> Any:
        makings.on_collection("stop", {})
        return reference()

    first.made = is_asked  # type: ignore[assignment]
    assert [each for each, _ in makings.alive()] == made
    assert len(makings) == 3


def test_patches_are_undone() -> None:
    """Watching leaves the classes of asyncio as they were."""
    classes: list[Any] = [asyncio.BaseTransport, asyncio.Server]
    during = [owner.__init__ for owner in classes]
    with leaked_resource.watch():
        assert [owner.__init__ for owner in classes] != during
    assert [owner.__init__ for owner in classes] == during
    assert [dict(vars(owner))["__init__"] for owner in classes] == during


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        (
            "Unclosed client session",
            "Use 'async with aiohttp.ClientSession() as session:', or 'await session.close()' in the tear-down.",
        ),
        (
            "Unclosed connector",
            "Close the session that uses it, or 'await connector.close()'.",
        ),
        (
            "Unclosed connection",
            "Use 'async with session.get(...) as response:', which gives the connection back, or "
            "'response.release()'.",
        ),
        (
            "Unclosed pool",
            "Close it where it was made, best by 'async with'; in a fixture after the 'yield'.",
        ),
    ],
)
def test_what_a_library_says_is_a_finding(message: str, fix: str) -> None:
    """A library's word that something is unclosed becomes a finding with a fix for it."""
    assert leaked_resource.from_context({"message": message, "object": "pool"}) == Finding(
        "leaked-resource", f"{message}.", fix
    )


def test_a_session_of_aiohttp_says_so_itself() -> None:
    """What aiohttp says of a forgotten session is a finding, in debug mode with its place."""
    contexts: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: contexts.append(context))
        aiohttp.ClientSession()
        gc.collect()

    with asyncio.Runner(debug=True) as runner:
        runner.run(main())
    finding = leaked_resource.from_context(contexts[0])
    assert finding is not None
    assert finding.what == "Unclosed client session (aiohttp)."
    assert finding.place is not None
    assert source_line(SourcePlace(finding.place.path, finding.place.line)) == (
        "aiohttp.ClientSession()"
    )


@pytest.mark.parametrize(
    "context",
    [
        {"message": "Task was destroyed but it is pending!"},
        {"message": "Unclosed session", "exception": ValueError()},
        {"message": None},
        {},
    ],
)
def test_other_words_are_no_finding(context: dict[str, Any]) -> None:
    """Only what libraries say of unclosed resources is a finding of this rule."""
    assert leaked_resource.from_context(context) is None
