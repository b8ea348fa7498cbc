"""What functions take and put back, and what they do about it when an exception comes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from aldente._explore.decisions import NO_FACTS, CalledFunction, Take
from aldente._explore.guards import LineFacts, facts_of

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
    """The places of the changes about which a line does something, after an exception.

    Args:
        calls: the calls that have not returned, by the identity of their frames.
        frame: the function, whose line begins.
        facts: about that line.
    """
    if not facts.acts:
        return
    if facts.handles or facts.cleans:
        yield from (take.access for take in calls[id(frame)].takes if take.is_handled_by(facts))
    if frame.f_code.co_name in _EXITS and _is_told_of_exception(frame):
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


def _is_told_of_exception(frame: FrameType) -> bool:
    """Whether a context manager ends by an exception."""
    code = frame.f_code
    count = code.co_argcount + bool(code.co_flags & inspect.CO_VARARGS)
    given: list[Any] = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    return any(isinstance(each, BaseException) for each in given) or any(
        isinstance(each, BaseException)
        for values in given
        if type(values) is tuple
        for each in values
    )
