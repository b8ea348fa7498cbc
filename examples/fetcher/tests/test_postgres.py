"""The database client, on a real PostgreSQL server: a throw-away one, or the one you name.

Set `FETCHER_POSTGRES_DSN` to use a server that is running; the tests only read from it.
"""

import asyncio
import sys
from urllib.parse import quote

import pytest

from fetcher import (
    DatabaseClient,
    MissingDriver,
    QueryFailed,
    SourceTimeout,
    SourceUnreachable,
    fetch_all_data,
    fetch_data,
)


def source(dsn: str, statement: str) -> str:
    """Return the source that is a statement on a server."""
    return f"{dsn}{'&' if '?' in dsn else '?'}query={quote(statement)}"


async def test_rows_are_dicts_by_column_name(postgres_dsn: str) -> None:
    """A query with parameters gives its rows, as with every other database."""
    async with DatabaseClient(postgres_dsn) as client:
        rows = await client.query("SELECT n, n * $1 AS more FROM generate_series(1, 2) AS n", 10)

    assert rows == [{"n": 1, "more": 10}, {"n": 2, "more": 20}]


async def test_fetch_data_reads_a_server(postgres_dsn: str) -> None:
    """A PostgreSQL source is fetched like any other."""
    one = source(postgres_dsn, "SELECT 1 + 1 AS two")

    assert await fetch_data(one) == {"source": one, "data": [{"two": 2}]}


async def test_servers_are_fetched_together(postgres_dsn: str, people_source: str) -> None:
    """One batch may read PostgreSQL and SQLite at once."""
    results = await fetch_all_data([source(postgres_dsn, "SELECT 7 AS seven"), people_source])

    assert results[0].get("data") == [{"seven": 7}]
    assert len(results) == 2


async def test_one_client_may_be_shared(postgres_dsn: str) -> None:
    """Tasks that query through one client at once each get their own answer."""
    async with DatabaseClient(postgres_dsn) as client:
        answers = await asyncio.gather(
            *(client.query("SELECT $1::int AS number", number) for number in range(5))
        )

    assert answers == [[{"number": number}] for number in range(5)]


async def test_a_bad_query_is_refused(postgres_dsn: str) -> None:
    """A refused query keeps the statement and what the server said."""
    async with DatabaseClient(postgres_dsn) as client:
        with pytest.raises(QueryFailed, match='relation "poeple" does not exist'):
            await client.query("SELECT name FROM poeple")


async def test_a_client_does_not_write(postgres_dsn: str) -> None:
    """A statement that would change the database is refused."""
    async with DatabaseClient(postgres_dsn) as client:
        with pytest.raises(QueryFailed, match="read-only transaction"):
            await client.query("CREATE TABLE fetcher_should_not_write (n int)")


async def test_a_timeout_stops_a_slow_query(postgres_dsn: str) -> None:
    """A query that takes too long is given up after its time."""
    with pytest.raises(SourceTimeout):
        await fetch_data(source(postgres_dsn, "SELECT pg_sleep(600)"), timeout=0.5)


async def test_an_unknown_user_is_unreachable(postgres_dsn: str) -> None:
    """A server that does not let us in counts as unreachable, with what it said."""
    stranger = f"{postgres_dsn}{'&' if '?' in postgres_dsn else '?'}user=nobody_we_know"

    with pytest.raises(SourceUnreachable, match="nobody_we_know"):
        await DatabaseClient(stranger).connect()


async def test_an_unreachable_server(unreachable_url: str) -> None:
    """An address nobody serves is named, with what the network said."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install fetcher[postgres]")
    dsn = unreachable_url.replace("http://", "postgresql://fetcher@")

    with pytest.raises(SourceUnreachable) as caught:
        await DatabaseClient(dsn).connect()

    assert caught.value.source == dsn


async def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asyncpg, the error names the extra that installs it."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(MissingDriver) as caught:
        await fetch_data("postgresql://host/name?query=SELECT+1")

    assert str(caught.value) == (
        "postgresql://host/name?query=SELECT+1 needs the package 'asyncpg', which is not "
        "installed: install `fetcher[postgres]`"
    )
