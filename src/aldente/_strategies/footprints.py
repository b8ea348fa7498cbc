"""What a call reads and writes, and which code only watches the program.

A function written in C may do anything unless it is listed here. A call of a function written in
Python does nothing by itself, because the recorder sees its lines; except those of the loop, see
`FILES_OF_LOOP`.
"""

from __future__ import annotations

import asyncio
import builtins
import collections
import enum
import inspect
import os
import sys
from types import (
    BuiltinMethodType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from aldente import _asyncio_compat, _source
from aldente._asyncio_compat import stepping
from aldente._simulation import choices, determinism, loop, ready, scheduler, timers
from aldente._strategies.effects import BOUND, ENDED, FUTURES, ITEMS, ITERATORS, Effects, Objects
from aldente._strategies.plans import Accesses

_NOTHING = Effects()
_READS = Effects(reads=frozenset({ITEMS}))
_TAKES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITERATORS}))
_CHANGES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITEMS, ITERATORS}))
_BINDS = Effects(writes=frozenset({BOUND}))
_READS_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}))
_CHANGES_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}), writes=frozenset({FUTURES}))

# The recorder skips the lines of these files. The `StepObserver` finds the effects of the functions
# in `_COMPARED` by comparing the loop before and after a step; others, such as `Task.cancel`, may
# do anything.
FILES_OF_LOOP = frozenset(
    module.__file__
    for module in (_source, choices, stepping, loop, ready, determinism, timers, scheduler)
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

# The first argument of a call that has none.
_MISSING: Any = getattr(getattr(sys, "monitoring", None), "MISSING", _NOTHING)

_BINDING: Any = getattr(stepping.BIND_TO_LOOP, "__code__", None)

# Only functions that call none of their arguments, such as a key function, and make no string of an
# object, as the string of a task shows its state.
_FUNCTIONS: dict[int, Effects] = {
    id(function): effects
    for functions, effects in (
        ((range, isinstance, callable, id, asyncio.get_running_loop), _NOTHING),
        ((len, abs, int, float, bool, hash, iter), _READS),
        ((list, tuple, set, dict, frozenset, collections.deque), _TAKES),
        ((enumerate, zip, sum, any, all, next), _TAKES),
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
        if code is _BINDING:
            return _BINDS
        is_recorded = code.co_filename not in FILES_OF_LOOP
        return _NOTHING if is_recorded or id(code) in _COMPARED else None
    if id(function) in _FUNCTIONS:
        if first is _MISSING and isinstance(function, type):
            return _NOTHING
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
# What only watches the program: strategies, rules that look at a step from inside of it, and what
# the loop does again and again while it waits, to find out whether a thread or a process may act.
_WATCHING = (
    os.path.join(_PACKAGE, "_strategies", ""),
    os.path.join(_PACKAGE, "_rules", ""),
    os.path.join(_PACKAGE, "_diagnosis", ""),
    os.path.join(_PACKAGE, "_own_errors.py"),
    os.path.join(_PACKAGE, "_stacks.py"),
    *(
        os.path.join(_PACKAGE, "_runner", name)
        for name in ("threads.py", "outside.py", "peers.py", "bystanders.py")
    ),
    os.path.join(_PACKAGE, "_simulation", "foreign_threads.py"),
)
# They wait for a future of their own, and call only the loop.
_SLEEPS = {
    id(function.__code__)
    for function in _asyncio_compat.FUNCTIONS_OF_SLEEP
    if inspect.isfunction(function)
}


# They make the records of a step.
_RECORDS = {id(kind.__new__.__code__) for kind in (Effects, Objects, Accesses, ready.Facts)}


def is_ignored(code: CodeType) -> bool:
    """Whether the lines of a function are no part of the program, or known as a whole."""
    file = code.co_filename
    return (
        file in FILES_OF_LOOP
        or id(code) in _SLEEPS
        or id(code) in _RECORDS
        or code is _BINDING
        or file.startswith(_WATCHING)
    )


# Each iteration over one of these begins again; and those whose elements never change.
_CONTAINERS: tuple[type, ...] = (list, dict, set, collections.deque)
_FIXED: tuple[type, ...] = (tuple, frozenset, str, range)


class Iterates(enum.IntEnum):
    """What a loop goes through."""

    ANYTHING = 0
    CONTAINER = 1
    FIXED = 2


def iterates_over(value: object) -> Iterates:
    """What a loop goes through whose iterable is known."""
    if type(value) in _FIXED:
        return Iterates.FIXED
    return Iterates.CONTAINER if type(value) in _CONTAINERS else Iterates.ANYTHING


def iterates_over_result(function: Any, first: Any) -> Iterates:
    """What a loop goes through whose iterable a call returns."""
    if function is range:
        return Iterates.FIXED
    if is_expression(function):
        # Its code, of which the lines are seen, runs for this loop alone.
        return Iterates.FIXED
    if any(function is each for each in (list, tuple, set, dict)):
        return Iterates.CONTAINER
    if function is enumerate:
        return iterates_over(first)
    owner = getattr(function, "__objclass__", None)
    is_view = owner is dict and function.__name__ in ("items", "keys", "values")
    return Iterates.CONTAINER if is_view else Iterates.ANYTHING


def is_expression(function: Any) -> bool:
    """Whether a function is that of a generator expression, so that a call makes the generator."""
    return type(function) is FunctionType and function.__code__.co_name == "<genexpr>"


# They go through their first argument to the end, or until they know enough.
_EXHAUSTING = frozenset(
    map(id, (list, tuple, set, frozenset, collections.deque, sum, any, all, next))
)


def only_takes(function: Any) -> bool:
    """Whether a function only takes items from the one iterator that it is given.

    Besides it asks what it takes; the code of a generator expression counts as doing that.
    """
    return id(function) in _EXHAUSTING


# Functions that return a scalar.
_SCALAR_FUNCTIONS = frozenset(
    map(id, (isinstance, callable, id, len, int, float, bool, hash, any, all))
)
_SCALAR_METHODS = frozenset(
    name
    for names in (
        "index count append extend insert remove clear reverse add discard appendleft",
        "upper lower strip startswith endswith encode done cancelled set_result",
    )
    for name in names.split()
)


def returns_scalar(function: Any) -> bool:
    """Whether a function written in C, whose effects are known, returns a scalar in any case."""
    if (
        type(function) in (MethodDescriptorType, BuiltinMethodType)
        and id(function) not in _FUNCTIONS
    ):
        return function.__name__ in _SCALAR_METHODS
    return id(function) in _SCALAR_FUNCTIONS


# What these do concerns one container only, no matter what its elements are.
_OF_ONE: dict[int, bool] = {
    id(function): False for function in (len, bool, iter, list, tuple, set, dict, frozenset)
}
_METHODS_OF_ONE = {
    (kind, name): effects is _CHANGES
    for (kind, name), effects in _METHODS.items()
    # The others go through another container.
    if kind in _CONTAINERS and name not in ("extend", "update")
}
_COMPARING = frozenset(
    (kind, name) for kind in (list, collections.deque) for name in ("remove", "index", "count")
)


def compares_elements(function: Any) -> bool:
    """Whether a method of a container compares its elements with its argument."""
    return (
        type(function) is MethodDescriptorType
        and (function.__objclass__, function.__name__) in _COMPARING
    )


def future_of(effects: Effects, first: Any) -> tuple[Any, bool] | None:
    """The future whose state a call reads, and whether it changes it; None if it does not."""
    if effects is _READS_FUTURE or effects is _CHANGES_FUTURE:
        return first, effects is _CHANGES_FUTURE
    return None


def change_of_one(function: Any) -> bool | None:
    """Whether a call changes the one container that it is about; None if it is about more."""
    if type(function) is MethodDescriptorType:
        return _METHODS_OF_ONE.get((function.__objclass__, function.__name__))
    return _OF_ONE.get(id(function))
