"""Concurrent code: order, limit and cancellation, with the server deciding who is answered when."""

import asyncio

import pytest

from fetcher import (
    DatabaseClient,
    Fetched,
    InvalidArgument,
    Result,
    fetch_all_data,
    results_in_order,
)
from loopback import LoopbackServer


async def test_results_keep_the_order_of_the_sources(server: LoopbackServer) -> None:
    """Answers that come in backwards are returned in the order the sources were given."""
    routes = [server.json_route(f"/{number}", number) for number in range(3)]
    for route in routes:
        route.hold()
    came_in: list[int] = []
    answered = asyncio.Queue[int]()

    def on_result(position: int, result: Result) -> None:
        came_in.append(position)
        answered.put_nowait(position)

    batch = asyncio.create_task(
        fetch_all_data([route.url for route in routes], on_result=on_result)
    )
    for route in reversed(routes):
        await route.wait_arrived(1)
        route.release()
        await answered.get()

    assert [result.get("data") for result in await batch] == [0, 1, 2]
    assert came_in == [2, 1, 0]


async def test_sources_are_in_flight_together(server: LoopbackServer) -> None:
    """No source waits for another: all are asked before any has answered."""
    route = server.json_route("/slow", "done")
    route.hold()
    batch = asyncio.create_task(fetch_all_data([route.url] * 4, limit=4))

    await route.wait_arrived(4)
    assert route.in_flight == 4
    route.release(4)

    assert len(await batch) == 4


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_no_more_sources_than_the_limit_are_in_flight(
    server: LoopbackServer, limit: int
) -> None:
    """The greatest number of sources in flight is the limit, no more and no less."""
    route = server.json_route("/slow", "done")
    route.hold()
    sources = [f"{route.url}?number={number}" for number in range(7)]
    batch = asyncio.create_task(fetch_all_data(sources, limit=limit))

    await route.wait_arrived(limit)
    for answered in range(1, len(sources) + 1):
        route.release()
        await route.wait_arrived(min(limit + answered, len(sources)))
    results = await batch

    assert [result["source"] for result in results] == sources
    assert route.peak == limit


async def test_the_limit_holds_for_every_kind_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts sources, not connections, so work without any is limited as well."""
    in_flight = peak = 0

    async def count(source: str, **_: object) -> Fetched:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        return {"source": source, "data": None}

    monkeypatch.setattr("fetcher.fetching.fetch_data", count)

    await fetch_all_data(["http://a"] * 20, limit=6)

    assert peak == 6


async def test_apis_and_databases_are_fetched_together(
    server: LoopbackServer, people_source: str
) -> None:
    """One batch may hold sources of every kind."""
    route = server.json_route("/number", 7)

    results = await fetch_all_data([people_source, route.url, people_source])

    people = [{"name": "Grace"}, {"name": "Alan"}, {"name": "Ada"}]
    assert [result.get("data") for result in results] == [people, 7, people]


async def test_a_failed_source_leaves_the_others_alone(
    server: LoopbackServer, people_source: str, unreachable_url: str
) -> None:
    """Failures stand in their place of the list, beside everything that could be fetched."""
    good = server.json_route("/good", "data")
    broken = server.route("/broken", "<html>")

    results = await fetch_all_data(
        [broken.url, good.url, unreachable_url, people_source, "nonsense", f"{server.url}/missing"]
    )

    assert [result.get("kind", "fetched") for result in results] == [
        "BadJSON",
        "fetched",
        "SourceUnreachable",
        "fetched",
        "InvalidSource",
        "BadStatus",
    ]


async def test_cancelling_stops_what_is_in_flight(server: LoopbackServer) -> None:
    """A cancelled batch raises `CancelledError` after it has closed every connection."""
    route = server.json_route("/slow", "done")
    route.hold()
    batch = asyncio.create_task(fetch_all_data([route.url] * 5, limit=3))
    await route.wait_arrived(3)

    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch

    await route.wait_dropped(3)
    assert route.arrived == 3
    assert route.in_flight == 0


async def test_cancelling_keeps_partial_results(server: LoopbackServer) -> None:
    """What had come in before a cancellation is kept, and the rest is marked as cancelled."""
    quick = server.json_route("/quick", "here")
    slow = server.json_route("/slow", "too late")
    slow.hold()
    sources = [slow.url, quick.url, slow.url]
    finished: dict[int, Result] = {}
    came_in = asyncio.Event()

    def on_result(position: int, result: Result) -> None:
        finished[position] = result
        came_in.set()

    batch = asyncio.create_task(fetch_all_data(sources, on_result=on_result))
    await came_in.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch

    cancelled = {
        "source": slow.url,
        "error": f"{slow.url} was cancelled before it was done",
        "kind": "SourceCancelled",
    }
    assert results_in_order(sources, finished) == [
        cancelled,
        {"source": quick.url, "data": "here"},
        cancelled,
    ]


async def test_a_time_limit_around_a_batch_cancels_it(server: LoopbackServer) -> None:
    """A caller's `asyncio.timeout` ends a batch as it ends any coroutine."""
    route = server.json_route("/slow", "never")
    route.hold()
    finished: dict[int, Result] = {}

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await fetch_all_data([route.url], on_result=finished.__setitem__)

    assert finished == {}


async def test_an_error_of_the_callback_ends_the_batch(server: LoopbackServer) -> None:
    """A mistake in `on_result` is not hidden: it cancels the batch and comes out of it."""
    quick = server.json_route("/quick", "here")
    slow = server.json_route("/slow", "never")
    slow.hold()

    def on_result(position: int, result: Result) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await fetch_all_data([quick.url, slow.url], on_result=on_result)
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3", None])
async def test_the_limit_is_checked(limit: object) -> None:
    """A limit that is not a whole number of at least 1 is refused with its value and type."""
    with pytest.raises(InvalidArgument) as caught:
        await fetch_all_data([], limit=limit)  # type: ignore[arg-type]

    assert str(caught.value) == (
        f"limit={limit!r} ({type(limit).__name__}): must be a whole number of at least 1"
    )


@pytest.mark.parametrize("timeout", [0, -0.5, float("nan"), float("inf"), True, "3", None])
async def test_the_timeout_is_checked(timeout: object) -> None:
    """A timeout that is not a finite number above 0 is refused with its value and type."""
    with pytest.raises(InvalidArgument) as caught:
        await fetch_all_data([], timeout=timeout)  # type: ignore[arg-type]

    assert (caught.value.name, caught.value.allowed) == (
        "timeout",
        "a finite number of seconds greater than 0",
    )


@pytest.mark.parametrize("retries", [-1, 1.5, True, "3", None])
async def test_the_number_of_retries_is_checked(retries: object) -> None:
    """A number of retries that is not a whole number of at least 0 is refused."""
    with pytest.raises(InvalidArgument) as caught:
        await fetch_all_data([], retries=retries)  # type: ignore[arg-type]

    assert (caught.value.name, caught.value.allowed) == (
        "retries",
        "a whole number of at least 0",
    )


async def test_one_string_is_not_a_list_of_sources() -> None:
    """A source given in place of a list is refused rather than read letter by letter."""
    with pytest.raises(InvalidArgument, match="a list of sources, not one string"):
        await fetch_all_data("http://a")


async def test_one_database_client_may_be_shared(database_url: str) -> None:
    """Tasks that query through one client at once each get their own answer."""
    async with DatabaseClient(database_url) as client:
        answers = await asyncio.gather(
            *(client.query("SELECT ? AS number", number) for number in range(10))
        )

    assert answers == [[{"number": number}] for number in range(10)]
