"""What the text of a source means."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from fetcher.errors import InvalidSource

_API_SCHEMES = {"http", "https"}
_DATABASE_SCHEMES = {"sqlite", "postgresql", "postgres"}


@dataclass(frozen=True)
class ApiSource:
    """An address that answers a GET request with JSON."""

    url: str


@dataclass(frozen=True)
class DatabaseSource:
    """A query to a database.

    Attributes:
        source: the whole text, as the caller wrote it.
        database: the database's address, without the query.
        statement: the SQL to run there.
    """

    source: str
    database: str
    statement: str


def parse_source(source: str) -> ApiSource | DatabaseSource:
    """Return what the text of a source means.

    Args:
        source: `http://...` or `https://...` for an API; `sqlite:///relative/path`,
            `sqlite:////absolute/path` or `postgresql://user@host/name` for a database, with its
            percent-encoded SQL in the parameter `query`.

    Raises:
        InvalidSource: it is neither.

    Example:
        >>> parse_source("sqlite:///people.db?query=SELECT+name+FROM+people").statement
        'SELECT name FROM people'
    """
    scheme, separator, rest = source.partition("://")
    if separator and scheme.lower() in _API_SCHEMES:
        if not rest or rest[0] in "/?#:":
            raise InvalidSource(source, "it names no host")
        return ApiSource(source)
    if separator and scheme.lower() in _DATABASE_SCHEMES:
        return _parse_database(source)
    raise InvalidSource(source, "it must begin with http://, https://, sqlite:/// or postgresql://")


def _parse_database(source: str) -> DatabaseSource:
    address, _, parameters = source.partition("?")
    statement = ""
    others: list[tuple[str, str]] = []
    for name, value in parse_qsl(parameters):
        if name == "query":
            statement = value
        else:
            others.append((name, value))
    if not statement.strip():
        raise InvalidSource(source, "it asks nothing: add its SQL as ?query=SELECT...")
    # The other parameters belong to the database's own address (PostgreSQL has many).
    database = f"{address}?{urlencode(others)}" if others else address
    return DatabaseSource(source, database, statement)
