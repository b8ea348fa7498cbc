"""Tests that fail, each in a way of its own: what failures look like on the page.

``make demo`` runs them with ``--aldente-html`` and ``--aldente-trace``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from shop import Account, Bank, Cache, Orders, Shop, transfer, wait_until_paid

import aldente
from aldente import models


@aldente.explore
async def test_the_last_item_is_sold_once() -> None:
    shop = Shop(stock=1)
    await asyncio.gather(shop.buy("Ann"), shop.buy("Bob"))
    assert len(shop.sold) == 1


@aldente.explore
async def test_who_comes_first_is_served_first() -> None:
    shop = Shop(stock=2)
    await asyncio.gather(shop.buy("Ann"), shop.buy("Bob"))
    assert shop.sold == ["Ann", "Bob"]


@aldente.explore
async def test_no_order_is_lost() -> None:
    orders = Orders()
    worker = asyncio.create_task(orders.work(), name="worker")
    for order in ("tea", "jam"):
        await asyncio.sleep(1.5)
        orders.queue.put_nowait(order)
    await asyncio.sleep(1.5)
    worker.cancel()
    assert orders.stored == ["tea", "jam"]


@aldente.virtual_time
async def test_transfers_in_both_directions() -> None:
    one, other = Account(10), Account(10)
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(1, one, other), name="one to other")
        group.create_task(transfer(2, other, one), name="other to one")
    assert one.money == 11


@aldente.explore
async def test_a_cache_shows_what_was_set() -> None:
    history, cache = aldente.history(), Cache()

    async def write(value: int) -> None:
        with history.operation("set", "a", value):
            await cache.set("a", value)

    async def read() -> None:
        with history.operation("get", "a") as operation:
            operation.returns(await cache.get("a"))

    async with asyncio.TaskGroup() as group:
        group.create_task(write(1), name="writer")
        group.create_task(read(), name="reader")
    await read()
    history.linearizable(models.KeyValue())


@aldente.virtual_time
async def test_orders_are_paid(doubles: Any) -> None:
    bank = doubles.double(Bank)
    bank.is_paid.takes(0.5).returns(False)
    bank.is_paid.when("jam").takes(2).returns(True)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for order in ("tea", "jam"):
            group.create_task(wait_until_paid(bank, order), name=order)


@aldente.timeout(0.5)
async def test_the_worker_catches_up() -> None:
    orders = Orders()
    workers = [asyncio.create_task(orders.work(), name=f"worker {n}") for n in (1, 2)]
    for order in ("tea", "jam"):
        orders.queue.put_nowait(order)
    # The workers never call task_done().
    await orders.queue.join()
    for worker in workers:
        worker.cancel()


async def test_a_charge_that_is_forgotten() -> None:
    Shop(stock=1).charge("Ann")
