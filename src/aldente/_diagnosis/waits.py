"""Plain facts about waiting tasks, and the words for them.

The facts keep no task, frame or future alive.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aldente._records import SourcePlace
from aldente._source import source_line


class WaitKind(enum.Enum):
    """What a task waits for, or why it does not wait."""

    RUNNING = "running"
    READY = "ready"
    NOT_STARTED = "not started"
    LOCK = "lock"
    SEMAPHORE = "semaphore"
    CONDITION = "condition"
    EVENT = "event"
    QUEUE_GET = "queue get"
    QUEUE_PUT = "queue put"
    QUEUE_JOIN = "queue join"
    BARRIER = "barrier"
    TASKS = "tasks"
    FUTURE = "future"
    TIMER = "timer"
    EXECUTOR = "executor"
    INPUT_OUTPUT = "input or output"
    DOUBLE = "double"
    UNKNOWN = "unknown"


# Kinds of tasks that go on, and of waits that end from outside the program.
FREE_KINDS = frozenset(
    {
        WaitKind.RUNNING,
        WaitKind.READY,
        WaitKind.NOT_STARTED,
        WaitKind.TIMER,
        WaitKind.EXECUTOR,
        WaitKind.INPUT_OUTPUT,
    }
)


@dataclass(frozen=True, slots=True)
class SuspendedFrame:
    """A suspended function of a task.

    Attributes:
        place: the file, with its full path, and the current line.
        function: its qualified name.
        first_line: the number of its first line; 0 when it is not known.
    """

    place: SourcePlace
    function: str
    first_line: int = 0

    @property
    def source(self) -> str:
        """The line of source code; empty when it can't be read."""
        return source_line(self.place)


@dataclass(frozen=True, slots=True)
class TaskLink:
    """A task that holds or has a reference to what another one waits for.

    Attributes:
        task: its index in `AwaitGraph.tasks`.
        expression: the name of the object in its code; None when it has none there.
    """

    task: int
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """What a task waits for, and which tasks could end the wait.

    Attributes:
        kind: the kind of object.
        type_name: the object's class, for example ``"PriorityQueue"``; empty when there is none.
        expression: its name in the user's code, for example ``"self._queue"``; None when it has
            none there.
        number: the same for all tasks that wait for this object; None when there is none.
        through: the function of asyncio that waits, for example ``"asyncio.gather"``, or empty.
        detail: more in words: the time of a timer, how many tasks have arrived at a barrier.
        is_any: whether one of the tasks or holders is enough to end the wait.
        tasks: indices of the unfinished tasks that it waits for.
        holders: the tasks that are known to hold a lock or semaphore.
        known_to: other tasks with the object in a variable that do not wait in the same way.
        limited_by: the time-out that will end the wait; None when there is none.
        made_at: the line that has made the future; None if that is not known.
        made_by: the name of the task that has made it; empty if that is not known.
    """

    kind: WaitKind
    type_name: str = ""
    expression: str | None = None
    number: int | None = None
    through: str = ""
    detail: str = ""
    is_any: bool = False
    tasks: tuple[int, ...] = ()
    holders: tuple[TaskLink, ...] = ()
    known_to: tuple[TaskLink, ...] = ()
    limited_by: str | None = None
    made_at: SourcePlace | None = None
    made_by: str = ""

    @property
    def blockers(self) -> tuple[int, ...]:
        """Indices of the tasks that are known to block the wait, in order."""
        return tuple(dict.fromkeys((*self.tasks, *(holder.task for holder in self.holders))))


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """A task that is not done.

    Attributes:
        name: the task's name.
        coroutine: the qualified name of its coroutine.
        frames: its functions, from the outermost to the innermost.
        own_frames: those of the user's code.
        wait: what it waits for.
    """

    name: str
    coroutine: str
    frames: tuple[SuspendedFrame, ...]
    own_frames: tuple[SuspendedFrame, ...]
    wait: Wait

    @property
    def maker(self) -> str:
        """The task that has made the future for which this one waits, in words; else empty."""
        name = self.wait.made_by
        return "the task itself" if name == self.name else repr(name) if name else ""

    @property
    def frame(self) -> SuspendedFrame | None:
        """The innermost function of the user's code, or else the outermost of any."""
        if self.own_frames:
            return self.own_frames[-1]
        return self.frames[0] if self.frames else None


@dataclass(frozen=True, slots=True)
class AwaitGraph:
    """Which tasks wait for what, at one moment.

    Attributes:
        tasks: the tasks that are not done, in the natural order of their names.
    """

    tasks: tuple[WaitingTask, ...]


# How many tasks are named before the others are counted.
_MOST_NAMES = 4

# The words for each kind of wait; {thing} is "self.ready (an Event)".
_WAITS_FOR = {
    WaitKind.LOCK: "waits for {thing}",
    WaitKind.SEMAPHORE: "waits for {thing}",
    WaitKind.CONDITION: "waits for {thing} to be notified",
    WaitKind.EVENT: "waits for {thing} to be set",
    WaitKind.QUEUE_GET: "waits for an item from {thing}, which is empty",
    WaitKind.QUEUE_PUT: "waits for room in {thing}, which is full",
    WaitKind.QUEUE_JOIN: "waits for all items of {thing} to be finished",
    WaitKind.BARRIER: "waits at {thing}",
    WaitKind.FUTURE: "waits for {thing} to be completed",
}

# The action that would end the wait.
_REMEDIES = {
    WaitKind.LOCK: "release it",
    WaitKind.SEMAPHORE: "release it",
    WaitKind.CONDITION: "notify it",
    WaitKind.EVENT: "set it",
    WaitKind.QUEUE_GET: "put one",
    WaitKind.QUEUE_PUT: "take an item",
    WaitKind.QUEUE_JOIN: "call task_done()",
    WaitKind.BARRIER: "arrive at it",
    WaitKind.FUTURE: "complete it",
}

_PLAIN = {
    WaitKind.RUNNING: "is running now",
    WaitKind.READY: "is about to go on",
    WaitKind.NOT_STARTED: "has not started yet",
    WaitKind.TIMER: "waits for a timer",
    WaitKind.EXECUTOR: "waits for a job in another thread or process",
    WaitKind.INPUT_OUTPUT: "waits for input or output",
    WaitKind.DOUBLE: "waits for a double",
    WaitKind.UNKNOWN: "waits for something that aldente can't see",
}


class Phrases:
    """Phrases for what the tasks of a graph wait for.

    Args:
        graph: the tasks.
        stuck: indices of those that can't go on.
        folder: paths within it are shown relative to it; None for the current one.
    """

    def __init__(
        self, graph: AwaitGraph, stuck: frozenset[int], folder: Path | None = None
    ) -> None:
        self._tasks = graph.tasks
        self._stuck = stuck
        self._folder = folder
        self._names = _unique_names(task.name for task in graph.tasks)
        self._marks = _marks_of_locks(task.wait for task in graph.tasks)

    def name(self, index: int) -> str:
        """The name of a task, quoted, with a number when other tasks have the same."""
        return self._names[index]

    def what(self, index: int) -> str:
        """What a task waits for and which task holds that, without a full stop."""
        wait = self._tasks[index].wait
        return self._what(wait) + self._held_by(index, wait) + _limit(wait)

    def describe(self, index: int) -> str:
        """What a task waits for, which task holds that, and which could end the wait; sentences."""
        wait = self._tasks[index].wait
        sentences = [f"{self.what(index)}.", *self._origin(index), *self._who_could(index, wait)]
        return " ".join(sentences)

    def _origin(self, index: int) -> Iterable[str]:
        """The sentence on where what it waits for was made, if that is known."""
        made_at, task = self._tasks[index].wait.made_at, self._tasks[index].maker
        if made_at is not None:
            place = SourcePlace.relative_to(made_at.path, made_at.line, self._folder or Path.cwd())
            yield f"It was made at {place}{f' by {task}' if task else ''}."

    def step(self, index: int, following: int) -> str:
        """What a task waits for, in a sentence that continues with the task that blocks it."""
        wait = self._tasks[index].wait
        name = self.name(following)
        for holder in wait.holders:
            if holder.task == index == following:
                return f"{self.thing(wait)}, which it holds itself"
            if holder.task == following:
                return f"{self.thing(wait)}, held by {name}"
        return f"itself ({name})" if index == following else name

    def remedy(self, wait: Wait) -> str:
        """The action that would end a wait for something, such as ``"set it"``."""
        return _REMEDIES[wait.kind]

    def _what(self, wait: Wait) -> str:
        if wait.kind is WaitKind.TASKS:
            return self._tasks_phrase(wait)
        if wait.kind in _PLAIN:
            details = ": ".join(filter(None, [_PLAIN[wait.kind], wait.detail]))
            return f"{details} ({wait.through})" if wait.through else details
        phrase = _WAITS_FOR[wait.kind].format(thing=self.described(wait))
        through = f"by {wait.through}" if wait.through else ""
        extra = ", ".join(filter(None, [wait.detail, through]))
        return f"{phrase} ({extra})" if extra else phrase

    def _tasks_phrase(self, wait: Wait) -> str:
        through = f" ({wait.through})" if wait.through else ""
        if not wait.tasks and wait.detail:
            return f"waits for {wait.detail}{through}"
        if not wait.tasks:
            return f"waits for futures that no known task completes{through}"
        one_of = "one of " if wait.is_any and len(wait.tasks) > 1 else ""
        others = f" and {wait.detail}" if wait.detail else ""
        return f"waits for {one_of}{self._enumerate(wait.tasks)}{others}{through}"

    def _enumerate(self, indices: Sequence[int]) -> str:
        return enumerate_names(self.name(index) for index in indices)

    def described(self, wait: Wait) -> str:
        """What a task waits for, with its class: ``"self.ready (an Event)"``."""
        thing = self.thing(wait)
        if wait.expression is None or self._mark(wait):
            return thing
        return f"{thing} ({_with_article(wait.type_name)})"

    def thing(self, wait: Wait) -> str:
        """The user's expression, with a number if another lock has the same one."""
        thing = wait.expression or _with_article(wait.type_name)
        return thing + self._mark(wait)

    def _mark(self, wait: Wait) -> str:
        mark = self._marks.get(wait.number or 0)
        return "" if mark is None else f" ({wait.type_name} {mark})"

    def _held_by(self, index: int, wait: Wait) -> str:
        if not wait.holders:
            return ""
        if wait.holders == (TaskLink(index, wait.holders[0].expression),):
            return ", which it holds itself"
        names = [self._name_with_expression(holder, wait) for holder in wait.holders]
        return f", held by {enumerate_names(names)}"

    def _name_with_expression(self, link: TaskLink, wait: Wait) -> str:
        name = self.name(link.task)
        if link.expression in (None, wait.expression):
            return name
        return f"{name} (as {link.expression})"

    def _who_could(self, index: int, wait: Wait) -> Iterable[str]:
        """Sentences on which tasks could end the wait, or that none that is left could."""
        if wait.kind not in _REMEDIES:
            return
        if wait.holders:
            if wait.kind is WaitKind.LOCK and wait.holders[0].task == index:
                yield "A task can't acquire the same Lock twice."
            return
        if wait.kind in (WaitKind.LOCK, WaitKind.SEMAPHORE):
            yield self._who_may_hold(wait)
            return
        yield self._who_could_help(wait)
        if wait.kind is WaitKind.CONDITION:
            yield "notify() wakes only tasks that are already waiting; an earlier notify() is lost."

    def _who_may_hold(self, wait: Wait) -> str:
        if not wait.known_to:
            return (
                "aldente sees no task that holds it: this task, or one that has ended, acquired it "
                "without 'async with'."
            )
        names = [self._name_with_expression(link, wait) for link in wait.known_to]
        return (
            f"aldente sees no task that holds it by 'async with'; {enumerate_names(names)} may "
            "hold it, because a variable there refers to it."
        )

    def _who_could_help(self, wait: Wait) -> str:
        remedy = _REMEDIES[wait.kind]
        if not wait.known_to:
            return (
                f"No task is left to {remedy}: aldente sees no other task with a variable that "
                "refers to it."
            )
        going = [link for link in wait.known_to if link.task not in self._stuck]
        names = enumerate_names(
            self._name_with_expression(link, wait) for link in going or wait.known_to
        )
        if going:
            return f"{names} could {remedy}."
        it_waits = "is stuck itself" if len(wait.known_to) == 1 else "are stuck themselves"
        return f"Only {names} could {remedy}, but {it_waits}."


def enumerate_names(names: Iterable[str]) -> str:
    """Names in a sentence; the last of many are counted.

    >>> enumerate_names(["'a'", "'b'"])
    "'a' and 'b'"
    >>> enumerate_names(f"'{number}'" for number in range(1000))
    "'0', '1', '2', '3' and 996 more"
    """
    shown = list(names)
    if len(shown) > _MOST_NAMES + 1:
        shown[_MOST_NAMES:] = [f"{len(shown) - _MOST_NAMES:,} more"]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _limit(wait: Wait) -> str:
    return f", until {wait.limited_by} ends it" if wait.limited_by else ""


def _with_article(type_name: str) -> str:
    article = "an" if type_name[:1].upper() in tuple("AEIOU") else "a"
    return f"{article} {type_name}"


def _unique_names(names: Iterable[str]) -> list[str]:
    counts: Counter[str] = Counter()
    unique = []
    for name in names:
        counts[name] += 1
        unique.append(f"{name!r}" if counts[name] == 1 else f"{name!r} ({counts[name]})")
    return unique


def _marks_of_locks(waits: Iterable[Wait]) -> dict[int, int]:
    """Numbers for different locks that have the same name in different tasks."""
    numbers: dict[tuple[str, str | None], list[int]] = {}
    for wait in waits:
        if wait.holders and wait.number is not None:
            known = numbers.setdefault((wait.type_name, wait.expression), [])
            if wait.number not in known:
                known.append(wait.number)
    return {
        number: mark
        for group in numbers.values()
        if len(group) > 1
        for mark, number in enumerate(group, 1)
    }
