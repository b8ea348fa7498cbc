"""`aldente.serializable`: operations that give together what they never give one at a time."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import aldente


class Shop:
    """Sells one thing, twice if two buy at once."""

    def __init__(self) -> None:
        self.stock = 1

    async def buy(self, who: str = "") -> bool:
        if not self.stock:
            return False
        await asyncio.sleep(0)
        self.stock -= 1
        return True

    async def look(self) -> int:
        return self.stock


async def buy_twice() -> None:
    """Two buy at once."""
    shop = aldente.serializable(Shop())
    await asyncio.gather(shop.buy("a"), shop.buy(who="b"))


Main = Callable[[], Coroutine[Any, Any, object]]


def error_of(main: Main, runs: int = 200) -> aldente.NotAtomic:
    """The error that a search finds."""
    found = aldente.search(main, runs=runs)
    assert found.failure is not None, found
    error = found.failure.exception
    assert isinstance(error, aldente.NotAtomic), found.failure.report()
    return error


def passes(main: Main, runs: int = 200) -> aldente.Exploration:
    """What a search says that finds nothing."""
    found = aldente.search(main, runs=runs)
    assert found.failure is None, found.failure.report()
    return found


def test_the_text() -> None:
    """The error shows what the operations gave, what they give one at a time, and the fix."""
    assert (
        str(error_of(buy_twice))
        == """\
The outcome of 2 operations of Shop matches no serial order of them.
Here:
    Task-2: buy('a') returned True; Task-3: buy(who='b') returned True; in the end {'stock': -1}
One at a time, in all orders:
    Task-2: buy('a') returned True; Task-3: buy(who='b') returned False; in the end {'stock': 0}
    Task-3: buy(who='b') returned True; Task-2: buy('a') returned False; in the end {'stock': 0}
Fix: do the steps that belong together without an await in between, or hold an asyncio.Lock \
around them."""
    )


def test_many_orders_are_cut() -> None:
    """The error shows three of what the operations give one at a time, and counts the others."""

    async def main() -> None:
        shop = aldente.serializable(Shop())
        await asyncio.gather(*(shop.buy(name) for name in "abcd"))

    text = str(error_of(main))
    assert "    and 1 more\n" in text
    assert text.count("returned False") == 9


def test_facts() -> None:
    """The error has its facts as attributes, survives pickling, and has a short repr."""
    error = pickle.loads(pickle.dumps(error_of(buy_twice)))
    assert (error.thing, error.count, error.orders, len(error.here)) == ("Shop", 2, 2, 1)
    assert repr(error) == "NotAtomic('Shop')"


def test_raised_errors_are_results() -> None:
    """What an operation raises is compared, by its type and its arguments."""

    class Coupon:
        used = 0

        async def redeem(self) -> None:
            if self.used:
                raise LookupError(self.used)
            await asyncio.sleep(0)
            self.used += 1

    async def main() -> None:
        coupon = aldente.serializable(Coupon(), state=lambda: None)
        await asyncio.gather(coupon.redeem(), coupon.redeem(), return_exceptions=True)

    assert "redeem() raised LookupError(1)" in str(error_of(main))


def test_state_is_compared() -> None:
    """`state` says what is compared at the end, in place of the attributes."""

    class Counter:
        value = 0

        async def add(self) -> None:
            before = self.value
            await asyncio.sleep(0)
            self.value = before + 1

    async def main(state: bool) -> None:
        counter = Counter()
        aldente.serializable(counter, state=None if state else lambda: counter.value > 0)
        await asyncio.gather(counter.add(), counter.add())

    assert "in the end {'value': 1}" in str(error_of(partial(main, True)))
    assert not passes(partial(main, False)).unjudged


def test_an_error_in_state_fails_the_run() -> None:
    """What `state` raises is the error of the run."""

    async def main() -> None:
        shop = aldente.serializable(Shop(), state=lambda: 1 // 0)
        await asyncio.gather(shop.buy(), shop.buy())

    failure = aldente.search(main).failure
    assert failure is not None
    assert isinstance(failure.exception, ZeroDivisionError)


def test_linearizable() -> None:
    """With `linearizable` operations that did not overlap keep their order.

    A read that is too old may be put before the write, unless it began when that had ended.
    """

    class Register:
        def __init__(self) -> None:
            self.value = self.published = 0
            self.waiting = 0

        async def set(self, value: int) -> None:
            self.value = value
            if not self.waiting:
                self.published = value

        async def get(self) -> int:
            return self.published

        async def sync(self) -> None:
            self.waiting += 1
            await asyncio.sleep(1)
            self.waiting -= 1
            self.published = self.value

    async def main(linearizable: bool) -> None:
        register = Register()
        aldente.serializable(register, linearizable=linearizable)
        await asyncio.gather(register.sync(), register.set(1), _later(register.get))

    passes(partial(main, False))
    error = error_of(partial(main, True))
    assert error.is_ordered
    assert str(error).startswith(
        "The outcome of 3 operations of test_linearizable.<locals>.Register matches no serial "
        "order of them in which each begins after those that had ended.\n"
    )


async def _later(operation: Callable[[], Coroutine[Any, Any, object]]) -> None:
    await asyncio.sleep(0.5)
    await operation()


def test_several_objects() -> None:
    """The methods of several objects are operations of one whole, and the error names both."""

    class Service:
        def __init__(self, shop: Shop) -> None:
            self.shop = shop

        async def order(self) -> bool:
            return await self.shop.look() > 0 and await self.shop.buy()

    async def main() -> None:
        shop = Shop()
        service = aldente.serializable(Service(shop), shop)
        await asyncio.gather(service.order(), shop.buy())

    error = error_of(main)
    assert error.thing.endswith("Service and Shop")
    assert error.count == 2


def test_slots() -> None:
    """The state of an object with slots is compared, private names included."""

    class Counter:
        __slots__ = ("__hidden", "value")

        def __init__(self) -> None:
            self.value = self.__hidden = 0

        async def add(self) -> None:
            before = self.__hidden
            await asyncio.sleep(0)
            self.__hidden = before + 1

    async def main() -> None:
        counter = aldente.serializable(Counter())
        await asyncio.gather(counter.add(), counter.add())

    assert "'_Counter__hidden': 1" in str(error_of(main))


@dataclasses.dataclass(frozen=True)
class Point:
    """An object that refuses assignments."""

    x: int

    async def move(self) -> Point:
        return Point(self.x + 1)


def test_an_observed_object_is_as_before() -> None:
    """Type, repr, ==, copies and pickles of an observed object are those of any other."""

    async def main() -> None:
        point, other = aldente.serializable(Point(1)), Point(1)
        assert isinstance(point, Point)
        assert point.__class__ is Point
        assert type(point).__name__ == "Point"
        assert type(point).__qualname__ == "Point"
        assert repr(point) == repr(other)
        assert point == other
        assert hash(point) == hash(other)
        assert pickle.loads(pickle.dumps(point)) == other
        assert type(copy.copy(point)) is Point
        assert point.move.__name__ == "move"
        assert await point.move() == Point(2)

    passes(main, runs=2)


def test_the_class_is_restored() -> None:
    """After a run, an object that outlives it is not observed any more."""
    shop = Shop()

    async def main() -> None:
        assert aldente.serializable(shop) is shop
        assert type(shop) is not Shop
        await shop.look()

    passes(main, runs=3)
    assert type(shop) is Shop


def test_nothing_on_other_loops() -> None:
    """On any other loop the object is returned, and is left alone."""

    async def main() -> None:
        shop = Shop()
        assert aldente.serializable(shop) is shop
        assert type(shop) is Shop
        await asyncio.gather(shop.buy(), shop.buy())

    asyncio.run(main())
    assert type(aldente.serializable(Shop())) is Shop


def test_an_operation_driven_by_hand() -> None:
    """A method of an observed object can be driven without a loop."""
    kept: list[Shop] = []

    async def main() -> None:
        kept.append(aldente.serializable(Shop()))
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        try:
            with pytest.raises(StopIteration):
                kept[0].look().send(None)
        finally:
            asyncio._set_running_loop(loop)

    passes(main, runs=1)


@pytest.mark.parametrize("thing", [object(), 1, asyncio.Lock])
def test_no_operations(thing: object) -> None:
    """An object without a public async method is refused."""
    with pytest.raises(aldente.InvalidSetting, match="It has no public async method"):
        aldente.serializable(thing)


def test_no_function() -> None:
    """A `state` that can't be called is refused."""
    with pytest.raises(aldente.InvalidSetting, match="It must be a function without arguments"):
        aldente.serializable(Shop(), state=1)  # type: ignore[arg-type]


def test_a_class_that_can_not_be_replaced() -> None:
    """An object whose class refuses subclasses is refused, with the reason."""

    class Final:
        def __init_subclass__(cls) -> None:
            raise TypeError("it is final")

        async def work(self) -> None:
            pass

    async def main() -> None:
        aldente.serializable(Final())

    failure = aldente.search(main, runs=1).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.InvalidSetting)
    assert "it is final" in str(failure.exception)


class Channel:
    """A queue, whose `get` waits; `drain` is not atomic."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.drained: list[int] = []

    async def put(self, item: int) -> None:
        await self.queue.put(item)

    async def get(self) -> int:
        return await self.queue.get()

    async def drain(self) -> int:
        await self.queue.get()
        before = len(self.drained)
        await asyncio.sleep(0)
        self.drained = [*self.drained[:before], 1]
        return len(self.drained)


def test_operations_that_wait_for_others_overlap() -> None:
    """Where an operation waits for another one, that one is let through, and nothing fails."""

    async def main() -> None:
        channel = aldente.serializable(Channel())
        await asyncio.gather(channel.get(), channel.get(), channel.put(1), channel.put(2))

    assert not passes(main).unjudged


def test_the_failure_is_shrunk_and_replayed() -> None:
    """A failure that needs a schedule is shrunk, and its token gives the same error."""

    async def main() -> None:
        shop = aldente.serializable(Shop())

        async def later() -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await shop.buy()

        await asyncio.gather(shop.buy(), later())

    assert aldente.search(main, strategy="fifo").failure is None
    failure = aldente.search(main, seed=2).failure
    assert failure is not None
    assert failure.shrinking is not None
    assert failure.shrinking.after == 1
    with pytest.raises(aldente.NotAtomic) as caught:
        aldente.replay(main, failure.token)
    assert str(caught.value) == str(failure.exception)


def test_the_same_in_another_process() -> None:
    """Another process, with another hash seed, finds the same failure and the same text."""
    code = (
        "import aldente; from tests.unit.test_serializable import buy_twice\n"
        "failure = aldente.search(buy_twice).failure\n"
        "print(failure.token, failure.exception)"
    )
    folder = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{folder / 'src'}:{folder}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(outputs) == 1
    assert "buy('a') returned True" in outputs.pop()
