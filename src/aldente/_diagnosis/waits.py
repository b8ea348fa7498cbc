"""Plain facts about waiting tasks. Nothing in them keeps a task, a frame or a future alive."""

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


# What goes on, or is ended from outside the program.
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
    """A function that is under way in a task.

    Attributes:
        place: the file, with its full path, and the line where it stands.
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
    """A task that has to do with what another one waits for.

    Attributes:
        task: its index in `AwaitGraph.tasks`.
        expression: what its code calls the thing; None when it has no name there.
    """

    task: int
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """What a task waits for, and who could end its waiting.

    Attributes:
        kind: the kind of thing.
        type_name: the thing's class, for example ``"PriorityQueue"``; empty when there is none.
        expression: what the user's code calls it, for example ``"self._queue"``; None when it has
            no name there.
        number: the same for all who wait for this very thing; None when there is none.
        through: the function of asyncio that waits, for example ``"asyncio.gather"``, or empty.
        detail: what else is known, in words: how long a timer takes, how many came to a barrier.
        is_any: whether one of the tasks or holders is enough to end the waiting.
        tasks: indices of the unfinished tasks that are waited for.
        holders: the tasks that are known to hold a lock or semaphore.
        known_to: other tasks whose variables have the thing, and that do not wait in the same way.
        limited_by: the time-out that will end the waiting; None when there is none.
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
        """Indices of the tasks that are known to stand in the way, in order."""
        return tuple(dict.fromkeys((*self.tasks, *(holder.task for holder in self.holders))))


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """A task that is not done.

    Attributes:
        name: the task's name.
        coroutine: the qualified name of its coroutine.
        frames: the functions that are under way in it, from the outermost to the innermost.
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
