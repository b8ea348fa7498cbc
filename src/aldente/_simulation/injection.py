"""Cancellations that come from nowhere in the program, at any await of the code that allows it.

Whenever such code suspends, it is a choice whether it is to be cancelled there. If it is, the
cancellation becomes something that may happen at once, while others go on, later in time, or when
what the code waits for has already happened but the code has not gone on yet. It is over when the
code goes on before.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from aldente import _asyncio_compat
from aldente._runner.shutdown import AnyTask, try_cancel
from aldente._simulation.choices import Kind, Seldom
from aldente._simulation.scheduler import ChoosingLoop


class Cancellation:
    """Something that may be cancelled once.

    Args:
        cancelling: what may be cancelled on its loop, this among it.
        task: the task whose awaits count.
        words: what is done to the task, with its name; a verb first.
        cancel: does it.

    Attributes:
        kind: what it is as an option of a choice.
        task: as the argument.
        words: as the argument.
        who: what strategies and reports call it.
        is_due: whether it is to come at the await at which the task is.
    """

    kind = Kind.CANCEL

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
        """It was chosen: cancel, unless a callback that came first has had the task go on."""
        self._cancelling.note_come()
        if self.is_due:
            self.is_due = False
            self._cancelling.forbid(self)
            self._cancel()


class Cancelling:
    """What may be cancelled on a loop.

    Args:
        loop: the loop.
    """

    def __init__(self, loop: ChoosingLoop) -> None:
        self._loop = loop
        self._allowed: dict[AnyTask, list[Cancellation]] = {}
        # Allowed in the step under way, by whatever task; their tasks may be suspended already.
        self._new: list[AnyTask] = []

    def allow(self, task: AnyTask, words: str, cancel: Callable[[], object]) -> Cancellation:
        """Have a cancellation be possible from now on, until it was done or `forbid` is called.

        Args:
            task: the task whose awaits count.
            words: what is done to the task, with its name; a verb first.
            cancel: does it.
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
        """Have a cancellation be possible no longer."""
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
        """A cancellation was chosen to come now."""
        self._loop.intruder_came()

    def _forget(self, task: AnyTask) -> None:
        self._allowed.pop(task, None)
        if not self._allowed:
            self._loop.remove_hook(self._before_step)
            self._loop.remove_after_hook(self._after_step)
            self._new.clear()

    def _before_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        """A task goes on, so whatever was to come at its await comes too late."""
        task = _asyncio_compat.task_of_step(callback)
        if task is not None:
            for cancellation in self._allowed.get(task, ()):
                self._withdraw(cancellation)

    def _withdraw(self, cancellation: Cancellation) -> None:
        if cancellation.is_due:
            cancellation.is_due = False
            self._loop.remove_intruder(cancellation.go)

    def _after_step(self, callback: Any) -> None:
        """Have chosen whether tasks are cancelled at the awaits that they have come to."""
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
                if not cancellation.is_due and self._loop.pick(Seldom(cancellation.who, task)):
                    cancellation.is_due = True
                    self._loop.add_intruder(cancellation.go)


def cancel_task(loop: ChoosingLoop, task: AnyTask) -> None:
    """Cancel a task as something outside of the loop's own memory would do it."""
    loop.call_outside(lambda: try_cancel(task))


def end_time(loop: ChoosingLoop, scope: asyncio.Timeout) -> None:
    """Have the time of a time-out be over, as if its timer rang."""
    loop.call_outside(lambda: _asyncio_compat.expire(scope))


def _has_begun(task: AnyTask) -> bool:
    coroutine = task.get_coro()
    return not (
        inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
    )
