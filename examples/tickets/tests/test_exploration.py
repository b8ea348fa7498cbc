"""What holds in whatever order things happen, and whatever breaks: the service as a whole."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import aldente
import httpx
import pytest
from fastapi import Body, FastAPI

from conftest import AnyDouble
from tickets.application import Service
from tickets.errors import NotHeld, SoldOut
from tickets.feed import SeatsFeed
from tickets.payments import HttpPaymentProvider
from tickets.server import Server
from tickets.settings import Settings
from tickets.store import EXPIRED, PAID, Concert, Store


@aldente.explore(runs=6)
async def test_the_last_seat(store: Store) -> None:
    """Of two who want the last seat, one gets it."""
    concert = await store.add_concert("Liederabend", 1)
    outcomes = await asyncio.gather(
        *(store.reserve(concert.id, name, 600) for name in ("ann", "bob")), return_exceptions=True
    )

    assert sum(isinstance(one, SoldOut) for one in outcomes) == 1
    assert (await store.concert(concert.id)).left == 0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Shorter times, as a run has to ask the database at each tick."""
    return replace(settings, hold_seconds=30, tick_seconds=10)


@aldente.explore(runs=3)
async def test_a_seat_is_sold_or_given_back(running: Service, payment_provider: AnyDouble) -> None:
    """Who pays in the last moment has a ticket, or the seat is there for others; never both."""
    reservation = await running.box_office.reserve(1, "ann")
    await asyncio.sleep(27.5)
    outcomes = await asyncio.gather(running.box_office.pay(reservation.key), return_exceptions=True)
    await asyncio.sleep(40)

    state = (await running.store.reservation(reservation.key)).state
    left = (await running.store.concert(1)).left
    assert (state, left) in [(PAID, 2), (EXPIRED, 3)]
    assert isinstance(outcomes[0], NotHeld) == (state == EXPIRED)
    assert payment_provider.charge.await_count == (state == PAID)


class Bank:
    """A payment provider with a server of its own, which keeps its promise about keys.

    Attributes:
        charged: what was charged, by key.
        asked: how often it was asked, by key.
    """

    def __init__(self) -> None:
        self.charged: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        self.application = FastAPI()
        self.application.post("/payments")(self._charge)

    async def _charge(self, key: str = Body(), cents: int = Body()) -> None:
        self.asked[key] += 1
        await asyncio.sleep(0.5)
        self.charged[key] = cents


@pytest.fixture
async def bank(network: aldente.Network) -> AsyncIterator[Bank]:
    """A bank on a host of its own."""
    bank = Bank()
    host = network.host("bank")
    server = Server(bank.application, SeatsFeed(), "0.0.0.0", 80)
    serving = host.run(server.serve())
    await server.listening.wait()
    yield bank
    server.should_exit = True
    await serving


@aldente.explore(runs=4)
async def test_nobody_is_charged_twice(
    network: aldente.Network,
    bank: Bank,
    settings: Settings,
    concert: Concert,
    mailer: AnyDouble,
    price_source: AnyDouble,
) -> None:
    """Whatever happens to the connection to the bank, a ticket is paid once, and confirmed once."""
    async with httpx.AsyncClient(base_url="http://bank", timeout=5, trust_env=False) as http:
        service = Service(settings, mailer, price_source, HttpPaymentProvider(http))

        async def is_paid() -> bool:
            return (await service.store.reservation(key)).state == PAID

        async with service.running():
            key = (await service.box_office.reserve(concert.id, "ann")).key
            with network.may_break("bank", "test", times=2):
                await asyncio.gather(service.box_office.pay(key), return_exceptions=True)
                await aldente.eventually(is_paid, within=100, every=5)

    assert bank.charged == {key: 4500}
    assert [call.args[0].key for call in mailer.send.timeline] == [key]
