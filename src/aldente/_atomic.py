"""Runs iterators written in C while no other thread runs.

A thread can lose the GIL between two instructions of Python code, and so in functions that the
garbage collector calls. On CPython 3.11 the collector may run whenever an object is made; on later
versions it runs between two instructions, and in ``repr()``. So with the collector disabled, one
call of a C function that uses only iterators written in C is atomic.

This matters most for frames of other threads. CPython 3.11 creates a frame object on each access.
If the collector runs for that, and the other thread returns from the function meanwhile, the
interpreter writes to memory that is used for something else by then. (CPython issue 106883 is about
the same in ``sys._current_frames``.)
"""

from __future__ import annotations

import functools
import gc
import operator
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, compress, repeat, tee
from typing import Any, TypeVar

Value = TypeVar("Value")


def atomic_list(make: Callable[[], Iterator[Value]]) -> list[Value]:
    """Return all values of an iterator, while no other thread runs.

    >>> atomic_list(lambda: map(abs, (1, -2)))
    [1, 2]

    Args:
        make: returns an iterator that is written in C throughout, with all that it calls. No
            variable should refer to that iterator: most keep their last value alive.
    """
    # Read within that one call too, as another thread may change it before.
    was_enabled, is_to_be_enabled = tee(map(operator.call, (_is_enabled,)))
    try:
        return list(
            chain(
                _called((_collect_if_due,)),
                _called(compress((_disable,), was_enabled)),
                # A collection that is due already would still run.
                _called((_collect_if_due,)),
                make(),
                _called(compress((_enable,), is_to_be_enabled)),
            )
        )
    except BaseException:
        if any(is_to_be_enabled):
            _enable()
        raise


def _called(functions: Iterable[Callable[[], object]]) -> Iterator[Any]:
    """An iterator that calls functions and has no values."""
    return compress(map(operator.call, functions), repeat(False))


# The originals: a test's replacements may not be written in C.
_is_enabled, _disable, _enable = gc.isenabled, gc.disable, gc.enable
_collect_if_due = functools.partial(repr, "")
