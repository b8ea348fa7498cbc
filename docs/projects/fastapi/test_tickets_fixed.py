# test_tickets_fixed.py
import asyncio

import aldente
from fastapi import HTTPException

from tickets import Bank, tickets
from tickets_fixed import buy


@aldente.explore
async def test_one_ticket_for_two(monkeypatch):
    monkeypatch.setattr(tickets, "left", 1)
    bank = aldente.Double(Bank)
    bank.pay.returns(None).takes(0.5)
    answers = await asyncio.gather(
        buy("ann's card", bank), buy("bob's card", bank), return_exceptions=True
    )
    assert [isinstance(each, HTTPException) for each in answers].count(True) == 1


@aldente.explore
async def test_a_client_that_hangs_up(monkeypatch):
    monkeypatch.setattr(tickets, "left", 1)
    bank = aldente.Double(Bank)
    bank.pay.returns(None).takes(0.5)
    buying = aldente.may_be_cancelled(asyncio.create_task(buy("ann's card", bank)))
    await asyncio.wait([buying])
    assert tickets.left == (1 if buying.cancelled() else 0)
