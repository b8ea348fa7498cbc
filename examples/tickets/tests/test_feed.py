"""How many seats are left, told to all who listen."""

import asyncio

import aldente
import pytest

from tickets.application import Service
from tickets.feed import SeatsFeed
from tickets.store import HELD, Concert, Reservation


async def numbers(feed: SeatsFeed, concert: int) -> list[int]:
    """Listen until the end, and return all numbers."""
    with feed.subscribe(concert) as subscription:
        return [left async for left in subscription]


async def test_listeners_hear_of_their_concert() -> None:
    """They hear of no other one."""
    feed = SeatsFeed()
    listener = asyncio.create_task(numbers(feed, 1))
    await aldente.settle()
    for concert, left in [(1, 9), (2, 5), (1, 8)]:
        feed.publish(concert, left)
        await aldente.settle()
    feed.close()

    assert await listener == [9, 8]
    assert feed.listeners == 0


async def test_a_slow_listener_misses_some() -> None:
    """It hears the last one, and how many it has missed takes no memory."""
    feed = SeatsFeed()
    with feed.subscribe(1) as subscription:
        for left in (9, 8, 7):
            feed.publish(1, left)
        feed.close()
        assert [left async for left in subscription] == [7]


async def test_after_the_end_there_is_nothing_to_hear() -> None:
    """Who comes too late does not wait for ever."""
    feed = SeatsFeed()
    feed.close()

    assert await numbers(feed, 1) == []


@aldente.explore(runs=15)
async def test_who_is_cancelled_is_forgotten() -> None:
    """Whenever a listener is cancelled, the feed does not keep it."""
    feed = SeatsFeed()
    listener = asyncio.create_task(numbers(feed, 1), name="listener")
    aldente.may_be_cancelled(listener)
    for left in (9, 8):
        await asyncio.sleep(1)
        feed.publish(1, left)
    feed.close()
    await asyncio.wait([listener])

    assert feed.listeners == 0


@pytest.fixture
def busy_store(service: Service, doubles: aldente.Doubles) -> Service:
    """The service with a database in memory, which answers in its own time."""
    left = 3

    async def reserve(concert: int, email: str, seconds: float) -> Reservation:
        nonlocal left
        await asyncio.sleep(0.01)
        left -= 1
        return Reservation(email, concert, email, HELD, seconds, None)

    async def concert(number: int) -> Concert:
        read = Concert(number, "Winterreise", 3, left)
        await asyncio.sleep(0.01)
        return read

    doubles.patch.object(service.store, "reserve").calls(reserve)
    doubles.patch.object(service.store, "concert").calls(concert)
    return service


@aldente.explore(runs=40)
async def test_the_last_number_is_the_right_one(busy_store: Service) -> None:
    """In whatever order many reserve at once, listeners hear at last how many are left."""
    listener = asyncio.create_task(numbers(busy_store.feed, 1), name="listener")
    await asyncio.sleep(1)
    await asyncio.gather(*(busy_store.box_office.reserve(1, name) for name in ("ann", "bob")))
    busy_store.feed.close()

    assert (await listener)[-1] == 1


@pytest.mark.parametrize("listeners", [1, 3])
async def test_an_expired_seat_is_told(
    running: Service, clock: aldente.Clock, listeners: int
) -> None:
    """Who waits for a seat hears of it within a tick."""
    for n in range(3):
        await running.box_office.reserve(1, f"{n}")
    tasks = [asyncio.create_task(numbers(running.feed, 1)) for _ in range(listeners)]
    await clock.advance(661)
    running.feed.close()

    # A tick may come between the ends of two: the database took real time for each.
    assert [heard[-1] for heard in await asyncio.gather(*tasks)] == [3] * listeners
