"""Every task waits for something that can never happen.

On a loop of real time that can't be known at once: it is concluded when nothing is ready, no timer
is set, and no descriptor, signal or other thread could wake the loop, for a whole second.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from aldente import _asyncio_compat
from aldente._guards.watchdog import Look
from aldente._loops.runner import LoopRunner
from aldente._loops.waiting_threads import can_only_wait
from aldente._records import Rule

RULE = Rule(
    "deadlock",
    "error",
    catches="every task waits for something that can never happen",
    why="The test would hang for ever, and so would the program.",
    explanation=(
        "Found when, for one second, no callback of the loop is ready, no timer is set, and no "
        "descriptor, signal handler, executor job, child process or other living thread could wake "
        "it. The test is cancelled and fails; the report says which task waits where, for what, "
        "who holds it, and the cycle if there is one.\n\n"
        "Not a finding: a wait that a timer, a connection, a listening server or a thread could "
        "end, even if it never does; aldente.timeout ends those. Loops that do not show what they "
        "wait for (uvloop) are not looked at."
    ),
    is_seen_at_once=True,
)

# How long nothing must be able to happen, in seconds.
LIMIT = 1.0


class Watch:
    """Sees deadlocks; a watcher of the watchdog's.

    Args:
        on_deadlock: called on the loop, once for each second that the deadlock lasts.
        bystanders: identifiers of threads that have to do with no loop.
    """

    def __init__(
        self, on_deadlock: Callable[[LoopRunner], object], bystanders: Collection[int] = ()
    ) -> None:
        self._on_deadlock = on_deadlock
        self._bystanders = bystanders
        # Which run it is of which runner.
        self._run: tuple[LoopRunner, int] | None = None
        self._since = 0.0

    def look(self, look: Look) -> None:
        """See whether nothing can happen on the loop any more, and since when."""
        run = (look.run, look.run.runs)
        if not self._is_stuck(look):
            if self._run == run:
                self._run = None
        elif self._run != run:
            self._run, self._since = run, look.now
        elif look.now - self._since >= LIMIT:
            self._run = None
            # On the turn after the next: the loop reads its own wake-up in between.
            confirm = functools.partial(self._confirm, look.loop, look.run, look.run.main_task)
            look.loop.call_soon_threadsafe(look.loop.call_soon, confirm)

    def _confirm(
        self, loop: asyncio.AbstractEventLoop, run: LoopRunner, task: asyncio.Task[Any] | None
    ) -> None:
        """See on the loop itself whether it is so, and still the same run."""
        if (
            task is not None
            and run.main_task is task
            and not task.done()
            and _asyncio_compat.is_waiting_for_nothing(loop)
        ):
            self._on_deadlock(run)

    def _is_stuck(self, look: Look) -> bool:
        frame = look.frames.get(look.run.thread)
        return (
            frame is not None
            and is_selecting(frame)
            and _asyncio_compat.is_waiting_for_nothing(look.loop)
            and all(
                thread == look.run.thread or thread in self._bystanders or can_only_wait(other)
                for thread, other in look.frames.items()
            )
        )


def is_selecting(frame: FrameType) -> bool:
    """Whether a thread is in the selector of an event loop."""
    return frame.f_code.co_name == "select" and frame.f_code.co_filename == selectors.__file__
