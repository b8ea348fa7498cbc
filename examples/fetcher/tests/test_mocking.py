"""Mocking: `AsyncMock` where a coroutine function was, autospec for its signature."""

from collections.abc import Iterator
from unittest.mock import AsyncMock, MagicMock, call, create_autospec, patch

import httpx
import pytest

from fetcher import (
    DatabaseClient,
    Fetched,
    SourceTimeout,
    SourceUnreachable,
    fetch_all_data,
    fetch_data,
    process_data_from_source,
)


@pytest.fixture
def fetch() -> Iterator[AsyncMock]:
    """Replace `fetch_data` where `fetch_all_data` and `process_data_from_source` look it up."""
    with patch("fetcher.fetching.fetch_data", autospec=True) as double:
        yield double


async def test_return_value_is_what_await_gives(fetch: AsyncMock) -> None:
    """The double of a coroutine function is awaited, and gives its return value."""
    fetch.return_value = {"source": "http://a", "data": [1, 2]}

    assert await process_data_from_source("http://a", timeout=3) == "http://a: 2 items"
    fetch.assert_awaited_once_with("http://a", timeout=3)


async def test_side_effect_with_an_exception_is_raised(fetch: AsyncMock) -> None:
    """A double whose side effect is an exception raises it where it is awaited."""
    fetch.side_effect = SourceUnreachable("http://a", "it is gone")

    with pytest.raises(SourceUnreachable, match="it is gone"):
        await process_data_from_source("http://a")


async def test_side_effect_with_a_list_gives_one_answer_per_call(fetch: AsyncMock) -> None:
    """Answers and failures follow one another, so a batch of both can be played."""
    fetch.side_effect = [
        {"source": "http://a", "data": 1},
        SourceTimeout("http://b", 2.5),
        {"source": "http://c", "data": 3},
    ]

    results = await fetch_all_data(["http://a", "http://b", "http://c"], limit=1)

    assert results == [
        {"source": "http://a", "data": 1},
        {"source": "http://b", "error": "http://b took longer than 2.5 s", "kind": "SourceTimeout"},
        {"source": "http://c", "data": 3},
    ]


async def test_side_effect_with_a_coroutine_function_computes_the_answer(fetch: AsyncMock) -> None:
    """A side effect that is a coroutine function is awaited with the arguments of the call."""

    async def answer(source: str, **_: object) -> Fetched:
        return {"source": source, "data": source.upper()}

    fetch.side_effect = answer

    results = await fetch_all_data(["http://a", "http://b"])

    assert [result.get("data") for result in results] == ["HTTP://A", "HTTP://B"]


async def test_awaits_are_recorded_in_order(fetch: AsyncMock) -> None:
    """A double remembers how it was awaited, which says what a batch asked for."""
    fetch.return_value = {"source": "any", "data": None}

    await fetch_all_data(["http://a", "http://b"], limit=1, timeout=4)

    assert [(await_.args, await_.kwargs["timeout"]) for await_ in fetch.await_args_list] == [
        (("http://a",), 4),
        (("http://b",), 4),
    ]


async def test_autospec_refuses_arguments_the_function_does_not_take(fetch: AsyncMock) -> None:
    """A specced double fails like the real function would, so it cannot drift away from it."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'patience'"):
        await fetch("http://a", patience=3)
    fetch.assert_not_awaited()


async def test_a_specced_class_has_async_methods() -> None:
    """Autospec of a class makes doubles of its methods, async where they are async."""
    client = create_autospec(DatabaseClient, instance=True)
    client.query.return_value = [{"name": "Ada"}]

    assert await client.query("SELECT name FROM people") == [{"name": "Ada"}]
    client.query.assert_awaited_once_with("SELECT name FROM people")
    with pytest.raises(AttributeError, match="qurey"):
        await client.qurey("SELECT 1")


async def test_an_async_context_manager_is_replaced(people_source: str) -> None:
    """What `async with` gives is the double of `__aenter__`, and leaving it is recorded too."""
    with patch("fetcher.database.DatabaseClient", autospec=True) as client_class:
        client = client_class.return_value
        client.__aenter__.return_value = client
        client.query.return_value = [{"name": "Nobody"}]

        fetched = await fetch_data(people_source)

    assert fetched["data"] == [{"name": "Nobody"}]
    client.query.assert_awaited_once()
    client.__aexit__.assert_awaited_once_with(None, None, None)


async def test_an_async_iterator_is_replaced() -> None:
    """A `MagicMock` plays an async iterator with the values it is given."""
    lines = MagicMock()
    lines.__aiter__.return_value = ["first", "second"]

    assert [line async for line in lines] == ["first", "second"]


async def test_a_transport_is_replaced_instead_of_the_client() -> None:
    """A double at the edge, httpx's own, leaves the program's code up to there real."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"path": request.url.path})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        fetched = await fetch_data("https://example.test/people", http=http)

    assert fetched["data"] == {"path": "/people"}


async def test_a_callback_is_checked_with_a_plain_mock(fetch: AsyncMock) -> None:
    """`on_result` is an ordinary function, so its double is an ordinary mock."""
    result = {"source": "http://a", "data": 1}
    fetch.return_value = result
    on_result = MagicMock(return_value=None)

    await fetch_all_data(["http://a", "http://a"], limit=1, on_result=on_result)

    assert on_result.mock_calls == [call(0, result), call(1, result)]
