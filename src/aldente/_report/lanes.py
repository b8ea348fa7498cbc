"""The steps of a run as lanes, one a task, for the page's script to draw: plain values.

They are made where the test has run, and may be sent between processes as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NotRequired, TypedDict

from aldente._diagnosis.story_choice import Words, choose, is_counted, is_job, is_switch, short_name
from aldente._records import SourcePlace
from aldente._schedules import SharedUse, Step

# Of a longer run most of the steps in the middle are left out.
_MOST_STEPS = 5_000

# A file, by its number among those of the lanes, and a line, counted from 1.
Place = list[int]

# What a lane is of: a task, the threads of executors, the network, or what is not a task's: timers,
# callbacks, and the explorer itself.
LaneKind = Literal["task", "thread", "network", "loop"]

# What is special about a step: the schedule leaves stock order with it, it is cancelled, the
# exception that fails the run is raised in it, or it is not a step but something that has happened.
Mark = Literal["switch", "cancelled", "failing", "event"]


class Lane(TypedDict):
    """A row of the picture.

    Attributes:
        name: the name of the task, with a number if an earlier one has the same.
        kind: what it is of.
        call: the call that has made the coroutine, with its arguments; empty if not known.
        creator: the name of the task that has created it; empty if not known.
        place: where its first step begins; None if not known.
    """

    name: str
    kind: LaneKind
    call: str
    creator: str
    place: Place | None


class LaneUse(TypedDict):
    """A use of something that tasks share.

    Attributes:
        name: its name.
        words: what the step does with it.
        value: its value then; empty without a short one.
        is_change: whether it is changed.
        role: its part in a race: ``"read"``, ``"change"`` or ``"act"``; else empty.
        at: the line.
    """

    name: str
    words: str
    value: str
    is_change: bool
    role: str
    at: Place


class LaneStep(TypedDict):
    """A block of a lane; attributes that do not apply are empty.

    Attributes:
        lane: the number of its lane.
        number: the number that it has in the run, from 1; 0 for an event, which is not a step.
        time: loop time in seconds since the run began; of an event that is late, also `until`.
        words: what it does, in words.
        then: how it ends: what the task waits for then, or how it has ended.
        at: where it begins.
        stop: where the task waits then, or has raised its exception.
        callers: the functions in which it goes on, the outermost first.
        woken_in: the index of the step, among these, that has made it ready.
        marks: what is special about it.
        instead_of: the name of the task that asyncio would have run instead.
        until: when the wait that the explorer has made longer ends, in seconds.
        uses: what it reads and changes of what tasks share.
        is_told: whether the story shows it.
    """

    lane: int
    number: int
    time: float
    words: str
    then: NotRequired[str]
    at: NotRequired[Place]
    stop: NotRequired[Place]
    callers: NotRequired[list[str]]
    woken_in: NotRequired[int]
    marks: NotRequired[list[Mark]]
    instead_of: NotRequired[str]
    until: NotRequired[float]
    uses: NotRequired[list[LaneUse]]
    is_told: NotRequired[bool]


class Lanes(TypedDict):
    """A run.

    Attributes:
        files: the full paths of the files that places name.
        lanes: the rows, in the order in which they begin.
        steps: the blocks, in the order of the run.
        total: the number of steps of the whole run.
        left_out: where entries are left out: before which index, and how many.
    """

    files: list[str]
    lanes: list[Lane]
    steps: list[LaneStep]
    total: int
    left_out: list[list[int]]


def lanes_of(steps: Sequence[Step]) -> Lanes:
    """The lanes of a run.

    Args:
        steps: all its steps, up to its end.

    >>> lanes_of([Step("Task-1", "it.py:3", "", 0.0)])["steps"][0]["words"]
    'begins'
    """
    return _Maker(steps).lanes()


def shortened(lanes: Lanes, most: int, besides: int = -1) -> Lanes:
    """Lanes without most of the steps in the middle, if there are many.

    Args:
        lanes: the lanes.
        most: how many steps to keep: the first and the last ones, and those that the story shows.
        besides: the index of one more to keep.
    """
    steps = lanes["steps"]
    if len(steps) <= most:
        return lanes
    in_story = [
        index for index, step in enumerate(steps) if step.get("is_told") or index == besides
    ][:most]
    ends = most - len(in_story)
    kept = sorted(
        {*in_story, *range(ends // 2), *range(len(steps) - (ends - ends // 2), len(steps))}
    )
    index_of = {index: place for place, index in enumerate(kept)}
    shown: list[LaneStep] = []
    for index in kept:
        step = steps[index].copy()
        waker = step.pop("woken_in", None)
        if waker is not None and waker in index_of:
            step["woken_in"] = index_of[waker]
        shown.append(step)
    # What was left out before is between two that are kept, too.
    before = {place: count for place, count in lanes["left_out"]}  # noqa: C416 - lists, not pairs
    left_out = []
    for place, index in enumerate([*kept, len(steps)]):
        last = kept[place - 1] if place else -1
        count = index - last - 1 + sum(before.get(each, 0) for each in range(last + 1, index + 1))
        if count:
            left_out.append([place, count])
    return {**lanes, "steps": shown, "left_out": left_out}


def first_difference(one: Lanes, other: Lanes) -> int:
    """The index of the first step in which two runs differ; that of the end if none does.

    >>> lanes = lanes_of([Step("Task-1", "it.py:3", "", 0.0)])
    >>> first_difference(lanes, lanes)
    1
    """
    for number, (mine, theirs) in enumerate(zip(_ways(one), _ways(other), strict=False)):
        if mine != theirs:
            return number
    return min(len(one["steps"]), len(other["steps"]))


def compared(one: Lanes, other: Lanes, most: int) -> tuple[Lanes, Lanes, int] | None:
    """Two runs and where they differ first, each with some steps at most.

    Args:
        one: a run.
        other: another one.
        most: how many steps to keep of each.

    Returns:
        The runs, and the index of the first difference in both; None if what is left out of them
        hides it.
    """
    place = first_difference(one, other)
    if any(before <= place for lanes in (one, other) for before, _ in lanes["left_out"]):
        return None
    mine, theirs = shortened(one, most, place), shortened(other, most, place)
    shown = first_difference(mine, theirs)
    if _number_at(mine, shown) != _number_at(one, place):
        return None
    return mine, theirs, shown


def _number_at(lanes: Lanes, index: int) -> int:
    steps = lanes["steps"]
    return steps[index]["number"] if index < len(steps) else lanes["total"] + 1


def _ways(lanes: Lanes) -> Iterator[tuple[object, ...]]:
    """For each entry, what makes it another one than that of a different run."""
    for step in lanes["steps"]:
        lane, at = lanes["lanes"][step["lane"]], step.get("at")
        place = None if at is None else (lanes["files"][at[0]], at[1])
        yield lane["name"], place, step["number"] == 0 and step["words"], step["time"]


class _Maker:
    """Makes the lanes of some steps.

    Args:
        steps: all steps of the run.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._in_story = frozenset(choose(steps).shown)
        shown = [number for number, step in enumerate(steps) if step.event or is_counted(step)]
        self._total = sum(not steps[number].event for number in shown)
        self._words = Words(steps, shown)
        self._shown = shown
        # The index of each shown step among them.
        self._index = {number: index for index, number in enumerate(shown)}
        self._files: dict[str, int] = {}
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._lane_numbers: dict[tuple[str, int], int] = {}

    def lanes(self) -> Lanes:
        numbers = self._counted()
        steps = [self._made(number, numbers[number]) for number in self._shown]
        lanes: Lanes = {
            "files": list(self._files),
            "lanes": list(self._lanes.values()),
            "steps": steps,
            "total": self._total,
            "left_out": [],
        }
        return shortened(lanes, _MOST_STEPS)

    def _counted(self) -> dict[int, int]:
        """The number that each step has in the run, from 1; 0 for events."""
        numbers, last = {}, 0
        for number, step in enumerate(self._steps):
            if step.event:
                numbers[number] = 0
            elif is_counted(step):
                last += 1
                numbers[number] = last
        return numbers

    def _made(self, number: int, counted: int) -> LaneStep:
        step = self._steps[number]
        made: LaneStep = {
            "lane": self._lane(step),
            "number": counted,
            "time": step.time,
            "words": step.event or self._words.about(number),
        }
        if not step.event and (then := self._then(step)):
            made["then"] = then
        if (at := self._place(step.at)) is not None:
            made["at"] = at
        if (stop := self._place(step.stopped_at)) is not None:
            made["stop"] = stop
        if step.callers:
            made["callers"] = list(step.callers)
        if (waker := self._waker(step)) is not None:
            made["woken_in"] = waker
        if marks := list(_marks(step)):
            made["marks"] = marks
        if step.choice is not None and step.choice.is_switch and step.choice.instead_of:
            made["instead_of"] = short_name(step.choice.instead_of)
        if step.until and math.isfinite(step.until):
            made["until"] = step.until
        if step.shared:
            made["uses"] = [self._use(use) for use in step.shared]
        if number in self._in_story:
            made["is_told"] = True
        return made

    def _then(self, step: Step) -> str:
        # A callback's outcome is in its words.
        return step.outcome if step.task else ""

    def _use(self, use: SharedUse) -> LaneUse:
        at = self._place(use.at)
        assert at is not None
        return {
            "name": use.text,
            "words": self._words.use(use),
            "value": use.value,
            "is_change": use.is_change,
            "role": use.role,
            "at": at,
        }

    def _place(self, place: SourcePlace | None) -> Place | None:
        if place is None:
            return None
        return [self._files.setdefault(place.path, len(self._files)), place.line]

    def _waker(self, step: Step) -> int | None:
        """The index of the step that has made one ready, through callbacks that pass it on."""
        number, seen = step.woken_in, len(self._steps)
        # Each is earlier than the one that it has made ready.
        while 0 <= number < seen:
            if number in self._index:
                return self._index[number]
            seen, number = number, self._steps[number].woken_in
        return None

    def _lane(self, step: Step) -> int:
        name, kind = _lane_of(step)
        lane = name, step.namesakes
        if lane not in self._lanes:
            self._lane_numbers[lane] = len(self._lanes)
            is_begun = kind == "task" and not step.event
            self._lanes[lane] = {
                "name": f"{name} ({step.namesakes + 1})" if step.namesakes else name,
                "kind": kind,
                "call": step.call if is_begun else "",
                "creator": step.woken_by if is_begun and not step.waited_for else "",
                "place": self._place(step.at) if is_begun else None,
            }
        elif step.call and step.task and not self._lanes[lane]["call"]:
            self._lanes[lane]["call"] = step.call
        return self._lane_numbers[lane]


def _lane_of(step: Step) -> tuple[str, LaneKind]:
    if step.task.startswith("("):
        return step.task, "network"
    if step.task:
        return step.task, "task"
    return (_THREADS, "thread") if is_job(step) and step.call != "ends" else (_LOOP, "loop")


_THREADS, _LOOP = "threads", "event loop"


def _marks(step: Step) -> Iterator[Mark]:
    if step.event:
        yield "event"
    if is_switch(step):
        yield "switch"
    if step.is_cancelled:
        yield "cancelled"
    if step.is_failing:
        yield "failing"
