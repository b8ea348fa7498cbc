"""Run the service: `python -m tickets`."""

import argparse
import asyncio
import contextlib
import logging
import sys

import httpx

from tickets.application import Service, create_application
from tickets.mailing import LoggingMailer
from tickets.payments import HttpPaymentProvider
from tickets.prices import HttpPriceSource
from tickets.server import Server
from tickets.settings import Settings
from tickets.store import Store


async def serve(options: argparse.Namespace) -> None:
    """Add the concerts, and serve until we are told to end."""
    settings = Settings(database=f"sqlite+aiosqlite:///{options.database}")
    async with (
        httpx.AsyncClient(base_url=options.prices, timeout=10) as prices,
        httpx.AsyncClient(base_url=options.payments, timeout=10) as payments,
    ):
        await add_concerts(settings, options.concert)
        service = Service(
            settings, LoggingMailer(), HttpPriceSource(prices), HttpPaymentProvider(payments)
        )
        server = Server(create_application(service), service.feed, options.host, options.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(announce(server))
            await server.serve()


async def announce(server: Server) -> None:
    """Say where a server listens, once it does."""
    await server.listening.wait()
    print(f"tickets are sold at {server.address}", flush=True)


async def add_concerts(settings: Settings, concerts: list[str]) -> None:
    """Add concerts that are given as `title=seats`."""
    store = Store(settings.database)
    await store.open()
    try:
        for concert in concerts:
            title, _, seats = concert.rpartition("=")
            await store.add_concert(title, int(seats))
    finally:
        await store.close()


def main() -> int:
    """Run the service with the options of the command line."""
    parser = argparse.ArgumentParser("tickets", description="Sell tickets for concerts over HTTP.")
    parser.add_argument("--database", default="tickets.db", help="the SQLite file")
    parser.add_argument("--prices", required=True, help="the address of the server of prices")
    parser.add_argument("--payments", required=True, help="the address of the payment provider")
    parser.add_argument("--concert", action="append", default=[], metavar="TITLE=SEATS")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 for any")
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
