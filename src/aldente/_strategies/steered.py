"""Runs in which parts of two tasks overlap, or follow one another, as far as a run can be steered
so.

All else goes in the order of stock asyncio.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._simulation.choices import Durations, Options, RareEvents
from aldente._simulation.loop import SimulatedLoop


class Section(NamedTuple):
    """A part of a task.

    Attributes:
        task: the name of the task.
        first, last: its first and last step, by their numbers among the steps of the task, from 0.
    """

    task: str
    first: int
    last: int


class _Progress:
    """How far the tasks of a run are."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._steps: Counter[str] = Counter()
        self._tasks: dict[str, weakref.ref[asyncio.Task[Any]]] = {}
        loop.add_hook(self._note_step)

    def _note_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        task = _asyncio_compat.task_of_step(callback)
        if task is not None:
            name = task.get_name()
            self._steps[name] += 1
            self._tasks.setdefault(name, weakref.ref(task))

    def next_step(self, name: str) -> int:
        """The number of the step that a task takes next."""
        return self._steps[name]

    def has_passed(self, section: Section) -> bool:
        """Whether a task has taken the last step of its section, or has ended."""
        if self._steps[section.task] > section.last:
            return True
        known = self._tasks.get(section.task)
        task = None if known is None else known()
        return known is not None and (task is None or task.done())


def _holding_back(is_held: Callable[[str], bool], count: int, options: Options) -> int:
    """The first option that continues no task to hold back, while there is one.

    Args:
        is_held: whether to hold back a task, by its name; then what the task waits for takes as
            long as possible.
        count: how many options there are.
        options: the options.
    """
    if isinstance(options, Durations):
        task = options[0].task
        if task is None or not is_held(task.get_name()):
            return 0
        return max(range(count), key=lambda index: options.ends[index])
    if options.is_of_values:
        return 0
    held = (is_held(options[index].who) for index in range(count))
    return next((index for index, each in enumerate(held) if not each), 0)


class Overlapping:
    """Has a section of one task begin before, and end after, that a step of another is taken.

    It leads by the choices that every schedule has, so that the schedule of its run can be
    replayed.

    Args:
        around: the section.
        inside: ends with the step that is to come in between.
    """

    def __init__(self, around: Section, inside: Section) -> None:
        self._around = around
        self._inside = inside
        self._progress: _Progress | None = None

    def attach(self, loop: SimulatedLoop) -> None:
        """Follow the tasks of the run."""
        self._progress = _Progress(loop)

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Options) -> int:
        """The first option that does not go against the order; to let it take longer otherwise."""
        return _holding_back(self._is_early, count, options)

    def _is_early(self, name: str) -> bool:
        """Whether the next step of a task has to come after one of the other."""
        progress, around, inside = self._progress, self._around, self._inside
        assert progress is not None
        if name == around.task:
            is_last = progress.next_step(name) == around.last
            return is_last and not progress.has_passed(inside)
        if name == inside.task:
            is_last = progress.next_step(name) == inside.last
            return is_last and progress.next_step(around.task) <= around.first
        return False

    def end(self) -> None:
        self._progress = None


class Apart:
    """Has a section of one task end before that of another begins.

    The other task waits where its section begins, as if for a lock: while it does, other tasks go
    on and time passes. So the choices of its run alone don't replay it.

    Args:
        first: the section that comes first.
        second: the other one.
        renamed: the names of tasks that have others when they are made, by those.
    """

    def __init__(self, first: Section, second: Section, renamed: Mapping[str, str]) -> None:
        self._renamed = renamed
        self._first = first
        self._second = second
        self._progress: _Progress | None = None
        self._held: list[Callable[[], object]] = []
        self._call_soon: Any = None

    def attach(self, loop: SimulatedLoop) -> None:
        """Follow the tasks of the run, and stop the second one on its way."""
        self._progress = _Progress(loop)
        self._held.clear()
        self._call_soon = loop.call_soon
        vars(loop)["call_soon"] = self._queue
        loop.add_after_hook(self._let_go)

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Options) -> int:
        """The first."""
        return 0

    def _queue(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """Stands in for the loop's `call_soon`."""
        progress, task = self._progress, _asyncio_compat.task_of_step(callback)
        name = "" if task is None else task.get_name()
        if progress is not None and self._renamed.get(name, name) == self._second.task:
            is_at = progress.next_step(self._second.task) == self._second.first
            if is_at and not progress.has_passed(self._first):
                call_soon = self._call_soon
                self._held.append(lambda: call_soon(callback, *args, context=context))
                return None
        return self._call_soon(callback, *args, context=context)

    def _let_go(self, callback: Any) -> None:
        if self._held and self._progress is not None and self._progress.has_passed(self._first):
            held, self._held = self._held, []
            for go_on in held:
                go_on()

    def end(self) -> None:
        self._progress = None
        self._held.clear()


class Interrupted:
    """Has a task wait long within a section, and be cancelled there if it may be.

    Args:
        section: the section; the task has taken its first step by then.
    """

    def __init__(self, section: Section) -> None:
        self._section = section
        self._progress: _Progress | None = None

    def attach(self, loop: SimulatedLoop) -> None:
        """Follow the tasks of the run."""
        self._progress = _Progress(loop)

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Options) -> int:
        """What lets the task go on last; in stock order for all else."""
        if isinstance(options, RareEvents):
            return int(self._is_within(options.task.get_name()))
        return _holding_back(self._is_within, count, options)

    def _is_within(self, name: str) -> bool:
        """Whether a task stands between the first step of the section and the last."""
        progress, section = self._progress, self._section
        assert progress is not None
        return name == section.task and section.first < progress.next_step(name) <= section.last

    def end(self) -> None:
        self._progress = None
