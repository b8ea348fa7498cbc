"""Observes the callbacks of all event loops that are written in Python."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from aldente._checked_pythons import private
from aldente._clocks import ORIGINALS

_now = ORIGINALS["perf_counter_ns"]


@contextlib.contextmanager
def observing_callbacks(observe: Callable[[Any, int, int], object]) -> Iterator[None]:
    """While entered, pass each callback that a loop has run to a function.

    Args:
        observe: called with the callback, and the moments in nanoseconds when it began and ended.

    asyncio offers no hook around them: each is run by ``Handle._run``. Loops that are not written
    in Python (uvloop) and simulated loops run theirs in another way. Checked on CPython 3.11 to
    3.15; where it is missing nothing is observed.
    """
    original: Any = private(asyncio.Handle, "_run")
    if original is None:
        yield
        return

    def run(self: Any) -> Any:
        # It is None once the handle is cancelled, as the callback may do.
        callback = self._callback
        began = _now()
        try:
            return original(self)
        finally:
            observe(callback, began, _now())

    asyncio.Handle._run = run  # type: ignore[method-assign]
    try:
        yield
    finally:
        asyncio.Handle._run = original  # type: ignore[method-assign]
