# test_sql.py
import pytest

from store import Stock


@pytest.fixture
async def stock(connection):
    await connection.execute("insert into stock values ('penne', 3)")
    return Stock(connection)


async def test_amount(stock):
    assert await stock.amount("penne") == 3
    assert await stock.amount("pizza") == 0


async def test_take(stock):
    assert await stock.take("penne", 2)
    assert not await stock.take("penne", 2)
    assert await stock.amount("penne") == 1
