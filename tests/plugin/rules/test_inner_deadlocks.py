"""Deadlocks beside what goes on: connections of which both ends are here, servers, timers, threads."""

from __future__ import annotations

import os
import sys

import pytest

from aldente._diagnosis import reachability
from tests.plugin.conftest import RunProject

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sockets and signals of POSIX")

STUCK = """
import asyncio
import socket
import threading
import pytest

async def beat(seconds):
    while True:
        await asyncio.sleep(seconds)

async def answer_nothing(reader, writer):
    await reader.readline()
    await reader.read()
    writer.close()

async def ask(reader, writer):
    writer.write(b"x\\n")
    try:
        await reader.readline()
    finally:
        writer.close()

async def test_tcp():
    async with await asyncio.start_server(answer_nothing, "127.0.0.1", 0) as server:
        await ask(*await asyncio.open_connection(*server.sockets[0].getsockname()[:2]))

async def test_tcp_beside_timers():
    beating = asyncio.create_task(beat(30))
    async with await asyncio.start_server(answer_nothing, "127.0.0.1", 0) as server:
        await ask(*await asyncio.open_connection(*server.sockets[0].getsockname()[:2]))

async def test_unix(tmp_path):
    async with await asyncio.start_unix_server(answer_nothing, tmp_path / "s") as server:
        await ask(*await asyncio.open_unix_connection(tmp_path / "s"))

async def test_pair():
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        await asyncio.get_running_loop().sock_recv(left, 1)

async def test_server():
    async with await asyncio.start_server(answer_nothing, "127.0.0.1", 0) as server:
        await server.serve_forever()

async def test_quick_timers():
    beating = asyncio.create_task(beat(0.01))
    await asyncio.Event().wait()

async def test_slow_timers():
    beating = asyncio.create_task(beat(30))
    queue = asyncio.Queue()
    queue.put_nowait("item")
    await queue.join()

async def test_job_beside_timers():
    beating = asyncio.create_task(beat(0.01))
    event = threading.Event()
    try:
        await asyncio.to_thread(event.wait)
    finally:
        event.set()

async def test_next():
    pass
"""


@pytest.mark.usefixtures("quick_deadlocks")
def test_deadlocks_beside_what_goes_on(run_project: RunProject) -> None:
    """Connections within the process, servers, idle threads and heartbeats hide no deadlock."""
    result = run_project("-p", "no:randomly", "-q", subprocess=True, test_it=STUCK)
    result.assert_outcomes(failed=8, passed=1)
    text = result.stdout.str()
    for name, found in {
        "test_tcp": "waits for input or output: StreamReader.readline.",
        "test_tcp_beside_timers": "waits for input or output: StreamReader.readline.",
        "test_unix": "waits for input or output: StreamReader.readline.",
        "test_server": "waits for input or output: Server.serve_forever.",
        "test_quick_timers": "waits for an Event to be set.",
        "test_slow_timers": "waits for all items of queue (a Queue) to be finished",
        "test_job_beside_timers": "waits for a job in another thread or process: Event.wait",
    }.items():
        if name.endswith("timers"):
            assert f"Deadlock: '{name}' waits for an object that no code that still runs" in text
        else:
            assert f"Deadlock: for 0.2 s nothing could happen any more while '{name}' was" in text
        assert f"'{name}' ({name}) {found}" in text


# Each could hang, as far as is seen at first, and goes on by itself after longer than a deadlock must last.
GOES_ON = """
import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
import pytest

LONG = 0.4

class Box:
    def __init__(self, thing):
        self.thing = thing

async def test_attribute_of_the_loop():
    asyncio.get_running_loop().custom = event = asyncio.Event()

    async def set_it():
        for _ in range(10):
            await asyncio.sleep(0.1)
        asyncio.get_running_loop().custom.set()

    setting = asyncio.create_task(set_it())
    await event.wait()
    await setting

async def test_weak_reference():
    box = Box(asyncio.Event())

    async def later(reference):
        await asyncio.sleep(LONG)
        reference().thing.set()

    task = asyncio.create_task(later(weakref.ref(box)))
    await box.thing.wait()

async def test_finalizer():
    event, kept = asyncio.Event(), [Box(None)]
    weakref.finalize(kept[0], event.set)
    asyncio.get_running_loop().call_later(LONG, kept.clear)
    await event.wait()

async def test_weak_proxy():
    event, box = asyncio.Event(), Box(None)
    box.thing = weakref.proxy(box)
    asyncio.get_running_loop().call_later(LONG, lambda: (box, event.set()))
    await event.wait()

async def test_callback():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(LONG, future.set_result, None)
    await future

async def fail():
    await asyncio.sleep(LONG)
    raise ValueError("late")

async def test_group():
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()

async def test_gather():
    with pytest.raises(ValueError):
        await asyncio.gather(fail(), asyncio.Event().wait())

@pytest.fixture
async def group():
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        yield

@pytest.mark.xfail(raises=ExceptionGroup, strict=True)
async def test_group_of_fixture(group):
    await asyncio.Event().wait()

async def test_answer_after_a_while():
    async def serve(reader, writer):
        await asyncio.sleep(LONG)
        writer.write(b"x\\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        assert await reader.readline() == b"x\\n"
        writer.close()

async def test_connection_after_a_while():
    connected = asyncio.Event()

    async def serve(reader, writer):
        connected.set()
        writer.close()

    async def connect(port):
        await asyncio.sleep(LONG)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        task = asyncio.create_task(connect(server.sockets[0].getsockname()[1]))
        await connected.wait()
        await task

async def test_datagram_after_a_while():
    received = asyncio.Event()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            received.set()

    async def send(address):
        await asyncio.sleep(LONG)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", address)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
    task = asyncio.create_task(send(transport.get_extra_info("sockname")))
    await received.wait()
    transport.close()

async def test_child_that_connects():
    connected = asyncio.Event()

    async def serve(reader, writer):
        connected.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()[:2]
        code = f"import socket, time; time.sleep({LONG}); socket.create_connection({address})"
        child = subprocess.Popen([sys.executable, "-c", code])
        await connected.wait()
        await asyncio.to_thread(child.wait)

async def test_child_that_has_the_other_end():
    left, right = socket.socketpair()
    child = subprocess.Popen(["sh", "-c", f"sleep {LONG}; echo x"], stdout=right)
    right.close()
    reader, writer = await asyncio.open_connection(sock=left)
    assert await reader.readline() == b"x\\n"
    writer.close()
    await asyncio.to_thread(child.wait)

async def test_alarm():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    before = signal.signal(signal.SIGALRM, lambda *args: loop.call_soon_threadsafe(event.set))
    signal.setitimer(signal.ITIMER_REAL, LONG)
    await event.wait()
    signal.signal(signal.SIGALRM, before)

async def test_pipe_of_a_thread():
    reading, writing = os.pipe()
    timer = threading.Timer(LONG, os.write, (writing, b"x"))
    timer.start()
    loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
    loop.add_reader(reading, future.set_result, None)
    await future
    loop.remove_reader(reading)
    timer.join()
    os.close(reading)
    os.close(writing)

async def test_job_that_is_woken():
    box = Box([threading.Event()])

    async def later():
        await asyncio.sleep(LONG)
        box.thing[0].set()

    task = asyncio.create_task(later())
    await asyncio.to_thread(box.thing[0].wait)
"""


@pytest.mark.usefixtures("quick_deadlocks")
def test_what_goes_on_may_help(run_project: RunProject) -> None:
    """Whatever way a timer, thread, child or signal has to what is waited for: it is no deadlock."""
    result = run_project("-p", "no:randomly", "-q", subprocess=True, test_it=GOES_ON)
    result.assert_outcomes(passed=15, warnings=0, xfailed=1)


LEFT_OPEN = """
import asyncio
import pytest

class Client:
    pass

@pytest.fixture
async def server():
    kept = []
    async with await asyncio.start_server(lambda _, writer: kept.append(writer), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[:2]

async def test_client_left_open(server):
    Client.reader, Client.writer = await asyncio.open_connection(*server)

async def test_next():
    pass
"""


def test_a_server_that_waits_for_a_client(run_project: RunProject) -> None:
    """Where Server.wait_closed() waits for a client that was left open, its line is told."""
    # Python itself tells of the client that was left, in whichever test it is freed.
    ignored = ("-W", "ignore::ResourceWarning")
    result = run_project("-p", "no:randomly", *ignored, subprocess=True, test_it=LEFT_OPEN)
    if result.parseoutcomes().get("errors") is None:
        # Up to Python 3.12.0 it waits for nobody.
        result.assert_outcomes(passed=2)
        return
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.DeadlockError: Deadlock: for 1 s nothing could happen any more while 'fixture server' was running, so aldente cancelled it.",
            "E *'fixture server' (server) waits for input or output: Server.wait_closed.",
            "E *Server.wait_closed() waits until all clients of the server are gone, and the connection from 127.0.0.1:* is open at both ends.",
            "E * test_it.py:14: Client.reader, Client.writer = await asyncio.open_connection([*]server)",
            "E * Close it by writer.close() and 'await writer.wait_closed()', or transport.close()*",
        ]
    )
    result.stdout.fnmatch_lines(["deadlock [[]error[]]: 1", "  test_it.py:14: *"])


VIRTUAL = """
import asyncio
import aldente
import pytest

pytestmark = aldente.virtual_time

async def beat():
    while True:
        await asyncio.sleep(30)

async def test_scheduler():
    beating = asyncio.create_task(beat(), name="beat")
    await asyncio.Event().wait()

async def test_connection():
    beating = asyncio.create_task(beat(), name="beat")

    async def answer_nothing(reader, writer):
        await reader.readline()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer_nothing, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            writer.write(b"x\\n")
            await reader.readline()
        finally:
            writer.close()

async def test_much_later():
    events = [asyncio.Event()]

    async def later():
        for _ in range(5_000):
            await asyncio.sleep(30)
        events[0].set()

    task = asyncio.create_task(later())
    await events[0].wait()
"""


def test_heartbeats_on_virtual_time(run_project: RunProject) -> None:
    """On virtual time too a heartbeat hides no deadlock, and is no deadlock if it helps at last."""
    result = run_project("-p", "no:randomly", "-q", test_it=VIRTUAL)
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.DeadlockError: Deadlock: 'test_scheduler' waits for an object that no code that still runs, such as the callback of a timer, can reach, so aldente ended it.",
            "E *'test_scheduler' (test_scheduler) waits for an Event to be set. *",
            "E *'beat' (beat) waits for a timer: asyncio.sleep(30).",
            "E *'test_connection' (test_connection) waits for input or output: StreamReader.readline.",
        ]
    )


def test_a_search_does_not_go_through_pytest(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much the process has done before, and which plugins it has, does not end a search."""
    # With pytest's configuration there are some 26,000 objects, and more after other tests.
    monkeypatch.setattr(reachability, "_MOST", 8_000)
    project = VIRTUAL.replace("import asyncio", "import asyncio, logging", 1)
    result = run_project("-q", conftest="import logging\nimport pytest", test_it=project)
    result.assert_outcomes(failed=2, passed=1)
    assert "can reach, so aldente ended it." in result.stdout.str()


ACTING = {
    "absolute": "def act():\n    import package.state\n    package.state.event.set()\n",
    "of_a_part": "def act():\n    from package.state import event\n    event.set()\n",
    "deeper": (
        "def act():\n    def inner():\n        from package import state\n"
        "        state.event.set()\n    inner()\n"
    ),
    "not_yet_imported": "def act():\n    from package.acting import act\n    act()\n",
    "package.relative": "def act():\n    from .state import event\n    event.set()\n",
    "package.of_the_package": "def act():\n    from . import state\n    state.event.set()\n",
}

if sys.version_info >= (3, 15):
    LAZY = "def act():\n    state.event.set()\n"
    ACTING |= {
        "lazy": f"lazy from package import state\n{LAZY}",
        "lazy_module": f"lazy import package.state as state\n{LAZY}",
        "package.lazy_and_relative": f"lazy from . import state\n{LAZY}",
    }

IMPORTS = f"""
import asyncio
import importlib
import aldente
import pytest

async def beat(act):
    for _ in range(5_000):
        await asyncio.sleep(30)
    act()

def new_event():
    state = importlib.import_module("package.state")
    state.event = asyncio.Event()
    return state.event

@aldente.virtual_time
@pytest.mark.parametrize("name", {list(ACTING)!r})
async def test_it(name):
    beating = asyncio.create_task(beat(importlib.import_module(name).act))
    await new_event().wait()
"""


def test_what_a_heartbeat_imports(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A function may import what it wakes a task with only when it is called."""
    pytester.mkpydir("package")
    acting = "def act():\n    from .state import event\n    event.set()\n"
    for name, code in {**ACTING, "package.state": "", "package.acting": acting}.items():
        path = pytester.path.joinpath(*name.split(".")).with_suffix(".py")
        path.write_text(code, encoding="utf-8")
    pytester.syspathinsert()
    run_project("-q", test_it=IMPORTS).assert_outcomes(passed=len(ACTING))


NO_END = """
import asyncio
import aldente

class Service:
    def __init__(self):
        self.queue = asyncio.Queue()
        self.queue.put_nowait("item")

    async def schedule(self):
        while True:
            await asyncio.sleep(100_000)

async def use(service):
    task = asyncio.create_task(service.schedule(), name="scheduler")
    await service.queue.join()

@aldente.virtual_time
async def test_virtual():
    await use(Service())

@aldente.explore(runs=1, max_steps=2_000)
async def test_explored():
    await use(Service())
"""


def test_what_has_no_end_tells_who_waits(run_project: RunProject) -> None:
    """Where a heartbeat might help, but does not, the report at the limit names the stuck line too."""
    result = run_project("-p", "no:randomly", "-q", test_it=NO_END)
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    assert "EndlessTimeError: Virtual time advanced by more than" in text
    assert "Livelock: the run had not ended after 2,000 steps." in text
    for name in ("test_virtual", "test_explored"):
        assert f"{name!r} ({name}" in text or f"'{name}' (" in text
    assert text.count("waits for all items of service.queue (a Queue) to be finished") >= 2
    assert "test_it.py:15: await service.queue.join()" in text
