"""Plain facts that the layers hand to one another."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

# What happens with a finding: it fails the test, it is reported at the end of the run, or the rule
# is not looked at.
Level = Literal["error", "warn", "off"]

LEVELS: tuple[Level, ...] = ("error", "warn", "off")


class LoopScope(enum.Enum):
    """How long an event loop lives; the members are ordered from narrow to wide.

    The names are pytest's names of fixture scopes, and mean the same nodes.

    >>> LoopScope.FUNCTION < LoopScope.SESSION
    True
    """

    FUNCTION = "function"
    CLASS = "class"
    MODULE = "module"
    PACKAGE = "package"
    SESSION = "session"

    @property
    def width(self) -> int:
        """The place in the order from narrow (0) to wide (4)."""
        return _WIDTHS[self]

    def __lt__(self, other: LoopScope) -> bool:
        return self.width < other.width


_WIDTHS = {scope: width for width, scope in enumerate(LoopScope)}


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """A place in the user's code: a file and a line number counted from 1."""

    path: str
    line: int

    @classmethod
    def relative_to(cls, path: str, line: int, folder: Path) -> SourcePlace:
        """A place whose path is given from a folder when it lies within it, else in full."""
        full = Path(path)
        return cls(str(full.relative_to(folder) if full.is_relative_to(folder) else full), line)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Rule(NamedTuple):
    """A pitfall that aldente knows.

    Attributes:
        name: as users write it, for example ``"never-awaited"``.
        level: what happens with its findings unless the user says otherwise.
        catches: one line that says what it catches.
        why: why it matters, as findings say it; sentences.
        explanation: paragraphs for those who ask: what triggers it, what does not, how to mend it.
        is_seen_at_once: whether findings are made where the code runs, so that a block of code can
            allow them.
    """

    name: str
    level: Level
    catches: str
    why: str
    explanation: str
    is_seen_at_once: bool = False


class Finding(NamedTuple):
    """One occurrence of a pitfall.

    Attributes:
        rule: the name of the rule.
        what: what happened; one sentence or more.
        mend: what to do; one sentence or more, without the word "Mend".
        place: the place in the user's code, with its full path; None when none is known.
        details: lines that follow the place, such as a stack.
        made_by: the node id of the test that did it; None for the current one.
    """

    rule: str
    what: str
    mend: str
    place: SourcePlace | None = None
    details: tuple[str, ...] = ()
    made_by: str | None = None


# Who is told of findings that are made below the test runner; the last one is.
receivers: list[Callable[[Finding], None]] = []


# Which resumptions a schedule may hold back: all of them, or those that something outside of the
# loop's own memory has caused.
Order = Literal["any", "io"]

ORDERS: tuple[Order, ...] = ("any", "io")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The choices of a run, which determine it.

    Attributes:
        choices: the options that were chosen; those that follow are 0.
        counts: among how many, each time; empty when it is not known.
        order: which resumptions might be held back.
        slack: by which part of the time it had waited one might be held back longer.
        seed: what the randomness of the program began with.
        digest: a sum over all counts of the run, by which other options are noticed; None when it
            is not known.
    """

    choices: tuple[int, ...]
    counts: tuple[int, ...] = ()
    order: Order = "any"
    slack: float = 1.0
    seed: int = 0
    digest: int | None = None


class Choice(NamedTuple):
    """Which of several ways a run has gone on.

    Attributes:
        number: the number of the choice in its run, from 0.
        option: the option that was chosen; 0 is what stock asyncio does.
        instead_of: the task that option 0 would have let go on; empty when it is nobody's.
        is_switch: whether it is a context switch away from stock order.
    """

    number: int
    option: int
    instead_of: str
    is_switch: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a simulated run.

    Attributes:
        task: the name of the task; empty for a callback.
        place: the user's file and line where it goes on, or the name of the callback.
        woken_by: what has made it ready: a task, a callback, or empty when nothing is known.
        time: loop time, in seconds since the run began.
        at: the place as a value; None when it is none of the user's.
        waited_for: what it waited for, as the function of the library is called in which it did;
            empty for a first step.
        is_cancelled: whether a cancellation is raised where it goes on.
        choice: the choice by which it is next; None if there was none.
        cancelled_by: who has cancelled it; empty when that is not known, as a task factory of the
            program's own has made it.
        event: what is told, if this is no step but something that is told between steps. It may be
            the program's own words, so steps that differ in it are the same.
        is_explorers: whether the explorer has done that, and stock asyncio does not.
    """

    task: str
    place: str
    woken_by: str
    time: float
    at: SourcePlace | None = None
    waited_for: str = ""
    is_cancelled: bool = False
    choice: Choice | None = None
    cancelled_by: str = ""
    event: str = field(default="", compare=False)
    is_explorers: bool = False


# Who has caused what is caused by the explorer.
EXPLORER = "the explorer"


# How shrinking has ended: no schedule with fewer context switches fails, none of its switches can
# be left out, the budget ended before that was known, or the failure did not come again.
Smallness = Literal["least", "local", "budget", "unrepeatable"]


class Shrinking(NamedTuple):
    """How the schedule of a failure was made smaller.

    Attributes:
        runs: how many runs that took.
        before: how many context switches away from stock order there were.
        after: how many there are.
        outcome: how small it is.
    """

    runs: int
    before: int
    after: int
    outcome: Smallness


class TestTime(NamedTuple):
    """Which time a test has.

    Attributes:
        is_virtual: whether its loop's time is virtual.
        wall: whether the clocks of the process follow loop time.
        patience: how long other processes and threads are listened to before time jumps, in real
            seconds.
        max_seconds: how far virtual time may run, in seconds of loop time.
    """

    is_virtual: bool
    wall: bool
    patience: float
    max_seconds: float
