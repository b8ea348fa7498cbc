# test_tickets.py
import asyncio

import aldente
import pytest
from fastapi import HTTPException

from tickets import Bank, buy, tickets


@aldente.explore
async def test_the_last_ticket(monkeypatch):
    monkeypatch.setattr(tickets, "left", 1)
    bank = aldente.Double(Bank)
    bank.pay.returns(None).takes(0.5)

    async def buy_late():
        await asyncio.sleep(0.7)
        with pytest.raises(HTTPException):
            await buy("bob's card", bank)

    await asyncio.gather(buy("ann's card", bank), buy_late())
