"""Plain facts about waiting tasks. They keep no task, frame or future alive."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from aldente._records import SourcePlace
from aldente._source import source_line


class Kind(enum.Enum):
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
        Kind.RUNNING,
        Kind.READY,
        Kind.NOT_STARTED,
        Kind.TIMER,
        Kind.EXECUTOR,
        Kind.INPUT_OUTPUT,
    }
)


@dataclass(frozen=True, slots=True)
class SuspendedFrame:
    """A suspended function of a task.

    Attributes:
        place: the file, with its full path, and the current line.
        function: its qualified name.
    """

    place: SourcePlace
    function: str

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
        detail: more in words: the time of a timer, how many tasks have come to a barrier.
        is_any: whether one of the tasks or holders is enough to end the wait.
        tasks: indices of the unfinished tasks that it waits for.
        holders: the tasks that are known to hold a lock or semaphore.
        known_to: other tasks with the object in a variable that do not wait in the same way.
        limited_by: the time-out that will end the wait; None when there is none.
    """

    kind: Kind
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
