# test_sessions.py
import asyncio

import aldente

from bank import Account, Rates, balance, pay_in_abroad


async def test_what_is_not_committed_is_not_seen(sessions):
    async with sessions() as session:
        (await session.get_one(Account, "ann")).balance = 5
        await session.flush()
        assert await balance(sessions, "ann") == 0
        await session.commit()
    assert await balance(sessions, "ann") == 5


async def test_payments(sessions):
    rates = aldente.Double(Rates)
    rates.of.returns(2)
    await pay_in_abroad(sessions, rates, "ann", 1, "USD")
    await pay_in_abroad(sessions, rates, "ann", 10, "USD")
    assert await balance(sessions, "ann") == 22


async def test_nothing_is_paid_by_half(sessions):
    rates = aldente.Double(Rates)
    gate = rates.of.hold()
    paying = asyncio.create_task(pay_in_abroad(sessions, rates, "ann", 1, "USD"))
    await gate.arrived()
    gate.fail(ConnectionError("closed"))
    await asyncio.wait([paying])
    assert isinstance(paying.exception(), ConnectionError)
    assert await balance(sessions, "ann") == 0
