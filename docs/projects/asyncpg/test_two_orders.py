# test_two_orders.py
import asyncio

import aldente

from store import Shop, Stock


@aldente.explore
async def test_the_last_one_is_sold_once():
    amounts = {"penne": 1}
    stock = aldente.Double(Stock)
    stock.amount.calls(amounts.get).takes(0.1)
    stock.set_amount.calls(amounts.__setitem__).takes(0.1)
    shop = Shop(stock)

    async def order(after):
        await asyncio.sleep(after)
        return await shop.order("penne", 1)

    assert await asyncio.gather(order(0), order(0.3)) == ["ordered", "sold out"]
