"""What holds in whatever order things happen: each test is run under many schedules.

`aldente.explore` makes the fixtures anew for every run, in which tasks go on in another order, and
what is awaited may take up to twice as long. That these tests see what others do not is shown by
`test_planted_races.py`, which runs them on a copy of the fetcher with races in it.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any, TypeAlias
from unittest.mock import ANY

import aldente
import pytest

from fetcher import (
    DatabaseClient,
    NotConnected,
    Result,
    SourceUnreachable,
    fetch_all_data,
    results_in_order,
)
from fetcher.cancellation import see_through
from fetcher.drivers.driver import Driver, Row
from fetcher.sources import ApiSource
from loopback import LoopbackServer

pytestmark = aldente.explore(runs=40)

AnyDouble: TypeAlias = aldente.Double[Any]

A, B, C, D, E = SOURCES = [f"http://{name}" for name in "abcde"]


@pytest.fixture
def open_client(doubles: aldente.Doubles) -> AnyDouble:
    """Replace the HTTP client of a batch."""
    double: AnyDouble = doubles.patch("fetcher.fetching.open_http_client")
    return double


@pytest.fixture
def read(doubles: aldente.Doubles, open_client: AnyDouble) -> AnyDouble:
    """Replace requests over HTTP: each takes a second, or up to two, and gives its own URL."""
    double: AnyDouble = doubles.patch("fetcher.fetching.read_api", strict=False)
    double.calls(lambda source, http: source.url).takes(1)
    return double


@pytest.fixture
def drivers(doubles: aldente.Doubles) -> list[AnyDouble]:
    """Replace SQLite, and collect the drivers: each refuses to do two things at once."""
    made: list[AnyDouble] = []

    def make(url: str, name: str) -> AnyDouble:
        in_use = asyncio.Lock()

        async def work(*arguments: object) -> list[Row]:
            assert not in_use.locked(), "the connection is in use"
            async with in_use:
                await asyncio.sleep(1)  # or up to two
            return [{"arguments": arguments}]

        double: AnyDouble = doubles.double(Driver, strict=False)
        for method in (double.open, double.fetch, double.close):
            method.calls(work)
        made.append(double)
        return double

    doubles.patch.dict("fetcher.database._DRIVERS", {"sqlite": make})
    return made


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task, unless it is done, and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])


def closed_as_often_as_opened(driver: AnyDouble) -> bool:
    """Whether each connection that was opened has been closed, too."""
    # A cancelled attempt to open leaves nothing open.
    opened = [call for call in driver.open.timeline if call.outcome == "returned"]
    return len(driver.close.timeline) == len(opened)


# Many sources


async def test_results_stand_in_the_order_of_their_sources(read: AnyDouble) -> None:
    """Whoever answers first, each result is in the place of its source."""
    results = await fetch_all_data([A, B, C])

    assert [result.get("data") for result in results] == [A, B, C]


async def test_every_source_is_counted_once(read: AnyDouble) -> None:
    """The progress is told of each source once, failures included, of what is returned later."""
    read.when(ApiSource(B), ANY).raises(SourceUnreachable(B, "it is gone"))
    told: list[tuple[int, Result]] = []

    results = await fetch_all_data(
        SOURCES, limit=3, on_result=lambda position, result: told.append((position, result))
    )

    assert sorted(told, key=lambda one: one[0]) == list(enumerate(results))
    assert [position for position, result in told if "error" in result] == [1]


async def test_the_limit_holds_while_sources_are_tried_again(read: AnyDouble) -> None:
    """From its first attempt to its result, waits for retries included, a source is in flight."""
    in_flight: set[str] = set()
    attempts: Counter[str] = Counter()

    async def answer(source: ApiSource, http: object) -> str:
        in_flight.add(source.url)
        assert len(in_flight) <= 2
        attempts[source.url] += 1
        await asyncio.sleep(1)
        if source.url in {A, C} and attempts[source.url] <= 2:
            raise SourceUnreachable(source.url, "it is gone")
        return source.url

    read.calls(answer).takes(0)
    results = await fetch_all_data(
        SOURCES,
        limit=2,
        retries=2,
        on_result=lambda position, result: in_flight.remove(result["source"]),
    )

    assert [result.get("data") for result in results] == SOURCES


async def test_a_silent_source_is_given_up_alone(read: AnyDouble) -> None:
    """The time-out of one source ends its own request only, however late the others answer."""
    read.when(ApiSource(B), ANY).never_returns()

    results = await fetch_all_data(SOURCES, limit=2, timeout=3)

    assert [result.get("kind") for result in results] == [None, "SourceTimeout", None, None, None]
    assert (read.cancelled_count, read.pending) == (1, 0)


async def test_a_cancelled_batch_keeps_what_came_in(
    read: AnyDouble, open_client: AnyDouble
) -> None:
    """Whenever it is cancelled, each answer that was received is kept, and nothing goes on."""
    kept: dict[int, Result] = {}
    batch = asyncio.create_task(fetch_all_data(SOURCES, limit=2, on_result=kept.__setitem__))

    await asyncio.sleep(2.5)
    await cancel(batch)

    received = [call.result for call in read.timeline if call.outcome == "returned"]
    results = results_in_order(SOURCES, kept)
    assert {result.get("data") for result in results if "data" in result} == set(received)
    assert (read.pending, open_client.pending) == (0, 0)


# A real server and the real client, on the network of the simulation


@aldente.explore(runs=15)
async def test_a_cancelled_batch_closes_its_connections(server: LoopbackServer) -> None:
    """Whenever it is cancelled, the HTTP client leaves no connection open."""
    for number in range(4):
        server.json_route(f"/{number}", number).delay = 1
    sources = [f"{server.url}/{number}" for number in range(4)]
    batch = asyncio.create_task(fetch_all_data(sources, limit=2))

    await asyncio.sleep(1.15)
    assert server.open_connections <= 2
    await cancel(batch)

    # The server learns of it when the ends of the streams have come.
    await aldente.eventually(lambda: server.open_connections == 0)


@aldente.explore(runs=15)
async def test_an_answer_is_read_to_its_end(server: LoopbackServer) -> None:
    """However the network cuts it, and whatever comes after it on its connection."""
    bodies = {f"/{number}": [number] * 40 for number in range(3)}
    for path, body in bodies.items():
        server.json_route(path, body).delay = 0.01

    results = await fetch_all_data([server.url + path for path in bodies], limit=1)

    assert [result.get("data") for result in results] == list(bodies.values())


@aldente.explore(runs=15)
async def test_a_source_is_tried_again_until_it_answers(server: LoopbackServer) -> None:
    """A server that fails twice is asked three times, and no more, one request after the other."""
    route = server.json_route("/", "at last")
    route.delay = 1
    route.fail(2)

    [result] = await fetch_all_data([server.url + "/"], retries=2, timeout=3)

    assert result.get("data") == "at last"
    assert (route.arrived, route.peak) == (3, 1)


@aldente.explore(runs=30)
async def test_a_broken_connection_costs_one_more_try(
    server: LoopbackServer, network: aldente.Network
) -> None:
    """Whenever it breaks, before the request has arrived or while the answer comes."""
    route = server.json_route("/", "data")
    route.delay = 1

    with network.may_break():
        [result] = await fetch_all_data([server.url + "/"], retries=1, timeout=5)

    assert result.get("data") == "data"
    assert route.arrived <= 2


# Databases


async def test_one_connection_serves_one_at_a_time(drivers: list[AnyDouble]) -> None:
    """Tasks that share a client share one connection, which is never used by two at once."""
    client = DatabaseClient("sqlite:///people.db")

    async def ask(number: int) -> None:
        await asyncio.sleep(number / 2)
        await client.connect()
        # In some schedules the client has been disconnected by then.
        with contextlib.suppress(NotConnected):
            assert await client.query("SELECT ?", number) == [
                {"arguments": ("SELECT ?", (number,))}
            ]

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(ask(number), name=f"ask {number}")
        await asyncio.sleep(4.5)
        await client.disconnect()
    await client.disconnect()

    assert closed_as_often_as_opened(drivers[0])


async def test_a_block_that_is_left_disconnects(drivers: list[AnyDouble]) -> None:
    """Who is cancelled while others still use the client does not leave it connected."""
    client = DatabaseClient("sqlite:///people.db")

    async def come_and_leave() -> None:
        async with client:
            await asyncio.sleep(1)

    async def ask() -> None:
        await asyncio.sleep(2.5)
        with contextlib.suppress(NotConnected):
            await client.query("SELECT 1")

    leaving = asyncio.create_task(come_and_leave(), name="leaving")
    asking = asyncio.create_task(ask(), name="asking")
    await asyncio.sleep(3.25)
    await cancel(leaving)

    assert not client.connected
    assert closed_as_often_as_opened(drivers[0])
    await asking


async def test_a_cancelled_batch_disconnects(
    drivers: list[AnyDouble], open_client: AnyDouble
) -> None:
    """Whenever it is cancelled, it has closed each connection that it had opened."""
    batch = asyncio.create_task(fetch_all_data([f"sqlite:///{n}?query=SELECT+1" for n in "ab"]))

    await asyncio.sleep(2.5)
    await cancel(batch)

    assert len(drivers) == 2
    assert all(closed_as_often_as_opened(driver) for driver in drivers)


async def test_work_is_seen_through() -> None:
    """However often it is cancelled meanwhile, the caller goes on when the work is over."""
    work: AnyDouble = aldente.Double(name="work").takes(1)

    async def call() -> None:
        with pytest.raises(asyncio.CancelledError):
            await see_through(work())
        assert [call.outcome for call in work.timeline] == ["returned"]

    caller = asyncio.create_task(call(), name="caller")
    for seconds in (0.5, 0.75):
        await asyncio.sleep(seconds)
        caller.cancel()
    await caller
