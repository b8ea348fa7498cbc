"""Records what tasks read and change in one run, and finds what raced: a value that one task read
and another changed before the first was done with it.

This follows each line of the program, so it is used for the run that is reported, and no other.
"""

from __future__ import annotations

import asyncio
import inspect
import opcode
import sys
import weakref
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, NamedTuple

from aldente._explore.shared_names import Use, uses_in
from aldente._own_errors import containing
from aldente._records import SourcePlace
from aldente._runner.threads import attribute_of
from aldente._schedules import SharedUse, Step
from aldente._simulation.trace import in_brief
from aldente._source import is_programs

# A run with more lines than these is not followed to its end, and then nothing is said.
_MOST_LINES = 200_000

_MISSING = object()


class _Access(NamedTuple):
    """A use of something that tasks may share.

    Attributes:
        step: the number of the step in which it happens.
        task: the name of the task.
        key: what is used: equal for two uses of the same thing.
        use: for the story.
    """

    step: int
    task: str
    key: Hashable
    use: SharedUse


class SharedUses:
    """Follows the lines of a run, in the thread of its loop.

    It does nothing where another tool, such as a debugger, traces already.

    Args:
        loop: the loop.
        steps: the steps of the run, which grow.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, steps: list[Step]) -> None:
        self._loop = loop
        self._steps = steps
        self._accesses: list[_Access] = []
        self._lines = 0
        # The lines that have begun, by frame; a suspended task is still on its line.
        self._open: dict[FrameType, tuple[int, list[Use]]] = {}
        # Numbers of the objects that were used, by identity. Nothing keeps them alive, as the run
        # has to free them when it would.
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._numbers = 0
        # How often functions were called that have a variable of this file and name for the
        # functions inside of them: each call has one of its own.
        self._scopes: Counter[tuple[str, str]] = Counter()
        self._is_active = False

    def start(self) -> None:
        """Follow what the current thread runs from now on."""
        if sys.gettrace() is None:
            self._is_active = True
            sys.settrace(self._trace)

    def stop(self) -> None:
        """Follow no more, and mark the uses of what raced in the steps."""
        if not self._is_active:
            return
        self._is_active = False
        if sys.gettrace() == self._trace:
            sys.settrace(None)
        self._open.clear()
        if self._lines <= _MOST_LINES:
            _mark(self._steps, [each for each in self._accesses if self._is_one_thing(each.key)])
        self._accesses.clear()
        self._known.clear()

    @containing("following what tasks read and change", None)
    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if not is_programs(frame.f_code.co_filename) or self._lines > _MOST_LINES:
            return None
        if event == "call" and frame.f_lineno == frame.f_code.co_firstlineno:
            # A call, and no coroutine that goes on.
            self._scopes.update(
                (frame.f_code.co_filename, name) for name in frame.f_code.co_cellvars
            )
        elif event == "line":
            if frame in self._open and self._open[frame][0] == frame.f_lineno:
                # The line goes on, after a part of it such as a comprehension.
                return self._trace
            self._lines += 1
            self._end_line(frame)
            self._begin_line(frame)
        elif event == "return":
            if not _is_suspended(frame):
                self._end_line(frame)
            # A frame that an exception holds keeps nothing of this; one that goes on is traced
            # anew.
            del frame.f_trace
            return None
        elif event == "exception" and not _is_end_of_iteration(argument):
            # What the rest of the line would have changed is as it was.
            self._open.pop(frame, None)
        return self._trace

    def _begin_line(self, frame: FrameType) -> None:
        changes: list[Use] = []
        for use in uses_in(frame.f_code.co_filename).get(frame.f_lineno, ()):
            if use.is_change:
                changes.append(use)
            else:
                self._note(frame, frame.f_lineno, use)
        if changes:
            self._open[frame] = frame.f_lineno, changes

    def _end_line(self, frame: FrameType) -> None:
        """Note what the line that ends has changed."""
        line, changes = self._open.pop(frame, (0, []))
        for use in changes:
            self._note(frame, line, use)

    def _note(self, frame: FrameType, line: int, use: Use) -> None:
        task = asyncio.current_task(self._loop)
        found = self._find(frame, use) if task is not None and self._steps else None
        if task is None or found is None:
            return
        key, value = found
        place = SourcePlace(frame.f_code.co_filename, line)
        shared = SharedUse(use.text, use.is_change, in_brief(value), place)
        self._accesses.append(_Access(len(self._steps) - 1, task.get_name(), key, shared))

    def _find(self, frame: FrameType, use: Use) -> tuple[Hashable, Any] | None:
        """What a use is about, and its value; None if tasks can't share it, or it is not there."""
        name, *attributes = use.path
        code = frame.f_code
        variables: Any = frame.f_locals
        is_local = name in variables
        value = variables.get(name, _MISSING) if is_local else frame.f_globals.get(name, _MISSING)
        key: Hashable | None = None
        if not attributes:
            if name in code.co_freevars or name in code.co_cellvars:
                key = "cell", code.co_filename, name
            elif not is_local and name in frame.f_globals:
                key = "global", id(frame.f_globals), name
        for attribute in attributes:
            if value is _MISSING:
                return None
            key = "attribute", self._number_of(value), attribute
            value = attribute_of(value, attribute, _MISSING)
        if use.is_of_elements or isinstance(value, list | dict | set):
            if not isinstance(value, list | dict | set):
                return None
            if use.is_of_elements or not use.is_change:
                # With its name, if that is shared: another container may get its identity later.
                return ("elements", key, id(value)), value
        if key is None or value is _MISSING or isinstance(value, type):
            return None
        if hasattr(type(value), "__get__"):
            # A method, or a property, whose code uses what the object has.
            return None
        return key, value

    def _is_one_thing(self, key: Hashable) -> bool:
        """Whether a key surely stands for one variable; a frame does not show which cell it has."""
        match key:
            case ("cell", str(file), str(name)):
                return self._scopes[file, name] == 1
        return True

    def _number_of(self, thing: object) -> Hashable:
        """A number that no other object of the run has; its identity where that can't be known."""
        known = self._known.get(id(thing))
        if known is not None and known[0]() is thing:
            return known[1]
        try:
            reference = weakref.ref(thing)
        except TypeError:
            return "identity", id(thing)
        self._numbers += 1
        self._known[id(thing)] = reference, self._numbers
        return self._numbers


def _is_end_of_iteration(argument: Any) -> bool:
    """Whether an exception only ends a loop, or what is awaited."""
    return issubclass(argument[0], (StopIteration, StopAsyncIteration))


def _is_suspended(frame: FrameType) -> bool:
    """Whether a frame that returns only waits: a coroutine that is going to go on."""
    flags = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
    if not frame.f_code.co_flags & flags:
        return False
    return frame.f_code.co_code[frame.f_lasti] not in _RETURNS


_RETURNS = frozenset(
    opcode.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in opcode.opmap
)


def _mark(steps: list[Step], accesses: Sequence[_Access]) -> None:
    """Give the steps of a race the uses of what raced."""
    race = next(_races(accesses), None)
    if race is None:
        return
    for number in {access.step for access in race}:
        uses = tuple(access.use for access in race if access.step == number)
        steps[number] = replace(steps[number], shared=uses)


def _races(accesses: Sequence[_Access]) -> Iterator[tuple[_Access, _Access, _Access]]:
    """The races of a run, the last one first: a read, a change by another, a change by the reader.

    The reader changes the thing in a later step than that in which it has read it, by what is out
    of date then.
    """
    by_key: dict[Hashable, list[_Access]] = defaultdict(list)
    for access in accesses:
        by_key[access.key].append(access)
    found = [race for uses in by_key.values() for race in _races_of(uses)]
    yield from sorted(found, key=lambda race: race[2].step, reverse=True)


def _races_of(uses: Sequence[_Access]) -> Iterator[tuple[_Access, _Access, _Access]]:
    # By task: its last read that it may act on; the change that has made that out of date; and what
    # it has read since.
    reads: dict[str, _Access] = {}
    changed: dict[str, _Access] = {}
    fresh: dict[str, _Access] = {}
    for access in uses:
        task = access.task
        if not access.use.is_change:
            (fresh if task in changed else reads)[task] = access
            continue
        if task in changed and _acts_on(fresh.get(task), access):
            yield reads[task], changed[task], access
        for known in (reads, changed, fresh):
            known.pop(task, None)
        reads.update(fresh)
        for other in reads.keys() - (changed.keys() - fresh.keys()):
            changed[other] = access
        fresh.clear()


def _acts_on(read: _Access | None, change: _Access) -> bool:
    """Whether a task changes something by what is out of date, though it may have read it since.

    To read it on the very line of the change, as ``+=`` does, is no check.
    """
    return read is None or (read.step == change.step and read.use.at.line == change.use.at.line)
