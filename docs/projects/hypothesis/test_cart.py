# test_cart.py
import asyncio

from hypothesis import given
from hypothesis import strategies as st


class Cart:
    def __init__(self):
        self.items = {}

    async def add(self, name, count):
        await asyncio.sleep(0)
        self.items[name] = self.items.get(name, 0) + count

    async def remove(self, name, count):
        await asyncio.sleep(0)
        self.items[name] -= count


@given(st.integers(1, 9), st.integers(1, 9))
async def test_never_below_zero(added, removed):
    cart = Cart()
    await cart.add("penne", added)
    await cart.remove("penne", removed)
    assert cart.items["penne"] >= 0
