"""All of it put together, as a FastAPI application."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from fastapi.routing import APIRouter
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from tickets.box_office import BoxOffice
from tickets.errors import (
    CircuitOpen,
    NotHeld,
    PaymentDeclined,
    PaymentUnclear,
    PriceUnavailable,
    SoldOut,
    TicketsError,
    UnknownConcert,
    UnknownReservation,
)
from tickets.feed import SeatsFeed
from tickets.limiter import RateLimiter
from tickets.mailing import Mailer, MailWorkers
from tickets.payments import PaymentProvider, Payments
from tickets.prices import Prices, PriceSource
from tickets.scheduler import tick_for_ever
from tickets.settings import Settings
from tickets.store import Store
from tickets.streams import EventStream, listening, seat_events, send_seats

_log = logging.getLogger("tickets")

_STATUS: dict[type[TicketsError], int] = {
    UnknownConcert: 404,
    UnknownReservation: 404,
    SoldOut: 409,
    NotHeld: 409,
    PaymentDeclined: 402,
    PaymentUnclear: 502,
    PriceUnavailable: 502,
    CircuitOpen: 503,
}


@dataclass
class Service:
    """The parts of a running service.

    Attributes:
        settings: how it behaves.
        mailer: who sends mails.
        price_source: who knows the prices.
        payment_provider: who charges customers.
    """

    settings: Settings
    mailer: Mailer
    price_source: PriceSource
    payment_provider: PaymentProvider
    feed: SeatsFeed = field(default_factory=SeatsFeed)
    store: Store = field(init=False)
    prices: Prices = field(init=False)
    payments: Payments = field(init=False)
    mails: MailWorkers = field(init=False)
    limiter: RateLimiter = field(init=False)
    box_office: BoxOffice = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.store = Store(settings.database)
        self.prices = Prices(self.price_source, settings.price_seconds)
        self.payments = Payments(
            self.payment_provider, settings.breaker_failures, settings.breaker_seconds
        )
        self.mails = MailWorkers(
            self.mailer, self.store, settings.mail_workers, settings.mail_attempts
        )
        self.limiter = RateLimiter(settings.requests_per_second, settings.burst)
        self.box_office = BoxOffice(
            self.store, self.prices, self.payments, self.mails, self.feed, settings.hold_seconds
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the workers and the scheduler; in the end send the mails, for a limited time."""
        await self.store.open()
        try:
            async with asyncio.TaskGroup() as group:
                mailing = group.create_task(self.mails.run(), name="mails")
                ticking = group.create_task(
                    tick_for_ever(self.box_office, self.settings.tick_seconds), name="ticks"
                )
                try:
                    yield
                finally:
                    self.feed.close()
                    ticking.cancel()
                    if not await self.mails.drain(self.settings.drain_seconds):
                        _log.warning("some mails will be sent after the next start")
                    mailing.cancel()
        finally:
            await self.store.close()


class Wish(BaseModel):
    """What a client sends to reserve a seat."""

    email: str


async def _service(connection: HTTPConnection) -> Service:
    service = connection.app.state.service
    assert isinstance(service, Service)
    return service


TheService = Annotated[Service, Depends(_service)]
router = APIRouter()


@router.get("/concerts")
async def list_concerts(service: TheService) -> list[dict[str, Any]]:
    """List all concerts."""
    return [asdict(concert) for concert in await service.store.concerts()]


@router.get("/concerts/{concert}")
async def show_concert(concert: int, service: TheService) -> dict[str, Any]:
    """Show a concert, with its price."""
    found = await service.store.concert(concert)
    return {**asdict(found), "cents": await service.prices.price(concert)}


@router.post("/concerts/{concert}/reservations", status_code=201)
async def reserve(concert: int, wish: Wish, service: TheService) -> dict[str, Any]:
    """Hold a seat."""
    return asdict(await service.box_office.reserve(concert, wish.email))


@router.get("/reservations/{key}")
async def show_reservation(key: str, service: TheService) -> dict[str, Any]:
    """Show a reservation."""
    return asdict(await service.store.reservation(key))


@router.post("/reservations/{key}/payment")
async def pay(key: str, service: TheService) -> dict[str, Any]:
    """Pay for a reservation."""
    return asdict(await service.box_office.pay(key))


@router.get("/concerts/{concert}/events")
async def stream_events(concert: int, service: TheService) -> Response:
    """Tell how many seats are left, as server-sent events."""
    await service.store.concert(concert)  # or the answer is 404
    return EventStream(seat_events(service.box_office, service.feed, concert))


@router.websocket("/concerts/{concert}/seats")
async def stream_seats(websocket: WebSocket, concert: int, service: TheService) -> None:
    """Tell how many seats are left, over a websocket."""
    try:
        async with listening(service.box_office, service.feed, concert) as subscription:
            await websocket.accept()
            await send_seats(websocket, subscription)
    except UnknownConcert as error:
        await websocket.close(reason=str(error))


def create_application(service: Service) -> FastAPI:
    """Return the application that serves a service, and runs it meanwhile."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    application = FastAPI(title="tickets", lifespan=lifespan)
    application.state.service = service
    application.include_router(router)

    @application.exception_handler(TicketsError)
    async def refuse(_: Request, error: TicketsError) -> Response:
        return JSONResponse({"error": str(error)}, _STATUS.get(type(error), 500))

    @application.middleware("http")
    async def limit(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        wait = service.limiter.take(request.client.host if request.client else "")
        if wait:
            error = {"error": "too many requests"}
            return JSONResponse(error, 429, headers={"Retry-After": str(math.ceil(wait))})
        return await call_next(request)

    return application
