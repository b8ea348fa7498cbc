"""SQLite files, through aiosqlite, which works in a thread of its own."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import aiosqlite

from fetcher.cancellation import see_through
from fetcher.drivers.driver import Row
from fetcher.errors import InvalidSource, QueryFailed, SourceUnreachable

# How many steps of SQLite's virtual machine pass between two looks at whether to give up.
_STEPS_BETWEEN_LOOKS = 10_000


class SqliteDriver:
    """One read-only connection to a database file.

    Args:
        url: `sqlite:///relative/path` or `sqlite:////absolute/path`.
        source: what errors call it.

    Raises:
        InvalidSource: the URL names no file.
    """

    def __init__(self, url: str, source: str) -> None:
        _, separator, path = url.partition("?")[0].partition(":///")
        if not separator or not path:
            raise InvalidSource(source, "it names no file: write sqlite:///path/to/file")
        # Read-only, so that a query cannot change the file and a wrong path does not create one.
        self._file = f"{Path(unquote(path)).absolute().as_uri()}?mode=ro"
        self._source = source
        self._connection: aiosqlite.Connection | None = None
        self._giving_up = False

    async def open(self) -> None:
        """Open the file.

        Raises:
            SourceUnreachable: there is no such file, or it may not be read.
        """
        try:
            await see_through(self._open())
        except asyncio.CancelledError:
            await self.close()
            raise
        except sqlite3.Error as error:
            raise SourceUnreachable(self._source, str(error)) from error

    async def _open(self) -> None:
        failure: sqlite3.Error | None = None

        def connect() -> sqlite3.Connection:
            nonlocal failure
            try:
                return sqlite3.connect(self._file, uri=True)
            except sqlite3.Error as error:
                # When this fails, aiosqlite does not wait for its thread, which then answers to a
                # loop that may be closed. Given a stand-in to close, it ends in order.
                failure = error
                return sqlite3.connect(":memory:")

        connection = await aiosqlite.Connection(connect, iter_chunk_size=64)
        if failure is not None:
            await connection.close()
            raise failure
        self._connection = connection
        connection.row_factory = aiosqlite.Row
        await connection.set_progress_handler(self._gives_up, _STEPS_BETWEEN_LOOKS)

    def _gives_up(self) -> int:
        return int(self._giving_up)

    async def fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        """Return the rows of a statement with `?` for its parameters.

        Raises:
            QueryFailed: SQLite refuses the statement.
        """
        assert self._connection is not None, "the client queries only when connected"

        def give_up() -> None:
            self._giving_up = True

        try:
            query = self._connection.execute_fetchall(statement, parameters)
            rows = await see_through(query, when_cancelled=give_up)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise QueryFailed(self._source, statement, str(error)) from error
        finally:
            self._giving_up = False
        return [dict(row) for row in rows]

    async def close(self) -> None:
        """Close the file and end its thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await see_through(connection.close())
