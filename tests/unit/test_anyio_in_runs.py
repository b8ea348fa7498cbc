"""anyio in simulated runs: its threads take turns with the loop, and its sets are in order."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.random import Random


def run_under(seed: int, main: Callable[[], Coroutine[Any, Any, object]]) -> Run:
    strategy = Random(seed)
    strategy.start()
    return simulate(main, strategy, RunSettings())


async def with_threads() -> list[str]:
    """Two jobs in threads, each of which calls in on the loop."""
    noted: list[str] = []

    def work(name: str) -> None:
        noted.append(f"{name} begins")
        anyio.from_thread.run(anyio.sleep, 0.01)
        anyio.from_thread.run_sync(noted.append, f"{name} on the loop")
        noted.append(f"{name} ends")

    async with anyio.create_task_group() as group:
        for name in "ab":
            group.start_soon(anyio.to_thread.run_sync, work, name)
        noted.append("main")
    return noted


def test_threads_take_turns() -> None:
    """Runs with worker threads are as exact as others, and one seed gives the same run."""
    found = set()
    for seed in range(4):
        one, other = (run_under(seed, with_threads) for _ in range(2))
        assert one.error is other.error is None
        assert not one.depends_on_threads
        assert (one.result, one.choices, one.counts) == (other.result, other.choices, other.counts)
        found.add(tuple(one.result))
    assert len(found) > 1


def test_a_race_of_a_thread() -> None:
    """A search finds what a thread and the loop do in the wrong order, and replays it exactly."""

    async def main() -> None:
        balance = [10]

        def withdraw() -> None:
            found = balance[0]
            anyio.from_thread.run_sync(lambda: None)
            balance[0] = found - 1

        async with anyio.create_task_group() as group:
            for _ in range(2):
                # As Starlette calls functions.
                group.start_soon(anyio.to_thread.run_sync, functools.partial(withdraw))
        assert balance == [8]

    failure = aldente.search(main, runs=100).failure
    assert failure is not None
    assert failure.inexact == ""
    assert "withdraw in a thread" in failure.report()


def test_a_thread_sleeps_in_loop_time() -> None:
    """`time.sleep` in a worker thread takes loop time, as in any job."""

    async def main() -> float:
        before = anyio.current_time()
        await anyio.to_thread.run_sync(time.sleep, 3600)
        return anyio.current_time() - before

    assert aldente.run(main, seed=1) >= 3600


def test_errors_and_results() -> None:
    """A thread's result and exception come to the task that waits, and a thread is used again."""

    async def main() -> tuple[int, set[int]]:
        threads = set()

        def work(number: int) -> int:
            threads.add(threading.get_ident())
            return 12 // number

        with pytest.raises(ZeroDivisionError):
            await anyio.to_thread.run_sync(work, 0)
        return await anyio.to_thread.run_sync(work, 4), threads

    result, threads = aldente.run(main, seed=1)
    assert result == 3
    assert len(threads) == 1


def test_an_abandoned_thread() -> None:
    """A task that no longer waits goes on while its thread does."""

    async def main() -> list[str]:
        noted = []
        ended = threading.Event()

        def work() -> None:
            ended.wait()
            noted.append("thread")

        with anyio.move_on_after(1):
            await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        noted.append("main")
        ended.set()
        await anyio.to_thread.run_sync(int)
        return noted

    assert aldente.run(main, seed=1)[0] == "main"


def test_no_thread_is_left() -> None:
    """Worker threads end with their run."""
    before = set(threading.enumerate())
    run_under(1, with_threads)
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert not set(threading.enumerate()) - before


def test_loops_outside_of_the_run() -> None:
    """In a thread with a loop of its own, anyio starts its own threads."""

    def elsewhere() -> str:
        return anyio.run(anyio.to_thread.run_sync, lambda: threading.current_thread().name)

    async def main() -> str:
        return await anyio.to_thread.run_sync(elsewhere)

    assert aldente.run(main, seed=1).startswith("AnyIO worker thread")


def test_nothing_is_left_behind() -> None:
    """After a run, anyio's module is as before."""
    import anyio._backends._asyncio as backend

    before = backend.WorkerThread
    run_under(1, with_threads)
    assert backend.WorkerThread is before
    assert "set" not in vars(backend)


_IMPORTED_IN_THE_RUN = """
import json, sys
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.random import Random

async def main():
    assert "anyio" not in sys.modules
    import anyio, anyio._backends._asyncio as backend
    assert backend.__loader__ is backend.__spec__.loader
    ended = []
    async def work(name):
        try:
            with anyio.CancelScope():
                await anyio.sleep(10)
        finally:
            ended.append(name)
    async with anyio.create_task_group() as group:
        for name in "abcdefghij":
            group.start_soon(work, name)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    await anyio.to_thread.run_sync(ended.append, "thread")
    return ended, type(backend.WorkerThread).__name__, backend.set.__name__

strategy = Random(7)
strategy.start()
run = simulate(main, strategy, RunSettings())
assert run.error is None, run.error
assert not run.depends_on_threads
import anyio._backends._asyncio as backend
assert "set" not in vars(backend)
print(json.dumps([run.result, run.choices]))
"""


def test_an_import_in_the_run() -> None:
    """A run that imports anyio itself is the same as one that need not."""
    command = [sys.executable, "-c", _IMPORTED_IN_THE_RUN]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    (ended, _, kind), _ = json.loads(done.stdout)
    assert kind == "InOrder"
    assert sorted(ended) == [*"abcdefghij", "thread"]
