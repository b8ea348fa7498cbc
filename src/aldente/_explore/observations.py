"""The outcome of the operations of a run, to compare runs by value."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Hashable
from typing import Any, NamedTuple

from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.operations import Ended, Operations
from aldente._simulation.values import TooLarge, is_value, value_of

TOO_LARGE = "values are too large to be compared"


class ObservedOperations(NamedTuple):
    """The outcome of the operations of a run.

    Attributes:
        things: the classes of what they are operations of, in words.
        results: the result of each, by its caller and name.
        state: the state at the end.
        operations: the operations that have ended, in the order in which they have begun.
        begun: how many have begun.
        shown_state: the state as the report shows it.
        is_ordered: whether operations that did not overlap must keep their order.
        is_plain: whether the program does nothing else than to call them.
        has_time_passed: whether time has passed since they could begin.
        has_timed_out: whether a time-out has fired.
        steps: how many steps the run had when its program had ended.
        doubt: why it may be right although no serial order has this outcome, such as "a time-out
            ended"; empty if it can't be.
    """

    things: str
    results: Hashable
    state: Hashable
    operations: tuple[Ended, ...]
    begun: int
    shown_state: str
    is_ordered: bool
    is_plain: bool
    has_time_passed: bool
    has_timed_out: bool
    steps: int
    doubt: str

    @property
    def key(self) -> Hashable:
        """Equal for runs with the same outcome."""
        return self.results, self.state

    @property
    def calls(self) -> Hashable:
        """Equal for runs that have called the same operations."""
        return frozenset(collections.Counter(map(_identity, self.operations)).items())

    def keeps_order_of(self, other: ObservedOperations) -> bool:
        """Whether operations that did not overlap in another run are in the same order in this."""
        places = {_identity(each): number for number, each in enumerate(self.operations)}
        known = [(each, places.get(_identity(each))) for each in other.operations]
        return not any(
            first.ended < second.began and place is not None and later is not None and place > later
            for first, place in known
            for second, later in known
            if first.call.who is not None and second.call.who is not None
        )


def observed(operations: Operations, loop: SimulatedLoop, *, is_random: bool) -> ObservedOperations:
    """The outcome of the operations of a run that has ended.

    Args:
        operations: the operations.
        loop: the loop of the run.
        is_random: whether the run has drawn random numbers.
    """
    ended = sorted(operations.ended, key=lambda each: each.began)
    # A serial run may cancel them before they begin.
    counted = [each for each in ended if not _is_cancelled(each)]
    doubt = _doubt(operations, loop, is_random=is_random)
    states = [state() for state in operations.states]
    try:
        counts = collections.Counter((_identity(each), _outcome(each)) for each in counted)
        state = tuple(value_of(each) for each in states)
    except TooLarge:
        # Equal to nothing.
        counts, state, doubt = collections.Counter(), (object(),), TOO_LARGE
    shown = ", ".join(_shown(state) for state in states)
    things = " and ".join(dict.fromkeys(type(each).__qualname__ for each in operations.things))
    return ObservedOperations(
        things,
        frozenset(counts.items()),
        state,
        tuple(ended),
        operations.begun,
        shown,
        operations.is_ordered,
        operations.is_plain,
        operations.has_time_passed,
        loop.time_outs_fired > 0,
        loop.steps,
        doubt,
    )


def _doubt(operations: Operations, loop: SimulatedLoop, *, is_random: bool) -> str:
    """Why concurrent operations may rightly have an outcome that no serial order of them has."""
    depends_on_time = operations.have_read_time or loop.follows_wall
    if not operations.are_over:
        return "operations had not ended"
    if any(map(_is_cancelled, operations.ended)):
        return "operations were cancelled"
    if loop.time_outs_fired:
        return "time-outs ended operations"
    if is_random:
        return "random numbers were drawn"
    if operations.has_time_passed and depends_on_time:
        return "operations read a clock"
    if operations.have_set_alarms:
        return "operations set timers"
    if operations.have_left_work:
        # What it does belongs to an operation that has ended.
        return "tasks that the operations do not await did some of their work"
    if operations.are_interfered_with:
        return "the program used the object while operations overlapped"
    return ""


def _is_cancelled(each: Ended) -> bool:
    return isinstance(each.error, asyncio.CancelledError | GeneratorExit)


def _identity(each: Ended) -> Hashable:
    call = each.call
    arguments = value_of(call.arguments), value_of(call.keywords)
    return call.who, call.place, call.name, arguments


def _outcome(each: Ended) -> Hashable:
    if each.error is None:
        return "returned", value_of(each.result)
    return "raised", value_of(each.error)


def _shown(state: Any) -> str:
    if type(state) is dict:
        try:
            state = {name: value for name, value in state.items() if is_value(value)}
        except TooLarge:
            return "..."
    text = repr(state)
    return text if len(text) <= 200 else f"{text[:197]}..."
