# test_orders.py
import asyncio


async def order(dish):
    await asyncio.sleep(0)


async def test_forgets():
    order("penne")


async def test_innocent():
    await order("pesto")
