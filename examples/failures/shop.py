"""A shop with a mistake of each kind in it, which the tests beside it find."""

from __future__ import annotations

import asyncio


class Shop:
    """Sells what is in stock."""

    def __init__(self, stock: int) -> None:
        self.stock = stock
        self.sold: list[str] = []

    async def buy(self, who: str) -> bool:
        """Sell one item; whether there was one."""
        if self.stock == 0:
            return False
        await self.charge(who)
        self.stock -= 1  # Somebody else may have bought the last one meanwhile.
        self.sold.append(who)
        return True

    async def charge(self, who: str) -> None:
        """Take the money for an item."""
        await asyncio.sleep(0)


class Account:
    """Money, which only one task at a time may move."""

    def __init__(self, money: int) -> None:
        self.money = money
        self.lock = asyncio.Lock()


async def transfer(amount: int, source: Account, target: Account) -> None:
    """Move money between accounts."""
    async with source.lock:
        await asyncio.sleep(0.1)  # The other transfer has taken its first lock by now.
        async with target.lock:
            source.money -= amount
            target.money += amount


class Orders:
    """Stores orders, with a worker that writes them down."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.stored: list[str] = []

    async def work(self) -> None:
        """Store orders until cancelled."""
        while True:
            order = await self.queue.get()
            await asyncio.sleep(1)  # Cancelled here, it has lost an order.
            self.stored.append(order)


class Cache:
    """Keeps what it has read from a slow store, and forgets a value when it is set."""

    def __init__(self) -> None:
        self.store: dict[str, int] = {}
        self.kept: dict[str, int | None] = {}

    async def get(self, key: str) -> int | None:
        """Read a value."""
        if key not in self.kept:
            value = self.store.get(key)
            await asyncio.sleep(0.01)
            self.kept[key] = value  # What was set meanwhile is hidden from now on.
        return self.kept[key]

    async def set(self, key: str, value: int) -> None:
        """Write a value."""
        self.kept.pop(key, None)
        await asyncio.sleep(0.01)
        self.store[key] = value


class Bank:
    """A service on the network that says what is paid."""

    async def is_paid(self, order: str) -> bool:
        """Ask about an order."""
        raise NotImplementedError


async def wait_until_paid(bank: Bank, order: str) -> None:
    """Ask again and again, and wait longer each time."""
    delay = 1.0
    while not await bank.is_paid(order):
        await asyncio.sleep(delay)
        delay *= 2
