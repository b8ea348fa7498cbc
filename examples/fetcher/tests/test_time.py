"""Time-outs, delays and retries, exact to the second, on virtual time: hours pass in no time.

The server, the HTTP client and the databases are real. Only the time of the event loop is not: it
jumps to the next timer when nothing else can happen.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import aldente
import httpx
import pytest

from fetcher import (
    BadStatus,
    Result,
    SourceTimeout,
    SourceUnreachable,
    fetch_all_data,
    fetch_data,
)
from fetcher.api import open_http_client
from fetcher.retrying import delay_before
from loopback import LoopbackServer

pytestmark = aldente.virtual_time

HOUR = 3600.0


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client: opened here, because certificates are loaded in a thread.

    Threads work in real time, and the clock of a test counts from when its fixtures are there.
    """
    async with open_http_client(limit=10) as client:
        yield client


def since(start: float, moments: Iterable[float]) -> list[float]:
    """Return moments as seconds since another."""
    return [round(moment - start, 9) for moment in moments]


# Time-outs


async def test_a_slow_server_is_waited_for(
    server: LoopbackServer, http: httpx.AsyncClient, clock: aldente.Clock
) -> None:
    """An answer that takes an hour is waited for exactly that hour."""
    slow = server.json_route("/slow", "at last")
    slow.delay = HOUR

    fetched = await fetch_data(slow.url, timeout=2 * HOUR, http=http)

    assert fetched["data"] == "at last"
    assert clock.elapsed == HOUR


async def test_a_timeout_ends_at_its_second(server: LoopbackServer, clock: aldente.Clock) -> None:
    """A source that never answers is given up after its seconds, no sooner and no later."""
    silent = server.json_route("/silent", "never")
    silent.hold()

    with pytest.raises(SourceTimeout):
        await fetch_data(silent.url, timeout=12.5)

    assert clock.elapsed == 12.5


@pytest.mark.parametrize(("delay", "kind"), [(9.99, "fetched"), (10.01, "SourceTimeout")])
async def test_the_last_moment_counts(server: LoopbackServer, delay: float, kind: str) -> None:
    """An answer just before the time-out is taken, one just after it is not."""
    route = server.json_route("/close", "data")
    route.delay = delay

    [result] = await fetch_all_data([route.url], timeout=10)

    assert result.get("kind", "fetched") == kind


async def test_every_source_has_a_time_of_its_own(
    server: LoopbackServer, clock: aldente.Clock
) -> None:
    """The time of a source begins when its turn comes, not when the batch does."""
    route = server.json_route("/silent", "never")
    route.hold()
    ended: list[float] = []

    def on_result(position: int, result: Result) -> None:
        ended.append(clock.time())

    await fetch_all_data([route.url] * 4, limit=2, timeout=10, on_result=on_result)

    assert since(route.arrivals[0], ended) == [10, 10, 20, 20]


# Nobody sees what another process is about to do: time jumps when nothing has been heard of it for
# half a second, so that a busy machine has the time to start a query.
@aldente.virtual_time(patience=0.5)
async def test_a_silent_database_server_is_given_up(
    postgres_dsn: str, clock: aldente.Clock
) -> None:
    """A query of ten minutes is given up after five, which take half a second."""
    slow = f"{postgres_dsn}{'&' if '?' in postgres_dsn else '?'}query=SELECT+pg_sleep(600)"

    with pytest.raises(SourceTimeout):
        await fetch_data(slow, timeout=300)

    assert clock.elapsed == pytest.approx(300, abs=1)


# Many sources


@pytest.mark.parametrize(("limit", "seconds"), [(10, 1), (2, 2), (1, 3)])
async def test_sources_are_waited_for_together(
    server: LoopbackServer, clock: aldente.Clock, limit: int, seconds: float
) -> None:
    """Three sources of one second take one second, or as many as the limit makes of them."""
    routes = [server.json_route(f"/{number}", number) for number in range(3)]
    for route in routes:
        route.delay = 1

    await fetch_all_data([route.url for route in routes], limit=limit)

    assert since(routes[0].arrivals[0], [clock.time()]) == [seconds]


async def test_a_database_does_not_wait_for_a_slow_api(
    server: LoopbackServer, people_source: str, clock: aldente.Clock
) -> None:
    """A result is handed over when it comes in, an hour before the others."""
    slow = server.json_route("/slow", "at last")
    slow.delay = HOUR
    came_in: list[tuple[int, int]] = []

    def on_result(position: int, result: Result) -> None:
        came_in.append((position, round(clock.elapsed / HOUR)))

    await fetch_all_data([slow.url, people_source], timeout=2 * HOUR, on_result=on_result)

    assert came_in == [(1, 0), (0, 1)]


# Retries


async def test_the_server_sees_the_waits_double(
    server: LoopbackServer, http: httpx.AsyncClient
) -> None:
    """A failing API is asked again after 1, 2, 4 and 8 seconds."""
    route = server.json_route("/flaky", "data")
    route.fail(4)

    fetched = await fetch_data(route.url, retries=4, http=http)

    assert fetched["data"] == "data"
    assert since(route.arrivals[0], route.arrivals) == [0, 1, 3, 7, 15]


async def test_waits_between_retries_have_a_limit(
    server: LoopbackServer, http: httpx.AsyncClient
) -> None:
    """However often an API is asked again, it is asked at least once a minute."""
    route = server.json_route("/down", "never")
    route.fail(1_000)

    with pytest.raises(BadStatus):
        await fetch_data(route.url, retries=100, http=http)

    waits = [
        round(after - before, 9)
        for before, after in zip(route.arrivals, route.arrivals[1:], strict=False)
    ]
    assert waits == [1, 2, 4, 8, 16, 32, *[60] * 94]


def test_the_thousandth_wait_is_a_minute_too() -> None:
    """The number of retries has no limit of its own."""
    assert delay_before(10_000) == 60


async def test_nobody_is_asked_before_the_wait_is_over(
    server: LoopbackServer, http: httpx.AsyncClient, clock: aldente.Clock
) -> None:
    """Step by step: between two requests nothing reaches the server."""
    route = server.json_route("/flaky", "data")
    route.fail(2)
    fetching = asyncio.create_task(fetch_data(route.url, retries=2, http=http))

    await clock.advance(0.5)
    assert route.arrived == 1
    await clock.advance(0.5)
    assert route.arrived == 2
    await clock.advance(1.5)
    assert route.arrived == 2
    await clock.advance(0.5)
    assert route.arrived == 3

    assert (await fetching)["data"] == "data"


async def test_a_timeout_holds_for_each_attempt(
    server: LoopbackServer, http: httpx.AsyncClient, clock: aldente.Clock
) -> None:
    """Three attempts of ten seconds each, with one and two seconds between them."""
    route = server.json_route("/silent", "never")
    route.hold()

    with pytest.raises(SourceTimeout):
        await fetch_data(route.url, timeout=10, retries=2, http=http)

    assert since(route.arrivals[0], route.arrivals) == [0, 11, 23]
    assert clock.elapsed == 33


async def test_an_address_nobody_serves_is_tried_again(
    unreachable_url: str, http: httpx.AsyncClient, clock: aldente.Clock
) -> None:
    """A refused connection may be accepted a moment later."""
    with pytest.raises(SourceUnreachable):
        await fetch_data(unreachable_url, retries=3, http=http)

    assert clock.elapsed == 1 + 2 + 4


@pytest.mark.parametrize(
    ("status", "requests"), [(500, 3), (503, 3), (504, 3), (400, 1), (404, 1), (429, 1)]
)
async def test_only_server_errors_are_tried_again(
    server: LoopbackServer, status: int, requests: int
) -> None:
    """What was asked wrongly is not asked again."""
    route = server.route("/refused", "{}", status=status)

    with pytest.raises(BadStatus):
        await fetch_data(route.url, retries=2)

    assert route.arrived == requests


async def test_a_wrong_answer_is_not_asked_for_again(
    server: LoopbackServer, people_source: str
) -> None:
    """Broken JSON and refused queries would be the same the next time."""
    broken = server.route("/broken", "<html>")
    wrong = people_source.replace("people+ORDER", "poeple+ORDER")

    results = await fetch_all_data([broken.url, wrong], retries=5)

    assert [result.get("kind") for result in results] == ["BadJSON", "QueryFailed"]
    assert broken.arrived == 1


async def test_cancelling_ends_the_wait_for_a_retry(
    server: LoopbackServer, clock: aldente.Clock
) -> None:
    """A batch that is cancelled between two attempts asks nobody any more."""
    route = server.json_route("/down", "never")
    route.fail(10)
    batch = asyncio.create_task(fetch_all_data([route.url], retries=10))
    await route.wait_arrived(1)
    await aldente.settle()

    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch

    await clock.advance(HOUR)
    assert route.arrived == 1
