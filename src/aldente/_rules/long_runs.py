"""Runs that take long: ends those past their time limit, reports those that make no progress.

They are watchers of the watchdog. Reports say too when freezegun has frozen the clocks.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from aldente._rules.blocking_call.caller import is_debugger, is_in_debugger
from aldente._rules.watchdog import Look, is_selecting
from aldente._runner.running import LoopRun
from aldente._source import is_own, is_users
from aldente._stacks import frame_of, with_callers
from aldente.errors import BlockedEnd, PhaseTimeout

_NOTE = (
    "freezegun has frozen the clocks: code that waits for one to advance waits for ever. "
    "freeze_time(..., real_asyncio=True) leaves asyncio's own clock alone. On virtual time "
    "(@aldente.virtual_time(wall=True)) the clocks follow the time of the loop, and sleeps take "
    "no time."
)


def notes_on_stopped_clocks() -> list[str]:
    """A paragraph for a report of a run that does not end, if freezegun has frozen the clocks."""
    api: Any = sys.modules.get("freezegun.api")
    return [_NOTE] if getattr(api, "freeze_factories", None) else []


# How long a loop may take to answer before it counts as blocked, and how long a cancelled task may
# take to end before its loop is stopped, in seconds.
ANSWER_LIMIT = 1.0
END_LIMIT = 3.0


class TimeLimit:
    """Ends runs at their deadline; one of the watchdog's watchers.

    While a loop shuts down, its remaining tasks have a limit of their own, and this ends only
    what blocks the loop.

    Args:
        add_tasks: adds to an error what the tasks of a loop wait for; called on the loop.
    """

    def __init__(self, add_tasks: Callable[[LoopRun, BaseException], object]) -> None:
        self._add_tasks = add_tasks
        # The run that is past its deadline, and whether its loop is shutting down.
        self._late: object = None
        self._next = 0.0
        self._has_answered = False

    def look(self, look: Look) -> None:
        """Check whether a run is past its deadline, and take the next step to end it."""
        run = look.run
        deadline, task = run.deadline, run.main_task
        late = _late(run)
        if deadline is None or look.now < deadline:
            if self._late == late:
                self._late = None
            return
        frame = look.frames.get(run.thread)
        if is_in_debugger(frame):
            # From here on the user may take any time.
            run.deadline = None
            return
        if self._late != late:
            self._late, self._has_answered = late, False
            self._next = look.now + ANSWER_LIMIT
        elif look.now < self._next:
            return
        elif not self._has_answered:
            self._next = look.now + END_LIMIT
            run.break_in(_blocked(run, frame))
            return
        else:
            self._next = look.now + END_LIMIT
        if task is not None:
            look.loop.call_soon_threadsafe(self._end, run, task)
        else:
            look.loop.call_soon_threadsafe(self._answer_at_end, run, deadline)

    def _end(self, run: LoopRun, task: asyncio.Task[Any]) -> None:
        if run.main_task is not task:
            return
        if self._late == _late(run) and not self._has_answered:
            self._has_answered = True
            self._next += END_LIMIT - ANSWER_LIMIT
        state = "still running" if _has_started(task) else "never scheduled"
        error = PhaseTimeout(task.get_name(), run.timeout or 0.0, state)
        self._add_tasks(run, error)
        run.end(error)

    def _answer_at_end(self, run: LoopRun, deadline: float) -> None:
        if run.main_task is None and run.deadline == deadline:
            run.deadline = deadline + ANSWER_LIMIT
            if run.is_virtual:
                # Virtual time limits may never come: no such time passes while code spins.
                run.end_no_later()


def _late(run: LoopRun) -> object:
    """Identify a run, and whether its loop is shutting down; keeps neither alive."""
    return weakref.ref(run), run.runs, run.main_task is None


def _has_started(task: asyncio.Task[Any]) -> bool:
    coroutine = task.get_coro()
    return bool(getattr(coroutine, "cr_suspended", True) or getattr(coroutine, "cr_running", True))


def _blocked(run: LoopRun, frame: FrameType | None) -> PhaseTimeout | BlockedEnd:
    """The error to raise in what blocks the loop, with its stack."""
    task = run.main_task
    error: PhaseTimeout | BlockedEnd
    if task is None:
        error = BlockedEnd(run.end_limit)
    else:
        state = "blocked the loop" if _has_started(task) else "never scheduled"
        error = PhaseTimeout(task.get_name(), run.timeout or 0.0, state)
    error.add_note(describe_stack(frame))
    for note in notes_on_stopped_clocks():
        error.add_note(note)
    return error


def describe_stack(frame: FrameType | None) -> str:
    """The stack of a thread that blocks its loop, without frames that are no help to the user."""
    frames = [(each, each.f_lineno) for each in reversed(with_callers(frame))]
    summary = traceback.StackSummary.extract(iter(frames))
    stack = [entry for entry in summary if not is_own(entry.filename)]
    shown = [entry for entry in stack if is_users(entry.filename) or entry is stack[-1]]
    lines = [
        f"  {entry.filename}:{entry.lineno} in {entry.name}\n    {entry.line}" for entry in shown
    ]
    return "The stack of the loop's thread, innermost last:\n" + "\n".join(lines)


# After how long without progress a run is reported, in seconds.
PROGRESS_LIMIT = 60.0

# Seconds until a run is looked at, and between looks. A look walks the coroutines of the main task,
# and must not keep alive what it looks at.
PROGRESS_INTERVAL = 5.0

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
        is_reported: whether it was reported.
    """

    run: int
    position: _Position
    since: float
    next_look: float
    is_reported: bool = False


class NoProgress:
    """Watches for runs without progress; one of the watchdog's watchers.

    The main task makes progress when it comes to another line. A task that polls at one line makes
    none, nor does one that blocks the loop.

    Args:
        on_no_progress: called with the run and how long it has made none, in seconds; on the loop,
            or on the watchdog's thread with the frame that blocks the loop.
    """

    def __init__(
        self, on_no_progress: Callable[[LoopRun, float, FrameType | None], object]
    ) -> None:
        self._on_no_progress = on_no_progress
        self._stays: weakref.WeakKeyDictionary[LoopRun, _Stay] = weakref.WeakKeyDictionary()

    def look(self, look: Look) -> None:
        """Record where a run is, and since when."""
        run = look.run
        if run.deadline is not None or run.main_task is None:
            self._stays.pop(run, None)
            return
        stay = self._stays.get(run)
        if stay is None or stay.run != run.runs:
            self._stays[run] = _Stay(run.runs, (), look.now, look.now + PROGRESS_INTERVAL)
        elif look.now >= stay.next_look and not stay.is_reported:
            stay.next_look = look.now + PROGRESS_INTERVAL
            self._look_at(run, stay, look)

    def _look_at(self, run: LoopRun, stay: _Stay, look: Look) -> None:
        entries = look.stack.entries()
        is_waiting = bool(entries) and is_selecting(entries[0])
        position = tuple(_position(run.main_task)) if is_waiting else stay.position
        if stay.position != position or any(is_debugger(entry.module) for entry in entries):
            stay.position, stay.since = position, look.now
        elif look.now - stay.since >= PROGRESS_LIMIT:
            stay.is_reported = True
            if is_waiting:
                look.loop.call_soon_threadsafe(self._on_no_progress, run, PROGRESS_LIMIT, None)
            else:
                self._on_no_progress(run, PROGRESS_LIMIT, look.frames.get(run.thread))


def _position(main: Any) -> Iterator[tuple[object, int]]:
    """Where a task of another thread is."""
    get_coro = getattr(main, "get_coro", None)
    coroutine = get_coro() if get_coro is not None else None
    # The innermost awaitable has no frame, and may be of any type.
    while (frame := frame_of(coroutine)) is not None:
        yield frame.f_code, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)
