"""Finds the real clocks whose readings an assertion compares.

A test on virtual time that measures by ``time.monotonic()`` or ``datetime.now()`` fails, as these
go on with real time. Nothing is watched for that: the bytecode of the function that failed shows
where the values in the assertion come from.
"""

from __future__ import annotations

import builtins
import collections
import dis
from collections.abc import Mapping
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any, NamedTuple

from aldente._records import SourcePlace
from aldente._source import is_users
from aldente._virtual_time.polling import name_of_clock

# Instructions between a name and its attribute that leave the value where it is.
_NEUTRAL = ("CACHE", "EXTENDED_ARG", "PUSH_NULL")


class Reading(NamedTuple):
    """A line that reads a clock.

    Attributes:
        clock: the call, such as ``time.time()``.
        place: the line.
    """

    clock: str
    place: SourcePlace


class _LineEffects:
    """What the instructions of a line do.

    Attributes:
        readings: the clocks that it reads.
        loaded: the local variables that it reads.
        stored: those that it sets.
    """

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.loaded: set[str] = set()
        self.stored: set[str] = set()


def clocks_behind(error: BaseException) -> list[Reading]:
    """The readings of clocks on which the assertion depends that has failed.

    Only what the function itself reads is known, and what it keeps in local variables.

    Args:
        error: the error of the assertion.
    """
    trace = _innermost_of_users(error.__traceback__)
    if trace is None:
        return []
    frame = trace.tb_frame
    lines = _lines_of(frame)
    kept = _kept_readings(lines)
    found: dict[Reading, None] = {}
    for number in _failed_lines(frame.f_code, trace):
        line = lines.get(number, _LineEffects())
        for reading in (
            *line.readings,
            *(each for name in sorted(line.loaded) for each in kept[name]),
        ):
            found[reading] = None
    return sorted(found, key=lambda reading: reading.place.line)


def _innermost_of_users(trace: TracebackType | None) -> TracebackType | None:
    found = None
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename):
            found = trace
        trace = trace.tb_next
    return found


def _failed_lines(code: CodeType, trace: TracebackType) -> range:
    """The lines of the statement that failed."""
    first, last, *_ = list(code.co_positions())[trace.tb_lasti // 2]
    if first is None or last is None:
        return range(trace.tb_lineno, trace.tb_lineno + 1)
    return range(first, last + 1)


def _lines_of(frame: FrameType) -> Mapping[int, _LineEffects]:
    code, lines = frame.f_code, collections.defaultdict[int, _LineEffects](_LineEffects)
    value: Any = None
    # pytest's assertions keep each part of an expression in a variable.
    values: dict[str, Any] = {}
    line: _LineEffects | None = None
    for each in dis.get_instructions(code):
        if each.opname in _NEUTRAL:
            continue
        loaded, stored = _variables_of(each)
        if stored and line is not None and name_of_clock(value) is not None:
            # The clock itself has got another name.
            line.readings.pop()
        values |= dict.fromkeys(stored, value)
        value = values.get(loaded[-1]) if loaded else _value_after(each, value, frame)
        number = each.positions.lineno if each.positions is not None else None
        if number is None:
            continue
        line = lines[number]
        clock = name_of_clock(value)
        if clock is not None:
            line.readings.append(Reading(clock, SourcePlace(code.co_filename, number)))
        line.loaded.update(loaded)
        line.stored.update(stored)
    return lines


def _value_after(each: dis.Instruction, before: Any, frame: FrameType) -> Any:
    """What an instruction has pushed, if it is a global name or an attribute of one; else None."""
    if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
        return frame.f_globals.get(each.argval, vars(builtins).get(each.argval))
    if each.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(before, (ModuleType, type)):
        # Not of instances, whose attributes may run code of the user's.
        return getattr(before, each.argval, None) if type(before) in (ModuleType, type) else None
    return None


def _variables_of(each: dis.Instruction) -> tuple[list[str], list[str]]:
    """The local variables that an instruction reads and sets; one may do both to two."""
    names = each.argval if isinstance(each.argval, tuple) else (each.argval,)
    kinds = [part for part in each.opname.split("_") if part in ("LOAD", "STORE")]
    if "FAST" not in each.opname and "DEREF" not in each.opname:
        kinds = []
    pairs = [pair for pair in zip(kinds, names, strict=False) if isinstance(pair[1], str)]
    return (
        [name for kind, name in pairs if kind == "LOAD"],
        [name for kind, name in pairs if kind == "STORE"],
    )


def _kept_readings(lines: Mapping[int, _LineEffects]) -> Mapping[str, set[Reading]]:
    """The readings that each variable may come from."""
    kept: dict[str, set[Reading]] = collections.defaultdict(set)
    size = -1
    while size != (size := sum(map(len, kept.values()))):
        for line in lines.values():
            sources = set(line.readings).union(*(kept[name] for name in line.loaded))
            for name in line.stored:
                kept[name] |= sources
    return kept
