"""The program as its users start it: its own process, real servers, real time."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aldente
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

pytestmark = aldente.real_time


@pytest.fixture
async def outside() -> AsyncIterator[str]:
    """A server that tells prices, and charges customers."""
    application = FastAPI()

    @application.get("/prices/{concert}")
    async def price(concert: int) -> dict[str, int]:
        return {"cents": 1000 * concert}

    @application.post("/payments")
    async def charge() -> None:
        pass

    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        await aldente.eventually(lambda: server.started, within=30)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
        server.should_exit = True


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
async def test_a_ticket_is_bought(outside: str, tmp_path: Path) -> None:
    """A ticket is bought, the stream ends with the service, and the mail is sent before that."""
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tickets", "--port=0", "--concert=Winterreise=2"),
        *(f"--prices={outside}", f"--payments={outside}"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert service.stdout is not None
    found = re.fullmatch(r"tickets are sold at (\S+)\n", (await service.stdout.readline()).decode())
    assert found is not None, (await service.communicate())[1].decode()

    async with (
        httpx.AsyncClient(base_url=found[1], trust_env=False, timeout=30) as client,
        client.stream("GET", "/concerts/1/events") as events,
    ):
        lines = events.aiter_lines()
        assert await anext(lines) == 'data: {"left": 2}'
        reserved = await client.post("/concerts/1/reservations", json={"email": "ann"})
        paid = await client.post(f"/reservations/{reserved.json()['key']}/payment")
        service.send_signal(signal.SIGINT)
        rest = [line async for line in lines]
    _, log = await service.communicate()

    assert (paid.json()["state"], paid.json()["cents"]) == ("paid", 1000)
    assert 'data: {"left": 1}' in rest
    assert f"tickets.mail: to ann: Your ticket: {paid.json()['key']}" in log.decode()
    assert service.returncode == 0
