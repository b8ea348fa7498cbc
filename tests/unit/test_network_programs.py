"""What programs with a network have shown of the simulated one."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from typing import Any

import pytest

import aldente
from aldente._rules import open_resources
from aldente._simulation.foreign_threads import ForeignThreads
from tests.conformance.correct.serving import close, connect, serving, shout


def test_a_transport_says_whether_it_is_read() -> None:
    """The repr of a transport is asyncio's own, with what the loop watches."""

    async def main() -> list[str]:
        async with serving(shout) as port:
            _, writer = await connect(port)
            transport: Any = writer.transport
            found = [repr(transport)]
            transport.pause_reading()
            found.append(repr(transport))
            transport.resume_reading()
            await close(writer)
            found.append(repr(writer))
            return found

    reading, paused, closed = aldente.run(main, seed=1)
    assert re.fullmatch(
        r"<_SelectorSocketTransport fd=\d+ read=polling write=<idle, bufsize=0>>", reading
    )
    assert re.fullmatch(
        r"<_SelectorSocketTransport fd=\d+ read=idle write=<idle, bufsize=0>>", paused
    )
    assert closed.startswith("<StreamWriter transport=<_SelectorSocketTransport closed fd=")


def test_a_failed_run_leaves_no_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program could not close, as it failed, is not complained of when it is freed."""
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await connect(server.sockets[0].getsockname()[1])
        writer.write(b"hello")
        raise ValueError(reader, writer)

    assert aldente.search(main, runs=2).failure is not None
    gc.collect()
    assert complaints == []


def test_a_server_of_a_failed_run_is_not_open() -> None:
    """The sockets of a failed run are closed with it, so no rule reports its servers."""

    async def main() -> None:
        raise ValueError(await asyncio.start_server(shout, "127.0.0.1", 0))

    failure = aldente.search(main, runs=2).failure
    assert failure is not None
    (server,) = failure.exception.args
    assert isinstance(server, asyncio.Server)
    assert not open_resources.is_open(server)


def test_the_end_of_one_stream_may_come_after_data_of_another() -> None:
    """A schedule lets a close come when nothing else can happen; in stock order it comes first."""

    async def main() -> str:
        notes: list[str] = []

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not (await reader.read()):
                notes.append("an end")
            else:
                notes.append("data")
            await close(writer)

        async with serving(note) as port:
            _, first = await connect(port)
            await asyncio.sleep(1)
            first.write_eof()
            _, second = await connect(port)
            second.write(b"data")
            second.write_eof()
            await asyncio.sleep(1)
            await close(first)
            await close(second)
        return ", ".join(notes)

    found = {aldente.run(main, seed=seed) for seed in range(60)}
    assert found == {"an end, data", "data, an end"}


def test_a_reset_may_come_after_something_was_written() -> None:
    """A schedule lets a peer write to a connection that has been broken, without an error."""

    async def main() -> str:
        broken = asyncio.Event()

        async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # What was not read makes it a reset.
            transport: Any = writer.transport
            transport.pause_reading()
            await asyncio.sleep(0.5)
            writer.transport.abort()
            broken.set()

        async with serving(break_off) as port:
            _, writer = await connect(port)
            writer.write(b"x" * 100)
            await asyncio.sleep(0)
            writer.write(b"not read")
            await broken.wait()
            for _ in range(3):
                await asyncio.sleep(0)
            try:
                writer.write(b"more")
                await writer.drain()
            except ConnectionResetError:
                return "it was known"
            finally:
                await close(writer)
            return "written"

    assert {aldente.run(main, seed=seed) for seed in range(60)} == {"it was known", "written"}


def test_no_wait_for_threads_while_something_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a schedule holds until nothing else can happen does not take real time."""
    held: list[int] = []
    wait = ForeignThreads.wait

    def note(self: ForeignThreads, *args: Any) -> bool:
        loop: Any = self._loop
        held.append(len(loop._held))
        return wait(self, *args)

    monkeypatch.setattr(ForeignThreads, "wait", note)

    async def main() -> None:
        async with serving(shout) as port:
            # Its thread stays until the loop is closed.
            await asyncio.get_running_loop().run_in_executor(None, len, "")
            reader, writer = await connect(port)
            writer.write(b"hello\n")
            assert await reader.readline() == b"HELLO\n"
            await close(writer)

    assert aldente.search(main, runs=30, strategy="random").failure is None
    assert not any(held)
