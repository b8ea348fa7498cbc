# test_shop.py
import aldente
import asyncpg
import pytest

from store import Shop, Stock

pytestmark = aldente.virtual_time


@pytest.fixture
def stock():
    stock = aldente.Double(Stock)
    stock.amount.returns(3)
    stock.set_amount.returns(None)
    return stock


async def test_order(stock):
    assert await Shop(stock).order("penne", 2) == "ordered"
    stock.set_amount.assert_awaited_once_with("penne", 1)


async def test_sold_out(stock):
    assert await Shop(stock).order("penne", 4) == "sold out"
    stock.set_amount.assert_not_awaited()


async def test_a_server_that_starts_again(stock, clock):
    gone = asyncpg.ConnectionDoesNotExistError("gone")
    stock.amount.returns_each(gone, gone, 3)
    assert await Shop(stock).order("penne", 2) == "ordered"
    assert clock.elapsed == 1 + 5


async def test_a_query_that_hangs(stock, clock):
    stock.amount.never_returns()
    with pytest.raises(TimeoutError):
        await Shop(stock).order("penne", 2)
    assert clock.elapsed == 30
    assert stock.amount.cancelled_count == 1
