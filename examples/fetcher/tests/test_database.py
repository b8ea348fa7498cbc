"""The database client, on a real SQLite file."""

import asyncio
import sqlite3
from pathlib import Path

import aiosqlite
import aldente
import pytest

from fetcher import (
    DatabaseClient,
    InvalidSource,
    NotConnected,
    QueryFailed,
    SourceTimeout,
    SourceUnreachable,
    fetch_data,
)

# A query without an end: it counts up for as long as it is let, and locks the table meanwhile. On
# the simulated loop time stands still while it runs, so no time-out ends it: --aldente-explore
# leaves its tests alone.
ENDLESS = (
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) "
    "SELECT count(*) FROM people, numbers"
)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Collect the real connections that are opened, under everybody's hands."""
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connect_and_collect(path: str, *, uri: bool) -> sqlite3.Connection:
        connections.append(connect(path, uri=uri))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", connect_and_collect)
    return connections


@pytest.fixture
def oddly_named_url(tmp_path: Path, database_file: Path) -> str:
    """Return the address of a database whose name is full of characters URLs use."""
    odd = database_file.rename(tmp_path / "what? 100% #1.db")
    return f"sqlite:///{odd.as_posix()}".replace("%", "%25").replace("?", "%3F")


async def test_connect_query_disconnect(database_url: str) -> None:
    """A client answers queries between `connect` and `disconnect`."""
    client = DatabaseClient(database_url)

    await client.connect()
    rows = await client.query("SELECT name, age FROM people WHERE age > ? ORDER BY age", 40)
    await client.disconnect()

    assert rows == [{"name": "Alan", "age": 41}, {"name": "Grace", "age": 85}]


async def test_a_query_needs_a_connection(database_url: str) -> None:
    """A client that was never connected refuses to query and says what to do."""
    client = DatabaseClient(database_url)

    with pytest.raises(NotConnected) as caught:
        await client.query("SELECT 1")

    assert str(caught.value) == (
        f"{database_url} is not connected: call `await client.connect()` first, "
        "or use `async with DatabaseClient(...) as client`"
    )


async def test_a_query_is_refused_after_disconnecting(database_url: str) -> None:
    """A client that has disconnected refuses like one that never connected."""
    async with DatabaseClient(database_url) as client:
        pass

    assert not client.connected
    with pytest.raises(NotConnected):
        await client.query("SELECT 1")


async def test_connecting_and_disconnecting_twice_is_harmless(database_url: str) -> None:
    """Connecting when connected and disconnecting when not do nothing."""
    client = DatabaseClient(database_url)

    await client.disconnect()
    await client.connect()
    await client.connect()
    assert await client.query("SELECT 1 AS one") == [{"one": 1}]
    await client.disconnect()
    await client.disconnect()

    assert not client.connected


async def test_connecting_from_two_tasks_opens_one_connection(
    database_url: str, opened: list[sqlite3.Connection]
) -> None:
    """Tasks that connect at the same moment share the connection, so one disconnect closes all."""
    client = DatabaseClient(database_url)

    await asyncio.gather(client.connect(), client.connect())
    await client.disconnect()

    assert len(opened) == 1


async def test_a_client_can_connect_again(database_url: str) -> None:
    """A client that has disconnected may be connected anew."""
    client = DatabaseClient(database_url)
    for _ in range(2):
        async with client:
            assert await client.query("SELECT 1 AS one") == [{"one": 1}]


async def test_a_block_that_fails_disconnects(database_url: str) -> None:
    """`async with` closes the connection also when its block raises."""
    client = DatabaseClient(database_url)

    with pytest.raises(ZeroDivisionError):
        async with client:
            raise ZeroDivisionError

    assert not client.connected


async def test_a_missing_file_is_unreachable_and_not_created(tmp_path: Path) -> None:
    """A path with no file is an error, and the client does not make the file."""
    path = tmp_path / "missing.db"
    client = DatabaseClient(f"sqlite:///{path.as_posix()}")

    with pytest.raises(SourceUnreachable, match="unable to open database file"):
        await client.connect()

    assert not path.exists()
    assert not client.connected


async def test_a_client_does_not_write(database_url: str) -> None:
    """A statement that would change the database is refused."""
    async with DatabaseClient(database_url) as client:
        with pytest.raises(QueryFailed, match="readonly database"):
            await client.query("DELETE FROM people")
        assert await client.query("SELECT count(*) AS count FROM people") == [{"count": 3}]


async def test_a_bad_query_names_itself_and_the_reason(database_url: str) -> None:
    """A refused query keeps the statement and what the database said, and harms nothing."""
    async with DatabaseClient(database_url) as client:
        with pytest.raises(QueryFailed) as caught:
            await client.query("SELECT name FROM poeple")
        assert await client.query("SELECT 1 AS one") == [{"one": 1}]

    assert caught.value.statement == "SELECT name FROM poeple"
    assert caught.value.reason == "no such table: poeple"


@pytest.mark.parametrize("statement", ["SELECT 1; SELECT 2", "SELECT ?", "nonsense"])
async def test_every_kind_of_bad_statement_is_one_kind_of_error(
    database_url: str, statement: str
) -> None:
    """Several statements, missing parameters and bad syntax all raise `QueryFailed`."""
    async with DatabaseClient(database_url) as client:
        with pytest.raises(QueryFailed):
            await client.query(statement)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of another kind is named as such."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)

    async with DatabaseClient(f"sqlite:///{path.as_posix()}") as client:
        with pytest.raises(QueryFailed, match="not a database"):
            await client.query("SELECT 1 FROM sqlite_master")


async def test_a_path_may_hold_any_character(oddly_named_url: str) -> None:
    """Characters that mean something in a URL are percent-encoded in the path of a source."""
    async with DatabaseClient(oddly_named_url) as client:
        assert await client.query("SELECT count(*) AS count FROM people") == [{"count": 3}]


@aldente.allow("schedule-dependent")
async def test_a_timeout_stops_the_query_itself(database_url: str, database_file: Path) -> None:
    """A query that takes too long is interrupted, so that others can use the file at once."""
    with pytest.raises(SourceTimeout):
        await fetch_data(f"{database_url}?query={ENDLESS.replace('+', '%2B')}", timeout=0.05)

    async with aiosqlite.connect(database_file, timeout=0) as writer:
        await writer.execute("DELETE FROM people")
        await writer.commit()


@aldente.allow("schedule-dependent")
async def test_a_client_is_usable_after_a_cancelled_query(database_url: str) -> None:
    """Cancelling a query stops that query only: the next one is answered."""
    async with DatabaseClient(database_url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.query(ENDLESS)

        # Long enough to be interrupted too, if the client had not forgotten the cancellation.
        long = ENDLESS.replace("FROM numbers)", "FROM numbers LIMIT 20000)")
        assert await client.query(long) == [{"count(*)": 60_000}]


async def test_cancelling_a_connect_leaves_nothing_open(
    database_url: str, opened: list[sqlite3.Connection]
) -> None:
    """A client cancelled while it connects closes what was being opened for it."""
    client = DatabaseClient(database_url)
    connecting = asyncio.create_task(client.connect())
    await asyncio.sleep(0)  # one step: the task has begun, and waits for the file to be opened

    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting

    assert not client.connected
    assert len(opened) == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        _ = opened[0].total_changes


@pytest.mark.parametrize(
    "url", ["http://a", "mysql://a/b", "people.db", "sqlite://people.db", "sqlite:///"]
)
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    """A client is not made for an address that is no database's."""
    with pytest.raises(InvalidSource):
        DatabaseClient(url)
