"""Which loops are running now, and who runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aldente._loops.other_runs import OtherRun
    from aldente._loops.runner import LoopRunner

# The runners whose loops are running in this process, and the runs of other loops.
_running: dict[asyncio.AbstractEventLoop, LoopRunner] = {}
_others: dict[asyncio.AbstractEventLoop, OtherRun] = {}

# Called on the thread of each loop that is about to run, with who runs it.
listeners: list[Callable[[Any], object]] = []


def begin(loop: asyncio.AbstractEventLoop, runner: LoopRunner) -> None:
    """A runner is about to run its loop."""
    _running[loop] = runner
    for tell in listeners:
        tell(runner)


def end(loop: asyncio.AbstractEventLoop) -> None:
    """The loop has stopped, or has not begun to run."""
    _running.pop(loop, None)


def begin_other(loop: asyncio.AbstractEventLoop, run: OtherRun) -> None:
    """A loop is about to run that no runner drives."""
    _others[loop] = run
    for tell in listeners:
        tell(run)


def end_other(loop: asyncio.AbstractEventLoop) -> None:
    """The run of a loop that no runner drives has ended."""
    _others.pop(loop, None)


def runner_of(loop: asyncio.AbstractEventLoop) -> LoopRunner | None:
    """The runner that runs a loop now; None when none does, or it is another tool's."""
    return _running.get(loop)


def running() -> list[tuple[asyncio.AbstractEventLoop, LoopRunner]]:
    """The loops that runners run now, on whatever thread, with their runners."""
    # In one step, as other threads begin and end runs meanwhile.
    return list(_running.items())


def others() -> list[tuple[asyncio.AbstractEventLoop, OtherRun]]:
    """The loops that run now without a runner, on whatever thread, with their runs."""
    return list(_others.items())


def number() -> int:
    """How many loops are running now."""
    return len(_running) + len(_others)
