"""A small picture of a story for the terminal: a row for each task, a column for each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aldente._diagnosis.story_choice import Words, choose, is_switch, short_name
from aldente._schedules import Step

# A picture of more steps says less than their words.
_MOST_STEPS = 12

# The greatest width of what a row begins with.
_MOST_OF_HEAD = 32

_INDENT = "  "

# The part of a step in a race.
_ROLES = {"read": "r", "change": "w", "act": "a"}


class _Column(NamedTuple):
    """A step of the picture.

    Attributes:
        row: what its row begins with.
        block: what is drawn.
        time: the label of its time; empty if it is that of the step before.
        width: how many characters there are for it.
    """

    row: str
    block: str
    time: str
    width: int


def picture_of(steps: Sequence[Step], width: int) -> list[str]:
    """The lines of a picture; none if there are many steps, or only those of one task.

    Args:
        steps: all steps of the run, up to its failure.
        width: how long a line may be.

    >>> picture_of([], 80)
    []
    """
    shown = choose(steps).shown
    words = Words(steps, shown)
    who = {number: words.who(steps[number]) for number in shown}
    if not shown or len(shown) > _MOST_STEPS or len(set(who.values())) < 2:
        return []
    heads = _heads(steps, who)
    columns = list(_columns(steps, shown, {number: heads[who[number]] for number in shown}))
    first = max(map(len, heads.values())) + 2
    if len(_INDENT) + first + sum(column.width for column in columns) > width:
        return []
    waiting = {heads[name] for name in _left_waiting(steps)} if columns else set()
    lines = [
        _row(head, head.ljust(first), columns, is_waiting=head in waiting)
        for head in dict.fromkeys(column.row for column in columns)
    ]
    if any(column.time for column in columns[1:]):
        times = "".join(column.time.ljust(column.width) for column in columns)
        lines.append(" " * first + times)
    legend = ", ".join(_legend(steps, shown))
    return [f"{_INDENT}{line}".rstrip() for line in [*lines, legend] if line]


def _heads(steps: Sequence[Step], who: Mapping[int, str]) -> dict[str, str]:
    """What the row of each task begins with: its name, and the call that has made it."""
    calls = {step.task: step.call for step in reversed(steps) if step.call and step.task}
    # Also of those without a step in the picture, which may be found to wait.
    names = dict.fromkeys([*who.values(), *(step.task for step in steps)])
    heads = {}
    for name in names:
        head = f"{short_name(name)}, {calls[name]}" if name in calls else short_name(name)
        heads[name] = head if len(head) <= _MOST_OF_HEAD else f"{head[: _MOST_OF_HEAD - 3]}..."
    return heads


def _columns(
    steps: Sequence[Step], shown: Sequence[int], rows: Mapping[int, str]
) -> Iterator[_Column]:
    moves = steps[-1].time > 0
    before: float | None = None
    for place, number in enumerate(shown, 1):
        step = steps[number]
        is_new = moves and step.time != before
        before = step.time
        time, block = f"{step.time:g} s" if is_new else "", _block(step, place)
        # Neither blocks nor labels may touch.
        width = max(len(block), len(time)) + 1
        yield _Column(rows[number], block, time, width)


def _block(step: Step, place: int) -> str:
    """What is drawn of a step."""
    roles = dict.fromkeys(_ROLES[use.role] for use in step.shared if use.role)
    marks = "".join([*roles, "x" * step.is_cancelled, "!" * step.is_failing])
    block = f"({place})" if step.event else f"[{place}]"
    return f"{'>' if is_switch(step) else ''}{block}{marks}"


def _left_waiting(steps: Sequence[Step]) -> set[str]:
    """The tasks that wait when the run fails."""
    last = {step.task: step for step in steps if step.task and not step.event}
    return {name for name, step in last.items() if step.outcome.startswith("waits")}


def _row(row: str, head: str, columns: Sequence[_Column], *, is_waiting: bool) -> str:
    own = [place for place, column in enumerate(columns) if column.row == row]
    end = len(columns) if is_waiting else own[-1]
    parts = [head]
    for place, column in enumerate(columns):
        # Between its steps, the task waits.
        filling = "." if own[0] <= place < end else " "
        text = column.block if place in own else ""
        parts.append(text.ljust(column.width, filling))
    return "".join(parts)


def _legend(steps: Sequence[Step], shown: Sequence[int]) -> Iterator[str]:
    """What the marks mean that occur."""
    numbered = [steps[number] for number in shown]
    if any(map(is_switch, numbered)):
        yield "> left stock order"
    raced = {use.text: None for step in numbered for use in step.shared if use.role}
    if raced:
        yield f"r reads, w changes, a acts on {' and '.join(raced)}"
    if any(step.is_cancelled for step in numbered):
        yield "x is cancelled"
    if any(step.is_failing for step in numbered):
        yield "! raises"
    if any(step.event for step in numbered):
        yield "() note or other event"
