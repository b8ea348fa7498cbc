# test_restock.py
import aldente
import asyncpg
import pytest

from restock import QUERY, restock


@pytest.fixture
def connection():
    return aldente.Double(asyncpg.Connection)


@pytest.fixture
def pool(connection):
    pool = aldente.Double(asyncpg.Pool)
    pool.acquire.return_value.__aenter__.return_value = connection
    return pool


async def test_restock(pool, connection):
    connection.execute.returns("UPDATE 1")
    await restock(pool, {"penne": 5})
    connection.execute.assert_awaited_once_with(QUERY, "penne", 5)


async def test_an_error_ends_it(pool, connection):
    connection.execute.raises(asyncpg.DeadlockDetectedError)
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await restock(pool, {"penne": 5, "pizza": 3})
    assert connection.execute.await_count == 1
    connection.transaction.return_value.__aexit__.assert_awaited_once()
