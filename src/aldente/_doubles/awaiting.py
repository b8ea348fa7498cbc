"""Doubles that are awaited themselves, as a future or the value of an async property is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from aldente._doubles.answering import awaited
from aldente._doubles.recording import record_iteration


def be_awaited(double: Any) -> None:
    """Have a double be awaited without being called: that gives its answer."""
    # Each mock has a class of its own.
    type(double).__await__ = _answer
    # Or asyncio would take the double of a future for one, and wait for its callback for ever.
    double.__dict__["_asyncio_future_blocking"] = None


def is_awaited_itself(double: Any) -> bool:
    """Whether a double is awaited without being called."""
    return hasattr(type(double), "__await__")


def _answer(double: Any) -> Generator[Any, Any, Any]:
    return awaited(double, record_iteration(double)).__await__()
