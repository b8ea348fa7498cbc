"""Records the steps of a run: which task, where, what woke it, and when.

A `Fingerprint` is one number for all steps, to compare runs without a record of each.
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections import Counter
from types import FrameType
from typing import Any, Protocol

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import STEP_TYPE, WAKE_UP_TYPE
from aldente._records import SourcePlace
from aldente._schedules import EXPLORER, Choice, Step
from aldente._simulation.choices import place_of_task
from aldente._simulation.determinism import SimulatedTask
from aldente._simulation.durations import Late
from aldente._simulation.executors import AnyJob
from aldente._simulation.explored import StoryEvent
from aldente._simulation.injection import Cancellation
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.timers import START
from aldente._source import is_programs, place_of
from aldente._virtual_time.clock import place_in

# This frame awaits on behalf of its caller, so reports skip it.
_MAYBE_TIMEOUT = "maybe_timeout"


class ChoiceWatch(Protocol):
    """Follows the choices of a run.

    Attributes:
        choice: the last choice.
    """

    choice: Choice | None

    def has_led_to(self, callback: object) -> bool:
        """Whether the last choice was to run this callback; true once for each choice."""
        ...


class Tracer:
    """Records the steps of a loop from now on.

    A loop that is not traced pays nothing for it.

    Args:
        loop: the loop, which is not running.
        watch: follows which step was chosen; None if that is not known.

    Attributes:
        steps: the steps recorded so far.
    """

    def __init__(self, loop: SimulatedLoop, watch: ChoiceWatch | None = None) -> None:
        self.steps: list[Step] = []
        self._loop = loop
        self._watch = watch
        # The task or function that has caused each ready callback, and the number of its step, by
        # the callback's identity. A ready callback is alive, so its identity is not reused.
        self._causes: dict[int, tuple[str, int]] = {}
        # Which task or function has cancelled each task that has not gone on since, by number: a
        # task that ends in the step in which it cancels itself leaves its identity to another.
        self._cancelled_by: dict[int, str] = {}
        # How many tasks of each name were seen, and for each task its name and which of them it is.
        self._seen: Counter[str] = Counter()
        self._namesakes: weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[str, int]] = (
            weakref.WeakKeyDictionary()
        )
        # Tasks that may have been created in the last step, in that order: the name may come later.
        self._new: list[asyncio.Task[Any]] = []
        # What runs, and the number of its step.
        self._current = ""
        self._number = -1
        self._call_soon: Any = loop.call_soon
        vars(loop)["call_soon"] = self._note_cause
        loop.add_hook(self._note_step)
        loop.on_event = self._note_event
        loop.on_cancel = self._note_cancel
        loop.on_late = self._note_late

    def stop(self) -> None:
        """Record no more."""
        self._loop.remove_hook(self._note_step)
        self._loop.on_event = None
        self._loop.on_cancel = None
        self._loop.on_late = None
        del vars(self._loop)["call_soon"]
        self._causes.clear()
        self._new.clear()
        self._cancelled_by.clear()

    def _note_cause(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self._causes[id(callback)] = self._current, self._number
        task = _asyncio_compat.task_of_step(callback)
        if task is not None and task not in self._namesakes:
            self._new.append(task)
        return self._call_soon(callback, *args, context=context)

    def _note_cancel(self, task: asyncio.Task[Any]) -> None:
        # Eager tasks begin in the step of another task.
        running = asyncio.current_task(self._loop)
        who = self._current if running is None else running.get_name()
        if self._is_cancellation_underway(task):
            self._cancelled_by.setdefault(hash(task), who)
        else:
            self._cancelled_by[hash(task)] = who

    def _is_cancellation_underway(self, task: asyncio.Task[Any]) -> bool:
        """Whether an earlier cancellation has not arrived; the awaited code may suppress it."""
        awaited = _asyncio_compat.waited_future(task)
        if awaited is None or awaited.done():
            return True
        parts = _asyncio_compat.gathered_futures(awaited) or [awaited]
        # Only tasks, as a future may have the number of a task.
        return any(
            part.cancelled()
            or (isinstance(part, asyncio.Task) and hash(part) in self._cancelled_by)
            for part in parts
        )

    def _note_event(self, event: StoryEvent) -> None:
        at = place_of_program() if event.is_place_named else None
        self.steps.append(
            Step(
                event.who,
                str(at or ""),
                "",
                self._time(),
                at,
                event=event.text,
                is_explorers=event.is_choice,
                namesakes=self._namesakes_of_name(event.who),
            )
        )

    def _note_late(self, late: Late) -> None:
        future = late.future
        task = None if future is None else _asyncio_compat.task_that_awaits(future)
        at = None if task is None else place_in(task)
        who = late.who or ("" if task is None else task.get_name())
        name = "" if task is None else _waited_for(task, (future,))
        text = f"{late.what or name or 'what it waits for'} {late}"
        until = _since_start(late.end.when)
        self.steps.append(
            Step(
                who,
                str(at or ""),
                "",
                self._time(),
                at,
                event=text,
                is_explorers=True,
                until=until,
                namesakes=0 if task is None else self._namesakes_of(task),
            )
        )

    def _note_cancellation(self, cancellation: Cancellation) -> None:
        task = cancellation.task
        at, waited_for = place_in(task), _waited_for(task, _awaited(task))
        text = f"{cancellation.words} in {waited_for}" if waited_for else cancellation.words
        self.steps.append(
            Step("", str(at or ""), "", self._time(), at, event=text, is_explorers=True)
        )
        self._current, self._number = EXPLORER, len(self.steps) - 1

    def _time(self) -> float:
        return _since_start(self._loop.time())

    def _note_step(self, callback: Any, args: tuple[Any, ...]) -> None:
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, Cancellation):
            if owner.is_due:
                self._note_cancellation(owner)
            return
        for created in self._new:
            self._namesakes_of(created)
        self._new.clear()
        task = _asyncio_compat.task_of_step(callback)
        cause, woken_in = self._causes.pop(id(callback), ("", -1))
        at = place_in(task) if task is not None else None
        waited_for, is_cancelled, cancelled_by = "", False, ""
        if task is None:
            name, place = "", name_of_callback(callback)
            self._current = place
        else:
            name, place = task.get_name(), str(at) if at is not None else _coroutine_of(task)
            self._current = name
            waited_for = _waited_for(task, args)
            is_cancelled = _is_cancelled(task, args)
            canceller = self._cancelled_by.pop(hash(task), "")
            if is_cancelled:
                is_recorded = isinstance(task, SimulatedTask)
                # For other tasks only a wake-up by this future shows it.
                is_woken_so = not is_recorded and not _asyncio_compat.is_to_be_cancelled(task)
                cancelled_by = cause if is_woken_so else canceller
        choice = self._choice_of(callback)
        self._number = len(self.steps)
        self.steps.append(
            Step(
                name,
                place,
                cause,
                self._time(),
                at,
                waited_for,
                is_cancelled,
                choice,
                cancelled_by,
                call="" if task is None or waited_for or args else _call_of(task),
                woken_in=woken_in,
                namesakes=0 if task is None else self._namesakes_of(task),
            )
        )

    def _namesakes_of(self, task: asyncio.Task[Any]) -> int:
        """How many other tasks of the same name were seen before a task."""
        name = task.get_name()
        known, before = self._namesakes.get(task, ("", -1))
        # A task may get another name later.
        if before < 0 or known != name:
            before = self._seen[name]
            self._seen[name] += 1
            self._namesakes[task] = name, before
        return before

    def _namesakes_of_name(self, name: str) -> int:
        """The same of what an event is about: mostly the task that runs."""
        running = asyncio.current_task(self._loop)
        is_running = running is not None and running.get_name() == name
        return self._namesakes_of(running) if running is not None and is_running else 0

    def _choice_of(self, callback: Any) -> Choice | None:
        """The choice that has led to a step; plain callbacks may run in between."""
        if self._watch is None or not self._watch.has_led_to(callback):
            return None
        return self._watch.choice


def _since_start(when: float) -> float:
    return round(when - START, 9)


# What is shown of these is their value; of others, only their type.
_SHOWN = (bool, int, float, str, bytes, type(None))
_CONTAINERS = (list, dict, set, frozenset, tuple)
_LONGEST = 40
_MOST_BITS = 1_000


def in_brief(value: object) -> str:
    """A value in a few words, made without code of the program; empty for most objects.

    >>> in_brief("a"), in_brief([1] * 50), in_brief(object())
    ("'a'", 'list of 50', '')
    """
    if _is_plain(value):
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if type(value) in _CONTAINERS and isinstance(value, _CONTAINERS):
        is_plain = not isinstance(value, dict) and all(map(_is_plain, value))
        text = repr(value) if is_plain and len(value) <= _LONGEST else ""
        return text if 0 < len(text) <= _LONGEST else f"{type(value).__name__} of {len(value)}"
    return ""


def _is_plain(value: object) -> bool:
    """Whether a value is shown; Python refuses to write very long integers."""
    if type(value) is int:
        return value.bit_length() <= _MOST_BITS
    return type(value) in _SHOWN


def _call_of(task: asyncio.Task[Any]) -> str:
    """The call that has made the coroutine of a task that begins; empty if it can't be shown."""
    coroutine: Any = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    if frame is None:
        return ""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values = [
        in_brief(frame.f_locals[name]) or "..."
        for name in names
        if name != "self" and name in frame.f_locals
    ]
    is_described = any(value != "..." for value in values)
    return f"{code.co_name}({', '.join(values)})" if is_described else ""


def _coroutine_of(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", type(coroutine).__name__)


def _awaited(task: asyncio.Task[Any]) -> tuple[Any, ...]:
    future = _asyncio_compat.waited_future(task)
    return () if future is None else (future,)


def place_of_program() -> SourcePlace | None:
    """The place of the program that the current call comes from."""
    frame = inspect.currentframe()
    while frame is not None and not is_programs(frame.f_code.co_filename):
        frame = frame.f_back
    return None if frame is None else place_of(frame)


def _waited_for(task: asyncio.Task[Any], args: tuple[Any, ...]) -> str:
    """The function that awaits in a task, below the user's code; or the kind of awaitable."""
    current: Any = task.get_coro()
    if not inspect.iscoroutine(current) or inspect.getcoroutinestate(current) == "CORO_CREATED":
        return ""
    name = ""
    while current is not None:
        frame = getattr(current, "cr_frame", None) or getattr(current, "gi_frame", None)
        if frame is not None:
            if is_programs(frame.f_code.co_filename):
                name = ""
            elif not name and frame.f_code.co_qualname != _MAYBE_TIMEOUT:
                name = method_of(frame) or getattr(current, "__qualname__", "")
        current = getattr(current, "cr_await", None) or getattr(current, "gi_yieldfrom", None)
    if name == "__sleep0":
        return "sleep"
    if not name and args and isinstance(args[0], asyncio.Task):
        return f"task {args[0].get_name()!r}"
    if not name and args:
        kind = type(args[0]).__name__
        return "gather" if kind == "_GatheringFuture" else "a future"
    return name


def method_of(frame: FrameType) -> str:
    """A method's name with its object's class, if a class that is not public defines it."""
    owner, _, method = frame.f_code.co_qualname.rpartition(".")
    if not owner.startswith("_") or "self" not in frame.f_locals:
        return ""
    return f"{type(frame.f_locals['self']).__name__}.{method}"


def _is_cancelled(task: asyncio.Task[Any], args: tuple[Any, ...]) -> bool:
    """Whether a task is about to get a CancelledError because of `Task.cancel`."""
    if _asyncio_compat.is_to_be_cancelled(task):
        return True
    # What it awaits may be cancelled for other reasons.
    return bool(task.cancelling() and args and asyncio.isfuture(args[0]) and args[0].cancelled())


def name_of_callback(callback: Any) -> str:
    """How a trace calls a callback that is not a step of a task."""
    # Not the repr, which shows addresses.
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, AnyJob):
        return f"{owner.who} in a thread"
    inner = getattr(callback, "func", callback)
    return getattr(inner, "__qualname__", type(inner).__name__)


class Fingerprint:
    """Follows the steps of a loop from now on.

    Two runs in one process have different fingerprints if they differ in what a `Tracer` records:
    which task takes each step, where it stands, what it waited for, when, and what has caused it.
    But it knows functions by their qualified names, so it can't distinguish two of the same name
    that are at the same instruction; and runs may differ in ways that no `Tracer` shows.

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

        def note_event(event: StoryEvent) -> None:
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
