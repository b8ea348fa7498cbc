"""Looks through the garbage collector's objects without holding any of them.

A thread that has a list of all new objects, if only for a moment, may lose the GIL in that moment:
what others let go of meanwhile lives on, a collection of theirs finds it in use, and a tuple that
is being made can't grow. So what there is to know is worked out by `atomic_list`, and what it gives
are numbers and the origins of coroutines.
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
    """What is seen of a coroutine.

    Attributes:
        identity: its identity, as `identity_of` gives it; 0 if that was not asked for.
        origin: its ``cr_origin``, which no other coroutine shares; None when that is not tracked.
    """

    identity: int
    origin: object


def new_coroutines() -> list[FoundCoroutine]:
    """The coroutines that do not run, among the objects made since the collector came last.

    Those that have ended are among them: to ask for that would make a frame of each.
    """
    if sys.version_info >= (3, 12):
        # A coroutine has its origin, if any, before the collector may come.
        lists = _lists(_NEW, times=3)
        states = _get(map(_state_of, _coroutines(lists)), lists)
        return [FoundCoroutine(0, state[0]) for state in states if state[1:] == _AT_REST]
    lists = _lists(_NEW, times=5)
    states, identities = map(_state_of, _coroutines(lists)), map(identity_of, _coroutines(lists))
    found = _get(zip(states, identities, strict=True), lists)
    return [FoundCoroutine(each, state[0]) for state, each in found if state[1:] == _AT_REST]


def waiting_coroutines() -> list[FoundCoroutine]:
    """The coroutines that are alive and have not begun; takes a while."""
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
    """The identities of new objects of exactly some types, in the order of their making.

    They are those that `identity_of` gives.
    """
    lists = _lists(_NEW, times=2 + len(kinds))
    are_chosen: Iterator[bool] = repeat(False)
    for kind in kinds:
        are_chosen = map(operator.or_, are_chosen, _are(kind, lists))
    return _get(map(identity_of, compress(_objects(lists), are_chosen)), lists)


# Not id(), which tells audit hooks of each call, and these run Python code.
identity_of = object.__hash__

# What `gc.get_objects` is called with.
_NEW = 0
_ALL = None

# As it was at first: what tests put in its place may not be written in C.
_get_objects = gc.get_objects
_state_of = operator.attrgetter("cr_origin", "cr_running", "cr_suspended")
_frame_of = operator.attrgetter("cr_frame")
_AT_REST = (False, False)

# One list of objects, as so many iterators that give it: each use takes one of them.
_Lists = list[Iterator[list[Any]]]


def _lists(generation: int | None, *, times: int) -> _Lists:
    """A list of objects, which is made when it is first asked for.

    Args:
        generation: which objects.
        times: how often it is used, the end included.
    """
    return [*tee(map(_get_objects, (generation,)), times)]


def _get(values: Iterator[Any], lists: _Lists) -> list[Any]:
    """All values of an iterator, which goes through a list of objects, and is to be C throughout.

    The list is emptied at once. It has the iterator too that goes through it, so that neither would
    be freed before the collector comes.
    """
    return atomic_list(lambda: chain(values, map(list.clear, lists.pop())))[:-1]


def _objects(lists: _Lists) -> Iterator[Any]:
    return chain.from_iterable(lists.pop())


def _coroutines(lists: _Lists) -> Iterator[Any]:
    return compress(_objects(lists), _are(CoroutineType, lists))


def _are(wanted: type, lists: _Lists) -> Iterator[bool]:
    """Which objects are of exactly a type.

    Types are compared by identity, as a metaclass of the user's may say what it likes of equality.
    """
    return map(operator.is_, map(type, _objects(lists)), repeat(wanted))
