"""Threads, streams and the world outside in a simulated run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiosqlite
import anyio
import anyio.to_thread
import pytest

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._runner import outside, threads
from aldente._runner.outside import present_threads
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.remote_jobs import name_of
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random

Main = Callable[[], Coroutine[Any, Any, object]]


def run(main: Main, strategy: Any = None) -> Run:
    """Run a program, and have it not fail."""
    result = simulate(main, strategy or Fifo(), RunSettings())
    if result.error is not None:
        raise result.error
    return result


def orders_of(main: Main, runs: int) -> set[Any]:
    """What a program returns under many schedules."""
    strategy = Random(1)
    return {run(main, strategy).result for _ in range(runs)}


# Executors.


def test_a_thread_and_the_loop_take_turns() -> None:
    """A thread that calls in goes on before the loop does, or after; nothing else happens between."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        def work() -> None:
            seen.append("before")
            loop.call_soon_threadsafe(seen.append, "loop")
            seen.append("after")

        await asyncio.to_thread(work)
        return " ".join(seen)

    assert orders_of(main, 30) == {"before loop after", "before after loop"}


def test_jobs_begin_and_end_in_any_order() -> None:
    """Which of two jobs begins first, and whose end is noticed first, are choices."""

    async def main() -> tuple[str, str]:
        begun: list[str] = []
        ended: list[str] = []

        async def work(name: str) -> None:
            await asyncio.to_thread(begun.append, name)
            ended.append(name)

        await asyncio.gather(work("a"), work("b"))
        return "".join(begun), "".join(ended)

    assert orders_of(main, 60) == {("ab", "ab"), ("ab", "ba"), ("ba", "ab"), ("ba", "ba")}


def test_a_race_between_a_thread_and_the_loop_is_found() -> None:
    """A thread that reads, calls in and writes loses what the loop has written in between."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        counter = 0

        def work() -> None:
            nonlocal counter
            before = counter
            loop.call_soon_threadsafe(int)
            counter = before + 1

        async def add() -> None:
            nonlocal counter
            await asyncio.sleep(0)
            counter += 1

        await asyncio.gather(asyncio.to_thread(work), add())
        assert counter == 2

    failure = aldente.search(main).failure
    assert failure is not None
    with pytest.raises(AssertionError):
        aldente.replay(main, failure.token)


def test_a_pool_of_processes_does_its_jobs() -> None:
    """A job of another process is waited for, and gives its result."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            return list(
                await asyncio.gather(*(loop.run_in_executor(pool, pow, 2, n) for n in range(3)))
            )

    assert run(main).result == [1, 2, 4]


def test_a_job_that_nobody_wants_any_more_does_not_begin() -> None:
    """A job that is cancelled before it has begun is not done; it may as well have begun."""

    async def main() -> tuple[str, ...]:
        done: list[str] = []
        future = asyncio.get_running_loop().run_in_executor(None, done.append, "done")
        future.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        return tuple(done)

    assert orders_of(main, 20) == {(), ("done",)}


def test_jobs_have_the_names_of_their_functions() -> None:
    """What wraps the function of a job is not what a report calls it."""

    def work(*_: object) -> None:
        pass

    part = functools.partial(work, 1)
    in_context = functools.partial(contextvars.copy_context().run, functools.partial(part, 2))
    for function in (work, part, functools.partial(part, 2), in_context):
        assert name_of(function).endswith("work")


def test_an_executor_that_was_shut_down_refuses() -> None:
    """The errors of executors come where the job is given, as on any loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pool = concurrent.futures.ThreadPoolExecutor(1)
        pool.shutdown()
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            loop.run_in_executor(pool, print)
        await asyncio.to_thread(int)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, print)

    run(main)


def test_a_job_that_waits_is_waited_for() -> None:
    """A job takes real time but no loop time, so that a time-out beside it does not fire."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(threading.Event().wait, 0.05)
        return loop.time()

    assert run(main).result == 100_000


def test_a_job_that_waits_for_ever_is_a_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits for what only the loop could do ends as a deadlock, and is set free."""
    # The thread does not end before the run.
    monkeypatch.setattr("aldente._explore.ending._REAL_SECONDS_OF_END", 0.2)
    never = threading.Event()

    async def main() -> None:
        await asyncio.to_thread(never.wait)

    result = simulate(main, Fifo(), RunSettings(), real_seconds=20)
    never.set()
    assert isinstance(result.error, aldente.DeadlockError)


def test_runs_with_threads_are_the_same_again() -> None:
    """Steps, choices and options of a program with threads are those of its schedule."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def work(number: int) -> int:
            for _ in range(2):
                loop.call_soon_threadsafe(int)
            return asyncio.run_coroutine_threadsafe(asyncio.sleep(1, number), loop).result()

        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(2)))

    first, second = (simulate(main, Random(3), RunSettings(), is_traced=True) for _ in range(2))
    assert first.error is None
    assert first.steps == second.steps
    assert (first.choices, first.counts) == (second.choices, second.counts)


# Threads of others.


def test_aiosqlite_works() -> None:
    """The thread of aiosqlite is waited for, before time moves and before a deadlock is called."""

    async def main() -> list[Any]:
        async def store(number: int) -> Any:
            async with aiosqlite.connect(":memory:") as database:
                await database.execute("create table numbers (number)")
                await database.execute("insert into numbers values (?)", (number,))
                async with database.execute("select number from numbers") as cursor:
                    return await cursor.fetchall()

        async with asyncio.timeout(1):
            return list(await asyncio.gather(store(1), store(2)))

    exploration = aldente.search(main, runs=5)
    assert exploration.failure is None, exploration.failure.report()
    result = run(main)
    assert result.result == [[(1,)], [(2,)]]
    assert result.depends_on_threads


def test_threads_of_anyio_work() -> None:
    """anyio.to_thread.run_sync gives its result, and anyio.from_thread reaches the loop."""

    async def main() -> tuple[int, int]:
        async def answer() -> int:
            await anyio.sleep(1)
            return 42

        def work() -> int:
            return anyio.from_thread.run(answer)

        with anyio.fail_after(60):
            return await anyio.to_thread.run_sync(int), await anyio.to_thread.run_sync(work)

    exploration = aldente.search(main, runs=3)
    assert exploration.failure is None, exploration.failure.report()
    assert run(main).result == (0, 42)


def test_a_thread_that_is_busy_is_waited_for() -> None:
    """A thread that calls in after a while does so before loop time moves."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def work() -> None:
            time.sleep(0.1)
            loop.call_soon_threadsafe(future.set_result, loop.time())

        thread = threading.Thread(target=work)
        thread.start()
        async with asyncio.timeout(5):
            when: float = await future
        thread.join()
        return when

    assert run(main).result == 100_000


def test_a_thread_with_the_identifier_of_an_older_one_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that has ended since the run began leaves its identifier to a new one."""
    begun, ending = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        ending.wait()

    older = threading.Thread(target=wait)
    older.start()
    begun.wait()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def work() -> None:
            time.sleep(0.1)
            loop.call_soon_threadsafe(future.set_result, loop.time())

        ending.set()
        older.join()
        thread = threading.Thread(target=work)
        thread.start()
        # Which one the system gives is not up to the test.
        monkeypatch.setattr(older, "_ident", thread.ident)
        async with asyncio.timeout(5):
            when: float = await future
        thread.join()
        return when

    assert run(main).result == 100_000


@pytest.mark.parametrize("kind", ["pool", "pool in a job", "queue"])
def test_a_thread_that_waited_for_work_before_the_run(kind: str) -> None:
    """What it does for the program is a part of it, in every run: no time passes meanwhile."""
    works: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()

    def work_off() -> None:
        while (work := works.get()) is not None:
            work()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def work() -> None:
            time.sleep(0.15)
            loop.call_soon_threadsafe(future.set_result, None)

        async with asyncio.timeout(5):
            if kind == "pool":
                await asyncio.wrap_future(pool.submit(time.sleep, 0.15))
            elif kind == "queue":
                works.put(work)
                await future
            else:
                await asyncio.to_thread(lambda: pool.submit(time.sleep, 0.15).result())
        return loop.time()

    thread = threading.Thread(target=work_off)
    thread.start()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        results = [run(main).result for _ in range(3)]
        works.put(None)
    thread.join()
    assert results == [100_000] * 3


def test_a_thread_that_works_for_others_before_the_run() -> None:
    """The run does not wait for it: a deadlock is one while it goes on."""
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(0.001):
            pass

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        ended = simulate(asyncio.Event().wait, Fifo(), RunSettings())
    finally:
        is_over.set()
        thread.join()
    assert isinstance(ended.error, aldente.DeadlockError)


def test_a_job_of_other_code_before_the_run() -> None:
    """A thread in a job is busy, also in a job that has no code of the program."""
    reading, writing = os.pipe()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        [thread] = present_threads().idle
        job = pool.submit(os.read, reading, 1)
        while not job.running():
            time.sleep(0)
        assert thread in present_threads().busy
        os.write(writing, b".")
        job.result()
        assert thread not in present_threads().busy
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(not threads.FUTEX, reason="the system does not show what threads do")
def test_a_thread_that_computes_is_waited_for_longest_by_the_first_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside a thread that computes all the time, the first run takes longest to begin."""
    pauses: list[float] = []
    monkeypatch.setattr(outside, "sleep", pauses.append)
    monkeypatch.setattr(outside, "_LOOKS", 5)
    monkeypatch.setattr(outside, "_MOMENT", 0.0)
    is_over = threading.Event()

    def compute() -> None:
        while not is_over.is_set():
            pass

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        assert thread in present_threads().busy
        first = len(pauses)
        assert thread in present_threads().busy
    finally:
        is_over.set()
        thread.join()
    assert (first, len(pauses)) == (4, 4)


# In a process of its own, as pytest's modules lead from any code to all of the process.
_DEADLOCK_BESIDE_THREAD = """
import asyncio, functools, queue, threading, aldente

def work_off():
    # Calls the second of two items with the first.
    while True:
        first = works.get()
        works.get()(first)

async def beat():
    for _ in range(3_000):
        await asyncio.sleep(1)
    works.put(lambda end: end())

async def main():
    future = asyncio.get_running_loop().create_future()
    if is_held:
        end = functools.partial(future.set_result, None)
        works.put(functools.partial(future.get_loop().call_soon_threadsafe, end))
        del end
    task = asyncio.create_task(beat())
    await future

for is_held in (False, True):
    works = queue.SimpleQueue()
    threading.Thread(target=work_off, daemon=True).start()
    try:
        aldente.run(main, clock="simulated", seed=1)
        print("ended")
    except aldente.DeadlockError as error:
        print("deadlock", error.beside_timers)
"""


def test_a_deadlock_beside_timers_and_threads_that_wait() -> None:
    """Threads that wait for work hide no deadlock, unless one holds what the program waits for."""
    command = [sys.executable, "-c", _DEADLOCK_BESIDE_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["deadlock True", "ended"]


# The world outside.


def test_a_socket_that_was_connected_outside_is_refused() -> None:
    """It comes from before the run, so that its peer is no part of it."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)

        async def main() -> None:
            await asyncio.get_running_loop().sock_recv(one, 1)

        failure = aldente.search(main).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.OutsideSimulation)
    assert failure.exception.touched == "its peer from before the run"


@pytest.mark.parametrize(
    ("call", "touched"),
    [
        (lambda: asyncio.open_connection("127.0.0.1", 1), "a real socket"),
        (lambda: asyncio.open_connection("10.0.0.1", 1), "a real socket"),
        (lambda: asyncio.create_subprocess_exec("true"), "another process"),
        (lambda: asyncio.create_subprocess_shell("true"), "another process"),
        (lambda: asyncio.open_connection("example.com", 80), "the name service"),
        (lambda: asyncio.get_running_loop().getaddrinfo("a.b", 80), "the name service"),
        (lambda: asyncio.get_running_loop().add_reader(0, print), "a real socket"),
        (lambda: asyncio.get_running_loop().add_signal_handler(signal.SIGINT, print), "a signal"),
    ],
)
def test_the_world_outside_is_refused_at_the_users_line(
    call: Callable[[], Any], touched: str
) -> None:
    """Real sockets, processes and signals raise OutsideSimulation, which names line and way out."""

    async def main() -> None:
        answer = call()
        if inspect.isawaitable(answer):
            await answer

    failure = aldente.search(main).failure
    assert failure is not None
    error = failure.exception
    assert isinstance(error, aldente.OutsideSimulation)
    assert error.touched == touched
    file, _, line = error.place.rpartition(":")
    assert os.path.samefile(file, __file__)
    assert int(line) > 0
    assert "Fix: " in str(error)


@pytest.mark.parametrize(
    ("call", "is_of_the_run"),
    [
        (lambda: socket.create_connection(("127.0.0.1", 4000)), True),
        (lambda: socket.create_connection(("localhost", 4000)), True),
        (lambda: socket.getaddrinfo("example.com", 80), False),
    ],
)
def test_a_socket_of_a_job_is_told_what_it_cannot_reach(
    call: Callable[[], Any], is_of_the_run: bool
) -> None:
    """A job that would connect to a server of the run is told that only the loop's thread can."""

    async def main() -> None:
        async with await asyncio.start_server(print, "localhost", 4000):
            await asyncio.to_thread(call)

    failure = aldente.search(main).failure
    assert failure is not None
    error = failure.exception
    assert isinstance(error, aldente.OutsideSimulation)
    assert ("in a thread sockets are real, and reach no server of the run" in str(error)) is (
        is_of_the_run
    )


def test_every_method_that_needs_the_world_is_refused() -> None:
    """No method of event loops is left that would fail in asyncio's own words."""
    known = {
        name
        for name, method in vars(asyncio.AbstractEventLoop).items()
        if not name.startswith("_") and callable(method)
    }
    left = [
        name
        for name in sorted(known)
        if getattr(SimulatedLoop, name) is getattr(asyncio.AbstractEventLoop, name)
    ]
    assert left == []


# Streams.


def test_a_connection_ends_as_a_socket_does() -> None:
    """EOF, a closed writer and an aborted connection are what they are with sockets."""

    async def main() -> list[object]:
        (reader, writer), (other_reader, other_writer) = aldente.stream_pair()
        writer.write(b"last words")
        writer.write_eof()
        seen: list[object] = [await other_reader.read(), other_reader.at_eof()]
        other_writer.write(b"answer")
        seen.append(await reader.readexactly(6))
        other_writer.transport.abort()
        try:
            await reader.read()
        except ConnectionResetError:
            seen.append("reset")
        writer.close()
        with pytest.raises(RuntimeError, match="after write_eof"):
            writer.write(b"more")
        return seen

    assert run(main).result == [b"last words", True, b"answer", "reset"]


def test_readers_of_different_connections_go_on_in_any_order() -> None:
    """What arrives on two connections is read in any order, also with order="io"."""

    async def main() -> str:
        pairs = [aldente.stream_pair() for _ in range(2)]
        order: list[str] = []

        async def read(name: str, reader: asyncio.StreamReader) -> None:
            await reader.readexactly(1)
            order.append(name)

        tasks = [
            asyncio.create_task(read(name, pair[1][0]))
            for name, pair in zip("ab", pairs, strict=True)
        ]
        await asyncio.sleep(0)
        for pair in pairs:
            pair[0][1].write(b"x")
        await asyncio.gather(*tasks)
        for one, other in pairs:
            one[1].close()
            other[1].close()
        return "".join(order)

    strategy = Random(1)
    found = {simulate(main, strategy, RunSettings(order="io")).result for _ in range(20)}
    assert found == {"ab", "ba"}


@pytest.mark.skipif(sys.platform == "win32", reason="its default loop is another one")
def test_streams_in_memory_work_on_any_loop() -> None:
    """A pair of streams is not bound to simulated runs."""

    async def main() -> bytes:
        (reader, writer), (_, other) = aldente.stream_pair()
        other.write(b"hello")
        other.close()
        try:
            return await reader.read()
        finally:
            writer.close()

    assert asyncio.run(main()) == b"hello"
