"""PostgreSQL, through asyncpg, which the extra `postgres` installs."""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fetcher.drivers.driver import Row
from fetcher.errors import MissingDriver, QueryFailed, SourceUnreachable

# How long a server may take to say goodbye before the connection is dropped.
_CLOSING_SECONDS = 2.0


class _Connection(Protocol):
    """The part of asyncpg's connection that is used here; asyncpg publishes no types."""

    async def fetch(self, query: str, *args: object) -> list[Mapping[str, object]]: ...

    async def close(self, *, timeout: float) -> None: ...


class PostgresDriver:
    """One read-only connection to a PostgreSQL server.

    Args:
        url: a DSN as asyncpg takes it, such as `postgresql://user@host/name`.
        source: what errors call it.
    """

    def __init__(self, url: str, source: str) -> None:
        self._url = url
        self._source = source
        self._connection: _Connection | None = None
        self._refusals: tuple[type[Exception], ...] = ()

    async def open(self) -> None:
        """Connect to the server.

        Raises:
            MissingDriver: asyncpg is not installed.
            SourceUnreachable: the server cannot be reached, or does not let us in.
        """
        try:
            # Imported when needed, since it is an extra; in a thread, since it is slow to import.
            asyncpg: Any = await asyncio.to_thread(importlib.import_module, "asyncpg")
        except ModuleNotFoundError as error:
            raise MissingDriver(self._source, "asyncpg", "postgres") from error
        self._refusals = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
        try:
            self._connection = await asyncpg.connect(
                self._url, server_settings={"default_transaction_read_only": "on"}
            )
        except self._refusals as error:
            raise SourceUnreachable(self._source, _in_words(error)) from error

    async def fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        """Return the rows of a statement with `$1`, `$2`, ... for its parameters.

        Raises:
            QueryFailed: PostgreSQL refuses the statement.
        """
        assert self._connection is not None, "the client queries only when connected"
        try:
            rows = await self._connection.fetch(statement, *parameters)
        except self._refusals as error:
            raise QueryFailed(self._source, statement, _in_words(error)) from error
        return [dict(row) for row in rows]

    async def close(self) -> None:
        """Disconnect, at the latest after 2 seconds."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=_CLOSING_SECONDS)
            except TimeoutError:
                return  # asyncpg has dropped the connection by then


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
