"""The assertions of mocks, with a table of the calls; those on the order of calls, and overlaps."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from aldente._doubles.calls import Call, Row, rows_of, table
from aldente._doubles.state import is_double, name_of, state_of
from aldente.errors import InvalidSetting

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
            described = AssertionError(f"{reason}\n\n{table(rows)}")
            raise described from error.__cause__

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


class _Asked(NamedTuple):
    """An argument of an assertion: a double or one call.

    Attributes:
        name: its name in messages.
        calls: its calls that were awaited.
    """

    name: str
    calls: list[Call]


def assert_order(first: Any, second: Any, *others: Any) -> None:
    """Fail unless doubles were awaited one after the other.

    Args:
        first: a double, all of whose calls must have ended before the first call of the next began;
            or one call of its timeline.
        second: the next.
        *others: the ones after it.

    Raises:
        AssertionError: they were not; the message has the calls in the order in which they began.
        InvalidSetting: an argument is neither a double nor a call.

    >>> import asyncio, aldente
    >>> connect, query = aldente.Double(), aldente.Double()
    >>> async def main():
    ...     await connect()
    ...     await query()
    >>> asyncio.run(main())
    >>> assert_order(connect, query)
    """
    __tracebackhide__ = True
    asked = _asked((first, second, *others))
    for earlier, later in itertools.pairwise(asked):
        problem = _disorder(earlier, later)
        if problem is not None:
            wanted = ", then ".join(one.name for one in asked)
            raise AssertionError(f"Expected {wanted}; but {problem}.\n\n{_shown(asked)}")


def _disorder(earlier: _Asked, later: _Asked) -> str | None:
    for one in (earlier, later):
        if not one.calls:
            return f"{one.name} was never awaited"
    began = min(later.calls, key=lambda call: call.start_moment)
    for call in earlier.calls:
        if call.start_moment > began.start_moment:
            return f"{call} began after {began}"
        if call.outcome == "pending" or call.end_moment > began.start_moment:
            return f"{call} had not ended when {began} began"
    return None


def assert_overlap(first: Any, *others: Any) -> None:
    """Fail unless doubles were being awaited at the same moment.

    Args:
        first: a double, or one call of its timeline. Alone, two calls of it must overlap.
        *others: those that were being awaited at the same moment.

    Raises:
        AssertionError: they were not; the message has the calls in the order in which they began.
        InvalidSetting: an argument is neither a double nor a call.

    >>> import asyncio, aldente
    >>> left, right = aldente.Double().takes(0.01), aldente.Double().takes(0.01)
    >>> async def main():
    ...     await asyncio.gather(left(), right())
    >>> asyncio.run(main())
    >>> assert_overlap(left, right)
    """
    __tracebackhide__ = True
    asked = _asked((first, *others))
    silent = next((one.name for one in asked if not one.calls), None)
    if silent is not None:
        problem = f"{silent} was never awaited"
    elif len(asked) == 1:
        if any(_are_together(pair) for pair in itertools.combinations(asked[0].calls, 2)):
            return
        problem = "no two of its calls were"
    else:
        if _share_a_moment(asked):
            return
        problem = "there was no such moment"
    wanted = " and ".join(one.name for one in asked)
    raise AssertionError(
        f"Expected {wanted} to be awaited at the same time; but {problem}.\n\n{_shown(asked)}"
    )


def _share_a_moment(asked: Sequence[_Asked]) -> bool:
    """Whether some moment lies within a call of each; if any does, the beginning of one of them."""
    beginnings = [call.start_moment for one in asked for call in one.calls]
    return any(
        all(any(_lasts_at(call, moment) for call in one.calls) for one in asked)
        for moment in beginnings
    )


def _lasts_at(call: Call, moment: int) -> bool:
    return call.start_moment <= moment and (call.outcome == "pending" or moment < call.end_moment)


def _are_together(calls: tuple[Call, Call]) -> bool:
    first, second = sorted(calls, key=lambda call: call.start_moment)
    return _lasts_at(first, second.start_moment)


def _asked(given: Sequence[Any]) -> list[_Asked]:
    asked = []
    seen: set[int] = set()
    for one in given:
        if id(one) in seen:
            raise InvalidSetting("double", one, "Pass each double or call only once.")
        seen.add(id(one))
        if isinstance(one, Call):
            asked.append(_Asked(str(one), [one] if one.start_moment else []))
        elif is_double(one):
            calls = [call for call in state_of(one).log.calls if call.start_moment]
            asked.append(_Asked(name_of(one), calls))
        else:
            raise InvalidSetting(
                "double", one, ("It must be an aldente.Double, or a call of its timeline.")
            )
    names = [one.name for one in asked]
    if len(set(names)) < len(names):
        # Several that have no name of their own.
        asked = [
            one._replace(name=f"{one.name} (number {number})")
            for number, one in enumerate(asked, 1)
        ]
    return asked


def _shown(asked: Sequence[_Asked]) -> str:
    calls = [(call, one.name) for one in asked for call in one.calls]
    calls.sort(key=lambda entry: entry[0].start_moment)
    return table(_rows(calls))


def _rows(calls: Sequence[tuple[Call, str]]) -> Iterator[dict[str, str]]:
    for row, (_, name) in zip(rows_of(call for call, _ in calls), calls, strict=True):
        yield {"#": row["#"], "double": name, **row}
