"""How much longer a sleep may take than it has to, and which sleeps are the test's own.

What a sleep stands for, such as an answer from the network, may take longer: a fraction of its
time more, or until the moment of another timer. The sleeps of the test function itself stand for
nothing else: they say when the test does something, so they take as long as they say.

What takes no time in stock order, such as the job of a thread, may take some as well.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from aldente._source import is_programs

# How much longer something may take, as parts of the most that it may.
PARTS = (0.25, 0.5, 1.0)

# How long what takes no time in stock order may take, in seconds, times the slack: as long as a
# call of a database may, and shorter than most of the times for which programs sleep.
UNTIMED = 0.1

# Of how many other sleeps, and of how many timers of other kinds, the moments count: the next ones.
_MOMENTS = 2

# With more timers than these, only the next one is known without a search.
_MANY = 50

_Timer = TypeVar("_Timer", bound=tuple[Any, ...])

# Between the whole numbers of timers, numbers with this many fractions find a place. 31 bits of
# fraction leave 22 for the whole numbers in a float.
_FRACTIONS = 2.0**31


class End(NamedTuple):
    """When something may end.

    Attributes:
        when: the time, in seconds of loop time.
        number: its place among the timers of that time.
        is_ahead: whether the task that waits goes on before the callbacks of later timers of that
            time; else after all that are due in that turn.
        moment: what happens at that time, in words; empty for nothing in particular.
    """

    when: float
    number: float
    is_ahead: bool = False
    moment: str = ""


# What delivers, in stories.
NETWORK = "(network)"


class Late(NamedTuple):
    """What takes longer than it has to.

    Attributes:
        future: done at its end; None if it is not known.
        seconds: how long it has to take; 0 for what takes no time in stock order.
        end: when it ends instead.
        due: when it would have ended.
        what: what of the network it is, in words; empty for what a task waits for.
    """

    future: asyncio.Future[Any] | None
    seconds: float
    end: End
    due: float
    what: str = ""

    @property
    def who(self) -> str:
        """What it comes from, in words; empty for what a task waits for."""
        return NETWORK if self.what else ""

    def __str__(self) -> str:
        """How long it takes, in words."""
        longer = f"{self.end.when - self.due:.6g} s"
        moment = f", {self.end.moment}" if self.end.moment else ""
        if not self.seconds:
            return f"takes {longer}{moment}"
        return f"takes {longer} longer than its {self.seconds:.6g} s{moment}"


class Arrival(asyncio.Future[None]):
    """Done when something from outside comes that is not a sleep of a task.

    Args:
        come: called then.
        awaited: the future that is done by it, which a task may await; None if it is not known.
        loop: the loop.

    Attributes:
        awaited: as the argument.
    """

    def __init__(
        self,
        come: Callable[[], object],
        awaited: asyncio.Future[Any] | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop=loop)
        self.awaited = awaited
        self.add_done_callback(lambda done: None if done.cancelled() else come())


class Reach(NamedTuple):
    """How far a duration reaches.

    Attributes:
        due: when it ends if it takes as long as it has to, in seconds of loop time.
        number: its place among the timers of that time.
        most: how much longer it may take, in seconds.
        last: when it must have ended.
        serial: a number that no other duration of the run has.
    """

    due: float
    number: float
    most: float
    last: float
    serial: int


def soonest(timers: list[_Timer]) -> list[_Timer]:
    """The timers of a heap in their order; only the first one of many, which takes no search."""
    return timers[:1] if len(timers) > _MANY else sorted(timers)


def ends_of(reach: Reach, sleeps: Iterable[float], alarms: Iterable[End]) -> list[End]:
    """The ends among which the schedule chooses, the first of which is when it is due.

    Args:
        reach: how far it reaches.
        sleeps: when other sleeps end, the next one first. Both tasks go on then in any order.
        alarms: the timers of other kinds, the next one first. They may fire before, later, or in
            the same turn of the loop: after the future is done, and then before or after the task
            has gone on.
    """
    own = reach.serial / _FRACTIONS
    found = [End(reach.due, reach.number)]
    for end in _candidates(reach, sleeps, alarms, own):
        if reach.due < end.when <= reach.last and all(end[:3] != other[:3] for other in found):
            found.append(end)
    return found


def _candidates(
    reach: Reach, sleeps: Iterable[float], alarms: Iterable[End], own: float
) -> Iterator[End]:
    # A number of its own, so that two ends are never equal.
    number = math.floor(reach.number) + own
    for part in PARTS:
        yield End(min(reach.due + part * reach.most, reach.last), number)
    within = sorted({when for when in sleeps if reach.due < when <= reach.last})
    for when in within[:_MOMENTS]:
        yield End(when, number, moment="until another sleep ends")
    for alarm in itertools.islice((each for each in alarms if each.when <= reach.last), _MOMENTS):
        just_before = math.nextafter(alarm.when, -math.inf)
        yield End(just_before, number, moment="until just before a timer fires")
        ahead = alarm.number - 1 + own
        text = "until the moment of a timer, and goes on"
        yield End(alarm.when, ahead, is_ahead=True, moment=f"{text} before its callback")
        yield End(alarm.when, ahead, moment=f"{text} after its callback")
        yield End(alarm.when, alarm.number + own, moment="until just after a timer has fired")


def is_own_sleep(caller: FrameType | None) -> bool:
    """Whether a sleep of the main task is one of the test function itself.

    Args:
        caller: the frame that called `asyncio.sleep`.
    """
    if caller is None:
        return False
    outer = caller.f_back
    while outer is not None and outer.f_code.co_flags & inspect.CO_COROUTINE:
        if is_programs(outer.f_code.co_filename):
            return False
        outer = outer.f_back
    return True
