"""The rule ``deadlock``: every task waits for something that can never happen.

On a loop of real time this takes a while to establish. The rule looks into it when the main task
has waited for the same future for one second while every other thread is blocked in a wait. It
reports a deadlock when no callback is ready, no signal is handled, nothing outside this process
could wake the loop, and no timer is set; or none of the timers could ever have the main task go on.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from aldente import _asyncio_compat, _python_compat
from aldente._own_errors import containing
from aldente._records import Rule
from aldente._rules.watchdog import SELECTING, Look, is_selecting
from aldente._runner import outside, peers, running
from aldente._runner.running import LoopRun
from aldente._runner.threads import can_only_wait, only_wait
from aldente._stacks import frames_of_threads
from aldente.errors import DeadlockError

RULE = Rule(
    "deadlock",
    catches="every task waits for something that can never happen",
    why="The test would hang for ever, and so would the program.",
    explanation=(
        "Found when, for one second, no callback of the loop is ready, no timer is set, and no "
        "other process, signal handler, executor job or other living thread could wake it. "
        "Connections and servers whose both ends are in this process do not count. Where timers "
        "still fire, such as a scheduler's, it is found when no object that their callbacks can "
        "reach leads to the object that the test waits for. The test is cancelled and fails; the "
        "report says which task waits where, for what, who holds it, and the cycle if there is "
        "one.\n\n"
        "Not a finding: a wait that a timer, a connection to another process, a server that others "
        "may know or a thread could end, even if it never does; aldente.timeout ends those. Loops "
        "that do not show what they wait for (uvloop) are not checked."
    ),
    is_seen_at_once=True,
    reported_by=DeadlockError,
)

# How long nothing must be able to happen, in seconds.
LIMIT = 1.0
# Following what timers can reach is slow, so the interval doubles after each time, up to this many
# seconds.
LONGEST = 60.0


@dataclass(slots=True)
class _Wait:
    """A run whose main task may be stuck.

    Attributes:
        future: the number of the run, and the identity of the future that its main task awaits.
        since: when the wait began, or when it was last looked into.
        limit: after how long to look into it.
    """

    future: tuple[int, int]
    since: float
    limit: float = field(default_factory=lambda: LIMIT)


class DeadlockWatch:
    """Watches for deadlocks; one of the watchdog's watchers.

    Args:
        on_deadlock: called on the loop, once for each second that the deadlock lasts.
        bystanders: identifiers of threads that are known to wake no loop.
        is_out_of_reach: whether no timer or connection in this process can ever have the main task
            of a run go on; called on the loop, with the frames of the threads that wait.
    """

    def __init__(
        self,
        on_deadlock: Callable[[LoopRun], object],
        bystanders: Collection[int] = (),
        is_out_of_reach: Callable[[LoopRun, Iterable[FrameType]], bool] = (
            lambda run, threads: False
        ),
    ) -> None:
        self._on_deadlock = on_deadlock
        self._bystanders = bystanders
        self._is_out_of_reach = is_out_of_reach
        self._waits: weakref.WeakKeyDictionary[LoopRun, _Wait] = weakref.WeakKeyDictionary()

    def look(self, look: Look) -> None:
        """Check whether anything can still happen on the loop, and since when not."""
        run, main = look.run, look.run.main_task
        future = (run.runs, id(_asyncio_compat.waited_future(main)))
        wait = self._waits.get(run)
        if not self._is_quiet(look):
            # The loop is at work, maybe on timers beside the stuck task.
            if wait is not None and not _asyncio_compat.timers_of(look.loop):
                self._waits.pop(run, None)
        elif not self._may_be_stuck(look):
            self._waits.pop(run, None)
        elif wait is None or wait.future != future:
            self._waits[run] = _Wait(future, look.now)
        elif look.now - wait.since >= wait.limit:
            wait.since = look.now
            # On the turn after the next: the loop reads its own wake-up in between.
            confirm = functools.partial(self._confirm, look.loop, run, main)
            look.loop.call_soon_threadsafe(look.loop.call_soon, confirm)

    @containing("looking whether a loop is stuck", None)
    def _confirm(
        self,
        loop: asyncio.AbstractEventLoop,
        run: LoopRun,
        task: asyncio.Future[Any] | None,
        turns: int = 5,
    ) -> None:
        """Confirm on the loop itself that it is stuck, in the same run."""
        if (
            task is None
            or task.done()
            or run.main_task is not task
            or outside.handles_signals(run.handlers_before)
        ):
            return
        if turns and _asyncio_compat.may_have_ready_callbacks(loop):
            # A timer may ring whenever the watchdog looks: let what it has woken take its turn.
            loop.call_soon(self._confirm, loop, run, task, turns - 1)
        elif self._is_hopeless(loop, run):
            self._on_deadlock(run)
        elif (wait := self._waits.get(run)) is not None:
            wait.limit = min(2 * wait.limit, LONGEST)

    def _is_hopeless(self, loop: asyncio.AbstractEventLoop, run: LoopRun) -> bool:
        """Whether nothing outside can wake a loop, and no timer or connection can help."""
        waits_for_nothing = _asyncio_compat.is_waiting_for_nothing(loop)
        if not waits_for_nothing and (
            run.is_virtual
            or _asyncio_compat.may_have_ready_callbacks(loop)
            or _asyncio_compat.handles_signals(loop)
            or outside.may_come_by(_asyncio_compat.watched_by(loop))
        ):
            return False
        others = frames_of_others(run.thread, self._bystanders)
        if others and peers.may_act():
            # The loop may feed a thread that waits, by means that are unknown here.
            return False
        if not all(
            only_wait(thread, frame) or _is_at_rest(thread, frame, run)
            for thread, frame in others.items()
        ):
            return False
        return (
            waits_for_nothing
            or not _asyncio_compat.timers_of(loop)
            or self._is_out_of_reach(run, others.values())
        )

    def _may_be_stuck(self, look: Look) -> bool:
        """Whether the main task may be stuck, as seen from another thread."""
        return not _asyncio_compat.handles_signals(look.loop) and (
            all(
                thread in self._bystanders
                or can_only_wait(other)
                or _is_at_rest(thread, other, look.run)
                for thread, other in look.frames_of_others.items()
            )
        )

    def _is_quiet(self, look: Look) -> bool:
        """Whether a loop waits in its selector with nothing to do."""
        return is_selecting(
            look.stack.innermost()
        ) and not _asyncio_compat.may_have_ready_callbacks(look.loop)


def frames_of_others(thread: int, bystanders: Collection[int]) -> dict[int, FrameType]:
    """The frames of all threads except one, aldente's own and the bystanders."""
    return {
        other: frame
        for other, frame in frames_of_threads().items()
        if other != thread
        and other not in _python_compat.hidden_threads
        and other not in bystanders
    }


def _is_at_rest(thread: int, frame: FrameType, run: LoopRun) -> bool:
    """Whether a thread runs another loop, on which nothing can happen but by other threads.

    Of two loops that wait for each other, report the one that began last; so only the others
    count as at rest.
    """
    if (frame.f_code.co_name, frame.f_code.co_filename) != SELECTING:
        return False
    # In the order in which they began; a sync test that runs a loop has no runner.
    in_order: list[tuple[asyncio.AbstractEventLoop, Any]] = [*running.running(), *running.others()]
    for loop, other in in_order:
        if other is run:
            return False
        if other.thread == thread and _asyncio_compat.is_waiting_for_nothing(loop):
            return True
    return False
