"""`LineCounter`: counts how often a run reached each line of the program.

Most lines are reached equally often in every run, and so do not distinguish runs. Once it knows
them, it counts the others only; and all of them again in some runs, to see whether that still
holds.
"""

from __future__ import annotations

import collections
import gc
import os
import sys
import threading
import weakref
from collections.abc import Container, Mapping
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

from aldente._python_compat import identity_of
from aldente._simulation.executors import loop_of_this_thread
from aldente._source import is_programs

# A line: the identity of its function, and its number.
Line = tuple[int, int]

# The other numbers belong, by convention, to debuggers, coverage tools and profilers.
_TOOL_NUMBERS = (3, 4)


class LineCounter:
    """Counts the lines that a run reaches between `start` and `pause`, or `stop`.

    Those are the lines of its thread, and of jobs that threads of executors do for it. Other
    threads of the program run at their own speed, so what they reach is no progress of a schedule.

    It uses `sys.monitoring`, with one event for each line outside of the program. On Python 3.11 it
    uses `sys.settrace`, unless another tool does. Then, and if other tools have taken all numbers,
    it counts nothing. What the garbage collector runs does not count either: when it comes depends
    on all that the process has done.

    Attributes:
        counts: how often the last run reached each line, except for those that were not counted.
        unchanged: how many those are, which all other runs have reached equally often.
        names: gets the name of each function with such lines, by its identity; None for none.
    """

    def __init__(self) -> None:
        self.counts: dict[Line, int] = {}
        self.names: dict[int, str] | None = None
        self.unchanged = 0
        self._constant = ConstantLines()
        self._counting = _Counting()
        # Those that are not counted in this run; and whether Python may have disabled some.
        self._skipped: Mapping[Line, int] = {}
        self._has_disabled = False
        # Ends the events; None while there are none.
        self._ending: weakref.finalize[[int], LineCounter] | None = None
        self._number: int | None = None
        self._is_tracing = False
        self.is_counting = False

    @property
    def are_equal(self) -> bool:
        """Whether all runs have reached the same lines equally often, as far as it has counted."""
        return self._constant.are_all

    def start(self) -> None:
        """Count from 0, what the current thread does."""
        self.pause()
        self._skipped = skipped = self._constant.skipped()
        self.unchanged = len(skipped)
        counting = self._counting
        counting.name(self.names)
        if sys.version_info >= (3, 12):
            self.is_counting = True
            self._begin_events()
            # The lines of another number stay disabled when it is given back.
            self.counts = counting.begin(skipped, is_disabling=self._number == _TOOL_NUMBERS[0])
            if self._number is not None:
                event = sys.monitoring.events.LINE
                sys.monitoring.register_callback(self._number, event, counting.note)
                if self._has_disabled and not skipped:
                    sys.monitoring.restart_events()
                self._has_disabled = bool(skipped)
        else:
            self.counts = counting.begin(skipped, is_disabling=False)
            if skipped and self._constant.are_all:
                return
            self.is_counting = True
            if sys.gettrace() is None:
                self._is_tracing = True
                sys.settrace(counting.trace)
        # Around the callbacks of the program.
        gc.callbacks.insert(0, counting.begin_collection)
        gc.callbacks.append(counting.end_collection)

    def pause(self) -> None:
        """Stop counting, but be ready to start again.

        Setting and ending the events takes as long as a short run, as Python changes the code of
        every function for it. Without a callback they cost next to nothing. They end by `stop`,
        when the counter is freed, when another tool of aldente asks for a number, and beside other
        tools.
        """
        if not self.is_counting:
            return
        self.is_counting = False
        counting = self._counting
        for callback in (counting.begin_collection, counting.end_collection):
            # The program may have cleared the list.
            if callback in gc.callbacks:
                gc.callbacks.remove(callback)
        if sys.version_info >= (3, 12):
            if self._number is not None:
                sys.monitoring.register_callback(self._number, sys.monitoring.events.LINE, None)
                if self._number != _TOOL_NUMBERS[0]:
                    # Another tool, such as Hypothesis, may look at the same lines.
                    self.end_events()
        elif self._is_tracing:
            self._is_tracing = False
            sys.settrace(None)
        self._constant.end(self.counts, is_full=not self._skipped)

    def stop(self) -> None:
        """Stop counting, and remove all hooks."""
        self.pause()
        with _lock:
            self.end_events()

    def _begin_events(self) -> None:
        """Set the events, unless they are set since an earlier run."""
        with _lock:
            if self._ending is not None:
                return
        self._number = free_tool_number()
        if self._number is not None and sys.version_info >= (3, 12):
            sys.monitoring.set_events(self._number, sys.monitoring.events.LINE)
            self._ending = weakref.finalize(self, _end_events, self._number)
            _with_events.add(self)

    def end_events(self) -> None:
        """End the events, if there are any; `stop` and `free_tool_number` call this."""
        if self._ending is not None:
            self._ending()
            self._ending = self._number = None
            _with_events.discard(self)


# The counters that have events, some of which may be paused; and what guards them.
_with_events: weakref.WeakSet[LineCounter] = weakref.WeakSet()
_lock = threading.Lock()


def _end_events(number: int) -> None:
    if sys.version_info >= (3, 12):
        sys.monitoring.set_events(number, 0)
        sys.monitoring.register_callback(number, sys.monitoring.events.LINE, None)
        sys.monitoring.free_tool_id(number)
        if number == _TOOL_NUMBERS[0]:
            # Else lines stay disabled for the next tool with this number.
            sys.monitoring.restart_events()


def _is_counted(code: CodeType) -> bool:
    # The function that makes a named tuple comes from a string, as a program may; most are made by
    # aldente and by libraries. Modules, and data classes in them, are made by the first run only.
    return (
        is_programs(code.co_filename)
        and code.co_names != _NAMES_OF_TUPLES
        and code.co_name not in ("<module>", "__create_fn__")
    )


def _name_of(code: CodeType) -> str:
    """The name of a function in every process: machines may have its file in other folders."""
    return f"{os.path.basename(code.co_filename)} {code.co_qualname} {code.co_firstlineno}"


_NAMES_OF_TUPLES = collections.namedtuple("_NAMES_OF_TUPLES", "a").__new__.__code__.co_names


# In how many runs all lines are counted at first. Later they are after so many times as many runs
# each time; and when a run has reached a line for the first time, but then not for so many runs.
_LOOKS, _GROWTH, _PAUSE = 4, 16, 16


class ConstantLines:
    """Knows the lines that all runs have reached equally often.

    Counting all lines again takes as long as several short runs, as Python changes the code of
    every function for it.

    Attributes:
        are_all: whether no run has reached any other line.
    """

    def __init__(self) -> None:
        self.are_all = True
        self._counts: dict[Line, int] | None = None
        self._seen: set[Line] = set()
        self._runs = 0
        # The numbers of the runs in which all lines are counted: the last one and the next one.
        self._last, self._next = _LOOKS, _GROWTH * _LOOKS

    def skipped(self) -> Mapping[Line, int]:
        """The lines not to count in the run that begins, with their counts; none in some runs."""
        self._runs += 1
        if self._counts is None or self._runs <= _LOOKS:
            return {}
        if self._runs < self._next:
            return self._counts
        self._last, self._next = self._runs, _GROWTH * self._runs
        return {}

    def end(self, counts: Mapping[Line, int], *, is_full: bool) -> None:
        """Learn from a run.

        Args:
            counts: how often it has reached each line.
            is_full: whether all lines were counted.
        """
        if self._counts is None:
            self._counts = dict(counts)
            self._seen.update(counts)
            return
        if not self._seen.issuperset(counts):
            self.are_all = False
            self._seen.update(counts)
            self._next = min(self._next, max(self._runs + 1, self._last + _PAUSE))
        if is_full:
            self._counts = {
                line: count for line, count in self._counts.items() if counts.get(line) == count
            }
            self.are_all = self.are_all and len(self._counts) == len(self._seen)


class _Counting:
    """The callbacks of runs, and what they have counted.

    Functions and no methods, as they are called for each line.

    Attributes:
        begin: begins a run, given the lines not to count and whether to disable their events;
            returns how often each other line is reached from now on, in the current thread.
        name: has the functions of lines named; given where their names go, or None.
        note: called with each line.
        trace: called for each new frame, on Python 3.11.
        begin_collection, end_collection: called by the garbage collector.
    """

    def __init__(self) -> None:
        thread = 0
        counts: dict[Line, int] = {}
        skip: Container[Line] = ()
        is_collecting = False
        disable: Any = None
        if sys.version_info >= (3, 12):
            disable = sys.monitoring.DISABLE
        disable_skipped: Any = None
        names: dict[int, str] | None = None

        def name(into: dict[int, str] | None) -> None:
            nonlocal names
            names = into

        def begin(skipped: Container[Line], *, is_disabling: bool) -> dict[Line, int]:
            nonlocal thread, counts, skip, is_collecting, disable_skipped
            thread, counts, skip, is_collecting = get_ident(), {}, skipped, False
            disable_skipped = disable if is_disabling else None
            tracers.clear()
            return counts

        def note(code: CodeType, line: int) -> Any:
            # As `_is_of_run`, without a call for each line.
            if is_collecting or (get_ident() != thread and loop_of_this_thread() is None):
                return None
            key = (identity_of(code), line)
            try:
                counts[key] += 1
            except KeyError:
                if key in skip:
                    return disable_skipped
                if not _is_counted(code):
                    return disable
                counts[key] = 1
                if names is not None and key[0] not in names:
                    names[key[0]] = _name_of(code)
            return None

        tracers: dict[int, Any] = {}

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            # An attribute that raises an audit event, as the code of a frame does, takes longer
            # than all else here.
            code = frame.f_code
            identity = identity_of(code)
            if identity not in tracers:
                tracers[identity] = make_tracer(identity) if _is_counted(code) else None
                if names is not None and tracers[identity] is not None:
                    names[identity] = _name_of(code)
            return tracers[identity]

        def make_tracer(identity: int) -> Any:
            def trace_line(frame: FrameType, event: str, argument: object) -> Any:
                if event == "line" and not is_collecting:
                    key = (identity, frame.f_lineno)
                    if key in counts:
                        counts[key] += 1
                    elif key not in skip:
                        counts[key] = 1
                return trace_line

            return trace_line

        def begin_collection(phase: str, information: Mapping[str, int]) -> None:
            nonlocal is_collecting
            if phase == "start" and _is_of_run(thread):
                is_collecting = True

        def end_collection(phase: str, information: Mapping[str, int]) -> None:
            nonlocal is_collecting
            if phase == "stop" and _is_of_run(thread):
                is_collecting = False

        self.name, self.begin, self.note, self.trace = name, begin, note, trace
        self.begin_collection, self.end_collection = begin_collection, end_collection


def _is_of_run(thread: int) -> bool:
    """Whether the current thread is that of the run, or does a job while that waits for it."""
    return get_ident() == thread or loop_of_this_thread() is not None


def free_tool_number() -> int | None:
    """A number of `sys.monitoring`, taken for aldente; None if other tools have them all."""
    with _lock:
        for counter in [each for each in _with_events if not each.is_counting]:
            counter.end_events()
    if sys.version_info >= (3, 12):
        for number in _TOOL_NUMBERS:
            if sys.monitoring.get_tool(number) is None:
                sys.monitoring.use_tool_id(number, "aldente")
                return number
    return None
