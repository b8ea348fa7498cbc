"""Faults of hosts and their crashes that were found by trying them in unusual programs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.random import Random
from aldente.errors import HostCrashed


def never_fails(main: Callable[[], object], runs: int = 20) -> None:
    exploration = aldente.search(main, runs=runs, strategy="random", seed=1)  # type: ignore[arg-type]
    assert exploration.failure is None, exploration.failure.report()


def test_a_crash_ends_the_jobs_of_a_host() -> None:
    """A job of an executor does not go on after a crash of its host, and nothing waits for it."""
    steps: list[str] = []

    async def main() -> None:
        steps.clear()
        loop = asyncio.get_running_loop()
        host = aldente.network().host("worker")

        def work() -> None:
            for _ in range(3):
                time.sleep(0.5)
                steps.append("worked")

        async def run() -> None:
            await asyncio.gather(asyncio.to_thread(work), loop.run_in_executor(None, work))

        host.run(run())
        await asyncio.sleep(0.7)
        host.crash()
        before = len(steps)
        await asyncio.sleep(10)
        assert len(steps) == before
        assert await asyncio.to_thread(lambda: "the next job") == "the next job"

    never_fails(main)


def test_an_error_of_a_job_is_not_logged_after_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    """A job that fails as its host crashes leaves no error behind that nobody has seen."""

    async def main() -> None:
        host = aldente.network().host("worker")

        def work() -> None:
            time.sleep(0.5)
            raise ValueError

        async def run() -> None:
            with contextlib.suppress(ValueError):
                await asyncio.to_thread(work)

        host.run(run())
        with host.may_crash():
            await asyncio.sleep(2)

    never_fails(main)
    assert not caplog.records


def test_a_thread_learns_that_the_host_of_its_coroutine_has_crashed() -> None:
    """A thread that waits for a coroutine of its host does not wait any more after a crash."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        host = aldente.network().host("worker")

        def work() -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(5), loop).result()

        async def run() -> None:
            await asyncio.to_thread(work)

        host.run(run())
        await asyncio.sleep(1)
        host.crash()
        assert await asyncio.to_thread(lambda: "the next job") == "the next job"

    never_fails(main, runs=3)


def test_a_thread_is_on_the_host_that_has_started_it() -> None:
    """What a job starts is on the host whose code has submitted the job."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def here() -> str:
            return aldente.network().here.name

        def ask() -> str:
            return asyncio.run_coroutine_threadsafe(here(), loop).result()

        async def run() -> list[str]:
            return [await loop.run_in_executor(None, ask), await asyncio.to_thread(ask)]

        assert await aldente.network().host("worker").run(run()) == ["worker", "worker"]
        assert await run() == ["test", "test"]

    never_fails(main, runs=2)


@pytest.mark.parametrize("is_eager", [False, True])
def test_a_crash_stops_tasks_that_the_program_has_made_itself(is_eager: bool) -> None:
    """A crash also stops tasks that were made without the loop's `create_task`, as libraries do."""
    if is_eager and sys.version_info < (3, 12):
        pytest.skip("There are no eager tasks.")
    options: Any = {"eager_start": True} if is_eager else {}
    steps: list[str] = []

    async def main() -> None:
        steps.clear()
        loop = asyncio.get_running_loop()
        host = aldente.network().host("worker")

        async def work() -> None:
            while True:
                await asyncio.sleep(0.5)
                steps.append("worked")

        async def run() -> None:
            await asyncio.Task(work(), loop=loop, **options)

        host.run(run())
        await asyncio.sleep(0.7)
        host.crash()
        before = len(steps)
        await asyncio.sleep(3)
        assert len(steps) == before

    never_fails(main)


def test_streams_of_a_crashed_host_raise_in_code_of_another() -> None:
    """Code of the test that holds a stream of a host that has crashed is told so, and can close it."""

    async def main() -> None:
        host = aldente.network().host("client")

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()

        async with await asyncio.start_server(handle, "0.0.0.0", 80):
            with host:
                reader, writer = await asyncio.open_connection("test", 80)
            waiting = asyncio.create_task(reader.readline())
            await asyncio.sleep(1)
            host.crash(silent=False)
            writer.write(b"nobody sends this\n")
            writer.close()
            for wait in (waiting, reader.read(), writer.wait_closed()):
                with pytest.raises(HostCrashed):
                    await wait
            await asyncio.sleep(1)

    never_fails(main)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_a_run_has_left_open_makes_no_choice_after_it() -> None:
    """A socket that is freed after its run is closed without a choice, of that run or another."""
    kept: list[socket.socket] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        listener, client = socket.socket(), socket.socket()
        for each in (listener, client):
            each.setblocking(False)
        listener.bind(("127.0.0.1", 80))
        listener.listen()
        await loop.sock_connect(client, ("127.0.0.1", 80))
        accepted, _ = await loop.sock_accept(listener)
        kept.extend((client, accepted, listener))

    strategy = Random(1)
    strategy.start()
    run = simulate(main, strategy, RunSettings())
    assert run.error is None
    choices = list(run.choices)
    kept.clear()
    gc.collect()
    assert run.choices == choices


@pytest.mark.filterwarnings("error")
def test_a_connection_that_is_just_accepted_when_the_test_ends_is_closed() -> None:
    """The end of the test closes connections of hosts, also those without a handler so far."""

    async def main() -> None:
        net = aldente.network()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                writer.close()

        async def serve() -> None:
            server = await asyncio.start_server(handle, "0.0.0.0", 80)
            await server.serve_forever()

        async def connect() -> None:
            while True:
                with contextlib.suppress(ConnectionError):
                    _, writer = await asyncio.open_connection("server", 80)
                    writer.close()
                await asyncio.sleep(0.5)

        net.host("server").run(serve())
        net.host("client").run(connect())
        await asyncio.sleep(1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        never_fails(main, runs=60)
        gc.collect()
    assert not caught
