"""Checks of the arguments of doubles."""

from __future__ import annotations

import math
from typing import Any

from aldente._doubles.mock_compat import is_exception
from aldente.errors import InvalidSetting


def checked_exception(name: str, value: Any) -> BaseException | type[BaseException]:
    """Check that a value is an exception, or a class of exceptions."""
    if not is_exception(value):
        raise InvalidSetting(name, value, "It must be an exception, or a class of exceptions.")
    exception: BaseException | type[BaseException] = value
    return exception


def checked_seconds(name: str, value: Any) -> float:
    """Check that a value is a number of seconds of at least 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0
    ):
        raise InvalidSetting(
            name,
            value,
            "It must be a number of seconds of at least 0, or a function that gives one.",
        )
    return value


def checked_callable(name: str, value: Any) -> Any:
    """Check that a value is callable."""
    if not callable(value):
        raise InvalidSetting(name, value, "It must be a function or coroutine function.")
    return value
