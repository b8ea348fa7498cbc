"""The assertions of mocks, with a table of the double's calls."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from aldente._doubles.calls import Call, Row, rows_of, table
from aldente._doubles.state import name_of, state_of

_NAMES = (
    "assert_called",
    "assert_called_once",
    "assert_called_with",
    "assert_called_once_with",
    "assert_any_call",
    "assert_has_calls",
    "assert_not_called",
    "assert_awaited",
    "assert_awaited_once",
    "assert_awaited_with",
    "assert_awaited_once_with",
    "assert_any_await",
    "assert_has_awaits",
    "assert_not_awaited",
)


Mock = TypeVar("Mock", bound=type)


def with_tables(kind: Mock) -> Mock:
    """Add a table of the calls to the messages of a mock class's assertions."""
    for name in _NAMES:
        if hasattr(kind, name):
            setattr(kind, name, _with_table(getattr(kind, name)))
    return kind


def _with_table(assertion: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(assertion)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        try:
            assertion(self, *args, **kwargs)
        except AssertionError as error:
            reason = "\n".join(itertools.takewhile(_is_reason, str(error).splitlines()))
            rows = [*_expected(self, assertion.__name__, args, kwargs), *_actual(self)]
            told = AssertionError(f"{reason}\n\n{table(rows)}")
            raise told from error.__cause__

    return wrapper


def _is_reason(line: str) -> bool:
    """Whether a line of a message says what is wrong; the calls come after it."""
    return bool(line) and not line.lstrip().startswith(("Expected:", "Actual:", "Calls:"))


def _expected(
    double: Any, assertion: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[Row]:
    name = name_of(double)
    if assertion.endswith(("_with", "any_call", "any_await")):
        yield _row(Call(name, args, kwargs, None))
    elif "_has_" in assertion:
        calls = args[0] if args else kwargs.get("calls", ())
        for call in calls:
            yield {"": "expected", "#": "", "call": _as_call_of(name, call)}


def _as_call_of(name: str, call: Any) -> str:
    """A `unittest.mock.call` as the call of a double."""
    text = repr(call)
    return f"{name}{text.removeprefix('call')}" if text.startswith("call") else text


def _row(call: Call) -> Row:
    return {"": "expected", "#": "", "call": str(call)}


def _actual(double: Any) -> Iterator[Row]:
    calls = state_of(double).log.calls
    if not calls:
        yield {"": "actual", "#": "", "call": "(no calls)"}
    for row in rows_of(calls):
        yield {"": "actual", **row}
