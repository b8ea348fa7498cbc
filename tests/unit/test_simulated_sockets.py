"""Sockets and look-ups of names that simulated code uses without the loop."""

from __future__ import annotations

import asyncio
import email.utils
import os
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import aldente

pytestmark = aldente.allow("blocking-call")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that no run may reach; its `accept` does not block."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(type=socket.SOCK_DGRAM) as receiving,
    ):
        listening.setblocking(False)
        receiving.bind(listening.getsockname())
        yield listening


def is_reached(server: socket.socket) -> bool:
    try:
        connection, _ = server.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


def connect(address: Any) -> None:
    socket.create_connection(address, timeout=5).close()


def connect_without_blocking(address: Any) -> None:
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.connect_ex(address)


def fetch(address: Any) -> None:
    urllib.request.urlopen(f"http://{address[0]}:{address[1]}/", timeout=5)


def send_datagram(address: Any) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as connection:
        connection.sendto(b"text", address)


def look_up(address: Any) -> None:
    socket.getaddrinfo("example.invalid", 80)


def look_up_old(address: Any) -> None:
    socket.gethostbyname("example.invalid")


def look_up_address(address: Any) -> None:
    socket.gethostbyaddr("127.0.0.1")


SOCKET, NAMES = "a real socket", "the name service"
CALLS: list[tuple[Callable[[Any], None], str, str]] = [
    (connect, "socket.connect()", SOCKET),
    (connect_without_blocking, "socket.connect()", SOCKET),
    (fetch, "socket.connect()", SOCKET),
    (send_datagram, "socket.sendto()", SOCKET),
    (look_up, "socket.getaddrinfo()", NAMES),
    (look_up_old, "socket.gethostbyname()", NAMES),
    (look_up_address, "socket.gethostbyaddr()", NAMES),
]


def line_of(function: Callable[..., object]) -> int:
    return function.__code__.co_firstlineno


@pytest.mark.parametrize(("call", "called", "touched"), CALLS)
@pytest.mark.parametrize("is_job", [False, True], ids=["loop", "job"])
def test_what_reaches_outside_is_refused_at_the_users_line(
    call: Callable[[Any], None], called: str, touched: str, is_job: bool, server: socket.socket
) -> None:
    """In a coroutine and in the thread of a job, at once, and no server is reached."""
    address = server.getsockname()

    async def main() -> None:
        if is_job:
            await asyncio.to_thread(call, address)
        else:
            call(address)

    exploration = aldente.search(main)
    assert exploration.runs == 1
    assert exploration.failure is not None
    error = exploration.failure.exception
    assert isinstance(error, aldente.OutsideSimulation)
    assert (error.called, error.touched) == (called, touched)
    file, _, line = error.place.rpartition(":")
    assert os.path.samefile(file, __file__)
    assert 0 < int(line) - line_of(call) < 4
    assert "Fix: " in str(error)
    assert not is_reached(server)


def test_a_job_that_is_a_librarys_function_has_the_line_that_submits_it(
    server: socket.socket,
) -> None:
    """No line of the user's is in its thread, so it is the line where the job was submitted."""
    url = "http://{}:{}/".format(*server.getsockname())

    async def main() -> None:
        await asyncio.to_thread(urllib.request.urlopen, url)

    failure = aldente.search(main).failure
    assert failure is not None
    error = failure.exception
    assert isinstance(error, aldente.OutsideSimulation)
    assert error.place.endswith(f"test_simulated_sockets.py:{line_of(main) + 1}")
    assert not is_reached(server)


def test_what_stays_inside_goes_on() -> None:
    """Pairs of sockets, addresses that are numbers, and the name of this machine."""

    async def main() -> bytes:
        one, other = socket.socketpair()
        with one, other:
            one.sendall(b"text")
            text = other.recv(10)
        socket.getaddrinfo("127.0.0.1", 80)
        socket.getaddrinfo(None, 80)
        email.utils.make_msgid()
        with socket.create_server(("127.0.0.1", 0)):
            return text

    assert aldente.run(main, seed=1) == b"text"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets")
def test_sockets_of_this_machine_go_on(tmp_path: Any) -> None:
    """Connections between processes by a path in the file system."""

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
            listening.bind(str(tmp_path / "it"))
            listening.listen()
            client.connect(str(tmp_path / "it"))

    aldente.run(main, seed=1)


def test_threads_of_others_go_on(server: socket.socket) -> None:
    """A thread that the program starts itself, and the time before and after a run."""
    address = server.getsockname()
    connect(address)
    assert is_reached(server)

    async def main() -> None:
        thread = threading.Thread(target=connect, args=(address,))
        thread.start()
        thread.join()

    aldente.run(main, seed=1)
    assert is_reached(server)
    connect(address)
    assert is_reached(server)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_child_processes_go_on(server: socket.socket) -> None:
    """A process that a job or a step forks is no part of the run."""

    def fork() -> int:
        child = os.fork()
        if not child:
            status = 1
            try:
                connect(server.getsockname())
                status = 0
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async def main() -> list[int]:
        return [fork(), await asyncio.to_thread(fork)]

    assert aldente.run(main, seed=1) == [0, 0]
