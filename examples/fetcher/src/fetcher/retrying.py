"""Trying again: which failures may be gone a moment later, and how long to wait until then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fetcher.errors import BadStatus, FetchError, SourceTimeout, SourceUnreachable

_T = TypeVar("_T")

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0

_SERVER_ERRORS = range(500, 600)


def may_pass(error: FetchError) -> bool:
    """Whether the same source may well be fetched a moment later.

    A source that cannot be reached or takes too long may come back, and so may an API that answers
    with a server error (5xx). All else has its cause in what was asked, and would fail again.
    """
    if isinstance(error, BadStatus):
        return error.status in _SERVER_ERRORS
    return isinstance(error, SourceUnreachable | SourceTimeout)


def delay_before(retry: int) -> float:
    """Return how many seconds to wait before a retry, counted from 1.

    Each wait is twice as long as the one before: 1, 2, 4, ... seconds, and never longer than 60.
    """
    # The exponent is bounded, because a float is not large enough for every power of two.
    return min(FIRST_DELAY * 2.0 ** min(retry - 1, 10), LONGEST_DELAY)


async def with_retries(attempt: Callable[[], Awaitable[_T]], retries: int) -> _T:
    """Return what an attempt returns, and make it again while its failures may pass.

    Args:
        attempt: makes one attempt.
        retries: how many times at most it is made again.

    Raises:
        FetchError: the failure of the last attempt.
    """
    for retry in range(1, retries + 1):
        try:
            return await attempt()
        except FetchError as error:
            if not may_pass(error):
                raise
        # Outside of the `except`, so that the next failure does not carry this one along.
        await asyncio.sleep(delay_before(retry))
    return await attempt()
