"""Server-sent events and websockets over uvicorn, with real clients."""

import asyncio
import json

import aldente
import httpx
import pytest
import websockets

from tickets.application import Service
from tickets.server import Server


async def events(server: Server) -> list[int]:
    """Read server-sent events to the end."""
    async with httpx.AsyncClient(base_url=server.address, timeout=None) as client:
        async with client.stream("GET", "/concerts/1/events") as response:
            lines = [line async for line in response.aiter_lines() if line]
    return [json.loads(line.removeprefix("data: "))["left"] for line in lines]


async def messages(server: Server) -> list[int]:
    """Read the messages of a websocket to the end."""
    address = server.address.replace("http:", "ws:")
    async with websockets.connect(f"{address}/concerts/1/seats", proxy=None) as websocket:
        return [json.loads(message)["left"] async for message in websocket]


@pytest.mark.parametrize("read", [events, messages])
async def test_a_stream_tells_each_change(server: Server, service: Service, read) -> None:
    """The first number comes at once, the next ones when they change."""
    reading = asyncio.create_task(read(server))
    await aldente.eventually(lambda: service.feed.listeners)
    await asyncio.sleep(1)
    await service.box_office.reserve(1, "ann")
    await asyncio.sleep(1)
    server.should_exit = True

    assert await reading == [3, 2]


@pytest.mark.parametrize("read", [events, messages])
@aldente.explore(runs=10)
async def test_a_client_that_goes_is_forgotten(server: Server, service: Service, read) -> None:
    """Whenever it goes, nothing is kept of it, and nothing is left running."""
    reading = asyncio.create_task(read(server), name="client")
    await asyncio.sleep(0.5)
    await service.box_office.reserve(1, "ann")
    reading.cancel()
    await asyncio.wait([reading])

    await aldente.eventually(lambda: service.feed.listeners == 0)


@pytest.mark.parametrize("read", [events, messages])
@aldente.explore(runs=10)
async def test_the_end_closes_streams(server: Server, service: Service, read) -> None:
    """uvicorn does not wait for clients that would listen for ever."""
    reading = [asyncio.create_task(read(server), name=f"client {n}") for n in range(2)]
    await aldente.eventually(lambda: service.feed.listeners == 2)
    server.should_exit = True
    async with asyncio.timeout(60):
        assert await asyncio.gather(*reading) == [[3], [3]]
