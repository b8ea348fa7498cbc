"""Cancellations that the explorer injects, at any await of code that allows it.

Whenever such code suspends, a choice decides whether to cancel it there. If so, the cancellation
becomes a pending option: it may come at once, while other tasks go on, later in time, or when what
the code awaits is done but the code has not gone on yet. It lapses if the code goes on first.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from aldente import _asyncio_compat
from aldente._runner.shutdown import AnyTask, try_cancel
from aldente._simulation.choices import OptionKind, RareEvents
from aldente._simulation.scheduler import ChoosingLoop


class Cancellation:
    """A possible cancellation of a task, which happens at most once.

    Args:
        cancelling: the set of possible cancellations that this one belongs to.
        task: the task whose awaits count.
        words: what messages call it, a verb first: ``cancels 'Task-2'``.
        cancel: the function that does it.

    Attributes:
        kind: what it is as an option of a choice.
        task: as the argument.
        words: as the argument.
        who: its name for strategies and reports.
        is_due: whether the schedule decided to cancel at the task's current await.
    """

    kind = OptionKind.CANCEL

    def __init__(
        self,
        cancelling: Cancelling,
        task: AnyTask,
        words: str,
        cancel: Callable[[], object],
    ) -> None:
        self.task = task
        self.words = words
        self.who = f"the explorer, which {words}"
        self.is_due = False
        self._cancelling = cancelling
        self._cancel = cancel

    def go(self) -> None:
        """Cancel, unless an earlier callback has made the task go on: the schedule chose this."""
        self._cancelling.note_come()
        if self.is_due:
            self.is_due = False
            self._cancelling.forbid(self)
            self._cancel()


class Cancelling:
    """The possible cancellations on a loop.

    Args:
        loop: the loop.
    """

    def __init__(self, loop: ChoosingLoop) -> None:
        self._loop = loop
        self._allowed: dict[AnyTask, list[Cancellation]] = {}
        # Allowed during the current step, by any task; their tasks may be suspended already.
        self._new: list[AnyTask] = []

    def allow(self, task: AnyTask, words: str, cancel: Callable[[], object]) -> Cancellation:
        """Allow one cancellation of a task, until it has happened or `forbid` is called.

        Args:
            task: the task whose awaits count.
            words: what messages call it, a verb first: ``cancels 'Task-2'``.
            cancel: the function that does it.
        """
        cancellation = Cancellation(self, task, words, cancel)
        if not self._allowed:
            self._loop.add_hook(self._before_step)
            self._loop.add_after_hook(self._after_step)
        self._allowed.setdefault(task, []).append(cancellation)
        if task not in self._new:
            self._new.append(task)
        return cancellation

    def forbid(self, cancellation: Cancellation) -> None:
        """Undo `allow`."""
        allowed = self._allowed.get(cancellation.task, [])
        if cancellation not in allowed:
            return
        allowed.remove(cancellation)
        self._withdraw(cancellation)
        if not allowed:
            self._forget(cancellation.task)

    def clear(self) -> None:
        """Forbid all."""
        for allowed in list(self._allowed.values()):
            for cancellation in list(allowed):
                self.forbid(cancellation)

    def note_come(self) -> None:
        """Note that the schedule chose a cancellation."""
        self._loop.intruder_came()

    def _forget(self, task: AnyTask) -> None:
        self._allowed.pop(task, None)
        if not self._allowed:
            self._loop.remove_hook(self._before_step)
            self._loop.remove_after_hook(self._after_step)
            self._new.clear()

    def _before_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        """Withdraw the cancellations due at a task's await, as the task goes on."""
        task = _asyncio_compat.task_of_step(callback)
        if task is not None:
            for cancellation in self._allowed.get(task, ()):
                self._withdraw(cancellation)

    def _withdraw(self, cancellation: Cancellation) -> None:
        if cancellation.is_due:
            cancellation.is_due = False
            self._loop.remove_intruder(cancellation.go)

    def _after_step(self, callback: Any) -> None:
        """Let the strategy decide whether to cancel tasks at the awaits that they have reached."""
        task = _asyncio_compat.task_of_step(callback)
        new, self._new = self._new, []
        for each in new:
            self._offer(each)
        if task is not None and task not in new:
            self._offer(task)

    def _offer(self, task: AnyTask) -> None:
        allowed = self._allowed.get(task)
        if allowed is None:
            return
        if task.done():
            for cancellation in list(allowed):
                self.forbid(cancellation)
        elif _has_begun(task):
            for cancellation in list(allowed):
                if not cancellation.is_due and self._loop.pick(RareEvents(cancellation.who, task)):
                    cancellation.is_due = True
                    self._loop.add_intruder(cancellation.go)


def cancel_task(loop: ChoosingLoop, task: AnyTask) -> None:
    """Cancel a task, as an event from outside of the loop's own memory."""
    loop.call_outside(lambda: try_cancel(task))


def end_time(loop: ChoosingLoop, scope: asyncio.Timeout) -> None:
    """Let an `asyncio.timeout` expire now, as if its timer fired."""
    loop.call_outside(lambda: _asyncio_compat.expire(scope))


def _has_begun(task: AnyTask) -> bool:
    coroutine = task.get_coro()
    return not (
        inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
    )
