"""Keeps errors in aldente's own watching away from the code that it watches.

Rules inspect objects that are not theirs: loops of other libraries, mocks, attributes that a test
has replaced. Where that fails, the test must continue as without it, and aldente reports the error
once, at the end of the run.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, ParamSpec, TypeVar

from aldente.errors import AldenteError

P = ParamSpec("P")
T = TypeVar("T")
Otherwise = TypeVar("Otherwise")


class OwnError(NamedTuple):
    """An error in aldente's code while it watches.

    Attributes:
        doing: what it was doing: ``"looking for open connections"``.
        summary: the error in one line.
        path: the file whose line raised it.
        line: the number of that line.
        traceback: its traceback, as text: frames would keep the user's objects alive.
    """

    doing: str
    summary: str
    path: str
    line: int
    traceback: str


# Called with each error; only the last one is. A test may run pytest in the same process.
listeners: list[Callable[[OwnError], None]] = []


class contained:  # noqa: N801
    """While entered, pass an error to the listener instead of raising it.

    What ends a test from outside is still raised: Ctrl-C, time limits, and all other errors of
    aldente that are meant for users.

    Args:
        doing: the current activity, for the message.

    >>> reported = []
    >>> listeners.append(reported.append)
    >>> with contained("looking for open connections"):
    ...     len(None)
    >>> reported[0].doing, reported[0].summary
    ('looking for open connections', "TypeError: object of type 'NoneType' has no len()")
    >>> listeners.remove(reported.append)
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        error_traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, AldenteError):
            return False
        report(self._doing, error)
        return True


def containing(
    doing: str, otherwise: Otherwise
) -> Callable[[Callable[P, T]], Callable[P, T | Otherwise]]:
    """Decorate a function so that its errors go to the listener, as with `contained`.

    Args:
        doing: the activity of the function, for the message.
        otherwise: its result in case of an error.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T | Otherwise]:
        @functools.wraps(function)
        def contains(*args: P.args, **kwargs: P.kwargs) -> T | Otherwise:
            try:
                return function(*args, **kwargs)
            except AldenteError:
                raise
            except Exception as error:
                report(doing, error)
                return otherwise

        return contains

    return decorate


def _formatted(error: Exception) -> str:
    """The traceback of an error as text, without marks below the lines.

    Python parses the lines for those marks. An error may come from a garbage collection while
    Python is parsing already, for which CPython 3.11 fails with a SystemError: "AST constructor
    recursion depth mismatch".
    """
    whole = traceback.TracebackException.from_exception(error, compact=True)
    pending: list[traceback.TracebackException | None] = [whole]
    while pending:
        current = pending.pop()
        if current is not None:
            for frame in current.stack:
                frame.colno = frame.end_colno = None
            pending += [current.__cause__, current.__context__]
    return "".join(whole.format())


def _summary_of(error: Exception) -> str:
    """The type of an error and its message, without its notes."""
    whole = traceback.TracebackException.from_exception(error, compact=True)
    whole.__notes__ = None
    return list(whole.format_exception_only())[-1].strip()


def report(doing: str, error: Exception) -> None:
    """Pass an error to the listener; without a listener, print it.

    Args:
        doing: what was done.
        error: what it raised.
    """
    try:
        text = _formatted(error)
        summary = _summary_of(error)
        last = traceback.extract_tb(error.__traceback__)[-1]
        path, line = last.filename, last.lineno or 1
    except Exception:
        # A test may have replaced what these functions need.
        text = summary = type(error).__name__
        path, line = __file__, 1
    if listeners:
        listeners[-1](OwnError(doing, summary, path, line, text))
    else:
        print(f"aldente: an error while {doing}:\n{text}", file=sys.stderr)
