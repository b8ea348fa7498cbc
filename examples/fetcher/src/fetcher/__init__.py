"""Fetch many sources at once: APIs over HTTP, and databases.

A map of the code, each module using only those above it:

- `errors`: every exception, each built from facts it keeps.
- `validation`: checks of the arguments callers give.
- `sources`: what the text of a source means.
- `results`: what a batch gives back for each source.
- `cancellation`: work that is not given up half-way.
- `drivers`: one database system each, SQLite and PostgreSQL.
- `database`: the client that connects, queries and disconnects.
- `api`: one request over HTTP.
- `retrying`: which failures are worth another attempt, and when it is made.
- `fetching`: one source, one source as text, many sources.
- `progress`: the bar shown while they come in.
- `command_line`: `python -m fetcher`.
"""

from fetcher.database import DatabaseClient
from fetcher.errors import (
    BadJSON,
    BadStatus,
    FetchError,
    InvalidArgument,
    InvalidSource,
    MissingDriver,
    NotConnected,
    QueryFailed,
    SourceCancelled,
    SourceTimeout,
    SourceUnreachable,
)
from fetcher.fetching import fetch_all_data, fetch_data, process_data_from_source
from fetcher.results import Failed, Fetched, Result, results_in_order

__all__ = [
    "BadJSON",
    "BadStatus",
    "DatabaseClient",
    "Failed",
    "FetchError",
    "Fetched",
    "InvalidArgument",
    "InvalidSource",
    "MissingDriver",
    "NotConnected",
    "QueryFailed",
    "Result",
    "SourceCancelled",
    "SourceTimeout",
    "SourceUnreachable",
    "fetch_all_data",
    "fetch_data",
    "process_data_from_source",
    "results_in_order",
]
