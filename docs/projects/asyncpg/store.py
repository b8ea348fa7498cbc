# store.py
import asyncio

import asyncpg

SCHEMA = "create table stock (name text primary key, amount int not null check (amount >= 0))"


class Stock:
    """The SQL, and nothing else."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def amount(self, name: str) -> int:
        amount = await self.pool.fetchval("select amount from stock where name = $1", name)
        return amount or 0

    async def set_amount(self, name: str, amount: int) -> None:
        await self.pool.execute("update stock set amount = $2 where name = $1", name, amount)

    async def take(self, name: str, amount: int) -> bool:
        """Take some, if there is enough."""
        taken = await self.pool.fetchval(
            "update stock set amount = amount - $2 where name = $1 and amount >= $2 returning 1",
            name,
            amount,
        )
        return taken is not None


class Shop:
    """What is above it."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock

    async def order(self, name: str, amount: int) -> str:
        for pause in (1, 5, None):
            try:
                async with asyncio.timeout(30):
                    left = await self.stock.amount(name)
                    if left < amount:
                        return "sold out"
                    await self.stock.set_amount(name, left - amount)
                    return "ordered"
            except (asyncpg.PostgresConnectionError, ConnectionError):
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError
