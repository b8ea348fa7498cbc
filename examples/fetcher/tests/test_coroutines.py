"""Testing coroutines: an `async def` test awaits what it tests, as the program does."""

import inspect

import httpx
import pytest

from fetcher import fetch_all_data, fetch_data, process_data_from_source
from loopback import LoopbackServer


async def test_fetch_data_returns_the_source_and_its_data(server: LoopbackServer) -> None:
    """An API source gives its address and its decoded JSON."""
    people = server.json_route("/people", [{"name": "Ada"}])

    fetched = await fetch_data(people.url)

    assert fetched == {"source": people.url, "data": [{"name": "Ada"}]}


async def test_fetch_data_reads_a_database(people_source: str) -> None:
    """A database source gives its rows as dicts by column name."""
    fetched = await fetch_data(people_source)

    assert fetched["source"] == people_source
    assert fetched["data"] == [{"name": "Grace"}, {"name": "Alan"}, {"name": "Ada"}]


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "", "naïve ☕", [], {}, {"a": [1, {"b": None}]}]
)
async def test_every_json_value_arrives_unchanged(server: LoopbackServer, value: object) -> None:
    """Data is what the API sent, also where it is empty or false."""
    fetched = await fetch_data(server.json_route("/value", value).url)

    assert fetched["data"] == value


async def test_fetch_data_follows_redirects(server: LoopbackServer) -> None:
    """A moved API is read at its new address and reported under the one that was asked for."""
    server.json_route("/new", "here")
    old = server.route("/old", "", status=301, headers={"Location": "/new"})

    assert await fetch_data(old.url) == {"source": old.url, "data": "here"}


async def test_fetch_data_uses_the_client_it_is_given(server: LoopbackServer) -> None:
    """Requests through one HTTP client share it, and it is still open afterwards."""
    numbers = server.json_route("/numbers", [1, 2])

    async with httpx.AsyncClient() as http:
        first = await fetch_data(numbers.url, http=http)
        second = await fetch_data(numbers.url, http=http)
        assert not http.is_closed

    assert first == second
    assert numbers.arrived == 2


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, 2, 3], "3 items"),
        (["only"], "1 item"),
        ([], "0 items"),
        ({"name": "Ada", "age": 36}, "an object with name, age"),
        ({}, "an object with nothing in it"),
        ("text", '"text"'),
        (None, "null"),
    ],
)
async def test_process_data_says_what_a_source_holds(
    server: LoopbackServer, value: object, words: str
) -> None:
    """Processing a source gives one line of text about its data."""
    url = server.json_route("/value", value).url

    assert await process_data_from_source(url) == f"{url}: {words}"


async def test_process_data_reads_databases_too(people_source: str) -> None:
    """Rows of a database are counted like the items of a list."""
    assert await process_data_from_source(people_source) == f"{people_source}: 3 items"


async def test_fetch_all_data_of_nothing_is_nothing() -> None:
    """An empty list of sources has an empty list of results."""
    assert await fetch_all_data([]) == []


@pytest.mark.parametrize("function", [fetch_data, process_data_from_source, fetch_all_data])
def test_the_functions_are_coroutine_functions(function: object) -> None:
    """A plain test looks at coroutine functions without running them."""
    assert inspect.iscoroutinefunction(function)
