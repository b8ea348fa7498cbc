"""The world the tests run in: the service with doubles around it, a client in memory, a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aldente
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event

from tickets.application import Service, create_application
from tickets.mailing import Mailer
from tickets.payments import PaymentProvider
from tickets.prices import PriceSource
from tickets.server import Server
from tickets.settings import Settings
from tickets.store import Concert, Store

AnyDouble: TypeAlias = aldente.Double[Any]


@event.listens_for(Engine, "connect")
def _do_not_wait_for_the_disk(connection: Any, _: object) -> None:
    """Keep no database of a test safe from a power failure: explored tests make hundreds."""
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")


# What stands outside of the service


@pytest.fixture
def mailer(doubles: aldente.Doubles) -> AnyDouble:
    """A mailer that sends at once."""
    double: AnyDouble = doubles.double(Mailer, strict=False)
    double.send.returns(None)
    return double


@pytest.fixture
def price_source(doubles: aldente.Doubles) -> AnyDouble:
    """A server of prices that takes two seconds for each."""
    double: AnyDouble = doubles.double(PriceSource, strict=False)
    double.fetch.returns(4500).takes(2)
    return double


@pytest.fixture
def payment_provider(doubles: aldente.Doubles) -> AnyDouble:
    """A payment provider that takes a second, and accepts all."""
    double: AnyDouble = doubles.double(PaymentProvider, strict=False)
    double.charge.returns(None).takes(1)
    return double


# The service


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, but fewer ticks, and a database file of the test's own."""
    address = f"sqlite+aiosqlite:///{tmp_path.as_posix()}/tickets.db"
    # Each tick asks the database, which takes real time.
    return Settings(address, tick_seconds=60)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """The database."""
    store = Store(settings.database)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def concert(store: Store) -> Concert:
    """A concert with three seats."""
    return await store.add_concert("Winterreise", 3)


@pytest.fixture
def service(
    settings: Settings,
    mailer: AnyDouble,
    price_source: AnyDouble,
    payment_provider: AnyDouble,
) -> Service:
    """The service, which does not run yet."""
    return Service(settings, mailer, price_source, payment_provider)


@pytest.fixture
async def running(service: Service, concert: Concert) -> AsyncIterator[Service]:
    """The service while it runs, with a concert."""
    async with service.running():
        yield service


# Clients and servers


@asynccontextmanager
async def client_in_memory(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Start an application, as a server would, and give a client that calls it directly."""
    transport = httpx.ASGITransport(application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://tickets") as client,
    ):
        yield client


@pytest.fixture
async def client(service: Service, concert: Concert) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service, without a network."""
    async with client_in_memory(create_application(service)) as client:
        yield client


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Server]:
    """Serve a service by uvicorn, on the loop of the test; a simulated one has its own network."""
    server = Server(create_application(service), service.feed, "127.0.0.1", 0)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(), name="uvicorn")
        await server.listening.wait()
        try:
            yield server
        finally:
            server.should_exit = True


@pytest.fixture
async def server(service: Service, concert: Concert) -> AsyncIterator[Server]:
    """The service on a real server."""
    async with serving(service) as server:
        yield server
