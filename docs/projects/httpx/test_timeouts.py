# test_timeouts.py
import asyncio

import aldente
import httpx
import pytest


@pytest.fixture
async def silent():
    async def handle(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


@aldente.virtual_time
async def test_30_seconds(silent, clock):
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(silent, timeout=30)
    assert clock.elapsed == 30
