"""Objects whose methods are meant to be atomic: no assertion, only `aldente.serializable`."""

from __future__ import annotations

import asyncio

import aldente
from tests.known_bugs import atomicity_of_stores
from tests.known_bugs.atomicity_of_stores import guard


async def lost_count(is_fixed: bool) -> None:
    """A counter is kept in a store: two increments read the same value."""

    class Counter:
        def __init__(self) -> None:
            self.value = 0
            self.guard = guard(is_fixed)

        async def increment(self) -> int:
            async with self.guard:
                value = self.value
                await asyncio.sleep(0.01)
                self.value = value + 1
                return self.value

    counter = aldente.serializable(Counter())
    await asyncio.gather(counter.increment(), counter.increment())


async def limit_of_places(is_fixed: bool) -> None:
    """A course has two places: it counts them before the payment, and adds after it."""

    class Course:
        def __init__(self) -> None:
            self.members = ["ann"]

        async def join(self, name: str) -> bool:
            if len(self.members) >= 2:
                return False
            if is_fixed:
                self.members.append(name)
                await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(0.01)
                self.members.append(name)
            return True

    course = aldente.serializable(Course(), state=lambda: None)
    await asyncio.gather(course.join("bob"), course.join("cid"))


async def double_close(is_fixed: bool) -> None:
    """Two tasks close a connection: each sees it open."""

    class Connection:
        def __init__(self) -> None:
            self.is_open = True
            self.closings = 0

        async def close(self) -> None:
            if not self.is_open:
                return
            if is_fixed:
                self.is_open = False
            await asyncio.sleep(0)
            self.closings += 1
            self.is_open = False

    connection = aldente.serializable(Connection())
    await asyncio.gather(connection.close(), connection.close())


async def stale_cache(is_fixed: bool) -> None:
    """A read that has missed fills the cache with what a write has replaced meanwhile."""

    class Store:
        def __init__(self) -> None:
            self.value = "old"
            self.kept: str | None = None
            self.version = 0

        async def get(self) -> str:
            if self.kept is not None:
                return self.kept
            version, value = self.version, self.value
            await asyncio.sleep(0.01)
            if version == self.version or not is_fixed:
                self.kept = value
            return value

        async def set(self, value: str) -> None:
            self.value = value
            self.kept = None
            self.version += 1

    async def read_later() -> None:
        await asyncio.gather(store.get(), store.set("new"))
        await store.get()

    store = aldente.serializable(Store(), state=lambda: None)
    await read_later()


async def overlapping_refresh(is_fixed: bool) -> None:
    """Two requests find the token expired, and both refresh it: the second ends the first's."""

    class Session:
        def __init__(self) -> None:
            self.token: str | None = None
            self.valid = ""
            self.issued = 0
            self.guard = guard(is_fixed)

        async def _refresh(self) -> str:
            self.issued += 1
            self.valid = f"token {self.issued}"
            token = self.valid
            await asyncio.sleep(0.01)
            return token

        async def request(self) -> str:
            async with self.guard:
                if self.token is None:
                    self.token = await self._refresh()
            return "done" if self.token == self.valid else "refused"

    session = aldente.serializable(Session())
    await asyncio.gather(session.request(), session.request())


async def reused_slot(is_fixed: bool) -> None:
    """A free slot is looked for, and taken only after it was cleared."""

    class Slots:
        def __init__(self) -> None:
            self.owners: list[str | None] = [None, None]

        async def take(self, owner: str) -> int:
            slot = self.owners.index(None)
            if is_fixed:
                self.owners[slot] = owner
            await asyncio.sleep(0)
            self.owners[slot] = owner
            return slot

    slots = aldente.serializable(Slots())
    await asyncio.gather(slots.take("a"), slots.take("b"))


async def interleaved_protocol(is_fixed: bool) -> None:
    """Requests share a connection: a reply goes to whoever reads first."""

    class Client:
        def __init__(self) -> None:
            self.replies: asyncio.Queue[str] = asyncio.Queue()
            self.guard = guard(is_fixed)

        async def ask(self, question: str) -> str:
            async with self.guard:
                await asyncio.sleep(0)
                self.replies.put_nowait(f"reply to {question}")
                await asyncio.sleep(0)
                return await self.replies.get()

    client = aldente.serializable(Client())
    await asyncio.gather(client.ask("a"), client.ask("b"))


async def half_done_transfer(is_fixed: bool) -> None:
    """A report adds up accounts while money is on its way between two of them."""

    class Bank:
        def __init__(self) -> None:
            self.accounts = {"a": 10, "b": 0}
            self.guard = guard(is_fixed)

        async def transfer(self, amount: int) -> None:
            async with self.guard:
                self.accounts["a"] -= amount
                await asyncio.sleep(0.01)
                self.accounts["b"] += amount

        async def total(self) -> int:
            async with self.guard:
                return sum(self.accounts.values())

    bank = aldente.serializable(Bank())
    await asyncio.gather(bank.transfer(3), bank.total())


async def coupon_redeemed_twice(is_fixed: bool) -> None:
    """A coupon is checked, the order is priced, and only then is it marked as used."""

    class Coupons:
        def __init__(self) -> None:
            self.used: set[str] = set()
            self.guard = guard(is_fixed)

        async def redeem(self, code: str) -> int:
            async with self.guard:
                if code in self.used:
                    raise ValueError(code)
                await asyncio.sleep(0.01)
                self.used.add(code)
                return 5

    coupons = aldente.serializable(Coupons())
    await asyncio.gather(*(coupons.redeem("x") for _ in range(2)), return_exceptions=True)


async def initialised_twice(is_fixed: bool) -> None:
    """A client is made by the first use; two first uses make two."""

    class Lazy:
        def __init__(self) -> None:
            self.made = 0
            self.client: int | None = None
            self.making: asyncio.Task[int] | None = None

        async def _make(self) -> int:
            self.made += 1
            number = self.made
            await asyncio.sleep(0.01)
            return number

        async def get(self) -> int:
            if is_fixed:
                if self.making is None:
                    self.making = asyncio.create_task(self._make())
                self.client = await self.making
            elif self.client is None:
                self.client = await self._make()
            return self.client

    lazy = aldente.serializable(Lazy())
    await asyncio.gather(lazy.get(), lazy.get())


async def number_given_twice(is_fixed: bool) -> None:
    """An invoice gets the number after the greatest one that is stored."""

    class Invoices:
        def __init__(self) -> None:
            self.stored: list[int] = []
            self.guard = guard(is_fixed)

        async def add(self) -> int:
            async with self.guard:
                number = max(self.stored, default=0) + 1
                await asyncio.sleep(0)
                self.stored.append(number)
                return number

    invoices = aldente.serializable(Invoices(), state=lambda: len(invoices.stored))
    await asyncio.gather(invoices.add(), invoices.add(), invoices.add())


PROGRAMS = (
    lost_count,
    limit_of_places,
    double_close,
    stale_cache,
    overlapping_refresh,
    reused_slot,
    interleaved_protocol,
    half_done_transfer,
    coupon_redeemed_twice,
    initialised_twice,
    number_given_twice,
    *atomicity_of_stores.PROGRAMS,
)
