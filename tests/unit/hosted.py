"""What the tests of hosts, links and faults share: runs in stock order, and a server of lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.fifo import Fifo

Main: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter

PORT = 4000


def in_stock_order(main: Main, **settings: Any) -> Run:
    """The run of a program in stock order."""
    return simulate(main, Fifo(), RunSettings(**settings))


def result_of(main: Main, **settings: Any) -> Any:
    """What a program returns in stock order."""
    run = in_stock_order(main, **settings)
    if run.error is not None:
        raise run.error
    return run.result


def outcomes_of(
    main: Main, runs: int = 80, *, strategy: str = "random", **settings: Any
) -> set[Any]:
    """What a program returns under many schedules."""
    found: set[Any] = set()

    async def collect() -> None:
        found.add(await main())

    exploration = aldente.search(collect, runs=runs, seed=1, strategy=strategy, **settings)
    assert exploration.failure is None, exploration.failure.report()
    return found


async def echo(reader: Reader, writer: Writer) -> None:
    """Send each line back."""
    # Also that of a connection that was given up.
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()


async def serve() -> None:
    """Serve lines, until it is cancelled."""
    server = await asyncio.start_server(echo, "0.0.0.0", PORT)
    async with server:
        await server.serve_forever()


async def connect(host: str) -> tuple[Reader, Writer]:
    """Connect to the server of a host, as soon as there is one."""
    while True:
        try:
            return await asyncio.open_connection(host, PORT)
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)


async def ask(reader: Reader, writer: Writer, line: bytes = b"hello\n") -> bytes:
    """Send a line; return the answer."""
    writer.write(line)
    return await reader.readline()
