"""`value_of`: what values of two runs are compared by."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
from collections.abc import Callable

import pytest

from aldente._simulation.values import TooLarge, value_of


class Color(enum.Enum):
    """A colour."""

    RED = 1
    BLUE = 2


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass with slots, which can't be hashed."""

    x: object


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A dataclass that can be hashed."""

    x: int


class Own:
    """An == of its own, by identity, and an attribute."""

    def __init__(self, x: object) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def say(self) -> None:
        """A method."""


class Text(str):
    """A string with an attribute."""

    __slots__ = ("x",)


_SAMPLES: list[Callable[[int], object]] = [
    lambda n: n,
    lambda n: float(n),
    lambda n: [n, float("nan")],
    lambda n: {"a": n, "b": {1, n}},
    lambda n: (n,),
    lambda n: Slotted(n),
    lambda n: Own([n]),
    lambda n: Color(n),
    lambda n: decimal.Decimal(n),
    lambda n: datetime.datetime(2030, 1, n, tzinfo=datetime.UTC),
    lambda n: bytearray([n]),
    lambda n: ValueError("x", n),
    lambda n: Text(n),
    lambda n: Frozen(n),
]


@pytest.mark.parametrize("make", _SAMPLES)
def test_equal_values(make: Callable[[int], object]) -> None:
    """Two objects made of the same are equal, whatever their own == says, and of others are not."""
    assert value_of(make(1)) == value_of(make(1))
    assert hash(value_of(make(1))) == hash(value_of(make(1)))
    assert value_of(make(1)) != value_of(make(2))


def test_types_of_values() -> None:
    """Values of different types are not equal; locks, functions and methods are no values."""
    assert len({value_of(each) for each in (1, 1.0, True, "1", [1], (1,), {1})}) == 7
    assert value_of(asyncio.Lock()) == value_of(asyncio.Lock())
    assert value_of(Own(1).say) == value_of(Own(1).say)
    assert value_of(lambda: 1) == value_of(lambda: 2)


def test_cycles_and_sizes_of_values() -> None:
    """A value may contain itself; one of too many parts is refused, not read for ever."""
    ring: list[object] = [1]
    ring.append(ring)
    other: list[object] = [1]
    other.append(other)
    assert value_of(ring) == value_of(other)
    dense: list[Own] = [Own(None) for _ in range(12)]
    for each in dense:
        each.x = list(dense)
    with pytest.raises(TooLarge):
        value_of(dense)
