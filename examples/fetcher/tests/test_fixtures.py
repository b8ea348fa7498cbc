"""Async and sync fixtures, mixed: each may use the other, and all share the loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiosqlite
import pytest

from conftest import PEOPLE
from fetcher import DatabaseClient, fetch_all_data, fetch_data
from loopback import LoopbackServer


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[DatabaseClient]:
    """Connect before the test and disconnect after it, whatever happens in between."""
    async with DatabaseClient(database_url) as connected:
        yield connected


@pytest.fixture
def journal() -> Iterator[list[str]]:
    """Collect what happens, and check it when all that used it is torn down."""
    entries: list[str] = []
    yield entries
    assert entries == ["set up", "test", "torn down"]


@pytest.fixture
async def journalled(journal: list[str]) -> AsyncIterator[None]:
    """Write into a sync fixture's list from an async fixture, on both sides of the test."""
    journal.append("set up")
    yield
    await asyncio.sleep(0)
    journal.append("torn down")


@pytest.fixture(params=["api", "database"])
async def any_source(
    request: pytest.FixtureRequest, server: LoopbackServer, people_source: str
) -> str:
    """Return a source of each kind in turn, both holding the same."""
    if request.param == "database":
        return people_source
    fetched = await fetch_data(people_source)
    return server.json_route("/people", fetched["data"]).url


@pytest.fixture
def make_database(tmp_path: Path) -> Callable[[str], Awaitable[str]]:
    """Return a coroutine function that makes a database with one town: a factory."""

    async def make(town: str) -> str:
        path = tmp_path / f"{town}.db"
        async with aiosqlite.connect(path) as connection:
            await connection.execute("CREATE TABLE towns (name TEXT)")
            await connection.execute("INSERT INTO towns VALUES (?)", [town])
            await connection.commit()
        return f"sqlite:///{path.as_posix()}?query=SELECT+name+FROM+towns"

    return make


@pytest.fixture
async def loop_of_fixture() -> asyncio.AbstractEventLoop:
    """Return the loop async fixtures run on."""
    return asyncio.get_running_loop()


async def test_an_async_fixture_gives_its_value(client: DatabaseClient) -> None:
    """A test gets what an async fixture yields, not a coroutine or a generator."""
    assert client.connected
    assert await client.query("SELECT count(*) AS count FROM people") == [{"count": len(PEOPLE)}]


def test_a_sync_test_may_use_an_async_fixture(database_file: Path) -> None:
    """A test without `async` gets the value of an async fixture all the same."""
    assert database_file.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.usefixtures("journalled")
async def test_an_async_fixture_is_torn_down_after_the_test(journal: list[str]) -> None:
    """What stands after `yield` runs when the test is over, before the fixtures below it go."""
    journal.append("test")


async def test_async_fixtures_may_have_parameters(any_source: str) -> None:
    """A test runs once for every parameter of an async fixture it uses."""
    fetched = await fetch_data(any_source)

    assert fetched["data"] == [{"name": "Grace"}, {"name": "Alan"}, {"name": "Ada"}]


async def test_a_factory_fixture_is_awaited_in_the_test(
    make_database: Callable[[str], Awaitable[str]],
) -> None:
    """A sync fixture may return a coroutine function, to be called as often as a test needs."""
    sources = [await make_database("Oslo"), await make_database("Lima")]

    results = await fetch_all_data(sources)

    assert [result.get("data") for result in results] == [[{"name": "Oslo"}], [{"name": "Lima"}]]


async def test_the_test_runs_on_the_loop_of_its_fixtures(
    loop_of_fixture: asyncio.AbstractEventLoop,
) -> None:
    """What a fixture has bound to its loop can be used in the test."""
    assert asyncio.get_running_loop() is loop_of_fixture


async def test_fixtures_may_be_asked_for_by_name(request: pytest.FixtureRequest) -> None:
    """`getfixturevalue` works inside an async test for a sync fixture."""
    url = request.getfixturevalue("unreachable_url")

    assert url.startswith("http://127.0.0.1:")
