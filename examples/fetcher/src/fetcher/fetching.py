"""Fetching: one source, one source as text, many sources at once."""

import asyncio
import json
from collections.abc import Callable, Iterable

import httpx

from fetcher.api import open_http_client, read_api
from fetcher.database import read_database
from fetcher.errors import FetchError, SourceTimeout
from fetcher.results import Fetched, Result, failed
from fetcher.retrying import with_retries
from fetcher.sources import ApiSource, DatabaseSource, parse_source
from fetcher.validation import checked_limit, checked_retries, checked_sources, checked_timeout

DEFAULT_LIMIT = 10
DEFAULT_TIMEOUT = 10.0
DEFAULT_RETRIES = 0


async def fetch_data(
    source: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    retries: int = DEFAULT_RETRIES,
    http: httpx.AsyncClient | None = None,
) -> Fetched:
    """Return the data of one source.

    Args:
        source: an address of an API or of a database with a query; see `parse_source`.
        timeout: how many seconds an attempt may take in all, connecting included.
        retries: how many times it is tried again, after 1, 2, 4, ... seconds, while what fails may
            pass: see `may_pass`.
        http: the HTTP client to use; one for this source alone if not given.

    Returns:
        A dict with the keys `source` and `data`: decoded JSON of an API, a list of rows (dicts)
        of a database.

    Raises:
        FetchError: one of its kinds, by what went wrong: `InvalidSource`, `SourceUnreachable`,
            `SourceTimeout`, `BadStatus`, `BadJSON`, `QueryFailed`, `MissingDriver`.
        InvalidArgument: `timeout` is not a finite number greater than 0, or `retries` not a whole
            number of at least 0.

    Example:
        ```python
        people = await fetch_data("http://localhost:8000/people", timeout=2.5)
        print(people["data"])
        ```
    """
    checked_timeout(timeout)
    checked_retries(retries)
    parsed = parse_source(source)

    async def attempt() -> object:
        try:
            async with asyncio.timeout(timeout):
                return await _read(parsed, http)
        except TimeoutError as error:
            raise SourceTimeout(source, timeout) from error

    return {"source": source, "data": await with_retries(attempt, retries)}


async def _read(source: ApiSource | DatabaseSource, http: httpx.AsyncClient | None) -> object:
    if isinstance(source, DatabaseSource):
        return await read_database(source)
    if http is not None:
        return await read_api(source, http)
    async with open_http_client(limit=1) as own_http:
        return await read_api(source, own_http)


async def process_data_from_source(source: str, *, timeout: float = DEFAULT_TIMEOUT) -> str:
    """Return one line of text that says what a source holds.

    Args:
        source: as for `fetch_data`.
        timeout: how many seconds it may take in all.

    Raises:
        FetchError: as for `fetch_data`.
        InvalidArgument: as for `fetch_data`.

    Example:
        ```python
        print(await process_data_from_source("http://localhost:8000/people"))
        # http://localhost:8000/people: 3 items
        ```
    """
    fetched = await fetch_data(source, timeout=timeout)
    return f"{source}: {_in_words(fetched['data'])}"


def _in_words(data: object) -> str:
    if isinstance(data, list):
        return f"{len(data)} item{'' if len(data) == 1 else 's'}"
    if isinstance(data, dict):
        return f"an object with {', '.join(map(str, data)) or 'nothing in it'}"
    return json.dumps(data)


async def fetch_all_data(
    sources: Iterable[str],
    *,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_TIMEOUT,
    retries: int = DEFAULT_RETRIES,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Return the results of many sources, fetched at once, in the order the sources were given.

    A source that fails does not disturb the others: in its place stands a dict with `source`,
    `error` (a sentence) and `kind` (the name of the exception `fetch_data` raised).

    When cancelled, it stops what is in flight, closes its connections, and raises
    `CancelledError` as every coroutine does. What had come in by then has been handed to
    `on_result`: keep it there, and `results_in_order` completes it.

    Args:
        sources: as for `fetch_data`; the same one may occur several times.
        limit: how many sources may be in flight at once; one that waits to be tried again is.
        timeout: how many seconds each attempt at a source may take, counted from when its turn
            comes.
        retries: how many times each source is tried again, as for `fetch_data`.
        on_result: called with the position and the result of each source as soon as it is done.

    Raises:
        InvalidArgument: `limit`, `timeout`, `retries` or `sources` is not as described.

    Example:
        ```python
        finished = {}
        try:
            async with asyncio.timeout(30):
                await fetch_all_data(sources, limit=5, on_result=finished.__setitem__)
        except TimeoutError:
            print("only the first 30 seconds:")
        print(results_in_order(sources, finished))
        ```
    """
    ordered = checked_sources(sources)
    checked_limit(limit)
    checked_timeout(timeout)
    checked_retries(retries)
    finished: dict[int, Result] = {}
    # Every worker takes its next source from here, so a long list does not become as many tasks.
    waiting = iter(enumerate(ordered))

    async def work(http: httpx.AsyncClient) -> None:
        for position, source in waiting:
            result = await _fetch_result(source, timeout, retries, http)
            finished[position] = result
            if on_result is not None:
                on_result(position, result)

    # The group is left before the client: connections are closed when nobody uses them any more.
    async with open_http_client(limit) as http, asyncio.TaskGroup() as workers:
        for _ in range(min(limit, len(ordered))):
            workers.create_task(work(http))
    return [finished[position] for position in range(len(ordered))]


async def _fetch_result(
    source: str, timeout: float, retries: int, http: httpx.AsyncClient
) -> Result:
    try:
        return await fetch_data(source, timeout=timeout, retries=retries, http=http)
    except FetchError as error:
        return failed(source, error)
