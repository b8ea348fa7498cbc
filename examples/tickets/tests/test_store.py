"""Concerts, reservations and mails, in a real database file."""

import asyncio

import aldente
import pytest

from tickets.errors import NotHeld, SoldOut, UnknownConcert, UnknownReservation
from tickets.mailing import Mail
from tickets.store import EXPIRED, HELD, PAID, PAYING, Concert, Store


async def test_a_seat_is_held(store: Store, concert: Concert) -> None:
    """A reservation takes a seat."""
    reservation = await store.reserve(concert.id, "ann", 600)

    assert await store.reservation(reservation.key) == reservation
    assert reservation.state == HELD
    assert (await store.concert(concert.id)).left == 2


async def test_no_more_seats_than_there_are(store: Store, concert: Concert) -> None:
    """Of many who reserve at once, as many as there are seats get one."""
    outcomes = await asyncio.gather(
        *(store.reserve(concert.id, f"{n}", 600) for n in range(8)), return_exceptions=True
    )

    assert sum(isinstance(one, SoldOut) for one in outcomes) == 5
    assert (await store.concert(concert.id)).left == 0


async def test_what_is_not_there(store: Store) -> None:
    """Numbers and keys that nobody has given are refused."""
    with pytest.raises(UnknownConcert):
        await store.reserve(7, "ann", 600)
    with pytest.raises(UnknownConcert):
        await store.concert(7)
    with pytest.raises(UnknownReservation):
        await store.begin_payment("none", 1)


async def test_a_concert_is_added_once(store: Store, concert: Concert) -> None:
    """The second start of the service finds it."""
    assert await store.add_concert("Winterreise", 50) == concert
    assert await store.concerts() == [concert]


async def test_a_payment(store: Store, concert: Concert) -> None:
    """A reservation is paid once, and the confirmation is in the outbox then."""
    key = (await store.reserve(concert.id, "ann", 600)).key
    mail = Mail(key, "ann", "here it is")

    assert (await store.begin_payment(key, 4500)).state == PAYING
    with pytest.raises(NotHeld, match="being paid"):
        await store.begin_payment(key, 4500)
    assert await store.unsent_mails() == []
    assert await store.end_payment(key, mail)
    assert not await store.end_payment(key, mail)

    assert (await store.reservation(key)).state == PAID
    assert await store.unsent_mail(key) == mail


async def test_what_is_not_paid_expires(
    store: Store, concert: Concert, clock: aldente.Clock
) -> None:
    """After ten minutes the seat is there for others; what is being paid, or is paid, is kept."""
    keys = [(await store.reserve(concert.id, "ann", 600)).key for _ in range(3)]
    await store.begin_payment(keys[0], 4500)
    await store.begin_payment(keys[1], 4500)
    await store.end_payment(keys[1], Mail(keys[1], "ann", "here it is"))

    await clock.advance(599)
    assert await store.expire() == set()
    await clock.advance(1)
    with pytest.raises(NotHeld, match="expired"):
        await store.begin_payment(keys[2], 4500)
    assert await store.expire() == {concert.id}
    assert await store.expire() == set()

    assert [(await store.reservation(key)).state for key in keys] == [PAYING, PAID, EXPIRED]
    assert (await store.concert(concert.id)).left == 1


async def test_mails_are_kept_until_they_are_sent(store: Store, concert: Concert) -> None:
    """A mail that is given up is a dead letter, one that is sent is gone."""
    for key in "ab":
        reservation = await store.reserve(concert.id, key, 600)
        await store.begin_payment(reservation.key, 4500)
        await store.end_payment(reservation.key, Mail(key, key, "here it is"))
    assert await store.unsent_mails() == ["a", "b"]

    await store.end_mail("a", sent=True)
    await store.end_mail("b", sent=False)

    assert await store.unsent_mails() == []
    assert await store.unsent_mail("b") is None
    assert [mail.key for mail in await store.dead_letters()] == ["b"]
