"""Which processes that a program has started keep its virtual-time loop waiting, and which do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aldente._runner import peers

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of children")

# Two ends of a connection that wait for each other, beside a socket that listens.
DEADLOCK = """
import asyncio, multiprocessing, os, sys, warnings
from aldente._runner import peers
from aldente._virtual_time.loop import VirtualTimeLoop
from aldente.errors import DeadlockError

async def wait_for_each_other():
    async def serve(reader, writer):
        try:
            await reader.read()
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            await reader.read()
        finally:
            writer.close()

def run():
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(wait_for_each_other())
    except DeadlockError:
        print("deadlock")
"""


def output_of(code: str) -> str:
    """What a program prints that ends well."""
    return subprocess.run(
        [sys.executable, "-c", DEADLOCK + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@needs_linux
def test_a_child_that_has_ended() -> None:
    """A deadlock is told beside a child that has ended, though nobody has waited for it."""
    code = """
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
run()
"""
    assert output_of(code) == "deadlock\n"


HELPERS = """
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(abs, -1).result() == 1
"""


@needs_linux
def test_helpers_of_multiprocessing() -> None:
    """A deadlock is told beside the processes that multiprocessing leaves for the next ones."""
    code = f"""{HELPERS}
    assert multiprocessing.active_children() == []
    run()
"""
    assert output_of(code) == "deadlock\n"


@needs_linux
def test_a_child_that_ends_during_the_wait() -> None:
    """A deadlock is told once the last process that might have connected has ended."""
    code = """
import subprocess
with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(2)"]) as child:
    run()
    print("it had ended" if child.poll() == 0 else "it still ran")
"""
    assert output_of(code) == "deadlock\nit had ended\n"


@needs_linux
def test_a_child_of_a_helper() -> None:
    """A process that multiprocessing's helper has started may act, as one of this process's own."""
    code = f"""{HELPERS}
    print(peers.may_act())
    ending = context.Event()
    child = context.Process(target=ending.wait, args=(60,))
    child.start()
    print(peers.may_act())
    ending.set()
    child.join()
    print(peers.may_act())
"""
    assert output_of(code).split() == ["False", "True", "False"]


@needs_linux
def test_threads_that_end_meanwhile() -> None:
    """A thread that ends while the threads are read does not count as a process that may act."""
    code = f"""{HELPERS}
    import threading
    is_over = False

    def start_threads():
        while not is_over:
            threading.Thread(target=int).start()

    starting = [threading.Thread(target=start_threads) for _ in range(2)]
    for thread in starting:
        thread.start()
    print(sum(peers.may_act() for _ in range(300)))
    is_over = True
    for thread in starting:
        thread.join()
"""
    assert output_of(code) == "0\n"


@needs_linux
def test_a_thread_that_has_always_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the threads cannot be read as they end too fast, any child may act."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        monkeypatch.setattr(os, "listdir", lambda folder: ["0"])
        assert peers.may_act()
        with pytest.raises(TimeoutError, match="the threads of process self end too fast"):
            peers._living_children_of("self")
        child.communicate()


@needs_linux
def test_a_helper_that_has_ended() -> None:
    """A process that has ended has no children."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert not peers._has_living_children(child.pid)
        assert not peers._is_living(str(child.pid))


@needs_linux
def test_a_child_that_lives() -> None:
    """A child may act until it has ended."""
    code = """
import subprocess
print(peers.may_act())
with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
    print(peers.may_act())
print(peers.may_act())
"""
    assert output_of(code).split() == ["False", "True", "False"]


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="children can't be asked for")
def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it isn't told which children there are, any child may act."""

    def refuse(path: str) -> list[str]:
        raise FileNotFoundError(path)

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        monkeypatch.setattr(os, "listdir", refuse)
        assert peers.may_act()
        child.communicate()


@needs_linux
def test_the_name_of_a_program_may_be_any_bytes(tmp_path: Path) -> None:
    """Whether a process lives is known of one whose name is no text."""
    program = os.fsencode(tmp_path) + b"/\xff) Z (\xe9"
    os.symlink(sys.executable, program)
    with subprocess.Popen(
        [program, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        # It runs the program when it prints.
        child.stdout.readline()
        assert peers._is_living(str(child.pid))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not peers._is_living(str(child.pid))
