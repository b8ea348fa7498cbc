"""One request over HTTP."""

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import httpx

from fetcher.errors import BadJSON, BadStatus, InvalidSource, SourceUnreachable
from fetcher.sources import ApiSource

_EXCERPT_CHARACTERS = 40


@functools.cache
def _trusted_certificates() -> ssl.SSLContext:
    # Loading them takes far longer than a local request: once is enough.
    return httpx.create_ssl_context()


@asynccontextmanager
async def open_http_client(limit: int) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client, and close its connections in the end.

    Args:
        limit: the greatest number of connections it holds at once.
    """
    # In a thread: reading and parsing certificates would hold the loop for tens of milliseconds.
    certificates = await asyncio.to_thread(_trusted_certificates)
    async with httpx.AsyncClient(
        follow_redirects=True,
        limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit),
        timeout=None,  # time is kept per source, in `fetching`
        verify=certificates,
    ) as client:
        yield client


async def read_api(source: ApiSource, http: httpx.AsyncClient) -> object:
    """Return the decoded JSON an API answers a GET request with.

    Raises:
        InvalidSource: the URL is malformed.
        SourceUnreachable: there is no complete answer.
        BadStatus: the answer's status is not one of success.
        BadJSON: the answer is not JSON.
    """
    try:
        response = await http.get(source.url)
    except httpx.InvalidURL as error:
        raise InvalidSource(source.url, str(error)) from error
    except httpx.RequestError as error:
        raise SourceUnreachable(source.url, str(error) or type(error).__name__) from error
    if not response.is_success:
        raise BadStatus(source.url, response.status_code, response.reason_phrase)
    try:
        data: object = response.json(parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadJSON(source.url, str(error), response.text[:_EXCERPT_CHARACTERS]) from error
    return data


def _refuse_constant(name: str) -> NoReturn:
    # Python reads NaN and Infinity by default, but no other program could read what we print then.
    raise ValueError(f"{name} is not a JSON value")
