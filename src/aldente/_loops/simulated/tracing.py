"""Records the steps of a run: which task, where, what has woken it, and when."""

from __future__ import annotations

import asyncio
from typing import Any

from aldente import _asyncio_compat
from aldente._loops.simulated.loop import SimulatedLoop
from aldente._loops.simulated.ready import START
from aldente._loops.virtual.timers import place_in
from aldente._records import Step


class Tracer:
    """Records the steps of a loop from now on.

    Nothing of it costs a loop anything that is not traced.

    Args:
        loop: the loop, which is not running.

    Attributes:
        steps: what was recorded so far.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self.steps: list[Step] = []
        self._loop = loop
        # Who has caused what is ready, by the identity of what is to be called. Whoever is ready
        # is alive, so identities are not used again meanwhile.
        self._causes: dict[int, str] = {}
        self._current = ""
        self._call_soon: Any = loop.call_soon
        vars(loop)["call_soon"] = self._note_cause
        loop.add_hook(self._note_step)

    def stop(self) -> None:
        """Record no more."""
        self._loop.remove_hook(self._note_step)
        del vars(self._loop)["call_soon"]
        self._causes.clear()

    def _note_cause(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self._causes[id(callback)] = self._current
        return self._call_soon(callback, *args, context=context)

    def _note_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        task = _asyncio_compat.task_of_step(callback)
        cause = self._causes.pop(id(callback), "")
        if task is None:
            name, place = "", _name_of(callback)
            self._current = place
        else:
            name, place = task.get_name(), _place_of(task)
            self._current = name
        self.steps.append(Step(name, place, cause, round(self._loop.time() - START, 9)))


def _place_of(task: asyncio.Task[Any]) -> str:
    place = place_in(task)
    if place is not None:
        return str(place)
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", type(coroutine).__name__)


def _name_of(callback: Any) -> str:
    # Never what a repr shows, in which there are addresses.
    inner = getattr(callback, "func", callback)
    return getattr(inner, "__qualname__", type(inner).__name__)
