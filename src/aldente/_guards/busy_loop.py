"""Tells when a loop is busy without a pause, so that costs of every step can be left out."""

from __future__ import annotations

from collections.abc import Callable

from aldente import _asyncio_compat
from aldente._guards.deadlock import is_selecting
from aldente._guards.watchdog import Look
from aldente._loops.runner import LoopRunner

# How many looks in a row find a loop at work, until it is called busy.
_LOOKS = 3


class Watch:
    """Sees busy loops; a watcher of the watchdog's.

    Args:
        on_busy: called on the loop when it has been at work in several looks in a row.
        on_idle: called on the loop when it waits again, or when another run begins.
    """

    def __init__(self, on_busy: Callable[[], object], on_idle: Callable[[], object]) -> None:
        self._on_busy = on_busy
        self._on_idle = on_idle
        # Which run it is of which runner.
        self._run: tuple[LoopRunner, int] | None = None
        self._looks = 0

    def look(self, look: Look) -> None:
        """See whether the loop waits for something to happen."""
        frame = look.frames.get(look.run.thread)
        # A busy loop asks its selector too, and is seen there most: it lets other threads run then.
        is_idle = frame is None or (
            is_selecting(frame) and not _asyncio_compat.may_have_ready_callbacks(look.loop)
        )
        run = (look.run, look.run.runs)
        if is_idle or self._run != run:
            if self._looks >= _LOOKS:
                look.loop.call_soon_threadsafe(self._on_idle)
            self._run, self._looks = run, 0
        if not is_idle:
            self._looks += 1
            if self._looks == _LOOKS:
                look.loop.call_soon_threadsafe(self._on_busy)
