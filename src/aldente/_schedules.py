"""Plain facts about runs of simulated loops: what determines them, and what happened in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from aldente._records import SourcePlace

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
        python: the version of Python that the run was made on; None when it is not known.
    """

    choices: tuple[int, ...]
    counts: tuple[int, ...] = ()
    order: Order = "any"
    slack: float = 1.0
    seed: int = 0
    digest: int | None = None
    python: tuple[int, int] | None = None


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
        cancelled_by: who has cancelled it; empty when that is not known, as it may be when a task
            factory of the program's own has made it.
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
