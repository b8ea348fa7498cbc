"""The calls of a double: when they began and ended, and how."""

from __future__ import annotations

import asyncio
import itertools
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, Literal
from unittest import mock

from aldente._doubles import mock_compat
from aldente._records import SourcePlace
from aldente._system import monotonic

Row = Mapping[str, str]

# How many characters of a cell, and how many rows of a table, messages show.
_WIDTH = 60
_HEIGHT = 30


def table(rows: Iterable[Row]) -> str:
    """Rows as lines with a heading, without columns that are empty in all of them.

    >>> print(table([{"#": "1", "call": "fetch('a')"}, {"#": "2", "call": "fetch('b')"}]))
    #  call
    1  fetch('a')
    2  fetch('b')
    """
    kept = list(rows)
    if not kept:
        return "(no calls)"
    hidden = len(kept) - _HEIGHT
    if hidden > 0:
        kept = kept[: _HEIGHT // 2] + kept[-_HEIGHT // 2 :]
    columns = {
        name: [_shortened(row.get(name, "")) for row in kept] for row in kept for name in row
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in filled.items()}
    lines = [_line({name: name for name in filled}, widths)]
    lines += [
        _line({name: cells[number] for name, cells in filled.items()}, widths)
        for number in range(len(kept))
    ]
    if hidden > 0:
        lines.insert(1 + _HEIGHT // 2, f"... {hidden} more ...")
    return "\n".join(lines)


def _line(cells: Row, widths: Mapping[str, int]) -> str:
    return "  ".join(cell.ljust(widths[name]) for name, cell in cells.items()).rstrip()


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


Outcome = Literal["never awaited", "pending", "returned", "raised", "cancelled", "closed"]

# Numbers the beginnings and ends of all calls, as many happen at one moment of a loop's time.
_moments = itertools.count(1)


class Call:
    """One call of a double.

    Attributes:
        double: the name of the double.
        args: the positional arguments.
        kwargs: the keyword arguments.
        start: when it was first awaited, in seconds of the loop's time; None before.
        end: when it ended, in seconds of the loop's time; None before.
        outcome: ``"never awaited"``, ``"pending"``, ``"returned"``, ``"raised"``,
            ``"cancelled"``; or ``"closed"``, when a stream was left before its end.
        result: what it returned.
        exception: what it raised.
        task: the name of the task that awaited it.
    """

    __slots__ = (
        "_given",
        "_line",
        "_path",
        "args",
        "double",
        "end",
        "end_moment",
        "entry",
        "exception",
        "is_coroutine",
        "is_held",
        "is_reported",
        "kwargs",
        "outcome",
        "result",
        "start",
        "start_moment",
        "task",
    )

    def __init__(
        self,
        double: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None,
    ) -> None:
        self.double = double
        self.args = args
        self.kwargs = kwargs
        # Not a place yet: most calls appear in no message.
        self._path = frame.f_code.co_filename if frame is not None else None
        self._line = frame.f_lineno if frame is not None else 0
        self.start: float | None = None
        self.end: float | None = None
        self.start_moment = 0
        self.end_moment = 0
        self.outcome: Outcome = "never awaited"
        self.result: Any = None
        self.exception: BaseException | None = None
        self.task: str | None = None
        # Whether it waits at a gate.
        self.is_held = False
        # Whether a finding has reported already that it was never awaited.
        self.is_reported = False
        # Whether it returned a coroutine, whose end the rule never-awaited sees too.
        self.is_coroutine = False
        # The arguments as mocks keep them.
        self.entry: Any = None
        self._given: weakref.ref[Any] | None = None

    @property
    def place(self) -> SourcePlace | None:
        """Where the user's code made the call."""
        return None if self._path is None else SourcePlace(self._path, self._line or 0)

    @property
    def call(self) -> Any:
        """The arguments as a `unittest.mock.call`, for comparisons."""
        return mock.call(*self.args, **self.kwargs)

    @property
    def given(self) -> Any:
        """What the call returned, such as a coroutine; None once that is garbage."""
        return None if self._given is None else self._given()

    @given.setter
    def given(self, value: Any) -> None:
        self._given = weakref.ref(value)

    def __str__(self) -> str:
        words = [
            *map(shown, self.args),
            *(f"{name}={shown(value)}" for name, value in self.kwargs.items()),
        ]
        return f"{self.double}({', '.join(words)})"

    def __repr__(self) -> str:
        return f"<Call {self}: {self.outcome}>"


class Timeline(tuple[Call, ...]):
    """Calls in the order in which they were made; its string is a table."""

    def __str__(self) -> str:
        return table(rows_of(self))

    __repr__ = __str__


class CallLog:
    """The calls of one double.

    Attributes:
        calls: all of them, in the order in which they were made.
        pending: how many are being awaited.
        peak: the greatest number that were being awaited at the same time.
        cancelled: how many were cancelled while they were awaited.
    """

    __slots__ = ("calls", "cancelled", "peak", "pending")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.pending = self.peak = self.cancelled = 0

    def begin(self, call: Call) -> None:
        """Note that a call is awaited from now on."""
        call.outcome = "pending"
        call.start_moment = next(_moments)
        try:
            task = asyncio.current_task()
            call.task = None if task is None else task.get_name()
        except RuntimeError:
            # A coroutine can run without a loop, by `send`, and a plain double needs none.
            pass
        call.start = _now()
        self.pending += 1
        if self.pending > self.peak:
            self.peak = self.pending

    def end(self, call: Call, outcome: Outcome, value: Any = None) -> None:
        """Note the end of a call, with what it returned or raised."""
        call.outcome = outcome
        call.end_moment = next(_moments)
        call.end = _now()
        if outcome == "returned":
            call.result = value
        else:
            call.exception = value
        self.pending -= 1
        self.cancelled += outcome == "cancelled"

    def forget(self) -> None:
        """Forget all calls; those that are being awaited still count as pending until they end."""
        self.calls = [call for call in self.calls if call.outcome == "pending"]
        self.peak = self.pending
        self.cancelled = 0


def _now() -> float:
    """The loop's time; without a loop, the clock that loops use."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return monotonic()


def rows_of(calls: Iterable[Call]) -> Iterator[Row]:
    """Calls as rows of a table; times count from the first beginning."""
    shown = list(calls)
    began = min((call.start for call in shown if call.start is not None), default=0.0)
    for number, call in enumerate(shown, 1):
        yield {
            "#": str(number),
            "call": str(call),
            "start": _seconds(call.start, began),
            "end": _seconds(call.end, began),
            "outcome": _outcome_in_words(call),
            "task": call.task or "",
            "called at": _from_here(call.place),
        }


def _seconds(moment: float | None, began: float) -> str:
    return "" if moment is None else f"{moment - began:.3f} s"


def _outcome_in_words(call: Call) -> str:
    if call.outcome == "returned":
        return f"returned {shown(call.result)}"
    if call.outcome == "raised":
        return f"raised {shown(call.exception)}"
    return call.outcome


def shown(value: object) -> str:
    """A value as messages show it: short for a mock, and safe if its repr fails."""
    if mock_compat.is_mock(value):
        return f"<{type(value).__name__} {mock_compat.full_name(value)}>"
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr() raises {type(error).__name__}>"


def _from_here(place: SourcePlace | None) -> str:
    """A place with its path relative to the current folder, if that is shorter."""
    if place is None:
        return ""
    try:
        relative = os.path.relpath(place.path)
    except (OSError, ValueError):
        # There is no current folder, or it is on another drive.
        relative = place.path
    return f"{min(relative, place.path, key=len)}:{place.line}"
