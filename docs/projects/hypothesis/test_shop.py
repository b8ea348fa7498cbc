# test_shop.py
import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
async def prices():
    await asyncio.sleep(0)  # say, a connection
    return {"penne": 2, "pesto": 5}


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["penne", "pesto"])))
async def test_sum(prices, names):
    cart = list(names)  # of this example alone
    await asyncio.sleep(0)
    assert sum(prices[name] for name in cart) >= 2 * len(names)
