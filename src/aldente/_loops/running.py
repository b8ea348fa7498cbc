"""Which runners run their loops now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aldente._loops.runner import LoopRunner

# The runners whose loops are running in this process; loops of other tools are not in here.
_running: dict[asyncio.AbstractEventLoop, LoopRunner] = {}

# Called with each runner whose loop is about to run, on its thread.
listeners: list[Callable[[LoopRunner], object]] = []


def begin(loop: asyncio.AbstractEventLoop, runner: LoopRunner) -> None:
    """A runner is about to run its loop."""
    _running[loop] = runner
    for tell in listeners:
        tell(runner)


def end(loop: asyncio.AbstractEventLoop) -> None:
    """The loop has stopped, or has not begun to run."""
    _running.pop(loop, None)


def runner_of(loop: asyncio.AbstractEventLoop) -> LoopRunner | None:
    """The runner that runs a loop now; None when none does, or it is another tool's."""
    return _running.get(loop)


def running() -> list[tuple[asyncio.AbstractEventLoop, LoopRunner]]:
    """The loops that are running now, on whatever thread, with their runners."""
    # In one step, as other threads begin and end runs meanwhile.
    return list(_running.items())


def number() -> int:
    """How many loops are running now."""
    return len(_running)
