"""The world the tests run in: an HTTP server, databases, and an address nobody serves."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiosqlite
import pytest

from loopback import LoopbackServer, running_server
from throwaway_postgres import NoServer, running_postgres

PEOPLE = [("Ada", 36), ("Grace", 85), ("Alan", 41)]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach loopback directly, also where the environment names a proxy for everything."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    """Run an HTTP server on the loop of the test."""
    async with running_server() as running:
        yield running


@pytest.fixture
async def database_file(tmp_path: Path) -> Path:
    """Write a database file with a table `people` of names and ages."""
    path = tmp_path / "people.db"
    async with aiosqlite.connect(path) as connection:
        await connection.execute("CREATE TABLE people (name TEXT, age INTEGER)")
        await connection.executemany("INSERT INTO people VALUES (?, ?)", PEOPLE)
        await connection.commit()
    return path


@pytest.fixture
def database_url(database_file: Path) -> str:
    """Return the address of the database file: a sync fixture on top of an async one."""
    return f"sqlite:///{database_file.as_posix()}"


@pytest.fixture
def people_source(database_url: str) -> str:
    """Return a source that holds all names, oldest first."""
    return f"{database_url}?query=SELECT+name+FROM+people+ORDER+BY+age+DESC"


# A sync fixture for the whole session: the server is another process, bound to no loop.
@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """Return the DSN of a PostgreSQL server, started for these tests if none is named."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install fetcher[postgres]")
    named = os.environ.get("FETCHER_POSTGRES_DSN")
    if named:
        yield named
        return
    try:
        with running_postgres() as dsn:
            yield dsn
    except NoServer as reason:
        pytest.skip(f"{reason}; name a server in FETCHER_POSTGRES_DSN")


@pytest.fixture
def unreachable_url() -> Iterator[str]:
    """Return an address that refuses connections: its port is taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
