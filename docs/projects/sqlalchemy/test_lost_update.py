# test_lost_update.py
import asyncio

import aldente

from bank import Rates, balance, pay_in_abroad


@aldente.explore(runs=10)
async def test_two_payments(sessions):
    rates = aldente.Double(Rates)
    rates.of.returns(2).takes(0.1)

    async def pay_in_later():
        await asyncio.sleep(0.15)
        await pay_in_abroad(sessions, rates, "ann", 10, "USD")

    await asyncio.gather(pay_in_abroad(sessions, rates, "ann", 1, "USD"), pay_in_later())
    assert await balance(sessions, "ann") == 22
