"""The database client, the same for every database system."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fetcher.cancellation import see_through
from fetcher.drivers.driver import Driver, Row
from fetcher.drivers.postgres import PostgresDriver
from fetcher.drivers.sqlite import SqliteDriver
from fetcher.errors import InvalidSource, NotConnected
from fetcher.sources import DatabaseSource

_DRIVERS: dict[str, Callable[[str, str], Driver]] = {
    "sqlite": SqliteDriver,
    "postgresql": PostgresDriver,
    "postgres": PostgresDriver,
}


class DatabaseClient:
    """A connection to a database, for reading.

    One client may be shared: queries are run one at a time, in the order they were asked.

    Args:
        url: `sqlite:///path` or `postgresql://user@host/name`.
        name: what errors call the database; the URL if not given.

    Raises:
        InvalidSource: the URL is of no known kind.

    Example:
        ```python
        async with DatabaseClient("sqlite:///people.db") as client:
            rows = await client.query("SELECT name FROM people WHERE age > ?", 30)
        ```
    """

    def __init__(self, url: str, *, name: str | None = None) -> None:
        self._name = name or url
        scheme = url.partition(":")[0].lower()
        if scheme not in _DRIVERS:
            raise InvalidSource(self._name, "a database begins with sqlite:/// or postgresql://")
        self._driver = _DRIVERS[scheme](url, self._name)
        self._connected = False
        self._turn = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether `query` can be used."""
        return self._connected

    async def connect(self) -> None:
        """Connect; do nothing when connected already.

        Raises:
            SourceUnreachable: the database cannot be opened.
            MissingDriver: the package for this kind of database is not installed.
        """
        async with self._turn:
            if not self._connected:
                await self._driver.open()
                self._connected = True

    async def disconnect(self) -> None:
        """Disconnect, once the query that is running is done; do nothing when not connected.

        This is seen through when it is cancelled, also while it waits: who left would be the last
        who could disconnect.
        """
        await see_through(self._disconnect())

    async def _disconnect(self) -> None:
        async with self._turn:
            if self._connected:
                self._connected = False
                await self._driver.close()

    async def query(self, statement: str, *parameters: object) -> list[Row]:
        """Return the rows of a query, each a dict by column name.

        Args:
            statement: SQL, with `?` (SQLite) or `$1` (PostgreSQL) in place of each parameter.
            parameters: the values for them.

        Raises:
            NotConnected: `connect` was not called, or `disconnect` was.
            QueryFailed: the database refuses the statement.
        """
        async with self._turn:
            if not self._connected:
                raise NotConnected(self._name)
            return await self._driver.fetch(statement, parameters)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()


async def read_database(source: DatabaseSource) -> list[Row]:
    """Return the rows of a database source, over a connection of its own.

    Raises:
        FetchError: anything `DatabaseClient` raises, with the whole source as its `source`.
    """
    async with DatabaseClient(source.database, name=source.source) as client:
        return await client.query(source.statement)
