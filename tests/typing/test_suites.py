# pyright: strict
"""A suite as users type it: doubles in fixtures, without a cast."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol, assert_type, get_args

import pytest

import aldente
from aldente import Call, Double, Gate


class Shop:
    """What the code under test asks."""

    currency = "EUR"

    async def price(self, name: str) -> int:
        return len(name)

    def is_open(self) -> bool:
        return True


class Prices(Protocol):
    async def price(self, name: str) -> int: ...


class Stock(ABC):
    @abstractmethod
    async def price(self, name: str) -> int: ...


async def total(shop: Shop, names: list[str]) -> int:
    """Code that wants a shop."""
    return sum([await shop.price(name) for name in names])


async def price_in(prices: Prices, name: str) -> int:
    """Code that wants anything with prices."""
    return await prices.price(name)


# At runtime too: pytest reads no annotations, but what does, such as a dependency injector, may.
ShopDouble = Double[Shop]


@pytest.fixture
def shop() -> Double[Shop]:
    shop = Double(Shop)
    assert_type(shop, Double[Shop])
    shop.price.returns(12)
    return shop


@pytest.fixture
def prices() -> Double[Prices]:
    return Double(Prices)


@pytest.fixture
def stock() -> Double[Stock]:
    return Double(Stock)


@pytest.fixture
def patched() -> Iterator[Double[Shop]]:
    with aldente.patch(f"{__name__}.Shop.price") as double:
        yield double


async def test_a_class(shop: Double[Shop]) -> None:
    """The double of a class passes for the class, and its attributes are doubles."""
    shop.price.when("jam").returns_each(3, 4)
    shop.is_open.return_value = False
    assert await total(shop, ["tea", "jam"]) == 15
    shop.price.assert_any_await("tea")
    assert shop.price.peak_concurrency == 1
    assert isinstance(shop, Shop)


async def test_a_gate(shop: Double[Shop]) -> None:
    """Gates and calls that are given a type have it."""
    gate: Gate = shop.price.hold()
    asking = asyncio.create_task(total(shop, ["tea"]))
    (call,) = await gate.arrived(1)
    assert_type(call, Call)
    gate.release()
    assert await asking == 12


async def test_protocols_and_abstract_classes(prices: Double[Prices], stock: Double[Stock]) -> None:
    """What can't be instantiated has doubles as well."""
    prices.price.returns(1)
    stock.price.returns(2)
    assert await price_in(prices, "tea") + await price_in(stock, "tea") == 3


async def test_a_patch(patched: Double[Shop]) -> None:
    """The annotation says what the string of a patch can't."""
    patched.returns(5)
    assert await Shop().price("tea") == 5


async def test_without_a_spec() -> None:
    """A double that takes everything is a type as well."""
    anything = Double()
    assert_type(anything, Double[Any])
    anything.price.returns(1)
    assert await anything.price("tea") == 1


def test_at_runtime() -> None:
    """A subscript needs no more than the class, on any Python, and makes doubles of it."""
    assert get_args(ShopDouble) == (Shop,)
    for made in (ShopDouble(), ShopDouble(Shop), ShopDouble(name="shop"), ShopDouble(spec=Shop)):
        assert isinstance(made, Shop)
        with pytest.raises(AttributeError, match="prise"):
            made.prise.returns(1)
    assert Double[Any]().prise.returns(1) is not None
