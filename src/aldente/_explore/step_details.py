"""Adds to the steps of one run what they do: in which functions of the user's a task goes on, and
what it waits for when it stops.

This looks into the tasks before and after each step, so it is used for the run that is reported,
and no other.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aldente import _asyncio_compat
from aldente._diagnosis.await_graph import NameFinder, natural_key
from aldente._diagnosis.inspection import Link, held_by, links_of
from aldente._diagnosis.waiting import LiveTask, look_at, tasks_behind
from aldente._diagnosis.waits import AwaitGraph, Kind, Phrases, TaskLink, Wait, WaitingTask
from aldente._own_errors import containing
from aldente._records import SourcePlace
from aldente._schedules import Step
from aldente._simulation.choices import Kind as JobKind
from aldente._simulation.executors import Job
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.trace import in_brief, method_of
from aldente._source import is_users, place_of

# A run with more steps than these is not looked at to its end.
_MOST_STEPS = 5_000

# How often to look for the name of a lock or the like, and which tasks hold it: both look at many
# objects.
_MOST_NAMES = 300
_MOST_TASKS = 100

_HELD = (Kind.LOCK, Kind.SEMAPHORE)


class StepDetails:
    """Follows the steps of a run.

    It looks at a step that has ended before the next one begins. A hook after each step would count
    as one that sees the program's state, which schedules depend on.

    Args:
        loop: the loop.
        steps: the steps of the run, which grow.
    """

    def __init__(self, loop: SimulatedLoop, steps: list[Step]) -> None:
        self._loop = loop
        self._steps = steps
        # Of the step that runs: its number, and its task or job, which it does not keep alive.
        self._current: tuple[int, weakref.ref[Any]] | None = None
        self._names_left = _MOST_NAMES

    def start(self) -> None:
        """Follow the steps from now on, behind the recorder of steps."""
        self._loop.add_hook(self._before_step)

    def stop(self) -> None:
        """Follow no more."""
        self._end_step()
        self._loop.remove_hook(self._before_step)

    @containing("looking at the steps of a run", None)
    def _before_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        self._end_step()
        task = _asyncio_compat.task_of_step(callback)
        number = len(self._steps) - 1
        if not 0 <= number < _MOST_STEPS or self._steps[number].event:
            return
        if task is not None:
            self._current = number, weakref.ref(task)
            self._steps[number] = _with_callers(self._steps[number], task)
        elif isinstance(owner := getattr(callback, "__self__", None), Job):
            self._current = number, weakref.ref(owner)
            self._steps[number] = replace(self._steps[number], call=_JOBS[owner.kind])

    @containing("looking at what a step has done", None)
    def _end_step(self) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        number, reference = current
        owner, place, own = reference(), None, list[Link]()
        if owner is None:
            outcome = "ends" if self._steps[number].task else ""
        elif isinstance(owner, Job):
            is_noticed = self._steps[number].call == "ends"
            is_raised = owner.error is not None and not is_noticed
            outcome = f"raises {in_short(owner.error)}" if is_raised and owner.error else ""
        elif owner.done():
            error = _asyncio_compat.unseen_exception(owner)
            outcome = "ends" if error is None else f"ends with {in_short(error)}"
            place = None if error is None else _place_raised(error)
        else:
            live = look_at(owner)
            own = _own_links(live.links)
            outcome = self._wait_in_words(live, own)
            place = place_of(own[-1].frame) if own else None
        self._steps[number] = replace(
            self._steps[number], outcome=outcome, stopped_at=place, stopped_in=_names_of(own)
        )

    def _wait_in_words(self, live: LiveTask, own: Sequence[Link]) -> str:
        wait = live.wait
        if wait.kind is Kind.READY:
            return "lets others go on"
        if wait.kind is Kind.TIMER:
            return f"waits for {wait.detail.removeprefix('asyncio.')}"
        if wait.kind in (Kind.RUNNING, Kind.NOT_STARTED, Kind.UNKNOWN):
            return ""
        others = sorted(
            (task for task in tasks_behind(wait.futures) if task is not live.task),
            key=lambda task: natural_key(task.get_name()),
        )
        # This task is the first one of the graph.
        waited = tuple(range(1, len(others) + 1))
        holders: list[TaskLink] = []
        name: str | None = None
        if wait.subject is not None and self._names_left > 0:
            self._names_left -= 1
            name = _name_in(own, wait.subject)
            if wait.kind in _HELD:
                for holder in self._holders(wait.subject):
                    is_itself = holder is live.task
                    holders.append(TaskLink(0 if is_itself else len(others) + 1, name))
                    others += [] if is_itself else [holder]
        told = Wait(
            wait.kind,
            "" if wait.subject is None else type(wait.subject).__name__,
            name,
            through=wait.through,
            detail=wait.detail,
            is_any=wait.is_any,
            tasks=waited,
            holders=tuple(holders),
            limited_by=wait.limited_by,
        )
        graph = AwaitGraph(
            (_task(live.task.get_name(), told), *(_task(other.get_name()) for other in others))
        )
        return Phrases(graph, frozenset()).what(0)

    def _holders(self, subject: object) -> list[asyncio.Task[Any]]:
        """The tasks that hold a lock or semaphore by ``async with``, as far as that is seen."""
        tasks = asyncio.all_tasks(self._loop)
        if len(tasks) > _MOST_TASKS:
            return []
        return [
            task
            for task in sorted(tasks, key=lambda task: natural_key(task.get_name()))
            if any(thing is subject for thing, _ in held_by(links_of(task.get_coro())))
        ]


# What a job of a thread does in a step, by what it does next.
_JOBS = {JobKind.BEGIN_JOB: "begins", JobKind.GO_ON_WITH_JOB: "goes on", JobKind.END_JOB: "ends"}


def _with_callers(step: Step, task: asyncio.Task[Any]) -> Step:
    """A step with the user's functions in which its task goes on."""
    links = links_of(task.get_coro())
    own = _own_links(links)
    if not own:
        return step
    at, waited_for = place_of(own[-1].frame), step.waited_for
    if step.waited_for and at != step.at:
        # Within a context manager, which is no coroutine.
        below = links[links.index(own[-1]) + 1 :]
        name = method_of(below[0].frame) or below[0].function if below else "a future"
        waited_for = "sleep" if name == "__sleep0" else name
    return replace(step, at=at, waited_for=waited_for, callers=_names_of(own))


def _names_of(links: Sequence[Link]) -> tuple[str, ...]:
    names = (link.frame.f_code.co_name for link in links)
    return tuple(name for name in names if not name.startswith("<"))


def _task(name: str, wait: Wait | None = None) -> WaitingTask:
    return WaitingTask(name, "", (), (), wait or Wait(Kind.READY))


def _own_links(links: Sequence[Link]) -> list[Link]:
    return [link for link in links if is_users(link.frame.f_code.co_filename)]


def _name_in(own: Sequence[Link], subject: object) -> str | None:
    """The name of an object in the innermost of the user's functions that has one."""
    finder = NameFinder()
    for link in reversed(own):
        name = finder.names_in(link.frame).get(id(subject))
        if name is not None:
            return name
    return None


def _place_raised(error: BaseException) -> SourcePlace | None:
    """The innermost line of the user's that an exception has passed."""
    place, traceback = None, error.__traceback__
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if is_users(path):
            place = SourcePlace(path, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place


def in_short(error: BaseException) -> str:
    """An exception with its arguments, made without code of the program.

    >>> in_short(KeyError("a")), in_short(OSError(object()))
    ("KeyError('a')", 'OSError(...)')
    """
    name = type(error).__name__
    if isinstance(error, AssertionError):
        # The report of the failure has it in full.
        return name
    values = [in_brief(value) for value in BaseException.__dict__["args"].__get__(error)]
    return f"{name}({', '.join(values) if all(values) else '...'})"
