"""Checks of the arguments callers give, all in one place and worded alike."""

import math
from collections.abc import Iterable

from fetcher.errors import InvalidArgument


def checked_limit(limit: object) -> int:
    """Return `limit`, a number of sources.

    Raises:
        InvalidArgument: it is not a whole number of at least 1.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgument("limit", limit, "a whole number of at least 1")
    return limit


def checked_timeout(timeout: object) -> float:
    """Return `timeout`, in seconds.

    Raises:
        InvalidArgument: it is not a finite number greater than 0.
    """
    if (
        isinstance(timeout, bool)
        or not isinstance(timeout, int | float)
        or not math.isfinite(timeout)
        or timeout <= 0
    ):
        raise InvalidArgument("timeout", timeout, "a finite number of seconds greater than 0")
    return timeout


def checked_retries(retries: object) -> int:
    """Return `retries`, a number of further attempts.

    Raises:
        InvalidArgument: it is not a whole number of at least 0.
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InvalidArgument("retries", retries, "a whole number of at least 0")
    return retries


def checked_sources(sources: Iterable[str]) -> list[str]:
    """Return `sources` as a list.

    Raises:
        InvalidArgument: it is one string, which would be taken for many of one letter each.
    """
    if isinstance(sources, str):
        raise InvalidArgument("sources", sources, "a list of sources, not one string")
    return list(sources)
