"""Goes through iterators written in C while no other thread gets its turn.

A thread can lose the GIL between two instructions of Python code, and so in what the garbage
collector calls. On CPython 3.11 the collector may come whenever an object is made; on later
versions it comes between two instructions, and in ``repr()``. So while it rests, one call of a
function written in C that goes through nothing but iterators written in C is atomic.

This matters most to frames of other threads. CPython 3.11 makes a frame object whenever it is asked
for one. If the collector comes for that, and the other thread returns from the function meanwhile,
the interpreter writes to memory that has another use by then. (CPython issue 106883 is about the
same in ``sys._current_frames``.)
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
    """All values of an iterator, while no other thread gets its turn.

    >>> atomic_list(lambda: map(abs, (1, -2)))
    [1, 2]

    Args:
        make: gives an iterator that is written in C throughout, with all that it calls. Nothing
            else should have that iterator in a variable: most keep what they came to last.
    """
    # Asked by that one call too: another thread may change it before.
    was_enabled, is_to_be_enabled = tee(map(operator.call, (_is_enabled,)))
    try:
        return list(
            chain(
                _called((_collect_if_due,)),
                _called(compress((_disable,), was_enabled)),
                # A collection that is due by now would come in spite of it.
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


# As they were at first: what tests put in their place may not be written in C.
_is_enabled, _disable, _enable = gc.isenabled, gc.disable, gc.enable
_collect_if_due = functools.partial(repr, "")
