"""Plain values about runs of simulated loops: what determines them, and what happened in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from aldente._records import SourcePlace

# Which resumptions a schedule may delay: all of them, or those that something outside of the loop's
# own memory has caused.
Order = Literal["any", "io"]

ORDERS: tuple[Order, ...] = ("any", "io")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The choices of a run, which determine it.

    Attributes:
        choices: the chosen options; further ones are 0.
        counts: the number of options of each choice; empty if not known.
        order: which resumptions the schedule may delay.
        slack: how much longer a sleep may take, as a fraction of its time.
        seed: the seed of the program's randomness.
        digest: a checksum over all counts of the run, which shows different options; None if not
            known.
        python: the version of Python that the run was made on; None when it is not known.
    """

    choices: tuple[int, ...]
    counts: tuple[int, ...] = ()
    order: Order = "any"
    slack: float = 1.0
    seed: int = 0
    digest: int | None = None
    python: tuple[int, int] | None = None


# What a use has to do with a race: one task reads a thing, another changes it, and the first acts
# by what it has read. Empty for a use that has nothing to do with one.
Role = Literal["", "read", "change", "act"]


class SharedUse(NamedTuple):
    """A use of something that tasks share.

    Attributes:
        text: its name.
        is_change: whether it is changed; else it is read.
        value: its value then, in words; empty if it has no short one.
        at: the line that uses it.
        role: its part in a race.
        kept: the variable that has the old value, where that is what a task acts by.
        is_about_failure: whether the line that fails the run reads what is changed.
        is_call: whether it is a call by which a task acts on others, such as ``event.set()``.
        is_by_read: whether an act is known to go by what the task has read before.
    """

    text: str
    is_change: bool
    value: str
    at: SourcePlace
    role: Role = ""
    kept: str = ""
    is_about_failure: bool = False
    is_call: bool = False
    is_by_read: bool = True


class Choice(NamedTuple):
    """The option that a run took, of several.

    Attributes:
        number: the number of the choice in its run, from 0.
        option: the option that was chosen; 0 is what stock asyncio does.
        instead_of: the task that option 0 would have resumed; empty when it is not a task's.
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
        place: the user's file and line where it continues, or the name of the callback.
        woken_by: what made it ready: a task, a callback, or empty when that is unknown.
        time: loop time, in seconds since the run began.
        at: the place as a value; None when it is none of the user's.
        waited_for: the library function in which it waited; empty for a first step.
        is_cancelled: whether a cancellation is raised where it goes on.
        choice: the choice by which it is next; None if there was none.
        cancelled_by: the task or callback that cancelled it; empty when that is not known, as with
            a task factory of the program's own.
        event: the text of an event, if this is no step but an event between steps. It may be the
            program's own words, so steps that differ in it are the same.
        is_explorers: whether the explorer did that, which stock asyncio does not.
        until: when what the task waits for is over instead, if the explorer has made it take longer
            than it has to, in seconds since the run began; else 0.
        shared: what it reads of what tasks race for, and what it changes of what tasks share.
        call: for the first step of a task, the call that has made its coroutine; empty when its
            arguments can't be shown. For a step of a thread's job, whether the job "begins", "goes
            on" or "ends".
        callers: the functions of the user's in which it goes on, the outermost first.
        outcome: how it ends, in words: what the task waits for then, that the task ends, or what
            the job of a thread raises.
        stopped_at: the user's line where the task waits or has raised an exception.
        stopped_in: the functions of the user's in which it waits, the outermost first.
        is_failing: whether the exception that fails the run is raised in it.
        woken_in: the number of the step, among those recorded, that made it ready; -1 if unknown.
        namesakes: how many other tasks of the same name were seen before this one.
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
    until: float = 0.0
    shared: tuple[SharedUse, ...] = field(default=(), compare=False)
    call: str = field(default="", compare=False)
    callers: tuple[str, ...] = field(default=(), compare=False)
    outcome: str = field(default="", compare=False)
    stopped_at: SourcePlace | None = field(default=None, compare=False)
    stopped_in: tuple[str, ...] = field(default=(), compare=False)
    is_failing: bool = field(default=False, compare=False)
    woken_in: int = field(default=-1, compare=False)
    namesakes: int = field(default=0, compare=False)


# The name of the explorer as a cause.
EXPLORER = "the explorer"


# How shrinking ended: no schedule with fewer context switches fails, none of its switches can be
# left out, the budget ended before that was known, the failure did not occur again, or an earlier
# search has shrunk the schedule.
Smallness = Literal["least", "local", "budget", "unrepeatable", "kept"]


class Shrinking(NamedTuple):
    """How the schedule of a failure was shrunk.

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
