"""The whole service by HTTP in memory, with its workers and its database, on virtual time."""

import asyncio
from typing import Any

import aldente
import httpx
import pytest

from conftest import AnyDouble, client_in_memory
from tickets.application import Service, create_application
from tickets.errors import MailFailed, PaymentDeclined, PaymentUnclear, PriceUnavailable
from tickets.mailing import Mail
from tickets.store import Concert


async def reserve(client: httpx.AsyncClient, email: str = "ann@example.org") -> str:
    """Reserve a seat, and return the key of the reservation."""
    response = await client.post("/concerts/1/reservations", json={"email": email})
    assert response.status_code == 201
    key: str = response.json()["key"]
    return key


async def pay(client: httpx.AsyncClient, key: str) -> tuple[int, dict[str, Any]]:
    """Pay for a reservation, and return the status and the answer."""
    response = await client.post(f"/reservations/{key}/payment")
    return response.status_code, response.json()


async def state(client: httpx.AsyncClient, key: str) -> str:
    """Return the state of a reservation."""
    found: str = (await client.get(f"/reservations/{key}")).json()["state"]
    return found


async def left(client: httpx.AsyncClient) -> int:
    """Return how many seats are left."""
    [concert] = (await client.get("/concerts")).json()
    number: int = concert["left"]
    return number


async def test_a_concert_is_shown_with_its_price(client: httpx.AsyncClient) -> None:
    """The price is that of the slow server."""
    response = await client.get("/concerts/1")

    assert response.json() == {
        "id": 1,
        "title": "Winterreise",
        "seats": 3,
        "left": 3,
        "cents": 4500,
    }


async def test_many_who_look_cause_one_question(
    client: httpx.AsyncClient, price_source: AnyDouble
) -> None:
    """The slow server is asked once."""
    responses = await asyncio.gather(*(client.get("/concerts/1") for _ in range(10)))

    assert {response.json()["cents"] for response in responses} == {4500}
    assert price_source.fetch.await_count == 1


@pytest.mark.parametrize("path", ["/concerts/7", "/reservations/none", "/concerts/7/events"])
async def test_what_is_not_there(client: httpx.AsyncClient, path: str) -> None:
    """Its answer is a sentence, with the usual status."""
    response = await client.get(path)

    assert response.status_code == 404
    assert response.json()["error"].startswith("there is no")


async def test_a_wrong_body(client: httpx.AsyncClient) -> None:
    """It is FastAPI that refuses it."""
    assert (await client.post("/concerts/1/reservations", json={})).status_code == 422


async def test_a_ticket_is_bought(
    client: httpx.AsyncClient, mailer: AnyDouble, payment_provider: AnyDouble
) -> None:
    """From the reservation to the mail."""
    key = await reserve(client)
    status, paid = await pay(client, key)
    await aldente.eventually(lambda: mailer.send.await_count == 1)

    assert (status, paid["state"]) == (200, "paid")
    payment_provider.charge.assert_awaited_once_with(key, 4500)
    assert mailer.send.await_args.args == (Mail(key, "ann@example.org", f"Your ticket: {key}"),)


async def test_the_last_seat(client: httpx.AsyncClient) -> None:
    """Whoever comes later is told that it is gone."""
    for _ in range(3):
        await reserve(client)

    response = await client.post("/concerts/1/reservations", json={"email": "late@example.org"})

    assert response.status_code == 409
    assert response.json() == {"error": "concert 1 is sold out"}


async def test_a_reservation_expires(client: httpx.AsyncClient, clock: aldente.Clock) -> None:
    """Ten minutes later, at the next tick, the seat is there again."""
    key = await reserve(client)
    await clock.advance(599)
    assert await left(client) == 2
    await clock.advance(60)

    assert await left(client) == 3
    assert await pay(client, key) == (
        409,
        {"error": f"reservation {key} can't be paid: it is expired"},
    )


async def test_nobody_pays_twice(client: httpx.AsyncClient, payment_provider: AnyDouble) -> None:
    """Two requests at once cause one payment."""
    key = await reserve(client)
    outcomes = await asyncio.gather(pay(client, key), pay(client, key))

    assert sorted(status for status, _ in outcomes) == [200, 409]
    assert payment_provider.charge.await_count == 1


async def test_who_is_declined_may_try_again(
    client: httpx.AsyncClient, payment_provider: AnyDouble
) -> None:
    """The seat is held meanwhile."""
    key = await reserve(client)
    payment_provider.charge.returns_each(PaymentDeclined(key), None)

    assert (await pay(client, key))[0] == 402
    assert await state(client, key) == "held"
    assert (await pay(client, key))[0] == 200


async def test_an_unclear_payment_is_settled_later(
    client: httpx.AsyncClient, payment_provider: AnyDouble, mailer: AnyDouble, clock: aldente.Clock
) -> None:
    """The scheduler asks again with the same key, until there is an answer."""
    key = await reserve(client)
    payment_provider.charge.returns_each(*[PaymentUnclear(key, "no answer")] * 2, None)

    assert (await pay(client, key))[0] == 502
    assert await state(client, key) == "being paid"
    await clock.advance(150)

    assert await state(client, key) == "paid"
    assert {call.args[0] for call in payment_provider.charge.timeline} == {key}
    assert mailer.send.await_count == 1


async def test_no_price_no_payment(
    client: httpx.AsyncClient, price_source: AnyDouble, payment_provider: AnyDouble
) -> None:
    """Nobody is charged what is not known."""
    price_source.fetch.raises(PriceUnavailable(1, "gone"))
    key = await reserve(client)

    assert (await pay(client, key))[0] == 502
    assert await state(client, key) == "held"
    assert payment_provider.charge.await_count == 0


async def test_the_circuit_opens(
    client: httpx.AsyncClient, payment_provider: AnyDouble, service: Service
) -> None:
    """When the provider fails, customers are told at once, and keep their seats."""
    payment_provider.charge.raises(PaymentUnclear("key", "no answer"))
    keys = [await reserve(client) for _ in range(3)]
    await pay(client, keys[0])
    await aldente.eventually(lambda: service.payments.breaker.is_open, within=300, every=1)

    status, answer = await pay(client, keys[1])

    assert (status, await state(client, keys[1])) == (503, "held")
    assert answer["error"].startswith("out of order, try again in ")


async def test_too_many_requests(client: httpx.AsyncClient, clock: aldente.Clock) -> None:
    """Who asks too often is told when to come again."""
    responses = await asyncio.gather(*(client.get("/concerts") for _ in range(25)))
    refused = [response for response in responses if response.status_code == 429]

    assert len(refused) == 5
    assert {response.headers["Retry-After"] for response in refused} == {"1"}
    await clock.advance(1)
    assert (await client.get("/concerts")).status_code == 200


async def test_the_end_waits_for_mails(
    service: Service, concert: Concert, mailer: AnyDouble, clock: aldente.Clock
) -> None:
    """What was bought just before the end is confirmed before it."""
    mailer.send.takes(8)
    async with client_in_memory(create_application(service)) as client:
        await pay(client, await reserve(client))

    assert [call.outcome for call in mailer.send.timeline] == ["returned"]


async def test_the_end_waits_no_longer_than_it_may(
    service: Service,
    concert: Concert,
    mailer: AnyDouble,
    clock: aldente.Clock,
) -> None:
    """A mail that takes too long is sent after the next start."""
    mailer.send.never_returns()
    async with client_in_memory(create_application(service)) as client:
        await pay(client, await reserve(client))
        ended_at = clock.elapsed
    assert clock.elapsed - ended_at == pytest.approx(10, abs=0.2)
    assert mailer.send.cancelled_count == 1

    mailer.send.returns(None)
    again = Service(service.settings, mailer, service.price_source, service.payment_provider)
    async with client_in_memory(create_application(again)):
        await aldente.eventually(lambda: mailer.send.await_count == 1)


async def test_a_mail_that_fails_is_a_dead_letter(
    client: httpx.AsyncClient, service: Service, mailer: AnyDouble, clock: aldente.Clock
) -> None:
    """After four attempts it is given up."""
    mailer.send.raises(MailFailed)
    key = await reserve(client)
    await pay(client, key)
    await clock.advance(30)

    assert [mail.key for mail in await service.store.dead_letters()] == [key]
    assert len(mailer.send.timeline) == 4
