"""The rule ``leaked-asyncgen``: an async generator left unfinished by the scope that used it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._source import is_users, place_of, users_frame

if TYPE_CHECKING:
    from aldente._rules.observation import Observation

RULE = Rule(
    "leaked-asyncgen",
    catches="an async generator left unfinished at the end of the scope that used it",
    why=(
        "Its 'finally' and 'async with' blocks run only now, after the test, in any order; in "
        "a program they run when the garbage collector does, or never."
    ),
    explanation=(
        "Found when an event loop ends: async generators that were iterated, not to their end, and "
        "are still referred to.\n\n"
        "Not a finding: one that ran to its end or was closed with aclose(); one without "
        "references, which the event loop has closed by itself; generator fixtures; what a "
        "test that has failed left behind."
    ),
    is_left_behind=True,
)

_FIX = (
    "Iterate it inside 'async with contextlib.aclosing(...)', so that it is closed where it was "
    "used."
)


class AsyncGeneratorWatch:
    """Records where async generators are first iterated."""

    def __init__(self) -> None:
        self._places: weakref.WeakKeyDictionary[AsyncGenerator[Any, Any], SourcePlace] = (
            weakref.WeakKeyDictionary()
        )

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, record the places."""
        with _asyncio_compat.on_first_iteration(self._note):
            yield

    @containing("noting where an async generator is iterated", None)
    def _note(self, generator: AsyncGenerator[Any, Any]) -> None:
        frame = users_frame(inspect.currentframe())
        if frame is not None:
            self._places[generator] = place_of(frame)

    def find(self, generators: Iterable[AsyncGenerator[Any, Any]]) -> Iterator[Finding]:
        """Yield the findings for the unfinished async generators of a loop."""
        for generator in generators:
            frame = getattr(generator, "ag_frame", None)
            code = getattr(generator, "ag_code", None)
            if frame is None or code is None or not is_users(code.co_filename):
                continue
            at = SourcePlace(code.co_filename, frame.f_lineno)
            name = getattr(generator, "__qualname__", code.co_name)
            yield Finding(
                RULE.name,
                f"the async generator {name!r} was iterated, and left unfinished.",
                _FIX,
                self._places.get(generator, at),
                details=(f"it waits at its 'yield' in {at}",),
                subject=name,
            )


def install(observation: Observation) -> None:
    """Record where async generators are iterated, and report those that are left."""
    watch = AsyncGeneratorWatch()
    observation.enter(watch.installed())

    @containing("looking for async generators that are left", None)
    def report(loop: asyncio.AbstractEventLoop) -> None:
        for finding in watch.find(_asyncio_compat.unfinished_async_generators(loop)):
            observation.report(finding)

    observation.at_loop_end.append(report)
