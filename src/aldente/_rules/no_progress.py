"""Reports once that a run without a time limit has made no progress for a while."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from aldente._rules.blocking_call.caller import is_debugger
from aldente._rules.deadlock import is_selecting
from aldente._rules.watchdog import Look
from aldente._runner.running import Run
from aldente._stacks import frame_of

# After how long, in seconds.
LIMIT = 60.0

# Seconds until a run is looked at, and between looks. A look walks the coroutines of the main task,
# and must not keep alive what it looks at.
INTERVAL = 5.0

# Where a coroutine is: the code and line of each function that is active in it.
_Position = tuple[tuple[object, int], ...]


@dataclass(slots=True)
class _Stay:
    """How long a run has been at its present position.

    Attributes:
        run: the number of the run.
        position: where its main task was when the loop was last seen to wait.
        since: when it arrived there.
        next_look: when to look at it again.
        is_told: whether it was reported.
    """

    run: int
    position: _Position
    since: float
    next_look: float
    is_told: bool = False


class Watch:
    """Watches for runs without progress; one of the watchdog's watchers.

    The main task makes progress when it comes to another line. A task that polls at one line makes
    none, nor does one that blocks the loop.

    Args:
        on_no_progress: called with the run and how long it has made none, in seconds; on the loop,
            or on the watchdog's thread with the frame that blocks the loop.
    """

    def __init__(self, on_no_progress: Callable[[Run, float, FrameType | None], object]) -> None:
        self._on_no_progress = on_no_progress
        self._stays: weakref.WeakKeyDictionary[Run, _Stay] = weakref.WeakKeyDictionary()

    def look(self, look: Look) -> None:
        """Record where a run is, and since when."""
        run = look.run
        if run.deadline is not None or run.main_task is None:
            self._stays.pop(run, None)
            return
        stay = self._stays.get(run)
        if stay is None or stay.run != run.runs:
            self._stays[run] = _Stay(run.runs, (), look.now, look.now + INTERVAL)
        elif look.now >= stay.next_look and not stay.is_told:
            stay.next_look = look.now + INTERVAL
            self._look_at(run, stay, look)

    def _look_at(self, run: Run, stay: _Stay, look: Look) -> None:
        entries = look.stack.entries()
        is_waiting = bool(entries) and is_selecting(entries[0])
        position = tuple(_position(run.main_task)) if is_waiting else stay.position
        if stay.position != position or any(is_debugger(entry.module) for entry in entries):
            stay.position, stay.since = position, look.now
        elif look.now - stay.since >= LIMIT:
            stay.is_told = True
            if is_waiting:
                look.loop.call_soon_threadsafe(self._on_no_progress, run, LIMIT, None)
            else:
                self._on_no_progress(run, LIMIT, look.frames.get(run.thread))


def _position(main: Any) -> Iterator[tuple[object, int]]:
    """Where a task of another thread is."""
    get_coro = getattr(main, "get_coro", None)
    coroutine = get_coro() if get_coro is not None else None
    # The innermost awaitable has no frame, and may be of any type.
    while (frame := frame_of(coroutine)) is not None:
        yield frame.f_code, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)
