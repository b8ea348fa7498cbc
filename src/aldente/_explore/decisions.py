"""What a function has read of what tasks share, and which of its lines depend on that.

Also what functions take and put back, and what they do about it when an exception comes.
"""

from __future__ import annotations

import inspect
import opcode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, NamedTuple

from aldente._explore.guards import LineFacts, facts_of
from aldente._explore.kept_values import Before
from aldente._explore.shared_names import PathUse

_EXITS = ("__exit__", "__aexit__")


def note_take(calls: Mapping[int, CalledFunction], frame: FrameType, access: int) -> None:
    """Note that a line has changed a count or container, for its function and its callers.

    Args:
        calls: the calls that have not returned, by the identity of their frames.
        frame: the function.
        access: the place of the change among all accesses.
    """
    for call, caller in _stack(calls, frame):
        line = call.line or caller.f_lineno
        facts = facts_of(call.file).get(line, NO_FACTS)
        stored = frozenset(facts.stores)
        call.takes.append(Take(access, stored, stored | facts.loads))


def handled_by(
    calls: Mapping[int, CalledFunction], frame: FrameType, facts: LineFacts
) -> Iterator[int]:
    """The places of the changes that a line handles after an exception.

    Args:
        calls: the calls that have not returned, by the identity of their frames.
        frame: the function, whose line begins.
        facts: about that line.
    """
    if not facts.acts:
        return
    if facts.handles or facts.cleans:
        yield from (take.access for take in calls[id(frame)].takes if take.is_handled_by(facts))
    if frame.f_code.co_name in _EXITS and _has_exception_argument(frame):
        for call, _ in _stack(calls, frame.f_back):
            yield from (take.access for take in call.takes)


def _stack(
    calls: Mapping[int, CalledFunction], frame: FrameType | None
) -> Iterator[tuple[CalledFunction, FrameType]]:
    while frame is not None:
        call = calls.get(id(frame))
        if call is not None:
            yield call, frame
        frame = frame.f_back


def _has_exception_argument(frame: FrameType) -> bool:
    """Whether an exception is among the arguments of a frame's function."""
    code = frame.f_code
    count = code.co_argcount + bool(code.co_flags & inspect.CO_VARARGS)
    given: list[Any] = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    return any(isinstance(each, BaseException) for each in given) or any(
        isinstance(each, BaseException)
        for values in given
        if type(values) is tuple
        for each in values
    )


NO_FACTS = LineFacts()


@dataclass(slots=True)
class WatchedRead:
    """What a function has read, and may still rely on when it is out of date.

    Attributes:
        access: the place of the read among all accesses.
        line: the line that has read it.
        guarded: the lines that it decides about.
        kept: the variable that keeps it; empty if none does.
        derived: the variables that were set by it.
    """

    access: int
    line: int
    guarded: frozenset[int]
    kept: str
    derived: set[str]

    def decides(self, line: int, facts: LineFacts) -> bool:
        """Whether what a line does depends on what was read."""
        return line == self.line or line in self.guarded or self.is_used_by(facts)

    def is_used_by(self, facts: LineFacts) -> bool:
        """Whether a line uses the value, or one that was computed from it."""
        return not self.derived.isdisjoint(facts.loads)

    def pass_on(self, facts: LineFacts, own: set[str]) -> None:
        """Follow the value from variable to variable, as a line sets them."""
        if not self.derived.isdisjoint(facts.loads):
            self.derived |= own
        else:
            self.derived -= facts.stores
        if self.kept in facts.stores:
            self.kept = ""


class Take(NamedTuple):
    """A change of a count or container, made by a line or by what that has called.

    Attributes:
        access: the place of the change among all accesses.
        stored: the variables that the line sets, as it may keep there what it has taken.
        named: all variables of the line.
    """

    access: int
    stored: frozenset[str]
    named: frozenset[str]

    def is_handled_by(self, facts: LineFacts) -> bool:
        """Whether a line that an exception leads to does something about what was taken."""
        if not facts.acts:
            return False
        names = facts.loads | facts.stores
        return (facts.handles and not self.named.isdisjoint(names)) or (
            facts.cleans and not self.stored.isdisjoint(names)
        )


class CalledFunction:
    """A call of a function that has not returned.

    Attributes:
        file: its file.
        instructions: those of its code.
        line: the line that has begun; a suspended task is still on it. 0 if an exception ended it.
        last: the line that has begun last, also if an exception has ended it.
        changes: what that line is going to change.
        before: what there was of it when the line began or went on, if values are kept.
        watched: what it may act by.
        takes: what its lines have taken or put back, if values are kept.
    """

    __slots__ = ("before", "changes", "file", "instructions", "last", "line", "takes", "watched")

    def __init__(self, code: CodeType) -> None:
        self.file = code.co_filename
        self.instructions = code.co_code
        self.line = self.last = 0
        self.changes: list[PathUse] = []
        self.before: dict[PathUse, Before] = {}
        self.watched: list[WatchedRead] = []
        self.takes: list[Take] = []


class Decisions(NamedTuple):
    """The reads by which a line does what it does, by their places among all accesses.

    Attributes:
        all: all of them.
        computed: those of which it uses the value; the others decide that it is reached.
    """

    all: frozenset[int] = frozenset()
    computed: frozenset[int] = frozenset()


def is_suspended(frame: FrameType) -> bool:
    """Whether a frame that returns only waits: a coroutine that is going to go on."""
    flags = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
    if not frame.f_code.co_flags & flags:
        return False
    return frame.f_code.co_code[frame.f_lasti] not in _RETURNS


# By the last, an exception goes on after a `finally` or `except` block, whose last line has ended.
_RETURNS = frozenset(
    opcode.opmap[name]
    for name in ("RETURN_VALUE", "RETURN_CONST", "RERAISE")
    if name in opcode.opmap
)
