"""`AccessRecorder`: what running code reads and writes.

A function written in C may do anything unless it is listed here. A call of a function written in
Python does nothing by itself, because the recorder sees its lines; except those of the loop, see
`FILES_OF_LOOP`.
"""

from __future__ import annotations

import asyncio
import builtins
import collections
import inspect
import os
import sys
from threading import get_ident
from types import (
    BuiltinMethodType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat import stepping
from aldente._simulation import choices, determinism, loop, ready, scheduler, timers
from aldente._strategies.bytecode import Accesses, analyse
from aldente._strategies.effects import ENDED, FUTURES, ITEMS, ITERATORS, Effects
from aldente._strategies.line_counter import free_tool_number

_NOTHING = Effects()
_READS = Effects(reads=frozenset({ITEMS}))
_TAKES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITERATORS}))
_CHANGES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITEMS, ITERATORS}))
_READS_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}))
_CHANGES_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}), writes=frozenset({FUTURES}))

# The recorder skips the lines of these files. The `StepObserver` finds the effects of the functions
# in `_COMPARED` by comparing the loop before and after a step; others, such as `Task.cancel`, may
# do anything.
FILES_OF_LOOP = frozenset(
    module.__file__
    for module in (choices, stepping, stepping, loop, ready, determinism, timers, scheduler)
    if module.__file__
)
_COMPARED = frozenset(
    id(function.__code__)
    for function in (
        loop.SimulatedLoop.call_at,
        loop.SimulatedLoop.call_later,
        loop.SimulatedLoop.call_soon,
        loop.SimulatedLoop.create_future,
        loop.SimulatedLoop.create_task,
        loop.SimulatedLoop.time,
    )
)

# Only functions that call none of their arguments, such as a key function, and make no string of an
# object, as the string of a task shows its state.
_FUNCTIONS: dict[int, Effects] = {
    id(function): effects
    for functions, effects in (
        ((range, isinstance, callable, id, asyncio.get_running_loop), _NOTHING),
        ((len, abs, int, float, bool, hash, iter), _READS),
        ((list, tuple, set, dict, frozenset, enumerate, zip, sum, any, all, next), _TAKES),
    )
    for function in functions
}

_METHODS: dict[tuple[type, str], Effects] = {
    (kind, name): effects
    for kind, names, effects in (
        (list, "append extend insert pop remove clear reverse", _CHANGES),
        (list, "index count copy", _READS),
        (dict, "setdefault pop popitem clear update", _CHANGES),
        (dict, "get keys values items copy", _READS),
        (set, "add discard remove pop clear update", _CHANGES),
        (set, "copy", _READS),
        (collections.deque, "append appendleft extend pop popleft remove clear", _CHANGES),
        (str, "upper lower strip split startswith endswith encode", _NOTHING),
        (asyncio.Future, "done cancelled", _READS_FUTURE),
        (asyncio.Task, "done cancelled", _READS_FUTURE),
        (asyncio.Future, "set_result result", _CHANGES_FUTURE),
        (asyncio.Task, "result", _CHANGES_FUTURE),
    )
    for name in names.split()
}


def effects_of_call(function: Any, first: Any) -> Effects | None:
    """What a call may read and write; None if it may do anything.

    Args:
        function: the callable.
        first: its first argument, or any object if it has none.

    >>> effects_of_call([].append, 1).writes == effects_of_call(list.append, []).writes
    True
    >>> effects_of_call(print, 1) is None
    True
    """
    kind: Any = type(function)
    if kind is MethodType:
        function = function.__func__
        kind = type(function)
        if kind is not FunctionType:
            return None
    if kind is FunctionType:
        code: CodeType = function.__code__
        is_recorded = code.co_filename not in FILES_OF_LOOP
        return _NOTHING if is_recorded or id(code) in _COMPARED else None
    if id(function) in _FUNCTIONS:
        return _FUNCTIONS[id(function)]
    if kind is MethodDescriptorType:
        return _METHODS.get((function.__objclass__, function.__name__))
    if kind is BuiltinMethodType:
        owner: Any = function.__self__
        if isinstance(owner, ModuleType):
            return None
        return next(
            (
                _METHODS[base, function.__name__]
                for base in type(owner).__mro__
                if (base, function.__name__) in _METHODS
            ),
            None,
        )
    if isinstance(function, type):
        return _NOTHING if _is_plain_class(function) else None
    # An instance of a Python class; the recorder sees the method line by line.
    is_python = type(inspect.getattr_static(kind, "__call__", None)) is FunctionType
    return _NOTHING if is_python else None


def _is_plain_class(made: type) -> bool:
    """Whether making an instance runs only Python code, or makes an exception."""
    if issubclass(made, BaseException):
        return made.__module__ == builtins.__name__
    initialise: Any = inspect.getattr_static(made, "__init__")
    return (
        type(made) is type
        and made.__new__ is object.__new__
        and (initialise is object.__init__ or type(initialise) is FunctionType)
    )


_PACKAGE = os.path.dirname(os.path.dirname(__file__))
# What only watches the program: strategies, and rules that look at a step from inside of it.
_WATCHING = (
    os.path.join(_PACKAGE, "_strategies", ""),
    os.path.join(_PACKAGE, "_rules", ""),
    os.path.join(_PACKAGE, "_own_errors.py"),
)
# They wait for a future of their own, and call only the loop.
_SLEEPS = {
    id(function.__code__)
    for function in _asyncio_compat.FUNCTIONS_OF_SLEEP
    if inspect.isfunction(function)
}


class AccessRecorder:
    """Records what all code reads and writes, by `sys.monitoring`.

    `start` fails on Python 3.11, which lacks it, and if other tools have all of its numbers.

    Attributes:
        is_misled: whether an assumption proved wrong, so that earlier records may be wrong too.
    """

    def __init__(self) -> None:
        self.is_misled = False
        # Whether each loop that has begun iterates over something private to it, by the identity of
        # its code, which is kept alive, and its offset.
        self._loops: dict[int, tuple[CodeType, dict[int, bool]]] = {}
        self._number: int | None = None
        # Events of all threads arrive, such as those of a test runner.
        self._thread = get_ident()
        self._reads: set[str] = set()
        self._writes: set[str] = set()
        self._is_wild = False

    @property
    def is_recording(self) -> bool:
        """Whether it has started and not stopped."""
        return self._number is not None

    def start(self) -> bool:
        """Start recording; return whether that is possible."""
        if sys.version_info >= (3, 12):
            self._thread = get_ident()
            self._number = free_tool_number()
            if self._number is not None:
                for event, function in self._callbacks():
                    sys.monitoring.register_callback(self._number, event, function)
                mask = sum(event for event, _ in self._callbacks())
                sys.monitoring.set_events(self._number, mask)
                # Else places stay disabled where `LineCounter`, or another tool with the same
                # number, has disabled events.
                sys.monitoring.restart_events()
        self.take()
        return self.is_recording

    def stop(self) -> None:
        """Stop recording, if it has started."""
        if sys.version_info >= (3, 12) and self._number is not None:
            sys.monitoring.set_events(self._number, 0)
            for event, _ in self._callbacks():
                sys.monitoring.register_callback(self._number, event, None)
            sys.monitoring.free_tool_id(self._number)
            self._number = None

    def take(self) -> Effects:
        """What was recorded since the last call."""
        found = Effects(frozenset(self._reads), frozenset(self._writes), self._is_wild)
        self._reads, self._writes, self._is_wild = set(), set(), False
        return found

    if sys.version_info >= (3, 12):

        def _callbacks(self) -> list[tuple[int, Any]]:
            events = sys.monitoring.events
            return [
                (events.LINE, self._on_line),
                (events.PY_START, self._on_start),
                (events.PY_RESUME, self._on_resume),
                (events.PY_THROW, self._on_throw),
                (events.CALL, self._on_call),
            ]

        def _on_line(self, code: CodeType, line: int) -> Any:
            if _is_ignored(code):
                return sys.monitoring.DISABLE
            if get_ident() == self._thread:
                self._begin_line(code, line)
            return None

        def _on_start(self, code: CodeType, offset: int) -> Any:
            if _is_ignored(code):
                return sys.monitoring.DISABLE
            analysis = analyse(code)
            line = analysis.line_at(code, offset)
            if analysis.is_harmless(line):
                return sys.monitoring.DISABLE
            if get_ident() == self._thread:
                # Since Python 3.13 the first line of a function, such as that of a lambda, has no
                # event of its own.
                self._begin_line(code, line)
            return None

        def _on_resume(self, code: CodeType, offset: int) -> Any:
            if _is_ignored(code):
                return sys.monitoring.DISABLE
            if get_ident() == self._thread:
                # The rest of a line runs without an event of its own.
                self._note(code, analyse(code).line_at(code, offset))
            return None

        def _on_throw(self, code: CodeType, offset: int, error: BaseException) -> Any:
            if not _is_ignored(code) and get_ident() == self._thread:
                self._note(code, analyse(code).line_at(code, offset))

        def _on_call(self, code: CodeType, offset: int, function: Any, first: Any) -> Any:
            if _is_ignored(code):
                return sys.monitoring.DISABLE
            if get_ident() == self._thread:
                self._note_call(code, offset, function, first)
            return None

    def _note(self, code: CodeType, line: int) -> None:
        analysis = analyse(code)
        found = analysis.lines.get(line, _UNKNOWN)
        self._reads |= found.reads
        self._writes |= found.writes
        self._is_wild = self._is_wild or found.is_wild
        if line in analysis.loops:
            _, known = self._loops.get(id(code), (code, _NO_LOOPS))
            if not all(known.get(offset) for offset in analysis.loops[line]):
                self._writes.add(ITERATORS)

    def _begin_line(self, code: CodeType, line: int) -> None:
        loop = analyse(code).variables.get(line)
        if loop is not None:
            offset, name = loop
            # The frame of the observed code.
            value = stepping.frame_at(2).f_locals.get(name)
            self._note_loop(code, offset, type(value) in _CONTAINERS)
        self._note(code, line)

    def _note_loop(self, code: CodeType, offset: int, is_private: bool) -> None:
        """Note that a loop is about to begin, and whether its iterable is private to it."""
        _, known = self._loops.setdefault(id(code), (code, {}))
        if known.setdefault(offset, is_private) and not is_private:
            # Until now it counted as private, and may have been recorded so.
            known[offset] = False
            self.is_misled = True

    def _note_call(self, code: CodeType, offset: int, function: Any, first: Any) -> None:
        analysis = analyse(code)
        effects = effects_of_call(function, first)
        if effects is None:
            self._is_wild = True
        else:
            self._reads |= effects.reads
            self._writes |= effects.writes
        if offset in analysis.looped:
            self._note_loop(code, offset, _gives_new_iterable(function, first))
        if offset in analysis.awaited:
            inner = getattr(function, "__func__", function)
            called = getattr(inner, "__code__", None)
            if called is None or not called.co_flags & inspect.CO_COROUTINE:
                # The awaited object may be anything, and its code is not seen.
                self._is_wild = True


# Each iteration over one of these begins anew.
_CONTAINERS: tuple[type, ...] = (list, tuple, dict, set, frozenset, str, range, collections.deque)


def _gives_new_iterable(function: Any, first: Any) -> bool:
    """Whether a call returns a new iterable that no other code has."""
    if any(function is each for each in (range, list, tuple, set, dict)):
        return True
    if function is enumerate:
        return type(first) in _CONTAINERS
    owner = getattr(function, "__objclass__", None)
    return owner is dict and function.__name__ in ("items", "keys", "values")


_NO_LOOPS: dict[int, bool] = {}
_UNKNOWN = Accesses(frozenset(), frozenset(), True)


def _is_ignored(code: CodeType) -> bool:
    file = code.co_filename
    return file in FILES_OF_LOOP or id(code) in _SLEEPS or file.startswith(_WATCHING)
