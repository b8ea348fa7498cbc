"""Prices of a slow server, kept for a while."""

import time
from typing import Protocol

import httpx

from tickets.errors import PriceUnavailable
from tickets.single_flight import SingleFlight


class PriceSource(Protocol):
    """Who knows the prices."""

    async def fetch(self, concert: int) -> int:
        """Return the price of a concert, in cents.

        Raises:
            PriceUnavailable: there is no answer, or not a price.
        """


class HttpPriceSource:
    """Asks a server: `GET /prices/1` gives `{"cents": 4500}`.

    Args:
        http: the client, with the server's address as its base.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def fetch(self, concert: int) -> int:
        """Return the price of a concert, in cents.

        Raises:
            PriceUnavailable: there is no answer, or not a price.
        """
        try:
            response = await self._http.get(f"/prices/{concert}")
            response.raise_for_status()
            cents = response.json()["cents"]
        except httpx.HTTPError as error:
            raise PriceUnavailable(concert, str(error) or type(error).__name__) from error
        except (ValueError, KeyError, TypeError) as error:
            raise PriceUnavailable(concert, "the answer is not a price") from error
        if not isinstance(cents, int):
            raise PriceUnavailable(concert, f"{cents!r} is not a number of cents")
        return cents


class Prices:
    """Keeps prices, and asks for one once at a time.

    Args:
        source: who knows them.
        seconds: how long they are kept.
    """

    def __init__(self, source: PriceSource, seconds: float) -> None:
        self._source = source
        self._seconds = seconds
        self._kept: dict[int, tuple[int, float]] = {}
        self._asking = SingleFlight(self._ask)

    async def price(self, concert: int) -> int:
        """Return the price of a concert, in cents.

        Raises:
            PriceUnavailable: it is not kept, and there is no answer.
        """
        kept = self._kept.get(concert)
        if kept is not None and time.monotonic() < kept[1]:
            return kept[0]
        return await self._asking.get(concert)

    async def _ask(self, concert: int) -> int:
        cents = await self._source.fetch(concert)
        self._kept[concert] = cents, time.monotonic() + self._seconds
        return cents
