# restock.py
import asyncpg

QUERY = "update stock set amount = amount + $2 where name = $1"


async def restock(pool: asyncpg.Pool, amounts: dict[str, int]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        for name, amount in amounts.items():
            await connection.execute(QUERY, name, amount)
