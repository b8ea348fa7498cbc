"""Says why a history is not linearizable: a small part of it, and what is impossible in that."""

from __future__ import annotations

import sys
from collections.abc import Sequence, Set
from typing import NamedTuple

from aldente._histories.linearizability import (
    Configuration,
    Event,
    Failure,
    OutOfSteps,
    events_of,
    find_failure,
)
from aldente._histories.operations import UNSAID, Operation
from aldente._histories.sequential import Machine
from aldente._histories.timeline import Bar, bar_of, draw, fits
from aldente._histories.values import shown

# The greatest number of operations before the part that are drawn with it.
_MOST_BEFORE = 6

# The greatest number of operations of which each is left out in turn.
_MOST_LEFT_OUT = 60

# How many steps of the model that may take.
_MOST_STEPS = 100_000

_MOST_RESULTS = 3


class Reason(NamedTuple):
    """A part of a history that no order explains.

    Attributes:
        operations: the operations of the part.
        last: the operation that no order reaches.
        model: the model before the part.
        sentence: what is impossible.
        timeline: the picture.
        bars: what is in it.
    """

    operations: tuple[Operation, ...]
    last: Operation
    model: object
    sentence: str
    timeline: str
    bars: tuple[Bar, ...]


def find_reason(machine: Machine, operations: Sequence[Operation]) -> Reason | None:
    """Find the part of some operations that no order explains; None if one explains all of them.

    Args:
        machine: the model; its steps have no limit here, as a search with one has ended.
        operations: the operations.
    """
    events = events_of(operations)
    failure = find_failure(machine, events, sys.maxsize)
    if failure is None:
        return None
    start = Configuration(0, failure.start.state)
    pending = events[failure.cut].pending
    placed = {one.began for bit, one in pending if failure.start.placed & bit}
    part = _part(events, failure, placed)
    part = _without_readers(machine, part, start, failure)
    events = events_of(part)
    found = find_failure(machine, events, sys.maxsize, start)
    assert found is not None
    last = events[found.event].operation
    bars = tuple(_bars(operations, part, placed, last))
    return Reason(
        tuple(part),
        last,
        machine.state(failure.start.state),
        _sentence(machine, found, last),
        "\n".join(draw(bars)),
        bars,
    )


def _bars(
    operations: Sequence[Operation],
    part: Sequence[Operation],
    placed: Set[int],
    last: Operation,
) -> list[Bar]:
    """The bars of the part, and of some operations before, if there is room."""
    bars = [bar_of(operation, repr(operation), operation is last) for operation in part]
    drawn = {operation.began for operation in part}
    earlier = [
        bar_of(one, repr(one), is_dotted=True)
        for one in operations
        if one.began not in drawn
        and (one.began in placed or (one.outcome == "returned" and one.ended < last.ended))
    ]
    for count in range(min(len(earlier), _MOST_BEFORE), 0, -1):
        if fits([*earlier[-count:], *bars]):
            return [*earlier[-count:], *bars]
    return bars


def _part(events: Sequence[Event], failure: Failure, placed: Set[int]) -> list[Operation]:
    """The operations that have begun before the failure, and had no effect before the cut."""
    ended = {event.operation.began for event in events[: failure.cut] if event.is_end}
    return [
        event.operation
        for event in events[: failure.event]
        if not event.is_end and event.operation.began not in ended | placed
    ]


def _without_readers(
    machine: Machine,
    part: list[Operation],
    start: Configuration,
    failure: Failure,
) -> list[Operation]:
    """Leave out operations that never change the state, as long as no order explains the rest."""
    if len(part) > _MOST_LEFT_OUT:
        return part
    most = machine.steps + _MOST_STEPS
    for operation in list(part):
        if operation.began in failure.changing or operation.outcome == "unknown":
            continue
        rest = [other for other in part if other is not operation]
        try:
            if rest and find_failure(machine, events_of(rest), most, start) is not None:
                part = rest
        except OutOfSteps:
            break
    return part


def _sentence(machine: Machine, failure: Failure, last: Operation) -> str:
    results: list[str] = []
    waits = False
    for configuration in sorted(failure.reached):
        move = machine.move(configuration.state, last)
        if move is None:
            waits = True
        elif shown(move.result) not in results:
            results.append(shown(move.result))
    did = "ended" if last.result is UNSAID else f"returned {shown(last.result)}"
    if len(results) > _MOST_RESULTS:
        results[_MOST_RESULTS - 1 :] = ["something else"]
    may = f"returns {' or '.join(results)}" if results else ""
    if waits:
        may += f"{' or ' if may else ''}can't happen"
    others = "in every order that explains the other results"
    return f"{last.call} of {last.who!r} {did}, but {others} it {may}."
