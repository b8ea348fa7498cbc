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
from types import CoroutineType, FrameType, GeneratorType
from typing import Any

from aldente import _asyncio_compat
from aldente._diagnosis.await_graph import NameFinder, natural_key, wait_in_words
from aldente._diagnosis.inspection import held_by, links_of
from aldente._diagnosis.waiting import LiveTask, look_at
from aldente._diagnosis.waits import WaitKind
from aldente._own_errors import containing
from aldente._records import SourcePlace
from aldente._schedules import Step
from aldente._simulation.choices import OptionKind
from aldente._simulation.executors import Job
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.trace import in_brief, method_of
from aldente._source import is_users, place_of
from aldente._stacks import variables_of

# A run with more steps than these is not looked at to its end.
_MOST_STEPS = 5_000

# How often to look for the name of a lock or the like, and which tasks hold it: both look at many
# objects.
_MOST_NAMES = 100
_MOST_TASKS = 100

_HELD = (WaitKind.LOCK, WaitKind.SEMAPHORE)


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
        self._loop.is_noting_origins = True

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
        owner, place, frames = reference(), None, list[FrameType]()
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
            frames = _frames_of(owner.get_coro())
            words, frames = _sleep_in_words(frames), _own(frames)
            outcome = self._wait_in_words(look_at(owner), frames) if words is None else words
            place = place_of(frames[-1]) if frames else None
        self._steps[number] = replace(
            self._steps[number], outcome=outcome, stopped_at=place, stopped_in=_names_of(frames)
        )

    def _wait_in_words(self, live: LiveTask, own: Sequence[FrameType]) -> str:
        subject = live.wait.subject
        if subject is None or self._names_left <= 0:
            return wait_in_words(live)
        self._names_left -= 1
        holders = self._holders(subject) if live.wait.kind in _HELD else ()
        return wait_in_words(live, _name_in(own, subject), holders)

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
_JOBS = {
    OptionKind.BEGIN_JOB: "begins",
    OptionKind.GO_ON_WITH_JOB: "goes on",
    OptionKind.END_JOB: "ends",
}


def _with_callers(step: Step, task: asyncio.Task[Any]) -> Step:
    """A step with the user's functions in which its task goes on."""
    frames = _frames_of(task.get_coro())
    own = _own(frames)
    if not own:
        return step
    at, waited_for = place_of(own[-1]), step.waited_for
    if step.waited_for and at != step.at:
        # Within a context manager, which is not a coroutine.
        below = frames[frames.index(own[-1]) + 1 :]
        name = method_of(below[0]) or below[0].f_code.co_qualname if below else "a future"
        waited_for = "sleep" if name == "__sleep0" else name
    return replace(step, at=at, waited_for=waited_for, callers=_names_of(own))


def _frames_of(coroutine: object) -> list[FrameType]:
    """The suspended functions of a coroutine, the outermost first.

    As `links_of` does, but without calls as far as that is possible: each call takes long while the
    lines of the program are followed.
    """
    frames: list[FrameType] = []
    current: Any = coroutine
    while current is not None and type(current).__name__ not in _FUTURES:
        if type(current) is CoroutineType:
            frame, following = current.cr_frame, current.cr_await
        elif type(current) is GeneratorType:
            frame, following = current.gi_frame, current.gi_yieldfrom
        else:
            frame = following = None
        if frame is None:
            return [link.frame for link in links_of(coroutine)]
        frames.append(frame)
        current = following
    return frames


# The types of what a future's ``__await__`` returns, which show nothing below.
_FUTURES = frozenset({"FutureIter", "Future", "Task", "SimulatedFuture", "SimulatedTask"})

_SLEEP, _SLEEP_OF_0 = (
    getattr(function, "__code__", None) for function in _asyncio_compat.FUNCTIONS_OF_SLEEP
)


def _sleep_in_words(frames: Sequence[FrameType]) -> str | None:
    """What a task waits for that sleeps; None if it does not."""
    if not frames:
        return None
    if frames[-1].f_code is _SLEEP_OF_0:
        return "lets other tasks run"
    if frames[-1].f_code is _SLEEP:
        seconds = in_brief(variables_of(frames[-1]).get("delay"))
        return f"waits for sleep({seconds or '...'})"
    return None


def _names_of(frames: Sequence[FrameType]) -> tuple[str, ...]:
    names = [frame.f_code.co_name for frame in frames]
    return tuple([name for name in names if not name.startswith("<")])


def _own(frames: Sequence[FrameType]) -> list[FrameType]:
    return [frame for frame in frames if is_users(frame.f_code.co_filename)]


def _name_in(own: Sequence[FrameType], subject: object) -> str | None:
    """The name of an object in the innermost of the user's functions that has one."""
    finder = NameFinder()
    for frame in reversed(own):
        name = finder.names_in(frame).get(id(subject))
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
