# test_orders.py
import asyncio
import time


async def order(dish):
    await asyncio.sleep(0)
    return dish


async def test_forgets():
    order("penne")


async def test_blocks():
    time.sleep(0.05)
    assert await order("pesto") == "pesto"
