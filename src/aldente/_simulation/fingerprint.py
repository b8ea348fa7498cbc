"""`Fingerprint`: one number for all steps of a run, to compare runs without a record of each."""

from __future__ import annotations

import asyncio
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import STEP_TYPE, WAKE_UP_TYPE
from aldente._simulation.choices import place_of_task
from aldente._simulation.determinism import SimulatedTask
from aldente._simulation.explored import Event
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.trace import name_of_callback, place_of_program


class Fingerprint:
    """Follows the steps of a loop from now on.

    Two runs in one process have different fingerprints if they differ in what a `Tracer` records:
    which task takes each step, where it stands, what it waited for, when, and what has caused it.
    But it knows functions by their qualified names, so it can't tell two of the same name apart
    that stand at the same instruction; and runs may differ in it that no `Tracer` tells apart.

    Args:
        loop: the loop, which is not running.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        value: int = 0
        jumps = 0
        added = loop.added

        # A function and no method, as it is called before each step.
        def note_step(callback: Any, args: tuple[Any, ...]) -> None:
            nonlocal value, jumps
            kind = type(callback)
            is_step = kind is STEP_TYPE or kind is WAKE_UP_TYPE
            if is_step and type(task := callback.__self__) is SimulatedTask:
                step: Any = task.get_name(), place_of_task(task)
                if args and (task.cancelling() or type(args[0]) is SimulatedTask):
                    step = step, _what_woke(task, args[0])
            else:
                step = _step_of(callback, args)
            if loop.jumps != jumps:
                jumps = loop.jumps
                step = step, loop.time()
            # What was added before each step shows which step has caused each later one.
            value = hash((value, step, added()))

        def note_event(event: Event) -> None:
            nonlocal value
            at = place_of_program() if event.is_place_named else None
            # Not by its text, which may be the program's own words.
            value = hash((value, event.who, event.is_choice, str(at)))

        self._note_step = note_step

        def get_value() -> int:
            return value

        self._value = get_value
        loop.add_hook(note_step)
        loop.on_event = note_event

    def stop(self) -> int:
        """Follow the loop no more, and return the fingerprint."""
        self._loop.remove_hook(self._note_step)
        self._loop.on_event = None
        return self._value()


def _step_of(callback: Any, args: tuple[Any, ...]) -> Any:
    task = _asyncio_compat.task_of_step(callback)
    if task is None:
        return name_of_callback(callback)
    step = task.get_name(), place_of_task(task)
    return (step, _what_woke(task, args[0])) if args else step


def _what_woke(task: asyncio.Task[Any], future: Any) -> Any:
    name = future.get_name() if isinstance(future, asyncio.Task) else ""
    return task.cancelling(), asyncio.isfuture(future) and future.cancelled(), name
