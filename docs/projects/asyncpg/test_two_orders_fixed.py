# test_two_orders_fixed.py
import asyncio

import aldente

from shop_fixed import Shop
from store import Stock


@aldente.explore
async def test_the_last_one_is_sold_once():
    amounts = {"penne": 1}

    def take(name, amount):
        is_enough = amounts[name] >= amount
        amounts[name] -= amount if is_enough else 0
        return is_enough

    stock = aldente.Double(Stock)
    stock.take.calls(take).takes(0.1)
    shop = Shop(stock)
    answers = await asyncio.gather(shop.order("penne", 1), shop.order("penne", 1))
    assert sorted(answers) == ["ordered", "sold out"]
