"""Searches the garbage collector's objects without holding references to them.

A thread that holds a list of all young objects, even briefly, may lose the GIL meanwhile: then
objects that other threads release live on, their collections find the objects in use, and a tuple
that is being built can't grow. So `atomic_list` does the whole search in C, and returns only
numbers and the origins of coroutines.
"""

from __future__ import annotations

import gc
import operator
import sys
from collections.abc import Iterator
from itertools import chain, compress, repeat, tee
from types import CoroutineType
from typing import Any, NamedTuple

from aldente._atomic import atomic_list


class FoundCoroutine(NamedTuple):
    """A coroutine, by its identity and origin.

    Attributes:
        identity: its identity, as `identity_of` returns it; 0 if that was not requested.
        origin: its ``cr_origin``, a tuple of its own; None if origins are not tracked.
    """

    identity: int
    origin: object


def new_coroutines() -> list[FoundCoroutine]:
    """The coroutines that do not run, among the objects made since the last collection.

    They include those that have ended, as checking that would create a frame for each.
    """
    if sys.version_info >= (3, 12):
        # A coroutine has its origin, if any, before the collector may run.
        lists = _lists(_NEW, times=3)
        states = _get(map(_state_of, _coroutines(lists)), lists)
        return [FoundCoroutine(0, state[0]) for state in states if state[1:] == _AT_REST]
    lists = _lists(_NEW, times=5)
    states, identities = map(_state_of, _coroutines(lists)), map(identity_of, _coroutines(lists))
    found = _get(zip(states, identities, strict=True), lists)
    return [FoundCoroutine(each, state[0]) for state, each in found if state[1:] == _AT_REST]


def waiting_coroutines() -> list[FoundCoroutine]:
    """The coroutines that are alive and have not started; slow."""
    lists = _lists(_ALL, times=7)
    found = _get(
        zip(
            map(_state_of, _coroutines(lists)),
            map(identity_of, _coroutines(lists)),
            map(operator.is_, map(_frame_of, _coroutines(lists)), repeat(None)),
            strict=True,
        ),
        lists,
    )
    return [
        FoundCoroutine(each, state[0])
        for state, each, has_ended in found
        if state[1:] == _AT_REST and not has_ended
    ]


def new_identities(*kinds: type) -> list[int]:
    """The identities of young objects of exactly the given types, in the order of their creation.

    They are those that `identity_of` returns.
    """
    lists = _lists(_NEW, times=2 + len(kinds))
    are_chosen: Iterator[bool] = repeat(False)
    for kind in kinds:
        are_chosen = map(operator.or_, are_chosen, _are(kind, lists))
    return _get(map(identity_of, compress(_objects(lists), are_chosen)), lists)


# Not id(), which raises an audit event, and audit hooks run Python code.
identity_of = object.__hash__

# The argument for `gc.get_objects`.
_NEW = 0
_ALL = None

# The original: a test's replacement may not be written in C.
_get_objects = gc.get_objects
_state_of = operator.attrgetter("cr_origin", "cr_running", "cr_suspended")
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
    be freed before the collector comes.
    """
    return atomic_list(lambda: chain(values, map(list.clear, lists.pop())))[:-1]


def _objects(lists: _Lists) -> Iterator[Any]:
    return chain.from_iterable(lists.pop())


def _coroutines(lists: _Lists) -> Iterator[Any]:
    return compress(_objects(lists), _are(CoroutineType, lists))


def _are(wanted: type, lists: _Lists) -> Iterator[bool]:
    """Which objects are of exactly the given type.

    Compares types by identity, as a user's metaclass may define equality.
    """
    return map(operator.is_, map(type, _objects(lists)), repeat(wanted))
