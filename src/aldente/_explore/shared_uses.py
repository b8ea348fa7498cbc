"""Records what tasks read and change in one run, to find what raced.

This follows each line of the program, so it is used for the run that is reported, and no other.
"""

from __future__ import annotations

import asyncio
import opcode
import sys
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, NamedTuple

from aldente._explore.decisions import (
    NO_FACTS,
    CalledFunction,
    Decisions,
    WatchedRead,
    handled_by,
    is_suspended,
    note_take,
)
from aldente._explore.guards import LineFacts, facts_of
from aldente._explore.kept_values import PERMITS, Before, KeptValues
from aldente._explore.races import RaisedAt, SharedAccess, TaskCall, mark
from aldente._explore.shared_names import ObjectNames, PathUse, element_of, index_in, uses_in
from aldente._own_errors import containing
from aldente._records import SourcePlace
from aldente._runner.threads import attribute_of
from aldente._schedules import SharedUse, Step
from aldente._simulation.loop import SimulatedLoop
from aldente._source import is_programs
from aldente.errors import DeadlockError

# A run with more lines than these is not followed to its end, and then nothing is reported.
_MOST_LINES = 200_000

_MOST_WATCHED = 100  # How many reads a function remembers.
_MISSING = object()

_SIGNALLED = (
    asyncio.Lock,
    asyncio.Event,
    asyncio.Condition,
    asyncio.Semaphore,
    asyncio.Queue,
    asyncio.Future,
)


class _Owned(NamedTuple):
    """An access whose text begins with an object that a reader calls something else.

    Attributes:
        owner: the number of that object.
        class_name: the name of its class.
    """

    owner: Hashable
    class_name: str


class SharedUses:
    """Follows the lines of a run, in the thread of its loop.

    It does nothing where another tool, such as a debugger, traces already.

    Args:
        loop: the loop.
        steps: the steps of the run, which grow.
        keeps_values: whether to keep what each change sets, to compare it with that of other runs;
            changes outside of tasks are noted then as well.

    Attributes:
        accesses: all uses of what tasks share, once the run has ended; empty if they were too many.
        kept: keeps the values; None if they are not kept.
    """

    def __init__(
        self, loop: SimulatedLoop, steps: list[Step], *, keeps_values: bool = False
    ) -> None:
        self.accesses: Sequence[SharedAccess] = ()
        self.kept = KeptValues(loop) if keeps_values else None
        self._loop = loop
        self._steps = steps
        self._accesses: list[SharedAccess] = []
        # By the place of an access: what its text begins with, if not a variable of a reader.
        self._owned: dict[int, _Owned] = {}
        # The calls by which tasks act on others, each with its place among accesses and its step.
        self._signals: list[tuple[int, int, SharedUse, _Owned | None]] = []
        self._lines = 0
        # By the identity of frames, which nothing here keeps alive; a new call replaces the entry.
        self._calls: dict[int, CalledFunction] = {}
        self._names = ObjectNames(None)
        # By the identity of an exception: its type, the step in which it was raised, and how many
        # functions it had passed when it was seen last.
        self._raised: dict[int, tuple[type, int, int]] = {}
        # How often functions were called that have a variable of this file and name for the
        # functions inside of them: each call has one of its own.
        self._scopes: Counter[tuple[str, str]] = Counter()
        self._is_active = False

    def start(self) -> None:
        """Follow what the current thread runs from now on."""
        if sys.gettrace() is None:
            self._is_active = True
            self._names = ObjectNames(self._loop.main_task)
            sys.settrace(self._trace)

    def stop(self, error: BaseException | None = None) -> None:
        """Follow no more, and mark in the steps what raced and where the run has failed.

        Args:
            error: the exception that fails the run.
        """
        if not self._is_active:
            return
        self._is_active = False
        if sys.gettrace() == self._trace:
            sys.settrace(None)
        raised = self._raised_of(error)
        self._calls.clear()
        if self._lines <= _MOST_LINES:
            if raised.step >= 0:
                self._steps[raised.step] = replace(self._steps[raised.step], is_failing=True)
            calls = [
                TaskCall(place, step, self._described_use(use, owned))
                for place, step, use, owned in self._signals
            ]
            self.accesses = tuple(self._described_accesses())
            mark(self._steps, self.accesses, calls, raised)
        self._accesses.clear()
        self._owned.clear()
        self._signals.clear()
        self._names.clear()
        self._raised.clear()

    # The tracer.

    @containing("following what tasks read and change", None)
    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if not is_programs(frame.f_code.co_filename) or self._lines > _MOST_LINES:
            return None
        if event == "call" and frame.f_lineno == frame.f_code.co_firstlineno:
            # A call, and no coroutine that goes on.
            self._calls.pop(id(frame), None)
            self._scopes.update(
                (frame.f_code.co_filename, name) for name in frame.f_code.co_cellvars
            )
        elif event == "call":
            self._go_on(frame)
        elif event == "line":
            call = self._call_of(frame)
            if call.line == frame.f_lineno:
                # The line goes on, after a part of it such as a comprehension.
                return self._trace
            self._lines += 1
            self._end_line(frame, call)
            self._begin_line(frame, call)
        elif event == "return":
            if not is_suspended(frame) and id(frame) in self._calls:
                self._end_line(frame, self._calls[id(frame)])
                del self._calls[id(frame)]
            # A frame that an exception holds keeps nothing of this; one that goes on is traced
            # anew.
            del frame.f_trace
            return None
        elif event == "exception" and not _is_end_of_iteration(argument):
            self._note_raised(argument)
            broken = self._calls.get(id(frame))
            if broken is not None:
                # What the rest of the line would have changed is as it was.
                broken.line, broken.changes = 0, []
        return self._trace

    def _call_of(self, frame: FrameType) -> CalledFunction:
        call = self._calls.get(id(frame))
        if call is None:
            call = self._calls[id(frame)] = CalledFunction(frame.f_code)
        return call

    def _begin_line(self, frame: FrameType, call: CalledFunction) -> None:
        line, file = frame.f_lineno, frame.f_code.co_filename
        facts = facts_of(file).get(line, NO_FACTS)
        if line != call.last:
            # Else an exception, such as a cancellation, may have come where it waited.
            self._note_acts(frame, call, facts)
        own = {name for name in facts.stores if _is_own_variable(name, frame)}
        for watched in call.watched:
            watched.pass_on(facts, own)
        if self.kept is not None:
            self.kept.handled.update(handled_by(self._calls, frame, facts))
        call.line = call.last = line
        if call.instructions[frame.f_lasti] == _NOP:
            # Of a block that is skipped, Python may show the last line on the way behind it.
            return
        for use in uses_in(file).get(line, ()):
            if use.is_change:
                call.changes.append(use)
                if self.kept is not None:
                    self._note_before(frame, call, use)
                continue
            kept = facts.keeps.get(use.text, "")
            for access in self._note(frame, line, use):
                self._watch(call, access, facts.guarded, kept if kept in own else "", own)

    def _go_on(self, frame: FrameType) -> None:
        """Note anew what there is, as others may have changed it while the line waited."""
        call = self._calls.get(id(frame))
        if call is not None and self.kept is not None:
            for use in call.changes:
                self._note_before(frame, call, use)

    def _note_before(self, frame: FrameType, call: CalledFunction, use: PathUse) -> None:
        """Note what there is of what a line is going to change."""
        call.before.pop(use, None)
        for _, value in self._find(frame, use):
            is_part = use.is_of_elements and index_in(frame, use) is None
            call.before[use] = Before.of(value, is_whole=use.is_conditional or is_part)

    def _watch(
        self, call: CalledFunction, access: int, guarded: frozenset[int], kept: str, own: set[str]
    ) -> None:
        """Remember what a line has read, if lines that follow may act by it."""
        key, at = self._accesses[access].key, self._accesses[access].use.at
        if _is_of_elements(key):
            # The variable shows what the container has now.
            kept = ""
        before = (self._accesses[each.access] for each in call.watched)
        is_again = [(each.key, each.use.at) == (key, at) for each in before]
        call.watched = [
            each for each, again in zip(call.watched, is_again, strict=True) if not again
        ]
        # Each line looks at all of them: a loop that makes new containers reads another each time.
        del call.watched[:-_MOST_WATCHED]
        call.watched.append(WatchedRead(access, at.line, guarded, kept, set(own)))

    def _note_acts(self, frame: FrameType, call: CalledFunction, facts: LineFacts) -> None:
        """Note that a line acts by what was read in an earlier step, current or not."""
        step, line = len(self._steps) - 1, frame.f_lineno
        for watched in call.watched:
            read = self._accesses[watched.access]
            kept = watched.kept if watched.kept in facts.loads else ""
            if read.step < step and (kept or (facts.acts and line in watched.guarded)):
                at = SourcePlace(frame.f_code.co_filename, line)
                use = SharedUse(read.use.text, False, "", at, kept=kept)
                owned = self._owned.get(watched.access)
                place = len(self._accesses)
                if owned is not None:
                    self._owned[place] = owned
                self._accesses.append(
                    SharedAccess(place, step, read.task, read.key, use, of=watched.access)
                )

    def _decisions(self, frame: FrameType | None) -> Decisions:
        """The reads by which a line does what it does, or calls what does it."""
        found: list[int] = []
        computed: list[int] = []
        is_callers = False
        while frame is not None:
            call = self._calls.get(id(frame))
            if call is not None and call.watched:
                line = call.line or frame.f_lineno
                facts = facts_of(frame.f_code.co_filename).get(line, NO_FACTS)
                for each in call.watched:
                    if each.decides(line, facts):
                        found.append(each.access)
                        # A line that reads a thing and sets it, as `+=` does, has used the value.
                        if each.is_used_by(facts) or (line == each.line and not is_callers):
                            computed.append(each.access)
            frame, is_callers = frame.f_back, True
        return Decisions(frozenset(found), frozenset(computed))

    def _end_line(self, frame: FrameType, call: CalledFunction) -> None:
        """Note what the line that ends has changed."""
        for use in call.changes:
            if not (use.is_conditional and self._is_left_out(frame, call, use)):
                self._note(frame, call.line, use)
        call.line, call.changes = 0, []

    def _is_left_out(self, frame: FrameType, call: CalledFunction, use: PathUse) -> bool:
        """Whether a line that need not make a change has made none."""
        before = call.before.get(use)
        return before is not None and all(
            before.is_left(value) for _, value in self._find(frame, use)
        )

    def _note(self, frame: FrameType, line: int, use: PathUse) -> list[int]:
        """Note a use; return the places of its accesses among all."""
        task = asyncio.current_task(self._loop)
        if not self._steps or (task is None and (self.kept is None or not use.is_change)):
            return []
        if use.is_call:
            self._note_call(frame, line, use)
            return []
        if use.amount:
            self._note_permit(frame, line, use)
            return []
        places = []
        decisions = self._decisions(frame) if use.is_change else Decisions()
        index = index_in(frame, use)
        for key, value in self._find(frame, use):
            at = SourcePlace(frame.f_code.co_filename, line)
            text, shown = element_of(use, value, index)
            shared = SharedUse(text, use.is_change, shown, at)
            places.append(len(self._accesses))
            owned = self._owner(frame, use)
            if owned is not None:
                self._owned[len(self._accesses)] = owned
            self._accesses.append(
                SharedAccess(
                    len(self._accesses),
                    len(self._steps) - 1,
                    "" if task is None else task.get_name(),
                    key,
                    shared,
                    deciding=decisions.all,
                    computed_from=decisions.computed,
                    is_in_place=use.is_of_elements,
                    element=index if issubclass(type(value), (dict, set)) else None,
                )
            )
            if use.is_change and self.kept is not None:
                before = self._call_of(frame).before.get(use, Before(None))
                kept = self.kept.add_to(self._accesses[-1], value, before, self._names)
                self._accesses[-1] = kept
                if kept.delta:
                    note_take(self._calls, frame, kept.place)
        return places

    def _note_call(self, frame: FrameType, line: int, use: PathUse) -> None:
        """Note a call by which a task acts on others, if it is one."""
        if issubclass(type(self._value_of(frame, use.path)), _SIGNALLED):
            at = SourcePlace(frame.f_code.co_filename, line)
            shared = SharedUse(use.text, True, "", at, is_call=True)
            place, step = len(self._accesses), len(self._steps) - 1
            self._signals.append((place, step, shared, self._owner(frame, use)))

    def _note_permit(self, frame: FrameType, line: int, use: PathUse) -> None:
        """Note that a task takes a permit, or puts one back, if it is one."""
        thing = self._value_of(frame, use.path)
        if self.kept is not None and issubclass(type(thing), PERMITS):
            at = SourcePlace(frame.f_code.co_filename, line)
            task = asyncio.current_task(self._loop)
            place = len(self._accesses)
            owned = self._owner(frame, use)
            if owned is not None:
                self._owned[place] = owned
            self._accesses.append(
                SharedAccess(
                    place,
                    len(self._steps) - 1,
                    "" if task is None else task.get_name(),
                    ("permits", self._names.number_of(thing)),
                    SharedUse(use.text, True, "", at),
                    is_in_place=True,
                    delta=use.amount,
                )
            )
            note_take(self._calls, frame, place)

    def _owner(self, frame: FrameType, use: PathUse) -> _Owned | None:
        """The object that a use calls ``self``."""
        if use.path[0] != "self" or "self" not in frame.f_locals or use.text == "self":
            return None
        owner = frame.f_locals["self"]
        self._names.look_for(owner, frame)
        return _Owned(self._names.number_of(owner), type(owner).__name__)

    def _value_of(self, frame: FrameType, path: Sequence[str]) -> Any:
        name, *attributes = path
        value = frame.f_locals.get(name, frame.f_globals.get(name, _MISSING))
        for attribute in attributes:
            value = _MISSING if value is _MISSING else attribute_of(value, attribute, _MISSING)
        return value

    def _find(self, frame: FrameType, use: PathUse) -> list[tuple[Hashable, Any]]:
        """What a use is about, with its value; empty if tasks can't share it, or it is not there.

        A variable with a container is two things: which container it has, and what that contains.
        """
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
                return []
            key = "attribute", self._names.number_of(value), attribute
            value = attribute_of(value, attribute, _MISSING)
        found: list[tuple[Hashable, Any]] = []
        is_used = use.is_of_elements or not use.is_change
        if is_used and issubclass(type(value), (list, dict, set, deque)):
            # With its name, if that is shared: another container may get its identity later.
            found.append((("elements", key, id(value)), value))
        is_class = issubclass(type(value), type)
        if use.is_of_elements or key is None or value is _MISSING or is_class:
            return found
        if any("__get__" in vars(base) for base in type(value).__mro__):
            # A method, or a property, whose code uses what the object has.
            return found
        return [*found, (key, value)]

    def _note_raised(self, argument: Any) -> None:
        _, error, traceback = argument
        depth = 0
        while traceback is not None:
            depth, traceback = depth + 1, traceback.tb_next
        known = self._raised.get(id(error))
        step = len(self._steps) - 1
        if known is not None and known[0] is type(error) and depth > known[2]:
            # It is on its way to a caller, or to a task that awaits the one that has raised it.
            step = known[1]
        self._raised[id(error)] = type(error), step, depth

    # The results.

    def _raised_of(self, error: BaseException | None) -> RaisedAt:
        """Where an exception was raised first; of a group, the first one in it."""
        leaves = list(_leaves(error))
        steps = [
            (self._raised[id(leaf)][1], index)
            for index, leaf in enumerate(leaves)
            if id(leaf) in self._raised and self._raised[id(leaf)][0] is type(leaf)
        ]
        if isinstance(error, DeadlockError):
            return self._stuck()
        if not steps:
            return RaisedAt(-1)
        step, index = min(steps)
        lines, traceback = set(), leaves[index].__traceback__
        while traceback is not None:
            path = traceback.tb_frame.f_code.co_filename
            lines.add(SourcePlace(path, traceback.tb_lineno))
            traceback = traceback.tb_next
        return RaisedAt(step, lines)

    def _stuck(self) -> RaisedAt:
        """Where tasks wait in a deadlock."""
        lines = {SourcePlace(call.file, call.line) for call in self._calls.values() if call.line}
        last = {step.task: number for number, step in enumerate(self._steps) if not step.event}
        return RaisedAt(-1, lines, last)

    def _described_accesses(self) -> Iterator[SharedAccess]:
        """All accesses, as a reader names what they use; of the same number as recorded."""
        for place, access in enumerate(self._accesses):
            if not self._is_one_thing(access.key):
                # So that it is equal to no other.
                yield access._replace(key=("unknown", place), of=-1)
                continue
            yield access._replace(use=self._described_use(access.use, self._owned.get(place)))

    def _described_use(self, use: SharedUse, owned: _Owned | None) -> SharedUse:
        if owned is None:
            return use
        name = self._names.name_of(owned.owner, owned.class_name)
        return use._replace(text=name + use.text.removeprefix("self"))

    def _is_one_thing(self, key: Hashable) -> bool:
        """Whether a key surely stands for one variable; a frame does not show which cell it has."""
        match key:
            case ("cell", str(file), str(name)) | ("elements", ("cell", str(file), str(name)), _):
                return self._scopes[file, name] == 1
        return True


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    elif error is not None:
        yield error


def _is_own_variable(name: str, frame: FrameType) -> bool:
    """Whether only the function itself can set a variable."""
    return name in frame.f_code.co_varnames and name not in frame.f_code.co_cellvars


def _is_of_elements(key: Hashable) -> bool:
    """Whether a key stands for what a container contains."""
    return isinstance(key, tuple) and key[0] == "elements"


def _is_end_of_iteration(argument: Any) -> bool:
    """Whether an exception only ends a loop, or what is awaited."""
    return issubclass(argument[0], (StopIteration, StopAsyncIteration))


_NOP = opcode.opmap["NOP"]
