"""Searches the garbage collector's objects without holding references to them.

A thread that holds a list of all young objects, even briefly, may lose the GIL meanwhile: then
objects that other threads release live on, their collections find the objects in use, and a tuple
that is being built can't grow. So `atomic_list` does the whole search in C, and returns only
numbers and the origins of coroutines.
"""

from __future__ import annotations

import gc
import operator
from collections.abc import Iterator
from itertools import chain, compress, repeat, tee
from types import CoroutineType
from typing import Any, NamedTuple

from aldente._python_compat import identity_of
from aldente._stacks import atomic_list


class FoundCoroutine(NamedTuple):
    """A coroutine that has not started, by its identity and origin.

    Attributes:
        identity: its identity, as `identity_of` returns it.
        origin: its ``cr_origin``, a tuple of its own; None if origins are not tracked.
    """

    identity: int
    origin: object


def new_origins() -> list[object]:
    """The origins of the coroutines that do not run, among the objects since the last collection.

    The coroutines include those that have ended, as checking that would create a frame for each.
    Only from CPython 3.12 on: on 3.11 the collector may run while a coroutine is being made, when
    the memory for its origin still has what was there before. Reading that would crash.
    """
    lists = _lists(_NEW, times=3)
    states = _get(map(_state_of, _coroutines(lists)), lists)
    return [state[0] for state in states if state[1:] == _AT_REST and state[0] is not None]


def waiting_coroutines() -> list[FoundCoroutine]:
    """The coroutines that are alive and have not started; slow."""
    lists = _lists(_ALL, times=3)
    # Reading a frame raises an audit event, and audit hooks run Python code. So only coroutines are
    # held meanwhile.
    few = [*tee(map(list, (_coroutines(lists),)), 8)]
    number = map(len, few.pop())
    # A coroutine that is being made on CPython 3.11 has no frame; see `new_origins`.
    unstarted = zip(
        map(identity_of, _unstarted(few)), map(_origin_of, _unstarted(few)), strict=True
    )
    found = _get(chain(number, map(list.clear, lists.pop()), unstarted), few)
    return [FoundCoroutine(*each) for each in found[2:]]


def living_coroutines() -> set[int]:
    """The identities of all coroutines; slow."""
    lists = _lists(_ALL, times=3)
    return set(_get(map(identity_of, _coroutines(lists)), lists))


def new_identities(*kinds: type) -> list[int]:
    """The identities of young objects of exactly the given types, in the order of their creation.

    They are those that `identity_of` returns.
    """
    lists = _lists(_NEW, times=2 + len(kinds))
    are_chosen: Iterator[bool] = repeat(False)
    for kind in kinds:
        are_chosen = map(operator.or_, are_chosen, _are(kind, lists))
    return _get(map(identity_of, compress(_objects(lists), are_chosen)), lists)


# The argument for `gc.get_objects`.
_NEW = 0
_ALL = None

# The original: a test's replacement may not be written in C.
_get_objects = gc.get_objects
_state_of = operator.attrgetter("cr_origin", "cr_running", "cr_suspended")
_is_at_work = operator.attrgetter("cr_running", "cr_suspended")
_origin_of = operator.attrgetter("cr_origin")
_frame_of = operator.attrgetter("cr_frame")
_AT_REST = (False, False)

# Iterators that all return the same list of objects; each use takes one of them.
_Lists = list[Iterator[list[Any]]]


def _lists(generation: int | None, *, times: int) -> _Lists:
    """A list of objects, which is created on first use.

    Args:
        generation: which objects.
        times: how often it is used, including the one that empties it.
    """
    return [*tee(map(_get_objects, (generation,)), times)]


def _get(values: Iterator[Any], lists: _Lists) -> list[Any]:
    """All values of an iterator over a list of objects; the iterator must be C throughout.

    The list is emptied at once. It also contains the iterator that goes through it, so that
    otherwise neither would be freed before the next collection.
    """
    return atomic_list(lambda: chain(values, map(list.clear, lists.pop())))[:-1]


def _objects(lists: _Lists) -> Iterator[Any]:
    return chain.from_iterable(lists.pop())


def _coroutines(lists: _Lists) -> Iterator[Any]:
    return compress(_objects(lists), _are(CoroutineType, lists))


def _unstarted(coroutines: _Lists) -> Iterator[Any]:
    """Those of some coroutines that have not started; uses the list three times."""
    at_rest = map(operator.eq, map(_is_at_work, _objects(coroutines)), repeat(_AT_REST))
    have_frames = map(operator.is_not, map(_frame_of, _objects(coroutines)), repeat(None))
    return compress(_objects(coroutines), map(operator.and_, at_rest, have_frames))


def _are(wanted: type, lists: _Lists) -> Iterator[bool]:
    """Which objects are of exactly the given type.

    Compares types by identity, as a user's metaclass may define equality.
    """
    return map(operator.is_, map(type, _objects(lists)), repeat(wanted))
