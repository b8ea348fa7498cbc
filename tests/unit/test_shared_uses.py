"""What raced, as the story of a failure says it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aldente
from aldente._own_errors import OwnError, listeners

Main = Callable[[], Coroutine[Any, Any, None]]


def race_in(main: Main) -> str:
    """The paragraph on what raced in the failure of a program; without numbers of lines."""
    failure = aldente.search(main).failure
    assert failure is not None
    found = re.search(r"^What raced.*?\n\n", failure.report(), re.DOTALL | re.MULTILINE)
    # A line that is too long goes on in the next one.
    text = re.sub(r"\n {4}(?=\S)", " ", found[0]) if found else ""
    return re.sub(r"at \S*\.py:\d+", "at LINE", text).strip()


class Shop:
    """A shop with one item."""

    def __init__(self) -> None:
        self.stock = 1
        self.sold: list[str] = []

    async def buy(self, name: str) -> None:
        """Buy an item, if there is one."""
        if self.stock > 0:
            await asyncio.sleep(0.01)
            self.stock -= 1

    async def buy_checked(self, name: str) -> None:
        """Buy an item, if there still is one when it is taken; and count wrongly who did."""
        if self.stock > 0:
            await asyncio.sleep(0.01)
            if self.stock > 0:
                self.stock -= 1
                self.sold.append(name)


async def check_then_act() -> None:
    """Two customers find the same item."""
    shop = Shop()
    await asyncio.gather(*(shop.buy(name) for name in ("Ann", "Bob")))
    assert shop.stock == 0


async def lost_update() -> None:
    """A balance is read before an await and written after it."""
    balance = 100

    async def pay(amount: int) -> None:
        nonlocal balance
        before = balance
        await asyncio.sleep(0)
        balance = before - amount

    await asyncio.gather(pay(10), pay(20))
    assert balance == 70


async def added_across_an_await() -> None:
    """The value before ``+=`` is read before the await on its right."""
    counts = {"a": 0}

    async def one() -> int:
        await asyncio.sleep(0)
        return 1

    async def add() -> None:
        counts["a"] += await one()

    await asyncio.gather(add(), add())
    assert counts["a"] == 2


class Counter:
    """A counter without a dictionary of its own."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Counted:
    """A counter whose first value is its class's."""

    count = 0


async def counted(counter: Any) -> None:
    """A count is read before an await and written after it."""

    async def add() -> None:
        before = counter.count
        await asyncio.sleep(0)
        counter.count = before + 1

    await asyncio.gather(add(), add())
    assert counter.count == 2


async def counted_in_slots() -> None:
    """The object has slots."""
    await counted(Counter())


async def counted_from_the_class() -> None:
    """The object has no such attribute before."""
    await counted(Counted())


async def changed_by_a_comprehension() -> None:
    """The line that changes the list runs a loop of its own."""
    rows = [0, 0]

    async def add() -> None:
        before = list(rows)
        await asyncio.sleep(0)
        rows[:] = [each + 1 for each in before]

    await asyncio.gather(add(), add())
    assert rows == [2, 2]


async def found_missing() -> None:
    """Two tasks see that a key is missing."""
    cache: dict[str, str] = {}
    loads = 0

    async def get(key: str) -> None:
        nonlocal loads
        if key not in cache:
            await asyncio.sleep(0)
            loads += 1
            cache[key] = "value"

    await asyncio.gather(get("a"), get("a"))
    assert loads == 1


COUNTED = """\
What raced: counter.count.
  Task-3 read counter.count = 0 at LINE;
  Task-2 changed counter.count to 1 at LINE;
  then Task-3 changed counter.count to 1 at LINE, based on what it had read before."""


@pytest.mark.parametrize(
    ("main", "race"),
    [
        (
            check_then_act,
            """\
What raced: shop.stock.
  Task-2, buy('Ann'), read shop.stock = 1 at LINE;
  Task-3, buy('Bob'), changed shop.stock to 0 at LINE;
  then Task-2 changed shop.stock to -1 at LINE, based on what it had read before.""",
        ),
        (
            lost_update,
            """\
What raced: balance.
  Task-3, pay(20), read balance = 100 at LINE;
  Task-2, pay(10), changed balance to 90 at LINE;
  then Task-3 changed balance to 80 at LINE, based on what it had read before.""",
        ),
        (
            added_across_an_await,
            """\
What raced: counts['a'].
  Task-3 read counts['a'] = 0 at LINE;
  Task-2 changed counts['a'] to 1 at LINE;
  then Task-3 changed counts['a'] to 1 at LINE, based on what it had read before.""",
        ),
        (counted_in_slots, COUNTED),
        (counted_from_the_class, COUNTED),
        (
            changed_by_a_comprehension,
            """\
What raced: rows.
  Task-3 read rows = [0, 0] at LINE;
  Task-2 changed rows[:] to [1, 1] at LINE;
  then Task-3 changed rows[:] to [1, 1] at LINE, based on what it had read before.""",
        ),
        (
            found_missing,
            """\
What raced: cache.
  Task-3, get('a'), read cache (dict of 0) at LINE;
  Task-2, get('a'), changed cache['a'] to 'value' at LINE;
  then Task-3 changed cache['a'] to 'value' at LINE, based on what it had read before.""",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_raced_is_told(main: Main, race: str) -> None:
    """Who read what, who changed it, and who acted on the old value."""
    found = race_in(main)
    # Which of the two comes first is the schedule's.
    names = {"Task-2": "Task-3", "Task-3": "Task-2", "Ann": "Bob", "Bob": "Ann"}
    assert found in (race, re.sub(r"Task-[23]|Ann|Bob", lambda name: names[name[0]], race)), found


def test_what_is_read_again_is_no_race() -> None:
    """A task that has checked again before it acts has not acted on an old value."""

    async def main() -> None:
        shop = Shop()
        await asyncio.gather(*(shop.buy_checked(name) for name in ("Ann", "Bob")))
        assert shop.stock == 0
        assert shop.sold == ["Ann"]

    assert race_in(main) == ""


def test_variables_of_two_calls_are_two() -> None:
    """Tasks that each have a variable of one name do not race for it."""

    async def main() -> None:
        order: list[int] = []

        def make(number: int) -> Callable[[], Coroutine[Any, Any, None]]:
            count = 0

            async def work() -> None:
                nonlocal count
                before = count
                await asyncio.sleep(0)
                count = before + 1
                order.append(number)

            return work

        await asyncio.gather(make(1)(), make(2)())
        assert order == [1, 2]

    assert "count" not in race_in(main)


def test_an_attribute_that_is_computed_has_no_value_of_its_own() -> None:
    """What `__getattr__` would give is neither asked for nor taken for None."""

    class Proxy:
        def __getattr__(self, name: str) -> int:
            return 1

    async def main() -> None:
        proxy: Any = Proxy()

        async def add() -> None:
            before = proxy.count
            await asyncio.sleep(0)
            proxy.count = before + 1

        await asyncio.gather(add(), add())
        assert proxy.count == 3

    assert "None" not in race_in(main)


def test_code_of_the_program_does_not_run() -> None:
    """Neither a property nor a representation is asked for to tell what raced."""
    asked: list[str] = []

    class Account:
        def __init__(self) -> None:
            self.owner = self

        def __repr__(self) -> str:
            asked.append("repr")
            return "Account()"

        def __eq__(self, other: object) -> bool:
            asked.append("eq")
            return self is other

        __hash__ = None  # type: ignore[assignment]

        @property
        def balance(self) -> int:
            asked.append("balance")
            return 0

    async def main() -> None:
        account = Account()

        async def change() -> None:
            if account.owner is account:
                await asyncio.sleep(0)
                account.owner = Account()

        async def read() -> None:
            await asyncio.sleep(0)
            if account.owner is not account:
                # An assertion of pytest would ask for representations.
                raise LookupError

        await asyncio.gather(change(), change(), read())

    failure = aldente.search(main).failure
    assert failure is not None
    assert asked == []


def test_another_tracer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a debugger traces, the story is told without what raced."""

    def trace(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = race_in(check_then_act)
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert found == ""
    assert after is trace


def test_nothing_is_traced_after_a_search() -> None:
    """The tracer is gone, also when the program replaced it."""
    race_in(check_then_act)
    assert sys.gettrace() is None


def test_an_error_of_the_tracer_is_none_of_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is found and told as without it."""

    def fail(file: str) -> None:
        raise LookupError(file)

    told: list[OwnError] = []
    monkeypatch.setattr("aldente._explore.shared_uses.uses_in", fail)
    listeners.append(told.append)
    try:
        failure = aldente.search(check_then_act).failure
    finally:
        listeners.remove(told.append)
    assert failure is not None
    assert type(failure.exception) is AssertionError
    assert {error.doing for error in told} == {"following what tasks read and change"}


def test_frames_are_not_kept() -> None:
    """What a function refers to is freed when it ends by an exception, as in all other runs."""
    freed: list[list[int]] = []

    class Thing:
        def __del__(self) -> None:
            self.order.append(1)

        def __init__(self, order: list[int]) -> None:
            self.order = order

    async def main() -> None:
        order: list[int] = []
        freed.append(order)

        async def fail() -> None:
            thing = Thing(order)
            await asyncio.sleep(0)
            if thing.order is order:
                raise ValueError

        async def cancelled() -> None:
            thing = Thing(order)
            await asyncio.sleep(10 + len(thing.order))

        with contextlib.suppress(ValueError):
            await fail()
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        del task
        order.append(2)
        raise LookupError

    assert aldente.search(main).failure is not None
    assert len(freed) > 1
    assert freed[0] == [1, 1, 2]
    assert all(order == freed[0] for order in freed)


def test_objects_of_one_name_have_that_of_their_class() -> None:
    """A variable that stood for several objects names none of them."""

    async def main() -> None:
        for _ in range(2):
            shop = Shop()
            await asyncio.gather(*(shop.buy(name) for name in ("Ann", "Bob")))
        assert shop.stock == 0

    assert race_in(main).startswith("What raced: Shop.stock.\n")
