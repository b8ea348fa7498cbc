"""Mocking what takes time: who is answered when, who fails, and how much happens at once.

`aldente.Double` is an `AsyncMock` in the shape of the real thing. Its answers come when the test
says, so no test needs a server, or sleeps in the hope that something has happened by then.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias
from unittest.mock import ANY

import aldente
import httpx
import pytest

from fetcher import (
    BadJSON,
    BadStatus,
    Result,
    SourceTimeout,
    SourceUnreachable,
    fetch_all_data,
    fetch_data,
    results_in_order,
)
from fetcher.sources import ApiSource

HOUR = 3600.0

A, B, C = "http://a", "http://b", "http://c"

ReadApi: TypeAlias = aldente.Double[
    Any, [ApiSource, httpx.AsyncClient], Coroutine[Any, Any, object], object
]
OpenClient: TypeAlias = aldente.Double[
    Any, [int], AbstractAsyncContextManager[httpx.AsyncClient], httpx.AsyncClient
]


@pytest.fixture
def read() -> Iterator[ReadApi]:
    """Replace the one request over HTTP, where `fetch_data` looks it up."""
    with aldente.patch("fetcher.fetching.read_api") as double:
        yield double


@pytest.fixture(autouse=True)
def open_client() -> Iterator[OpenClient]:
    """Replace the HTTP client of a batch, which would load certificates for nothing."""
    with aldente.patch("fetcher.fetching.open_http_client") as double:
        yield double


def data_of(results: list[Result]) -> list[object]:
    """Return the data of results, and the kind of error in the place of those that failed."""
    return [result.get("data", result.get("kind")) for result in results]


# Answers


async def test_each_source_has_its_own_answer(read: ReadApi) -> None:
    """A double answers by argument, whatever the order in which a batch asks."""
    read.when(ApiSource(A), ANY).returns(1)
    read.when(ApiSource(B), ANY).returns([2, 3])

    assert data_of(await fetch_all_data([B, A])) == [[2, 3], 1]


async def test_a_source_that_nobody_expects_has_no_answer(read: ReadApi) -> None:
    """A call that no answer fits fails with those there are, and does not pass for a result."""
    read.when(ApiSource(A), ANY).returns(1)

    with pytest.raises(ExceptionGroup) as caught:
        await fetch_all_data([A, C])

    assert caught.group_contains(aldente.NoAnswer, match="read_api.*http://a")


async def test_failures_stand_among_good_results(read: ReadApi) -> None:
    """What some sources raise is told in their place, and leaves the others alone."""
    read.returns("data")
    read.when(ApiSource(A), ANY).raises(SourceUnreachable(A, "it is gone"))
    read.when(ApiSource(C), ANY).raises(BadJSON(C, "it is HTML", "<html>"))

    results = await fetch_all_data([A, B, C, B])

    assert data_of(results) == ["SourceUnreachable", "data", "BadJSON", "data"]


async def test_a_double_takes_what_the_function_takes(read: ReadApi) -> None:
    """A call that the real function would refuse is refused, so a double can't drift away."""
    with pytest.raises(TypeError, match="it is called as read_api\\(source, http\\)"):
        await read(ApiSource(A))  # type: ignore[call-arg]
    read.assert_not_awaited()


# When answers come


@aldente.virtual_time
async def test_answers_may_come_in_any_order(read: ReadApi) -> None:
    """Results that come in backwards are handed over so, and returned in order."""
    read.calls(lambda source, http: source.url)
    gate = read.hold()
    came_in: list[int] = []

    def on_result(position: int, result: Result) -> None:
        came_in.append(position)

    batch = asyncio.create_task(fetch_all_data([A, B, C], on_result=on_result))
    for call in reversed(await gate.arrived(3)):
        gate.release(call)
        # Else it is not said which of them goes on first.
        await aldente.settle()

    assert data_of(await batch) == [A, B, C]
    assert came_in == [2, 1, 0]


async def test_a_source_fails_while_others_are_waited_for(read: ReadApi) -> None:
    """A request that breaks half-way ends its own source only."""
    read.returns("data")
    gate = read.hold()
    batch = asyncio.create_task(fetch_all_data([A, B, C]))
    _, second, _ = await gate.arrived(3)

    gate.fail(SourceUnreachable(B, "the connection broke"), second)
    gate.release()

    assert data_of(await batch) == ["data", "SourceUnreachable", "data"]


@aldente.virtual_time
async def test_a_slow_source_is_waited_for(read: ReadApi, clock: aldente.Clock) -> None:
    """An answer that takes an hour is waited for exactly that hour, and nobody waits for it."""
    read.returns("data")
    read.when(ApiSource(B), ANY).takes(HOUR)
    came_in: list[tuple[int, float]] = []

    def on_result(position: int, result: Result) -> None:
        came_in.append((position, clock.elapsed))

    await fetch_all_data([A, B, C], timeout=2 * HOUR, on_result=on_result)

    # Two come at once, in any order.
    assert {*came_in[:2]} == {(0, 0), (2, 0)}
    assert came_in[2:] == [(1, HOUR)]


@aldente.virtual_time
@pytest.mark.parametrize(("seconds", "data"), [(9.99, "data"), (10.01, "SourceTimeout")])
async def test_the_last_moment_counts(read: ReadApi, seconds: float, data: str) -> None:
    """An answer just before the time-out is taken, one just after it is not."""
    read.returns("data").takes(seconds)

    assert data_of(await fetch_all_data([A], timeout=10)) == [data]


@aldente.virtual_time
async def test_a_silent_source_is_given_up(read: ReadApi, clock: aldente.Clock) -> None:
    """Each attempt at a source that never answers is cancelled at its time-out."""
    read.never_returns()

    with pytest.raises(SourceTimeout):
        await fetch_data(A, timeout=10, retries=2)

    assert read.cancelled_count == 3
    assert clock.elapsed == 10 + 1 + 10 + 2 + 10


@aldente.virtual_time
async def test_what_may_pass_is_tried_again(read: ReadApi, clock: aldente.Clock) -> None:
    """Failures and an answer, one for each attempt: all are used, at 0, 1 and 3 seconds."""
    read.returns_each(SourceUnreachable(A, "refused"), BadStatus(A, 503, "Busy"), "data")

    fetched = await fetch_data(A, retries=5)

    assert fetched["data"] == "data"
    assert [call.outcome for call in read.timeline] == ["raised", "raised", "returned"]
    assert clock.elapsed == 1 + 2


# How much happens at once


@aldente.virtual_time
@pytest.mark.parametrize(("limit", "seconds"), [(1, 7), (3, 3), (7, 1)])
async def test_the_limit_is_reached_and_never_passed(
    read: ReadApi, clock: aldente.Clock, limit: int, seconds: float
) -> None:
    """The greatest number of requests in flight is the limit, no more and no less."""
    read.returns("data").takes(1)

    await fetch_all_data([A] * 7, limit=limit)

    assert read.peak_concurrency == limit
    assert clock.elapsed == seconds


async def test_cancelling_half_way_stops_what_is_in_flight(read: ReadApi) -> None:
    """A batch that is cancelled cancels its requests, begins no other, and keeps what it has."""
    read.calls(lambda source, http: source.url)
    gate = read.hold()
    sources = [A, B, C, A, B]
    finished: dict[int, Result] = {}
    batch = asyncio.create_task(fetch_all_data(sources, limit=2, on_result=finished.__setitem__))
    await gate.arrived(2)
    gate.release(1)
    await gate.arrived(3)

    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch

    assert [call.outcome for call in read.timeline] == ["returned", "cancelled", "cancelled"]
    assert (read.pending, read.cancelled_count, gate.waiting) == (0, 2, ())
    assert data_of(results_in_order(sources, finished)) == [A, *["SourceCancelled"] * 4]


async def test_the_client_is_open_as_long_as_it_is_used(
    read: ReadApi, open_client: OpenClient
) -> None:
    """All requests of a batch have one client, which is closed after the last of them."""
    read.returns("data")

    await fetch_all_data([A, B, C], limit=5)

    [opened] = open_client.timeline
    assert opened.args == (5,)
    for request in read.timeline:
        assert request.args[1] is opened.result
        aldente.assert_overlap(opened, request)


async def test_a_database_client_is_replaced() -> None:
    """The double of a class is entered as the class is: `async with` gives it itself."""
    source = "sqlite:///people.db?query=SELECT+name+FROM+people"

    with aldente.patch("fetcher.database.DatabaseClient") as client_class:
        client = client_class.return_value
        client.query.when("SELECT name FROM people").returns([{"name": "Nobody"}])
        fetched = await fetch_data(source)

    assert fetched["data"] == [{"name": "Nobody"}]
    client_class.assert_called_once_with("sqlite:///people.db", name=source)
    client.__aexit__.assert_awaited_once_with(None, None, None)
