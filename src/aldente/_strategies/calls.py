"""What calling something that is written in C may read and write.

What is not known may do anything. Functions written in Python do nothing by being called: what they
do is seen line by line.
"""

from __future__ import annotations

import asyncio
import builtins
import collections
import inspect
from types import BuiltinMethodType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any

from aldente._strategies.effects import ENDED, FUTURES, ITEMS, ITERATORS, Effects

_NOTHING = Effects()
_READS = Effects(reads=frozenset({ITEMS}))
_TAKES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITERATORS}))
_CHANGES = Effects(reads=frozenset({ITEMS}), writes=frozenset({ITEMS, ITERATORS}))
_READS_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}))
_CHANGES_FUTURE = Effects(reads=frozenset({FUTURES, ENDED}), writes=frozenset({FUTURES}))

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
    if kind is FunctionType:
        return _NOTHING
    if kind is MethodType:
        return _NOTHING if type(function.__func__) is FunctionType else None
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
