"""What is asked of the servers of others, and what is made of their answers."""

import aldente
import httpx
import pytest

from conftest import AnyDouble
from tickets.errors import CircuitOpen, PaymentDeclined, PaymentUnclear, PriceUnavailable
from tickets.payments import HttpPaymentProvider, Payments
from tickets.prices import HttpPriceSource, Prices


@pytest.fixture
def answer() -> AnyDouble:
    """The answer of a server, which takes a second; no network is needed."""
    return aldente.Double(name="answer").takes(1)


@pytest.fixture
def http(answer: AnyDouble) -> httpx.AsyncClient:
    """A client of that server."""
    return httpx.AsyncClient(base_url="http://server", transport=httpx.MockTransport(answer))


async def test_a_price(http: httpx.AsyncClient, answer: AnyDouble) -> None:
    """The number of cents is taken from the answer."""
    answer.returns(httpx.Response(200, json={"cents": 4500}))

    assert await HttpPriceSource(http).fetch(7) == 4500
    [call] = answer.timeline
    assert call.args[0].url == "http://server/prices/7"


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"euros": 45}),
        httpx.Response(200, json={"cents": "45"}),
    ],
)
async def test_no_price(
    http: httpx.AsyncClient, answer: AnyDouble, response: httpx.Response
) -> None:
    """All other answers say that the price is not known."""
    answer.returns(response)

    with pytest.raises(PriceUnavailable):
        await HttpPriceSource(http).fetch(7)


async def test_no_answer(http: httpx.AsyncClient, answer: AnyDouble) -> None:
    """Whatever httpx raises is told in the service's own words."""
    answer.raises(httpx.ConnectError("refused"))

    with pytest.raises(PriceUnavailable, match="refused"):
        await HttpPriceSource(http).fetch(7)
    with pytest.raises(PaymentUnclear, match="refused"):
        await HttpPaymentProvider(http).charge("key", 4500)


@pytest.mark.parametrize(
    ("status", "error"), [(402, PaymentDeclined), (500, PaymentUnclear), (400, PaymentUnclear)]
)
async def test_a_payment_that_fails(
    http: httpx.AsyncClient, answer: AnyDouble, status: int, error: type[Exception]
) -> None:
    """Only one status says that nothing was charged."""
    answer.returns(httpx.Response(status))

    with pytest.raises(error):
        await HttpPaymentProvider(http).charge("key", 4500)


async def test_a_price_is_kept(price_source: AnyDouble, clock: aldente.Clock) -> None:
    """It is asked for again when its time is over, counted from the answer."""
    prices = Prices(price_source, seconds=60)
    price_source.fetch.returns_each(4500, 5000)

    assert await prices.price(1) == 4500
    await clock.advance(59)
    assert await prices.price(1) == 4500
    assert clock.elapsed == 61
    await clock.advance(1)
    assert await prices.price(1) == 5000
    assert clock.elapsed == 64


async def test_a_failure_is_not_kept(price_source: AnyDouble) -> None:
    """The next one asks again."""
    prices = Prices(price_source, seconds=60)
    price_source.fetch.returns_each(PriceUnavailable(1, "gone"), 4500)

    with pytest.raises(PriceUnavailable):
        await prices.price(1)
    assert await prices.price(1) == 4500


async def test_declined_payments_leave_the_circuit_closed(payment_provider: AnyDouble) -> None:
    """Customers without money say nothing of the provider."""
    payments = Payments(payment_provider, failures=1, seconds=30)
    payment_provider.charge.raises(PaymentDeclined("key"))

    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            await payments.charge("key", 4500)


async def test_a_silent_provider_is_left_alone(payment_provider: AnyDouble) -> None:
    """After its failures it is not asked for a while."""
    payments = Payments(payment_provider, failures=1, seconds=30)
    payment_provider.charge.raises(PaymentUnclear("key", "no answer"))

    with pytest.raises(PaymentUnclear):
        await payments.charge("key", 4500)
    with pytest.raises(CircuitOpen, match="30 s"):
        await payments.charge("key", 4500)
    assert payment_provider.charge.await_count == 1
