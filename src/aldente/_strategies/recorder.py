"""`AccessRecorder`: what running code reads and writes, by name and, where possible, by object."""

from __future__ import annotations

import inspect
import sys
from sys import getrefcount
from threading import get_ident
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

from aldente import _own_errors
from aldente._python_compat import identity_of
from aldente._source import frames_of_callers
from aldente._strategies.bytecode import AWAITS_FUTURE, Analysis, analyse
from aldente._strategies.effects import ITEMS, ITERATORS, Effects, Objects
from aldente._strategies.footprints import (
    Iterates,
    change_of_one,
    compares_elements,
    effects_of_call,
    future_of,
    is_expression,
    is_ignored,
    iterates_over,
    iterates_over_result,
    only_takes,
    returns_scalar,
)
from aldente._strategies.instances import UNKNOWN, Instances
from aldente._strategies.line_counter import free_tool_number
from aldente._strategies.plans import ANYTHING, HARMLESS, Accesses
from aldente._strategies.resolution import Resolver, Variables, variables_of
from aldente._strategies.symbols import SCALARS, Origin

_INITIALISER = "__init__"

# How many of them to remember; a program may make new ones in each run.
_MOST_INITIALISERS = 200


class _SampleHolder:
    """Something that holds a container."""

    def __init__(self) -> None:
        self.items: list[int] = []


# As code of a program, of which the recorder sees the calls.
_SAMPLE_CODE = compile(
    "def use(sample):\n    sample.items.clear()\n    items = sample.items\n    items.clear()\n",
    "<sample>",
    "exec",
)
_NO_VARIABLES: Variables = {}


class _Loops(NamedTuple):
    """What the loops of a function go through, by their offsets; the function is kept alive."""

    code: CodeType
    known: dict[int, Iterates]


class AccessRecorder:
    """Records what all code reads and writes, by `sys.monitoring`.

    `start` fails on Python 3.11, which lacks it, and if other tools have all of its numbers.

    Attributes:
        is_misled: whether an assumption proved wrong, so that earlier records may be wrong too.
        instances: the numbers of the instances that the run has made since `begin_run`.
    """

    def __init__(self) -> None:
        self.is_misled = False
        self.instances = Instances()
        self._resolver = Resolver(self.instances)
        # By the identity of a function.
        self._loops: dict[int, _Loops] = {}
        self._number: int | None = None
        # Each ``__init__`` that was seen, by its identity, and the event on which all are watched.
        self._initialisers: dict[int, CodeType] = {}
        self._is_watching = 0
        # The functions whose lines are recorded, by their identity.
        self._watched: dict[int, CodeType] = {}
        self._is_recording = False
        # Events of all threads arrive, such as those of a test runner.
        self._thread = get_ident()
        self._frames = frames_of_callers(2)
        # How many references a container has at most that only an attribute holds, when one of its
        # methods is called; by whether it comes from that attribute or a variable.
        self._alone: dict[Origin, int] = {}
        # The calls of this step that made an iterator for what encloses them, each by the identity
        # of its frame and its offset.
        self._makers: set[tuple[int, int]] = set()
        # What may follow in this step if these functions return no scalar.
        self._tested: dict[int, Accesses] = {}

    @property
    def is_recording(self) -> bool:
        """Whether it has started and not stopped."""
        return self._is_recording

    def begin_run(self) -> None:
        """Number the instances that are made from now on, if that is possible.

        Of classes of which the recorder has not seen an instance before, none is numbered: then the
        signature shows that runs differ. That way functions other than ``__init__`` run at full
        speed.
        """
        self.instances.begin_run()
        self._thread = get_ident()
        self._take_number()
        if sys.version_info >= (3, 12) and self._number is not None:
            event = sys.monitoring.events.PY_START
            sys.monitoring.register_callback(self._number, event, self._on_init)
            self._watch_initialisers(event)

    def start(self) -> bool:
        """Start recording; return whether that is possible."""
        self._thread = get_ident()
        self._frames = frames_of_callers(2)
        self._take_number()
        if sys.version_info >= (3, 12) and self._number is not None:
            self._watch_initialisers(0)
            for event, function in self._callbacks():
                sys.monitoring.register_callback(self._number, event, function)
            sys.monitoring.set_events(self._number, _of_all_code())
            # Else places stay disabled where `LineCounter`, or another tool with the same number,
            # has disabled events.
            sys.monitoring.restart_events()
            self._is_recording = True
            if not self._alone:
                self._count_references()
        self.take()
        return self.is_recording

    def stop(self) -> None:
        """Stop recording and numbering, if it has started."""
        self._is_recording = False
        if sys.version_info >= (3, 12) and self._number is not None:
            # First of all code, so that no more functions are watched.
            sys.monitoring.set_events(self._number, 0)
            self._watch_initialisers(0)
            watched, self._watched = self._watched, {}
            for code in watched.values():
                sys.monitoring.set_local_events(self._number, code, 0)
            for event, _ in self._callbacks():
                sys.monitoring.register_callback(self._number, event, None)
            sys.monitoring.free_tool_id(self._number)
            self._number = None

    def take(self) -> Effects:
        """What was recorded since the last call."""
        found = self._resolver.end_step()
        effects = Effects(
            frozenset(found.reads),
            frozenset(found.writes),
            found.is_wild,
            reads_of=Objects.of(found.reads_of),
            writes_of=Objects.of(found.writes_of),
        )
        # Last, as making a named tuple is recorded too.
        self._tested = {}
        self._makers = set()
        self._resolver.begin_step()
        return effects

    def _take_number(self) -> None:
        if sys.version_info >= (3, 12) and self._number is None:
            self._number = free_tool_number()

    def _watch_initialisers(self, event: int) -> None:
        """Let each ``__init__`` that was seen before call `_on_init`, or not if the event is 0."""
        if sys.version_info >= (3, 12) and self._number is not None and self._is_watching != event:
            self._is_watching = event
            for code in self._initialisers.values():
                sys.monitoring.set_local_events(self._number, code, event)

    def _count_references(self) -> None:
        """Find out how many references a container has that only an attribute holds."""
        names: dict[str, Any] = {}
        exec(_SAMPLE_CODE, names)
        names["use"](_SampleHolder())

    if sys.version_info >= (3, 12):

        def _callbacks(self) -> list[tuple[int, Any]]:
            events = sys.monitoring.events
            return [
                (events.LINE, self._on_line),
                (events.PY_START, self._on_start),
                (events.PY_RESUME, self._on_resume),
                (events.PY_RETURN, self._on_return),
                (events.PY_THROW, self._on_throw),
                (events.EXCEPTION_HANDLED, self._on_handled),
                (events.CALL, self._on_call),
            ]

        def _watch(self, code: CodeType) -> None:
            """Record the lines of a function from now on.

            Most functions that run are the loop's; so they cost one event each.
            """
            if id(code) not in self._watched and self._number is not None:
                self._watched[id(code)] = code
                sys.monitoring.set_local_events(self._number, code, _of_watched_code())

        def _on_init(self, code: CodeType, offset: int) -> Any:
            if get_ident() == self._thread:
                try:
                    self._note_init(code)
                except Exception as error:
                    self._give_up(error)

        def _on_line(self, code: CodeType, line: int) -> None:
            if get_ident() == self._thread:
                try:
                    self._begin_line(code, line)
                except Exception as error:
                    self._give_up(error)

        def _on_start(self, code: CodeType, offset: int) -> Any:
            if is_ignored(code):
                return sys.monitoring.DISABLE
            if get_ident() != self._thread:
                return None
            self._watch(code)
            try:
                is_init = code.co_name == _INITIALISER
                analysis = analyse(code)
                line = analysis.line_at(code, offset)
                if not is_init and analysis.is_harmless(line):
                    return sys.monitoring.DISABLE
                if is_init:
                    if len(self._initialisers) < _MOST_INITIALISERS:
                        self._initialisers[id(code)] = code
                    self._note_init(code)
                # Since Python 3.13 the first line of a function, such as that of a lambda, has no
                # event of its own.
                self._begin_line(code, line)
            except Exception as error:
                self._give_up(error)
            return None

        def _on_resume(self, code: CodeType, offset: int) -> Any:
            if is_ignored(code):
                return sys.monitoring.DISABLE
            if get_ident() == self._thread:
                self._watch(code)
                try:
                    self._go_on(code, offset)
                except Exception as error:
                    self._give_up(error)
            return None

        def _on_throw(self, code: CodeType, offset: int, error: BaseException) -> Any:
            if not is_ignored(code) and get_ident() == self._thread:
                self._watch(code)
                try:
                    self._go_on(code, offset)
                except Exception as failure:
                    self._give_up(failure)

        def _on_handled(self, code: CodeType, offset: int, error: BaseException) -> Any:
            if not is_ignored(code) and get_ident() == self._thread:
                try:
                    self._note_cleanup(code, offset)
                except Exception as failure:
                    self._give_up(failure)

        def _on_return(self, code: CodeType, offset: int, value: object) -> Any:
            if analyse(code).is_return_known(offset):
                return sys.monitoring.DISABLE
            if get_ident() == self._thread:
                try:
                    self._note_return(code, value)
                except Exception as error:
                    self._give_up(error)
            return None

        def _on_call(self, code: CodeType, offset: int, function: Any, first: Any) -> None:
            if get_ident() == self._thread:
                try:
                    self._note_call(code, offset, function, first)
                except Exception as error:
                    self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Take what is recorded for incomplete, as recording has failed; the program goes on."""
        self._resolver.found.is_wild = self.is_misled = True
        _own_errors.report("recording what a step reads and writes", error)

    # These are called by what an event calls, and so find the frame of the observed code.

    def _note_init(self, code: CodeType) -> None:
        frame = next(self._frames, None)
        if frame is not None and code.co_argcount:
            instance = variables_of(frame).get(code.co_varnames[0], UNKNOWN)
            self.instances.note_init(code, instance)

    def _begin_line(self, code: CodeType, line: int) -> None:
        analysis = analyse(code)
        plan, loop = analysis.plans.get(line), analysis.variables.get(line)
        resolver = self._resolver
        if plan is None and loop is None and not resolver.has_open_line:
            self._note(analysis, code, line)
            return
        frame = next(self._frames, None)
        if frame is None:
            resolver.found.is_wild = True
            return
        identity = identity_of(frame)
        resolver.enter(identity)
        variables = _NO_VARIABLES if plan is None and loop is None else variables_of(frame)
        if loop is not None:
            offset, name = loop
            self._note_loop(code, offset, iterates_over(variables.get(name)))
        if plan is None:
            self._note(analysis, code, line)
        else:
            resolver.follow(plan, variables, identity)
            self._note_loops(analysis, code, line)

    def _go_on(self, code: CodeType, offset: int) -> None:
        # The rest of a line runs without an event of its own.
        analysis = analyse(code)
        line = analysis.line_at(code, offset)
        resolver = self._resolver
        if analysis.is_cleanup(offset):
            resolver.found.is_wild = True
        plan = analysis.plans.get(line)
        frame = next(self._frames, None) if plan is not None or resolver.has_open_line else None
        if frame is None:
            self._note(analysis, code, line)
            return
        identity = identity_of(frame)
        resolver.enter(identity)
        if plan is None:
            self._note(analysis, code, line)
        else:
            resolver.follow(plan, variables_of(frame), identity)
            self._note_loops(analysis, code, line)

    def _note_cleanup(self, code: CodeType, offset: int) -> None:
        if analyse(code).is_cleanup(offset):
            self._resolver.found.is_wild = True

    def _note_return(self, code: CodeType, value: object) -> None:
        resolver = self._resolver
        if resolver.has_open_line:
            frame = next(self._frames, None)
            resolver.leave(identity_of(frame))
        if type(value) not in SCALARS and id(code) in self._tested:
            resolver.found.add(self._tested[id(code)])

    def _note_call(self, code: CodeType, offset: int, function: Any, first: Any) -> None:
        analysis, found = analyse(code), self._resolver.found
        effects = effects_of_call(function, first)
        makes = is_expression(function)
        if effects is None:
            found.is_wild = True
        elif makes or effects.reads or effects.writes or self._makers:
            frame = next(self._frames, None)
            maker = (0 if frame is None else identity_of(frame), offset)
            self._makers.discard(maker)
            if frame is None:
                found.is_wild = True
            elif makes:
                self._makers.add(maker)
            elif self._is_of_future(effects, first):
                pass
            elif not self._is_of_one(analysis, maker, frame, function, first):
                found.reads |= effects.reads
                found.writes |= effects.writes
            elif function is iter:
                self._makers.add(maker)
        self._note_result(analysis, code, offset, function, first)
        inner = function.__func__ if type(function) is MethodType else function
        called = inner.__code__ if type(inner) is FunctionType else None
        if called is not None and _INITIALISER in (called.co_name, inner.__name__):
            # Not by making an instance.
            self.instances.exclude(getattr(function, "__self__", first))
        if offset in analysis.awaited and (
            called is None or not called.co_flags & inspect.CO_COROUTINE
        ):
            # The awaited object may be anything, and its code is not seen; but see `_note_await`.
            found.add(AWAITS_FUTURE if analysis.in_asyncio else ANYTHING)

    def _is_of_future(self, effects: Effects, first: Any) -> bool:
        """Note the call of a method of a future; False if it is none."""
        found = future_of(effects, first)
        return found is not None and self._resolver.note_future(found[0], is_write=found[1])

    def _note_result(
        self, analysis: Analysis, code: CodeType, offset: int, function: Any, first: Any
    ) -> None:
        """Note what is done with the result of a call."""
        if offset in analysis.looped:
            self._note_loop(code, offset, iterates_over_result(function, first))
        if offset in analysis.asked and not is_expression(function):
            self._resolver.found.reads.add(ITEMS)
        if offset in analysis.tested:
            self._note_tested(analysis.tested[offset], function)

    def _is_of_one(
        self,
        analysis: Analysis,
        maker: tuple[int, int],
        frame: FrameType,
        function: Any,
        first: Any,
    ) -> bool:
        """Note the call of a function that is about one container; False if it is about more."""
        count = getrefcount(first)
        symbol = analysis.receivers.get(maker[1])
        if symbol is None:
            return False
        if symbol.origin is Origin.CALL:
            # What it takes from was made for it, and noted then.
            return (maker[0], int(symbol.name)) in self._makers and only_takes(function)
        is_change = change_of_one(function)
        if is_change and frame.f_code.co_filename == _SAMPLE_CODE.co_filename:
            self._alone.setdefault(symbol.origin, count)
        if is_change is None or count > self._alone.get(symbol.origin, 0):
            return False
        variables = variables_of(frame)
        if compares_elements(function):
            argument = analysis.arguments.get(maker[1])
            if argument is None or not self._resolver.is_compared_by_itself(argument, variables):
                return False
        return self._resolver.note_container(symbol, variables, first, is_write=is_change)

    def _note_tested(self, otherwise: Accesses, function: Any) -> None:
        """Note what follows a call if it returns no scalar."""
        inner = function.__func__ if type(function) is MethodType else function
        if type(inner) is FunctionType and not is_ignored(inner.__code__):
            key = id(inner.__code__)
            self._tested[key] = self._tested.get(key, HARMLESS) | otherwise
        elif not returns_scalar(function):
            self._resolver.found.add(otherwise)

    def _note(self, analysis: Analysis, code: CodeType, line: int) -> None:
        """Note what a line may do, by name."""
        self._resolver.found.add(analysis.lines.get(line, ANYTHING))
        self._note_loops(analysis, code, line)

    def _note_loops(self, analysis: Analysis, code: CodeType, line: int) -> None:
        """Note what the loops do that may go on in a line."""
        if line not in analysis.loops:
            return
        known = self._loops[id(code)].known if id(code) in self._loops else {}
        found = self._resolver.found
        for offset in analysis.loops[line]:
            through = known.get(offset, Iterates.ANYTHING)
            if through is not Iterates.FIXED:
                found.reads.add(ITEMS)
            if through is Iterates.ANYTHING:
                found.writes.add(ITERATORS)

    def _note_loop(self, code: CodeType, offset: int, through: Iterates) -> None:
        """Note that a loop is about to begin, and what it goes through."""
        known = self._loops.setdefault(id(code), _Loops(code, {})).known
        if through < known.setdefault(offset, through):
            # Until now it may have been recorded as doing less.
            known[offset] = through
            self.is_misled = True


if sys.version_info >= (3, 12):

    def _of_all_code() -> int:
        events = sys.monitoring.events
        # The last two can't be had of one function alone.
        return events.PY_START | events.PY_RESUME | events.PY_THROW | events.EXCEPTION_HANDLED

    def _of_watched_code() -> int:
        events = sys.monitoring.events
        return events.LINE | events.CALL | events.PY_RETURN
