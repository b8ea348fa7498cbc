"""The payment provider, behind the breaker."""

from typing import Protocol

import httpx

from tickets.breaker import CircuitBreaker
from tickets.errors import PaymentDeclined, PaymentUnclear


class PaymentProvider(Protocol):
    """Who charges customers."""

    async def charge(self, key: str, cents: int) -> None:
        """Charge an amount; with the same key it is charged once, however often it is asked for.

        Raises:
            PaymentDeclined: nothing was charged.
            PaymentUnclear: there is no answer.
        """


class HttpPaymentProvider:
    """Asks a server: `POST /payments` with the key and the amount.

    Args:
        http: the client, with the server's address as its base.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def charge(self, key: str, cents: int) -> None:
        """Charge an amount; with the same key it is charged once, however often it is asked for.

        Raises:
            PaymentDeclined: nothing was charged.
            PaymentUnclear: there is no answer.
        """
        try:
            response = await self._http.post("/payments", json={"key": key, "cents": cents})
        except httpx.HTTPError as error:
            raise PaymentUnclear(key, str(error) or type(error).__name__) from error
        if response.status_code == httpx.codes.PAYMENT_REQUIRED:
            raise PaymentDeclined(key)
        if not response.is_success:
            raise PaymentUnclear(key, f"the provider answered {response.status_code}")


class Payments:
    """Charges customers, while the provider is in order.

    Args:
        provider: who does it.
        failures: how many failures in a row there are before it is left alone.
        seconds: how long it is left alone then.
    """

    def __init__(self, provider: PaymentProvider, failures: int, seconds: float) -> None:
        self._provider = provider
        self.breaker = CircuitBreaker(
            failures, seconds, counts=lambda error: not isinstance(error, PaymentDeclined)
        )

    async def charge(self, key: str, cents: int) -> None:
        """Charge an amount, as the provider does.

        Raises:
            PaymentDeclined: nothing was charged.
            PaymentUnclear: there is no answer.
            CircuitOpen: the provider was not asked.
        """
        await self.breaker.call(lambda: self._provider.charge(key, cents))
