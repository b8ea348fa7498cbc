"""The watchdog's thread: nobody meets it, it is gone while the process forks, and it ends."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
import threading
import time

import pytest

from aldente import _python_compat
from aldente._guards.watchdog import Look, Watchdog
from aldente._loops.runner import LoopRunner


class Recorder:
    """A watcher that keeps what it is shown."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.has_looked = threading.Event()

    def look(self, look: Look) -> None:
        self.looks.append(look)
        self.has_looked.set()


def number_of_threads() -> int:
    return len(_python_compat.frames_of_threads())


def test_it_looks_at_running_loops() -> None:
    """While a loop runs, watchers are shown it with its runner and the frames of all threads."""
    recorder = Recorder()
    runner = LoopRunner()

    async def run() -> None:
        assert recorder.has_looked.wait(60)

    with Watchdog([recorder]).installed():
        runner.run(run(), context=contextvars.copy_context(), name="run")
    look = recorder.looks[0]
    assert (look.loop, look.run) == (runner.loop, runner)
    assert threading.get_ident() in look.frames
    # All threads but its own.
    assert len(look.frames) == number_of_threads()
    runner.close()


def test_nobody_meets_its_thread() -> None:
    """The thread is none of threading's, and it has ended when the watchdog is left."""
    threads, number = threading.enumerate(), number_of_threads()
    with Watchdog([]).installed():
        assert threading.enumerate() == threads
        assert threading.active_count() == len(threads)
    assert number_of_threads() == number


def test_starting_and_stopping_twice() -> None:
    """A second start or stop does nothing."""
    watchdog = Watchdog([])
    number = number_of_threads()
    watchdog.stop()
    watchdog.start()
    watchdog.start()
    watchdog.stop()
    watchdog.stop()
    assert number_of_threads() == number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_is_gone_while_the_process_forks() -> None:
    """A fork warns of no other thread, the parent is watched on, and the child can be watched anew."""
    code = """
import contextvars, os, threading, warnings
warnings.simplefilter("error")
from aldente._guards.watchdog import Watchdog
from aldente._loops.runner import LoopRunner
from tests.unit.test_watchdog import Recorder, number_of_threads

def is_watched(recorder):
    recorder.has_looked.clear()
    runner = LoopRunner()
    async def run():
        return recorder.has_looked.wait(30)
    try:
        return runner.run(run(), context=contextvars.copy_context(), name="run")
    finally:
        runner.close()

recorder = Recorder()
watchdog = Watchdog([recorder])
with watchdog.installed():
    assert is_watched(recorder)
    child = os.fork()
    if child == 0:
        assert number_of_threads() == 1
        watchdog.start()
        os._exit(0 if is_watched(recorder) else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert is_watched(recorder)
"""
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")


def test_the_time_of_a_look() -> None:
    """A look tells its time by time.monotonic, by which deadlines of runs are given."""
    recorder = Recorder()
    runner = LoopRunner()

    async def run() -> None:
        assert recorder.has_looked.wait(60)

    before = time.monotonic()
    with Watchdog([recorder]).installed():
        runner.run(run(), context=contextvars.copy_context(), name="run")
    assert before <= recorder.looks[0].now <= time.monotonic()
    runner.close()
