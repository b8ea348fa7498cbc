"""What a call may read and write, apart from what is seen line by line.

A function written in C may do anything unless it is listed here. One written in Python does nothing
by being called, because its lines are recorded; but those of the loop are not, see `FILES_OF_LOOP`.
"""

from __future__ import annotations

import asyncio
import builtins
import collections
import inspect
from types import (
    BuiltinMethodType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from aldente._asyncio_compat import counting, stepping
from aldente._simulation import choices, determinism, loop, ready, scheduler, timers
from aldente._strategies.effects import ENDED, FUTURES, ITEMS, ITERATORS, Effects

_NOTHING = Effects()
_READS = Effects(reads=frozenset({ITEMS}))
_TAKES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITERATORS}))
_CHANGES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITEMS, ITERATORS}))
_READS_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}))
_CHANGES_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}), writes=frozenset({FUTURES}))

# The lines of these files are not recorded. The effects of the functions in `_COMPARED` are seen by
# comparing the loop before and after a step; others, such as `Task.cancel`, may do anything.
FILES_OF_LOOP = frozenset(
    module.__file__
    for module in (choices, counting, stepping, loop, ready, determinism, timers, scheduler)
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

# Only what calls nothing that is given to it, as a key function, nor shows what an object is by a
# text, as those of tasks tell their state.
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
        function: what is called.
        first: its first argument, or anything else if it has none.

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
    # An instance whose class is written in Python; the method is seen line by line.
    is_python = type(inspect.getattr_static(kind, "__call__", None)) is FunctionType
    return _NOTHING if is_python else None


def _is_plain_class(made: type) -> bool:
    """Whether making an instance runs nothing but Python, or makes an exception."""
    if issubclass(made, BaseException):
        return made.__module__ == builtins.__name__
    initialise: Any = inspect.getattr_static(made, "__init__")
    return (
        type(made) is type
        and made.__new__ is object.__new__
        and (initialise is object.__init__ or type(initialise) is FunctionType)
    )
