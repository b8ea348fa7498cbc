"""Blocking calls on the thread of a running event loop are reported at the user's line."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import contextlib
import gc
import http.server
import importlib
import inspect
import io
import linecache
import logging
import os
import pdb
import queue
import select
import selectors
import socket
import sqlite3
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
import types
import urllib.request
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from time import sleep as sleep_by_name
from typing import Any, cast

import pytest

from aldente._records import Finding
from aldente._rules import blocking_call
from aldente._rules.blocking_call.detect import _on_event
from aldente.errors import InvalidSetting

fcntl = pytest.importorskip("fcntl")


@pytest.fixture(autouse=True)
def _measured_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let coverage see what the audit hook does; Python hides hooks from tracing otherwise."""
    monkeypatch.setattr(_on_event, "__cantrace__", True, raising=False)


def findings_of(
    function: Callable[[], object],
    *,
    groups: Sequence[str] = (),
    functions: Sequence[str] = (),
) -> list[Finding]:
    """What is found when a function is called, and awaited if need be, on a running event loop."""

    async def main() -> None:
        result = function()
        if inspect.isawaitable(result):
            await result

    found: list[Finding] = []
    with blocking_call.watch(found.append, groups=groups, functions=functions):
        asyncio.run(main())
    return found


@pytest.fixture(scope="module", autouse=True)
def _after_the_first_loop() -> None:
    """The rules of the run of these tests start with its first loop, and get no report of theirs."""
    asyncio.run(asyncio.sleep(0))


def marked_line(function: Callable[..., object]) -> int:
    """The line of a function that ends in the comment HERE."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if "# HERE" in line)


# What is found. Each makes one call, in the line marked HERE.


def sleep() -> None:
    time.sleep(0.001)  # HERE


def sleep_imported_by_name() -> None:
    sleep_by_name(0.001)  # HERE


def connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        address = server.getsockname()
        client.connect(address)  # HERE


def accept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        server.accept()[0].close()  # HERE


@contextlib.contextmanager
def pair(sent: bytes = b"") -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected blocking sockets; the first can receive what was sent."""
    one, other = socket.socketpair()
    with one, other:
        other.setblocking(False)
        other.send(sent)
        other.setblocking(True)
        yield one, other


def receive() -> None:
    with pair(b"sent") as (one, _):
        assert one.recv(4) == b"sent"  # HERE


def receive_with_timeout() -> None:
    with pair() as (one, _):
        one.settimeout(0.001)
        with contextlib.suppress(TimeoutError):
            one.recv(4)  # HERE


def receive_into() -> None:
    with pair(b"sent") as (one, _):
        assert one.recv_into(bytearray(8), nbytes=2) == 2  # HERE


def receive_from() -> None:
    with pair(b"sent") as (one, _):
        assert one.recvfrom(4)[0] == b"sent"  # HERE


def send() -> None:
    with pair() as (one, _):
        one.send(b"sent")  # HERE


def send_all() -> None:
    with pair() as (one, _):
        one.sendall(b"sent")  # HERE


def send_message() -> None:
    with pair() as (one, _):
        one.sendmsg([b"sent"])  # HERE


def read_file_of_socket() -> None:
    with pair(b"line\n") as (one, _), one.makefile("rb") as file:
        assert file.readline() == b"line\n"  # HERE


def look_up() -> None:
    socket.getaddrinfo("localhost", 80)  # HERE


def look_up_by_name() -> None:
    socket.gethostbyname("localhost")  # HERE


def look_up_address() -> None:
    socket.getnameinfo(("127.0.0.1", 80), 0)  # HERE


def run_process() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)  # HERE


def run_process_and_read() -> None:
    subprocess.check_output([sys.executable, "-c", ""], timeout=60)  # HERE


def wait_for_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.stdin.close()  # type: ignore[union-attr]
    process.wait()  # HERE


def communicate_with_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.communicate(b"\n")  # HERE


def system() -> None:
    os.system("exit")  # HERE


def wait_for_pid() -> None:
    if hasattr(os, "posix_spawn"):
        # Nothing is forked, of which Python would warn beside other threads.
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    else:
        pid = os.spawnl(os.P_NOWAIT, sys.executable, sys.executable, "-c", "")
    os.waitpid(pid, 0)  # HERE


def ask() -> None:
    keyboard, sys.stdin = sys.stdin, io.StringIO("answer\n")
    try:
        assert input() == "answer"  # HERE
    finally:
        sys.stdin = keyboard


def connect_database() -> None:
    sqlite3.connect(":memory:").close()  # HERE


def lock_file() -> None:
    with tempfile.TemporaryFile() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # HERE


def lock_part_of_file() -> None:
    with tempfile.TemporaryFile() as file:
        fcntl.lockf(file, fcntl.LOCK_EX)  # HERE


def wait_for_condition() -> None:
    with (condition := threading.Condition()):
        condition.wait(0.001)  # HERE


def wait_for_event() -> None:
    threading.Event().wait(timeout=0.001)  # HERE


def acquire_semaphore() -> None:
    threading.Semaphore(0).acquire(timeout=0.001)  # HERE


def get_from_queue() -> None:
    with contextlib.suppress(queue.Empty):
        queue.Queue[int]().get(timeout=0.001)  # HERE


def ask_for_result() -> None:
    with contextlib.suppress(TimeoutError):
        concurrent.futures.Future[int]().result(0.001)  # HERE


def wait_for_futures() -> None:
    concurrent.futures.wait([concurrent.futures.Future[int]()], timeout=0.001)  # HERE


def join() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    thread.join(0.001)  # HERE
    ended.set()


def select_with_timeout() -> None:
    select.select([], [], [], 0.001)  # HERE


def poll_with_timeout() -> None:
    select.poll().poll(1)  # HERE


def wait_on_selector() -> None:
    with selectors.PollSelector() as selector:
        selector.select(0.001)  # HERE


TRIGGERS: dict[Callable[[], object], tuple[str, str]] = {
    sleep: ("time.sleep(0.001)", "Await asyncio's: 'await asyncio.sleep(0.001)'."),
    sleep_imported_by_name: (
        "time.sleep(0.001)",
        "Await asyncio's: 'await asyncio.sleep(0.001)'.",
    ),
    connect: (
        "socket.connect(('127.0.0.1', PORT))",
        "NETWORK'await asyncio.to_thread(sock.connect, ...)'.",
    ),
    accept: ("socket.accept()", "NETWORK'await asyncio.to_thread(sock.accept, ...)'."),
    receive: ("socket.recv(4)", "NETWORK'await asyncio.to_thread(sock.recv, ...)'."),
    receive_with_timeout: ("socket.recv(4)", "NETWORK'await asyncio.to_thread(sock.recv, ...)'."),
    receive_into: ("socket.recv_into()", "NETWORK'await asyncio.to_thread(sock.recv_into, ...)'."),
    receive_from: ("socket.recvfrom(4)", "NETWORK'await asyncio.to_thread(sock.recvfrom, ...)'."),
    send: ("socket.send()", "NETWORK'await asyncio.to_thread(sock.send, ...)'."),
    send_all: ("socket.sendall()", "NETWORK'await asyncio.to_thread(sock.sendall, ...)'."),
    send_message: ("socket.sendmsg()", "NETWORK'await asyncio.to_thread(sock.sendmsg, ...)'."),
    read_file_of_socket: (
        "socket.SocketIO.readinto()",
        "NETWORK'await asyncio.to_thread(socketio.readinto, ...)'.",
    ),
    look_up: (
        "socket.getaddrinfo('localhost')",
        "NAMES'await asyncio.to_thread(socket.getaddrinfo, ...)'.",
    ),
    look_up_by_name: (
        "socket.gethostbyname('localhost')",
        "NAMES'await asyncio.to_thread(socket.gethostbyname, ...)'.",
    ),
    look_up_address: (
        "socket.getnameinfo(('127.0.0.1', 80))",
        "NAMES'await asyncio.to_thread(socket.getnameinfo, ...)'.",
    ),
    run_process: ("subprocess.run()", "PROCESS'await asyncio.to_thread(subprocess.run, ...)'."),
    run_process_and_read: (
        "subprocess.check_output()",
        "PROCESS'await asyncio.to_thread(subprocess.check_output, ...)'.",
    ),
    wait_for_process: (
        "subprocess.Popen.wait()",
        "PROCESS'await asyncio.to_thread(popen.wait, ...)'.",
    ),
    communicate_with_process: (
        "subprocess.Popen.communicate()",
        "PROCESS'await asyncio.to_thread(popen.communicate, ...)'.",
    ),
    system: ("os.system('exit')", "PROCESS'await asyncio.to_thread(os.system, ...)'."),
    wait_for_pid: ("os.waitpid()", "PROCESS'await asyncio.to_thread(os.waitpid, ...)'."),
    ask: ("input()", "Run it in a thread: 'await asyncio.to_thread(input, ...)'."),
    connect_database: (
        "sqlite3.connect(':memory:')",
        "Use an async driver such as aiosqlite; or run the connection in a thread: 'await asyncio.to_thread(sqlite3.connect, ...)'.",
    ),
    lock_file: (
        "fcntl.flock()",
        "Run it in a thread: 'await asyncio.to_thread(fcntl.flock, ...)'.",
    ),
    lock_part_of_file: (
        "fcntl.lockf()",
        "Run it in a thread: 'await asyncio.to_thread(fcntl.lockf, ...)'.",
    ),
    wait_for_condition: (
        "threading.Condition.wait()",
        "Use an asyncio.Condition, THREADS'await asyncio.to_thread(condition.wait, ...)'.",
    ),
    wait_for_event: (
        "threading.Event.wait()",
        "Use an asyncio.Event, THREADS'await asyncio.to_thread(event.wait, ...)'.",
    ),
    acquire_semaphore: (
        "threading.Semaphore.acquire()",
        "Use an asyncio.Semaphore, THREADS'await asyncio.to_thread(semaphore.acquire, ...)'.",
    ),
    get_from_queue: (
        "queue.Queue.get()",
        "Use an asyncio.Queue, THREADS'await asyncio.to_thread(queue.get, ...)'.",
    ),
    ask_for_result: (
        "concurrent.futures.Future.result()",
        "Await it: 'await asyncio.wrap_future(future)'.",
    ),
    wait_for_futures: (
        "concurrent.futures.wait()",
        "Use 'await loop.run_in_executor(executor, function)' and asyncio.gather() or asyncio.wait(); or wait in a thread: 'await asyncio.to_thread(concurrent.futures.wait, ...)'.",
    ),
    join: (
        "threading.Thread.join()",
        "Wait for it in another thread: 'await asyncio.to_thread(thread.join)'.",
    ),
    select_with_timeout: (
        "select.select()",
        "WATCH'await asyncio.to_thread(select.select, ...)'.",
    ),
    poll_with_timeout: ("select.poll()", "WATCH'await asyncio.to_thread(select.poll, ...)'."),
    wait_on_selector: (
        "selectors.PollSelector.select()",
        "WATCH'await asyncio.to_thread(pollselector.select, ...)'.",
    ),
}
# Sentences that many have in common.
COMMON = {
    "NETWORK": "Use asyncio's streams (asyncio.open_connection) or an async client such as httpx.AsyncClient; or run it in a thread: ",
    "NAMES": "Await the loop's look-up: 'await asyncio.get_running_loop().getaddrinfo(...)'; or run it in a thread: ",
    "PROCESS": "Start the process with 'await asyncio.create_subprocess_exec(...)' and await its wait() or communicate(); or run it in a thread: ",
    "THREADS": "which other threads reach through loop.call_soon_threadsafe(); or wait in a thread: ",
    "WATCH": "Let the event loop watch the descriptor: loop.add_reader(), or asyncio's streams; or run it in a thread: ",
}


@pytest.mark.parametrize("function", TRIGGERS, ids=lambda function: function.__name__)
def test_a_blocking_call_is_found(function: Callable[[], object]) -> None:
    """One finding names the function, the line that called it, and the async way."""
    call, fix = TRIGGERS[function]
    for key, sentence in COMMON.items():
        fix = fix.replace(key, sentence)
    [finding] = findings_of(function)
    what, blocks, rest = finding.what.partition(" blocks")
    if "PORT" in call:
        what = f"{what.partition(', ')[0]}, PORT))"
    assert what == call
    assert (
        blocks + rest == " blocks the event loop: nothing else on it runs until the call returns."
    )
    assert finding.fix == fix
    assert str(finding.place) == f"{__file__}:{marked_line(function)}"
    assert finding.rule == "blocking-call"


def test_one_line_needs_no_stack() -> None:
    """The stack is left out when the place says it all."""

    async def main() -> None:
        time.sleep(0.001)  # noqa: ASYNC251

    found: list[Finding] = []
    with blocking_call.watch(found.append):
        asyncio.run(main())
    assert [finding.details for finding in found] == [()]


def test_the_users_stack_is_told() -> None:
    """Of a call from within the user's functions the finding says how it came to it."""

    async def main() -> None:
        sleep()  # HERE

    found: list[Finding] = []
    with blocking_call.watch(found.append):
        asyncio.run(main())
    assert found[0].details == (
        "Called by, innermost last:",
        f"  {__file__}:{marked_line(main)} in main",
        "    sleep()  # HERE",
        f"  {__file__}:{marked_line(sleep)} in sleep",
        "    time.sleep(0.001)  # HERE",
    )


@contextlib.contextmanager
def package(name: str, source: str) -> Iterator[Any]:
    """A module of an installed package, of that name and source; nothing is written to disk."""
    path = os.path.join(sysconfig.get_path("purelib"), *name.split(".")) + ".py"
    module = types.ModuleType(name)
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    exec(compile(source, path, "exec"), vars(module))
    sys.modules[name] = module
    try:
        yield module
    finally:
        del sys.modules[name], linecache.cache[path]


CLIENT = """\
import asyncio, time

def fetch():
    return _fetch()

def _fetch():
    time.sleep(0.001)

async def serve():
    time.sleep(0.001)  # noqa: ASYNC251

def decorate(function):
    def wrapper():
        return function()
    return wrapper
"""


def test_a_call_through_an_installed_package_is_found_at_the_users_line() -> None:
    """What the user has called is named, and where the package blocks is told."""
    with package("blocking_client.api", CLIENT) as api:
        sys.modules["blocking_client"] = package_itself = types.ModuleType("blocking_client")
        package_itself.fetch = api.fetch  # type: ignore[attr-defined]

        async def main() -> None:
            api.fetch()  # HERE

        found: list[Finding] = []
        with blocking_call.watch(found.append):
            asyncio.run(main())
        del sys.modules["blocking_client"]
    [finding] = found
    assert finding.what == (
        "blocking_client.fetch() blocks the event loop: nothing else on it runs until the call returns."
    )
    assert finding.fix == (
        "Use the async interface of blocking_client if it has one; or run it in a thread: 'await asyncio.to_thread(blocking_client.fetch, ...)'."
    )
    assert str(finding.place) == f"{__file__}:{marked_line(main)}"
    assert finding.details == (
        "Called by, innermost last:",
        f"  {__file__}:{marked_line(main)} in main",
        "    api.fetch()  # HERE",
        f"  {api.fetch.__code__.co_filename}:7 in _fetch",
        "    time.sleep(0.001)",
    )


SDK = """\
import contextlib, functools, time

def _init(*args):
    time.sleep(0.001)

init = _init

def retry(function):
    def wrapper(*args):
        return function(*args)
    return wrapper

@retry
def query(*args):
    time.sleep(0.001)

class Session:
    def __enter__(self):
        time.sleep(0.001)
        return self

    def __exit__(self, *error):
        time.sleep(0.001)

    @retry
    def get(self):
        time.sleep(0.001)

    def __call__(self):
        time.sleep(0.001)

async def fetch():
    time.sleep(0.001)

async def generate():
    time.sleep(0.001)
    yield 1
"""


def findings_in(package_name: str, *lines: str) -> list[Finding]:
    """What is found in a module of the user's with such lines in a coroutine function."""
    body = "".join(f"    {line}\n" for line in lines)
    source = (
        f"import {package_name} as sdk\nfrom {package_name} import *\n\nasync def main():\n{body}"
    )
    path = os.path.join(os.path.dirname(__file__), "written_by_user.py")
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    namespace: dict[str, Any] = {"__name__": "written_by_user"}
    exec(compile(source, path, "exec"), namespace)
    try:
        return findings_of(namespace["main"])
    finally:
        del linecache.cache[path]


@pytest.mark.parametrize(
    ("line", "shown", "handed_on"),
    [
        ("sdk.init('dsn')", "the_sdk.init()", "the_sdk.init, ..."),
        ("init('dsn')", "the_sdk.init()", "the_sdk.init, ..."),
        ("sdk.query(1)", "the_sdk.query()", "the_sdk.query, ..."),
        ("print(sdk.query(\n        1,\n    ), 'é')", "the_sdk.query()", "the_sdk.query, ..."),
        ("session = Session(); session.get()", "session.get()", "session.get, ..."),
        ("session = Session(); session()", "session()", "session, ..."),
        ("[Session()][0].get()", "the_sdk.retry()", "the_sdk.retry, ..."),
    ],
)
def test_the_call_that_the_user_has_written(line: str, shown: str, handed_on: str) -> None:
    """Not a private function is named, nor a decorator, but what stands in the user's code."""
    with package("the_sdk", SDK):
        [finding] = findings_in("the_sdk", line)
    assert finding.what.startswith(f"{shown} blocks the event loop")
    assert finding.fix == (
        "Use the async interface of the_sdk if it has one; or run it in a thread: 'await "
        f"asyncio.to_thread({handed_on})'."
    )


def test_a_block_that_blocks() -> None:
    """A 'with' that blocks at its beginning or end is named as it stands there."""
    with package("the_sdk", SDK):
        findings = findings_in(
            "the_sdk", "with sdk.Session() as session: pass", "with session: pass"
        )
    assert [finding.what.partition(" blocks")[0] for finding in findings] == [
        "'with sdk.Session()'",
        "'with sdk.Session()'",
        "'with session'",
        "'with session'",
    ]
    assert {finding.fix for finding in findings} == {
        "Use the async interface of the_sdk if it has one ('async with'); or move the block, and "
        "the code that it needs, into a function that runs in a thread: 'await "
        "asyncio.to_thread(function)'."
    }


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("await sdk.fetch()", "the_sdk.fetch"),
        ("async for _ in generate(): pass", "the_sdk.generate"),
    ],
)
def test_a_coroutine_function_that_blocks(line: str, name: str) -> None:
    """Neither a thread nor an async interface is advised for what is awaited already."""
    with package("the_sdk", SDK):
        [finding] = findings_in("the_sdk", line)
    assert finding.what.startswith(f"{name}() blocks the event loop")
    assert finding.fix == (
        f"{name}() is a coroutine function and blocks all the same, in time.sleep(): look for a "
        "setting of the_sdk that avoids it, make the blocking call before the loop runs, or report "
        "it to the_sdk."
    )


TEST_CLIENT = """\
import time

class TestClient:
    __test__ = False

    def __init__(self, app):
        self.app = app

    def __enter__(self):
        time.sleep(0.001)
        return self

    def __exit__(self, *error):
        pass

    def get(self, path):
        time.sleep(0.001)
"""


def test_the_test_client_of_starlette(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the client of sync tests that one is advised which calls the app on the running loop."""
    monkeypatch.delitem(sys.modules, "starlette.testclient", raising=False)
    with package("starlette.testclient", TEST_CLIENT):
        findings = findings_in(
            "starlette.testclient", "with TestClient('app') as client:", "    client.get('/')"
        )
    assert [finding.what.partition(" blocks")[0] for finding in findings] == [
        "'with TestClient('app')'",
        "starlette.testclient.TestClient.get()",
    ]
    assert {finding.fix for finding in findings} == {
        "Call the app on the loop that runs: 'async with httpx.AsyncClient(transport="
        'httpx.ASGITransport(app), base_url="http://test") as client:\'; or make the test sync.'
    }


def test_a_source_that_is_not_there() -> None:
    """Without the source the function is named."""
    with package("the_sdk", SDK):
        code = compile("async def main():\n    sdk.init()\n", "/no/such/file.py", "exec")
        namespace: dict[str, Any] = {"sdk": sys.modules["the_sdk"], "__name__": "nowhere"}
        exec(code, namespace)
        [finding] = findings_of(namespace["main"])
    assert finding.what.startswith("the_sdk._init() blocks the event loop")


def test_a_function_that_a_package_decorates_is_the_users() -> None:
    """The place is the innermost line of the user's, however the package comes in between."""
    with package("blocking_client", CLIENT) as client:
        [finding] = findings_of(client.decorate(sleep))
    assert finding.what.startswith("time.sleep(0.001) blocks")
    assert str(finding.place) == f"{__file__}:{marked_line(sleep)}"


def test_a_packages_own_task_is_found_at_its_line() -> None:
    """Where the user's code has no part in a step, the place is the package's."""

    async def main() -> None:
        await asyncio.create_task(client.serve())

    found: list[Finding] = []
    with package("blocking_client", CLIENT) as client, blocking_call.watch(found.append):
        asyncio.run(main())
    [finding] = found
    assert finding.what.startswith("time.sleep(0.001) blocks")
    assert str(finding.place) == f"{client.fetch.__code__.co_filename}:10"


def test_a_blocking_callback_has_no_place() -> None:
    """A built-in function that the loop calls back is found, though no frame says where."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(os.system, "exit")
        await asyncio.sleep(0)

    [finding] = findings_of(main)
    assert finding.what.startswith("os.system('exit') blocks")
    assert finding.place is None


def test_what_generated_code_calls_is_found_at_the_users_line() -> None:
    """Code without a file is nobody's, so its caller answers for it."""

    def run_generated() -> None:
        exec("import time; time.sleep(0.001)")  # HERE

    [finding] = findings_of(run_generated)
    assert finding.what.startswith("time.sleep(0.001) blocks")
    assert str(finding.place) == f"{__file__}:{marked_line(run_generated)}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every request."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answer")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def test_urllib_is_found_through_its_sockets() -> None:
    """A client that blocks is named, once for every blocking call it makes, always the same."""

    def fetch() -> None:
        with urllib.request.urlopen(url) as response:  # HERE
            del response

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found = findings_of(fetch)
        server.shutdown()
        thread.join()
    assert len(set(found)) == 1
    assert found[0].what.startswith("urllib.request.urlopen() blocks the event loop")
    assert "httpx.AsyncClient" in found[0].fix
    assert found[0].place is not None
    assert found[0].place.line == marked_line(fetch)


def test_a_step_of_eager_and_nested_coroutines_is_the_innermosts() -> None:
    """The place is that of the coroutine that blocks, not of those that await it."""

    async def inner() -> None:
        time.sleep(0.001)  # HERE  # noqa: ASYNC251

    async def main() -> None:
        async with asyncio.timeout(60):
            await asyncio.wait_for(inner(), 60)

    [finding] = findings_of(main)
    assert finding.place is not None
    assert finding.place.line == marked_line(inner)


def test_errors_of_a_watched_call_are_its_own() -> None:
    """The call goes on as it would without the rule, its exceptions included."""

    def fail() -> None:
        with pytest.raises(TimeoutError):
            concurrent.futures.Future[int]().result(0.001)
        with pytest.raises(RuntimeError, match="cannot join thread before it is started"):
            threading.Thread().join()
        with pytest.raises(TypeError):
            subprocess.Popen.wait()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            os.waitpid()  # type: ignore[call-arg]

    assert [finding.what.partition("(")[0] for finding in findings_of(fail)] == [
        "concurrent.futures.Future.result"
    ]


# What is not found.


def do_not_wait() -> None:
    time.sleep(0)
    with pair(b"sent") as (one, other):
        assert one.recv(4, socket.MSG_DONTWAIT) == b"sent"
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(4)
        one.send(b"sent")
        other.setblocking(False)
        assert other.recv_into(bytearray(4)) == 4
    assert threading.Event().wait(0) is False
    assert threading.Semaphore(0).acquire(timeout=0) is False
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get_nowait()
    select.select([], [], [], 0)
    select.poll().poll(0)
    socket.getaddrinfo("127.0.0.1", 80)
    socket.getaddrinfo("::1", 80)
    socket.getaddrinfo(None, 80)
    with tempfile.TemporaryFile() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)


def wait_for_nothing() -> None:
    event = threading.Event()
    event.set()
    event.wait()
    numbers: queue.Queue[int] = queue.Queue()
    numbers.put(1)
    assert numbers.get() == 1
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    future.set_result(1)
    assert future.result() == 1
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start()
    while thread.is_alive():
        pass
    thread.join()


def send_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.connect(receiver.getsockname())
            sender.send(b"sent")
            sender.sendmsg([b"sent"])


def look_after_processes() -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.Popen(["a program that does not exist"])
    process = subprocess.Popen([sys.executable, "-c", ""])
    while process.poll() is None:
        pass
    assert process.wait() == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


async def leave_it_to_threads() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(time.sleep, 0.001)
    await asyncio.to_thread(sleep)
    await asyncio.to_thread(connect_database)
    await loop.run_in_executor(None, wait_for_event)
    with concurrent.futures.ThreadPoolExecutor() as executor:
        await loop.run_in_executor(executor, join)
        await asyncio.wrap_future(executor.submit(receive))
    await loop.getaddrinfo("localhost", 80)
    await loop.getnameinfo(("127.0.0.1", 80))
    await loop.shutdown_default_executor()


async def use_streams() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines([await reader.readline(), b"!" * 1_000_000])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "localhost", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port)
        writer.write(b"line\n")
        assert len(await reader.read()) == 1_000_005
        writer.close()
        await writer.wait_closed()


async def use_raw_sockets() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        server.setblocking(False)
        client.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(server))
        await loop.sock_connect(client, server.getsockname())
        accepted, _ = await accepting
        with accepted:
            await loop.sock_sendall(client, b"sent")
            assert await loop.sock_recv_into(accepted, bytearray(4)) == 4
            await loop.sock_sendall(accepted, b"sent")
            assert await loop.sock_recv(client, 4) == b"sent"


async def use_datagrams() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    transport.sendto(b"sent", transport.get_extra_info("sockname"))
    transport.close()


async def use_subprocesses() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(input())", stdin=pipe, stdout=pipe, stderr=pipe
    )
    output, _ = await process.communicate(b"line\n")
    assert output.strip() == b"line"
    assert await (await asyncio.create_subprocess_shell("exit 3")).wait() == 3
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("a program that does not exist")
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=pipe)
    killed.kill()
    await killed.wait()


async def use_asyncios_primitives() -> None:
    lock, event = asyncio.Lock(), asyncio.Event()
    numbers: asyncio.Queue[int] = asyncio.Queue()

    async def other() -> None:
        async with lock:
            event.set()
            await numbers.put(1)

    async with asyncio.TaskGroup() as group:
        await lock.acquire()
        group.create_task(other())
        await asyncio.sleep(0.001)
        lock.release()
        await event.wait()
        assert await numbers.get() == 1
    async with asyncio.Semaphore(), asyncio.Condition():
        pass


def log() -> None:
    logger = logging.getLogger("aldente.test_blocking_call")
    logger.propagate = False
    with tempfile.TemporaryDirectory() as folder:
        handlers: list[logging.Handler] = [
            logging.FileHandler(Path(folder) / "log.txt", delay=True),
            logging.StreamHandler(sys.stderr),
        ]
        for handler in handlers:
            logger.addHandler(handler)
        try:
            logger.warning("written")
            raise ValueError
        except ValueError:
            logger.exception("written with a traceback")
        finally:
            for handler in handlers:
                logger.removeHandler(handler)
                handler.close()


def format_traceback() -> None:
    linecache.clearcache()
    try:
        raise ValueError
    except ValueError:
        assert "raise ValueError" in traceback.format_exc()


def answer_at_a_debuggers_prompt() -> None:
    debugger = pdb.Pdb(
        stdin=io.StringIO("import time; time.sleep(0.001)\ncontinue\n"),
        stdout=io.StringIO(),
        # It would leave a handler of SIGINT behind.
        nosigint=True,
    )
    debugger.use_rawinput = False
    before = sys.gettrace()
    try:
        debugger.set_trace()
    finally:
        # Going on without breakpoints ends all tracing, coverage's included.
        sys.settrace(before)


def read_a_device() -> None:
    with open("/dev/null", "rb") as device:
        device.read()
    with open(os.pipe()[0], "rb"), contextlib.suppress(OSError):
        pass


NOT_TRIGGERS: list[Callable[[], object]] = [
    do_not_wait,
    wait_for_nothing,
    send_datagram,
    look_after_processes,
    leave_it_to_threads,
    use_streams,
    use_raw_sockets,
    use_datagrams,
    use_subprocesses,
    use_asyncios_primitives,
    log,
    format_traceback,
]


@pytest.mark.parametrize("function", NOT_TRIGGERS, ids=lambda function: function.__name__)
def test_what_does_not_block_is_silent(function: Callable[[], object]) -> None:
    """Whatever does not block the event loop is no finding."""
    assert findings_of(function) == []


@pytest.mark.parametrize(
    "function",
    [log, format_traceback, use_streams, use_subprocesses, leave_it_to_threads, read_a_device],
    ids=lambda function: function.__name__,
)
def test_reading_of_sources_and_writing_of_logs_is_silent(function: Callable[[], object]) -> None:
    """Also with the group ``files``, what logging, tracebacks and asyncio open is no finding."""
    # Temporary files and folders are opened by the test itself.
    found = findings_of(function, groups=["files"])
    assert [finding for finding in found if not finding.what.startswith("tempfile.")] == []


def test_a_debuggers_prompt_is_silent() -> None:
    """What is asked and answered at a debugger's prompt is no finding."""
    assert findings_of(answer_at_a_debuggers_prompt) == []


def test_an_import_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module does while it is imported is no finding, nor is reading it."""
    (tmp_path / "imported_slowly.py").write_text(
        "import time\ntime.sleep(0.001)\nopen(__file__).close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    async def main() -> None:
        importlib.import_module("imported_slowly")

    assert findings_of(main, groups=["files"]) == []
    del sys.modules["imported_slowly"]


def test_a_thread_without_a_loop_is_silent() -> None:
    """Blocking is nobody's harm where no event loop runs, nor before it runs and after it has."""
    found: list[Finding] = []
    with blocking_call.watch(found.append):
        sleep()
        asyncio.run(asyncio.sleep(0))
        wait_for_event()
    assert found == []


def test_a_loop_of_a_thread_is_watched_too() -> None:
    """An event loop off the main thread can be blocked as well."""

    async def main() -> None:
        time.sleep(0.001)  # noqa: ASYNC251

    found: list[Finding] = []
    with blocking_call.watch(found.append):
        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        thread.join()
    assert len(found) == 1


# Real clients.


async def serve_and_fetch_with_aiohttp() -> None:
    from aiohttp import ClientSession, web

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="answer")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as session, session.get(f"http://localhost:{port}/") as response:
        assert await response.text() == "answer"
    await runner.cleanup()


async def fetch_with_httpx() -> None:
    import httpx

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nanswer")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, httpx.AsyncClient(trust_env=False) as client:
        port = server.sockets[0].getsockname()[1]
        assert (await client.get(f"http://localhost:{port}/")).text == "answer"


async def query_with_aiosqlite() -> None:
    import aiosqlite

    async with (
        aiosqlite.connect(":memory:") as database,
        database.execute("select 1") as cursor,
    ):
        assert await cursor.fetchone() == (1,)


async def use_anyio() -> None:
    import anyio

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(await stream.receive())

    await anyio.to_thread.run_sync(sleep)
    assert (await anyio.run_process([sys.executable, "-c", ""])).returncode == 0
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("localhost", port) as stream:
            await stream.send(b"sent")
            assert await stream.receive() == b"sent"
        group.cancel_scope.cancel()
    await listener.aclose()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (serve_and_fetch_with_aiohttp, "aiohttp"),
        (fetch_with_httpx, "httpx"),
        (query_with_aiosqlite, "aiosqlite"),
        (use_anyio, "anyio"),
    ],
    ids=["aiohttp", "httpx", "aiosqlite", "anyio"],
)
def test_async_libraries_are_silent(
    function: Callable[[], Coroutine[Any, Any, None]], name: str
) -> None:
    """Async clients, servers and drivers do not block, so they are no finding."""
    pytest.importorskip(name)
    assert findings_of(function) == []


def test_uvloop_is_watched() -> None:
    """Calls are found on loops that are not asyncio's, and those loops' own are not."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        await use_streams()
        await use_subprocesses()
        time.sleep(0.001)  # HERE  # noqa: ASYNC251

    found: list[Finding] = []
    with (
        blocking_call.watch(found.append),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(main())
    [finding] = found
    assert finding.place is not None
    assert finding.place.line == marked_line(main)


# Files.


def open_file() -> None:
    with open(__file__):  # HERE
        pass


def read_path() -> None:
    Path(__file__).read_bytes()  # HERE


@pytest.mark.parametrize(
    ("function", "what"),
    # From Python 3.13 on pathlib has the method from a class of another name.
    [(open_file, "open('"), (read_path, "pathlib.Path")],
    ids=["open", "pathlib"],
)
def test_files_are_found_on_demand(function: Callable[[], object], what: str) -> None:
    """Opening a file is a finding with the group ``files``, and none without it."""
    assert findings_of(function) == []
    [finding] = findings_of(function, groups=["files"])
    assert finding.what.startswith(what)
    assert finding.fix.startswith("Run it in a thread: 'await asyncio.to_thread(")
    assert finding.fix.endswith("; or use aiofiles.")
    assert finding.place is not None
    assert finding.place.line == marked_line(function)


def test_descriptors_of_files_are_found_on_demand(tmp_path: Path) -> None:
    """``os.read`` and ``os.write`` of a file are findings with the group ``files``, of a pipe none."""

    def read_and_write() -> None:
        receiving, sending = os.pipe()
        os.write(sending, b"sent")
        os.read(receiving, 4)
        os.write(descriptor, b"sent")
        os.read(descriptor, 4)
        os.close(receiving)
        os.close(sending)

    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    assert findings_of(read_and_write) == []
    found = findings_of(read_and_write, groups=["files"])
    os.close(descriptor)
    assert [finding.what.partition(" ")[0] for finding in found] == ["os.write()", "os.read()"]


def test_an_unknown_group_is_refused() -> None:
    """A group that does not exist is an error that names those that do."""
    with pytest.raises(
        InvalidSetting,
        match=r"'flies' is not a valid aldente_blocking_groups. Valid groups: files",
    ):
        findings_of(sleep, groups=["flies"])


# The user's own functions.


def query() -> str:
    return "answer"


class Driver:
    """Has methods of every kind."""

    def execute(self, text: str) -> str:
        return text

    @classmethod
    def connect(cls) -> type[Driver]:
        return cls

    @staticmethod
    def version() -> int:
        return 1


class AsyncDriver(Driver):
    """Inherits its methods."""

    async def fetch(self) -> None:
        pass


query_by_another_name = query


@pytest.mark.parametrize(
    ("name", "call", "answer"),
    [
        (f"{__name__}.query", lambda: query(), "answer"),
        (f"{__name__}.query", lambda: query_by_another_name(), "answer"),
        (f"{__name__}.Driver.execute", lambda: Driver().execute("select"), "select"),
        (f"{__name__}.Driver.connect", lambda: AsyncDriver.connect(), AsyncDriver),
        (f"{__name__}.Driver.version", lambda: Driver().version(), 1),
        (f"{__name__}.AsyncDriver.execute", lambda: AsyncDriver().execute("select"), "select"),
        ("json.dumps", lambda: importlib.import_module("json").dumps(1), "1"),
    ],
)
def test_the_users_own_functions_are_found(
    name: str, call: Callable[[], object], answer: object
) -> None:
    """A function or method given by its dotted name is a blocking call, by whatever name called."""
    answers: list[object] = []
    [finding] = findings_of(lambda: answers.append(call()), functions=[name])
    assert answers == [answer]
    assert finding.what.startswith(f"{name}() blocks the event loop")
    assert finding.fix.startswith("Use its async counterpart; or run it in a thread: ")
    assert finding.place is not None
    assert finding.place.path == __file__
    assert findings_of(call) == []


def test_what_a_found_function_calls_is_the_same_finding() -> None:
    """A blocking call inside a blocking call is not found again."""
    [finding] = findings_of(lambda: sleep(), functions=[f"{__name__}.sleep"])
    assert finding.what.startswith(f"{__name__}.sleep() blocks")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_package.query", "There is no such function: No module named 'no_such_package'."),
        (f"{__name__}.no_such_function", "There is no such function: "),
        (f"{__name__}.Driver.no_such_method", "There is no such function: "),
        ("query", "No part of it is a module."),
        (f"{__name__}.TRIGGERS", "It is no function."),
        (f"{__name__}.AsyncDriver.fetch", "It is a coroutine function, whose call does not block"),
        ("_thread.LockType.acquire", "Its class can't be patched: "),
    ],
)
def test_a_function_that_is_none_is_refused(name: str, reason: str) -> None:
    """A dotted name that leads to no function is an error that says why and leaves no patch."""
    before = attributes()
    with pytest.raises(InvalidSetting) as raised, blocking_call.watch(print, functions=[name]):
        pass
    message = str(raised.value)
    assert message.startswith(f"{name!r} is not a valid aldente_blocking_calls. {reason}")
    assert "Allowed are dotted names of functions" in message
    assert attributes() == before


# Entering and leaving.

OWNERS: list[Any] = [
    builtins,
    concurrent.futures.Future,
    io,
    os,
    queue.Queue,
    select,
    selectors.PollSelector,
    socket,
    socket.socket,
    ssl.SSLSocket,
    subprocess,
    subprocess.Popen,
    sys.modules[__name__],
    threading,
    threading.Condition,
    threading.Thread,
    time,
    Driver,
    AsyncDriver,
]


def attributes() -> list[dict[str, int]]:
    """Which object each attribute of whatever may be patched is."""
    return [{name: id(value) for name, value in vars(owner).items()} for owner in OWNERS]


def test_leaving_undoes_what_entering_did() -> None:
    """After the last one is left, every attribute is the object that it was, and none is added."""
    functions = [
        f"{__name__}.{name}" for name in ("query", "Driver.version", "AsyncDriver.execute")
    ]
    before = attributes()
    with blocking_call.watch(print, groups=["files"], functions=functions):
        inside = attributes()
        with blocking_call.watch(print, groups=["files"], functions=functions):
            assert attributes() != inside
        assert attributes() == inside
    assert attributes() == before
    with contextlib.suppress(KeyError), blocking_call.watch(print):
        raise KeyError
    assert attributes() == before


def test_a_module_imported_meanwhile_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a module has imported by name while watched is put back with the rest."""
    (tmp_path / "imported_meanwhile.py").write_text("from time import sleep\n")
    monkeypatch.syspath_prepend(tmp_path)
    with blocking_call.watch(print):
        module = importlib.import_module("imported_meanwhile")
    assert module.sleep is time.sleep
    del sys.modules["imported_meanwhile"]


def test_somebody_elses_patch_stays() -> None:
    """What others have put in the place of a patch is theirs to undo."""

    def mine(self: object, timeout: float | None = None) -> bool:
        return True

    original = threading.Condition.wait
    try:
        with blocking_call.watch(print):
            threading.Condition.wait = mine  # type: ignore[method-assign]
        assert threading.Condition.wait is mine
    finally:
        threading.Condition.wait = original  # type: ignore[method-assign]


def test_a_patch_that_somebody_keeps_is_silent_after_leaving() -> None:
    """Whoever has kept a patched function calls the original through it."""
    with blocking_call.watch(print):
        wait, poll = threading.Condition.wait, select.poll()

    async def main() -> None:
        with (condition := threading.Condition()):
            assert wait(condition, 0.001) is False
        assert poll.poll(1) == []

    asyncio.run(main())


class _NoModule:
    """As a library of cffi: it calls itself a module."""

    __slots__ = ()

    @property  # type: ignore[misc] # it can't be set
    def __class__(self) -> Any:
        return types.ModuleType


def test_an_object_that_calls_itself_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is among the modules but is none is left alone, and the functions are found all the same."""
    monkeypatch.setitem(sys.modules, "blocking_library", cast(types.ModuleType, _NoModule()))
    assert isinstance(sys.modules["blocking_library"], types.ModuleType)
    [finding] = findings_of(lambda: query(), functions=[f"{__name__}.query"])
    assert finding.rule == "blocking-call"
    with pytest.raises(InvalidSetting, match="blocking_library"):
        findings_of(lambda: None, functions=["blocking_library.query"])


def test_the_innermost_gets_the_report() -> None:
    """While several are entered, the one that was entered last is told, and no other."""
    outer: list[Finding] = []
    inner: list[Finding] = []

    async def main() -> None:
        wait_for_event()
        time.sleep(0.001)  # noqa: ASYNC251

    with blocking_call.watch(outer.append):
        with blocking_call.watch(inner.append):
            asyncio.run(main())
        assert (len(outer), len(inner)) == (0, 2)
        asyncio.run(main())
    assert (len(outer), len(inner)) == (2, 2)
    asyncio.run(main())
    assert (len(outer), len(inner)) == (2, 2)


def test_every_call_is_reported() -> None:
    """Repeats are left to whoever receives the findings."""

    async def main() -> None:
        for _ in range(3):
            time.sleep(0.001)  # noqa: ASYNC251

    found: list[Finding] = []
    with blocking_call.watch(found.append):
        asyncio.run(main())
    assert len(found) == 3
    assert len(set(found)) == 1


def test_a_report_may_block() -> None:
    """What the receiver does itself is no finding."""
    found: list[Finding] = []

    def report(finding: Finding) -> None:
        found.append(finding)
        sleep()

    with blocking_call.watch(report):
        asyncio.run(leave_it_to_threads())

        async def main() -> None:
            connect_database()
            wait_for_event()

        asyncio.run(main())
    assert len(found) == 2


def test_there_is_one_audit_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook can't be removed, so that entering again adds none."""
    added: list[object] = []
    with blocking_call.watch(print):
        pass
    monkeypatch.setattr(sys, "addaudithook", added.append)
    with blocking_call.watch(print):
        pass
    assert added == []


def test_the_hook_outlives_its_module() -> None:
    """At the end of the process the names of the module are gone, and the hook is still called."""
    bare = types.FunctionType(
        _on_event.__code__, {}, "bare", _on_event.__defaults__, _on_event.__closure__
    )
    bare("time.sleep", (1,), watchers=[])
    bare("an event that nobody knows", ())


class Thing:
    """Something to be freed."""


def look_up_this_machine() -> None:
    # Known without asking anybody else.
    socket.getaddrinfo("localhost", 80)


@pytest.mark.parametrize("call", [sleep, look_up_this_machine, open_file, receive])
def test_nothing_lives_on(call: Callable[[], object]) -> None:
    """What callers of a watched function have in their variables is freed when they end."""
    kept: list[weakref.ref[Thing]] = []

    def use() -> None:
        thing = Thing()
        call()
        kept.append(weakref.ref(thing))

    gc.disable()
    try:
        findings_of(use)
    finally:
        gc.enable()
    assert kept[0]() is None
