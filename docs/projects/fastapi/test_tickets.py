# test_tickets.py
import asyncio

import aldente
import pytest
from httpx import ASGITransport, AsyncClient

from tickets import Bank, app, tickets


@pytest.fixture
async def client(monkeypatch):
    bank = aldente.Double(Bank)
    bank.pay.returns(None).takes(0.5)

    async def the_double():
        return bank

    monkeypatch.setitem(app.dependency_overrides, Bank, the_double)
    monkeypatch.setattr(tickets, "left", 1)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@aldente.explore
async def test_the_last_ticket(client):
    async def buy(card, after):
        await asyncio.sleep(after)
        response = await client.post("/tickets", params={"card": card})
        return response.status_code

    assert await asyncio.gather(buy("ann", 0), buy("bob", 0.7)) == [200, 409]
