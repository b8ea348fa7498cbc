"""Server-sent events and websockets over uvicorn, with real clients."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import aldente
import httpx
import pytest
import websockets

from tickets.application import Service
from tickets.server import Server

Reader: TypeAlias = Callable[[Server, list[int]], Coroutine[Any, Any, None]]


async def read_events(server: Server, heard: list[int]) -> None:
    """Read server-sent events to the end."""
    async with (
        httpx.AsyncClient(base_url=server.address, timeout=None) as client,
        client.stream("GET", "/concerts/1/events") as response,
    ):
        async for line in response.aiter_lines():
            if line:
                heard.append(json.loads(line.removeprefix("data: "))["left"])


async def read_messages(server: Server, heard: list[int]) -> None:
    """Read the messages of a websocket to the end."""
    address = server.address.replace("http:", "ws:")
    async with websockets.connect(f"{address}/concerts/1/seats", proxy=None) as websocket:
        # At its end uvicorn says 1012: one may come again soon.
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in websocket:
                heard.append(json.loads(message)["left"])


both = pytest.mark.parametrize("read", [read_events, read_messages])


@both
async def test_a_stream_tells_each_change(server: Server, service: Service, read: Reader) -> None:
    """The first number comes at once, the next ones when they change."""
    heard: list[int] = []
    reading = asyncio.create_task(read(server, heard))
    await aldente.eventually(lambda: heard == [3])
    await service.box_office.reserve(1, "ann")
    await aldente.eventually(lambda: heard == [3, 2])
    server.should_exit = True
    await reading


@both
@aldente.explore(runs=3)
async def test_a_client_that_goes_is_forgotten(
    server: Server, service: Service, read: Reader
) -> None:
    """Whenever it goes, nothing is kept of it, and nothing is left running."""
    reading = asyncio.create_task(read(server, []), name="client")
    await asyncio.sleep(0.5)
    await service.box_office.reserve(1, "ann")
    reading.cancel()
    await asyncio.wait([reading])

    await aldente.eventually(lambda: service.feed.listeners == 0)


@both
@aldente.explore(runs=3)
async def test_the_end_closes_streams(server: Server, read: Reader) -> None:
    """The server does not wait for clients that would listen for ever."""
    heard: list[list[int]] = [[], []]
    reading = [asyncio.create_task(read(server, one)) for one in heard]
    await aldente.eventually(lambda: all(heard))
    server.should_exit = True
    async with asyncio.timeout(60):
        await asyncio.gather(*reading)

    assert heard == [[3], [3]]
