"""Finds the test that made a coroutine, by the coroutine's age.

Python's garbage collector keeps young objects in the order of their creation until its first pass
over them. `CoroutineMakers` creates one marker per test, so the coroutines between two markers
belong to one test. It looks them up whenever the collector is about to run: the collector runs
often, and none of the coroutines is moved before that. No collection is made for this.

CPython 3.11 to 3.15 work like that. Early releases of 3.14 had another collector, and later Pythons
may have one: there the order of objects means nothing. So the young objects are also looked up at
the end of every test, and all coroutines that were not there before belong to that test. Where even
the young objects can't be found, a coroutine belongs to no test.

A coroutine that only the frames of an exception hold can't be awaited any more.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from aldente import _python_compat
from aldente._checked_pythons import is_checked
from aldente._python_compat import identity_of
from aldente._rules.new_objects import (
    living_coroutines,
    new_identities,
    new_origins,
    waiting_coroutines,
)

if TYPE_CHECKING:
    Coroutine = CoroutineType[Any, Any, Any]
    Filters = Sequence[tuple[Any, ...]]


class Maker:
    """A test that makes coroutines; also its marker among the collector's young objects.

    Attributes:
        test: its node id.
        filters: the warning filters that apply to it.
    """

    __slots__ = ("filters", "test")

    def __init__(self, test: str) -> None:
        self.test = test
        self.filters: Filters = _python_compat.warning_filters()


class _MadeCoroutine(NamedTuple):
    """A coroutine that had not started when it was seen, by its origin, a tuple of its own.

    Not by a weak reference: Python never clears one to a coroutine that is being freed.
    """

    origin: object
    maker: Maker


# How the young objects can be found: in the order of their creation, without an order, or not at
# all.
CollectorKind = Literal["in order", "without order", "unknown"]

# The releases of CPython 3.14 before this one had an incremental collector.
_FIRST_RELEASE_OF_3_14_IN_ORDER = (3, 14, 5)


def _new_makers() -> list[int]:
    return new_identities(Maker)


def kind_of_collector(
    version: tuple[int, ...] = sys.version_info[:3],
    new_makers: Callable[[], list[int]] = _new_makers,
) -> CollectorKind:
    """Return how the garbage collector of the running Python keeps young objects.

    Args:
        version: its version.
        new_makers: returns the identities of the markers among the young objects.

    >>> kind_of_collector((3, 14, 0))
    'without order'
    """
    with _not_collecting():
        made = [Maker(str(number)) for number in range(3)]
        found = new_makers()
    wanted = [identity_of(maker) for maker in made]
    if not set(wanted) <= set(found):
        return "unknown"
    is_early = (3, 14) <= version < _FIRST_RELEASE_OF_3_14_IN_ORDER
    in_order = [identity for identity in found if identity in wanted] == wanted
    return "in order" if in_order and is_checked() and not is_early else "without order"


# Its origin has the reference count of an origin without other references.
_SAMPLE = _MadeCoroutine(object(), Maker(""))
_REFERENCES_TO_LAST = sys.getrefcount(_SAMPLE.origin)

# How many references to an item of a list a call has whose argument is that item.
_REFERENCES_OF_CALL = sys.getrefcount([object()][0])

# From this many known coroutines on, look for those that are gone.
_MANY_MADE = 1_000


class CoroutineMakers:
    """Finds the test that made a coroutine that has not started.

    It needs coroutine origin tracking (`sys.set_coroutine_origin_tracking_depth`): it knows
    coroutines by their origins, so that it keeps none alive.

    Args:
        collector: how the young objects can be found; None to find out.
        earlier: the maker of coroutines from before the first test; None for the newest test. An
            attribute too.
    """

    def __init__(
        self, collector: CollectorKind | None = None, earlier: Maker | None = None
    ) -> None:
        self._collector = collector or kind_of_collector()
        self.earlier = earlier
        # The tests since the last look, in order.
        self._markers = [] if earlier is None else [earlier]
        self._made: dict[int, _MadeCoroutine] = {}
        self._next_cleaning = _MANY_MADE
        # On CPython 3.11 the makers by the identities of the coroutines, instead of `_made`.
        self._by_identity: dict[int, Maker] = {}
        # Those among them that have been young since the last look.
        self._young: set[int] = set()

    @property
    def knows_tests(self) -> bool:
        """Whether coroutines can be attributed to their tests."""
        return self._collector != "unknown"

    def begin(self, test: str) -> None:
        """Attribute new coroutines to a test, given by its node id."""
        if self._collector != "in order":
            self.look()
            self._markers.clear()
        self._markers.append(Maker(test))

    @property
    def newest(self) -> Maker | None:
        """The test that began last, if any did."""
        return self._markers[-1] if self._markers else None

    def are_waiting(self) -> bool:
        """Whether coroutines that have not started may be alive; slow."""
        if self._collector == "unknown":
            return True
        self.look()
        self._forget_gone()
        if not self._number():
            return False
        with _not_collecting():
            waiting = waiting_coroutines()
        return any(
            identity_of(each.origin) in self._made or each.identity in self._by_identity
            for each in waiting
        )

    def _forget_gone(self) -> None:
        # A copy, as other threads drop coroutines meanwhile.
        for key in [key for key, made in list(self._made.items()) if _is_gone(made)]:
            self._made.pop(key, None)
        if self._by_identity:
            for identity in self._by_identity.keys() - living_coroutines():
                self._by_identity.pop(identity, None)
        self._next_cleaning = max(_MANY_MADE, 2 * self._number())

    def _number(self) -> int:
        return len(self._made) + len(self._by_identity)

    def look(self, *, is_collecting: bool = False) -> None:
        """Record the young coroutines that have not started, with their test.

        Args:
            is_collecting: whether the collector is about to run, after which none is young.
        """
        if not self._markers or self._collector == "unknown":
            return
        if self._number() >= self._next_cleaning:
            self._forget_gone()
        if sys.version_info < (3, 12):
            self._note_by_identity(is_collecting=is_collecting)
        elif found := new_origins():
            # Mostly there are none, or only that of the test that is about to run, among very many
            # other objects; `new_origins` passes over these without executing bytecode.
            origins = {identity_of(origin): origin for origin in found}
            for identity, maker in self._makers(origins.keys()):
                # Keep an earlier record: the markers before the last look are gone.
                self._made.setdefault(identity, _MadeCoroutine(origins[identity], maker))
        del self._markers[:-1]

    def _note_by_identity(self, *, is_collecting: bool) -> None:
        """Record the young coroutines, whether they have started or not.

        Their origins can't be read on CPython 3.11, see `new_origins`.
        """
        objects = new_identities(CoroutineType, Maker)
        coroutines = set(objects) - set(map(identity_of, self._markers))
        for identity, maker in self._makers_in_order(coroutines, objects):
            # Keep an earlier record only of a young one: another one may have had its identity.
            if identity not in self._young:
                self._by_identity[identity] = maker
        self._young = set() if is_collecting else coroutines

    def _makers(self, origins: Set[int]) -> Iterable[tuple[int, Maker]]:
        """Return the tests that made the recent coroutines, by the coroutines' origins.

        The collector moves a coroutine that is being freed behind all others, but not its origin.

        Args:
            origins: the identities of the origins.
        """
        if len(self._markers) == 1 or not origins:
            return [(identity, self._markers[-1]) for identity in origins]
        return self._makers_in_order(origins, new_identities(tuple, Maker))

    def _makers_in_order(
        self, origins: Set[int], objects: list[int]
    ) -> Iterator[tuple[int, Maker]]:
        markers = iter(self._markers)
        maker = next(markers)
        # The first marker may be older than these objects.
        following = next(markers, None)
        for identity in objects:
            if following is not None and identity == identity_of(following):
                maker = following
                following = next(markers, None)
            elif identity in origins:
                yield identity, maker

    def maker_of(self, coroutine: Coroutine) -> Maker:
        """Return the test that made a coroutine; where that is unknown, `earlier` or the newest."""
        # First of all, as a collection would make the young objects old.
        with _not_collecting():
            return self._find_maker(coroutine)

    def _find_maker(self, coroutine: Coroutine) -> Maker:
        origin = coroutine.cr_origin
        made = self._made.pop(identity_of(origin), None) if origin is not None else None
        if made is not None:
            return made.maker
        if self._collector == "unknown":
            return Maker("")
        if origin is not None and len(self._markers) > 1:
            # The collector has not run since it was made.
            for _, maker in self._makers({identity_of(origin)}):
                return maker
        identity = identity_of(coroutine)
        known = self._by_identity.pop(identity, None) or self.earlier
        # One made since, whose origin is young, may have the identity of another one. Without an
        # origin, as in other threads, that is unknown.
        if (
            known is not None
            and origin is not None
            and (identity in self._young or identity_of(origin) not in new_identities(tuple))
        ):
            return known
        return self._markers[-1]


@contextlib.contextmanager
def _not_collecting() -> Iterator[None]:
    """While entered, automatic collection is off."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _is_gone(made: _MadeCoroutine) -> bool:
    return sys.getrefcount(made.origin) <= _REFERENCES_TO_LAST


def look_into_frames(
    error: BaseException, report: Callable[[CoroutineType[Any, Any, Any]], object]
) -> None:
    """Find the coroutines that have not started and that only the frames of an exception hold.

    It closes them, or else Python would warn when they are freed.

    Args:
        error: the exception; the members of a group too.
        report: called with each coroutine.
    """
    # Not a generator, which would hold references. Before CPython 3.13 frames keep these dicts.
    all_variables: list[object] = []
    entry = error.__traceback__
    while entry is not None:
        variables = entry.tb_frame.f_locals
        all_variables.append(variables)
        values = list(variables.values())
        ours = [id(values), *map(id, all_variables)]
        for index in range(len(values)):
            if (
                type(values[index]) is CoroutineType
                and inspect.getcoroutinestate(values[index]) == inspect.CORO_CREATED
                and _is_held_by_frames(values, index, ours)
            ):
                report(values[index])
                values[index].close()
        entry = entry.tb_next
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            look_into_frames(each, report)


def _is_held_by_frames(values: list[Any], index: int, ours: Collection[int]) -> bool:
    """Whether only frames hold an object: no task that has not run yet, no list, nothing else.

    Args:
        values: a list that has the object.
        index: where in the list it is.
        ours: the identities of containers that hold it only for this search.
    """
    referrers = gc.get_referrers(values[index])
    if _has_hidden_holders(values, index, referrers):
        return False
    ours = (*ours, id(referrers))
    # By index, as a variable or an iterator would be one more reference.
    for number in range(len(referrers)):
        if isinstance(referrers[number], FrameType) or id(referrers[number]) in ours:
            continue
        # Otherwise it is the tuple of a function's *args.
        if type(referrers[number]) is not tuple or not _are_arguments(referrers, number, ours):
            return False
    return True


def _are_arguments(values: list[Any], index: int, ours: Collection[int]) -> bool:
    """Whether only frames hold a tuple."""
    referrers = gc.get_referrers(values[index])
    ours = (*ours, id(referrers))
    return not _has_hidden_holders(values, index, referrers) and all(
        isinstance(each, FrameType) or id(each) in ours for each in referrers
    )


def _has_hidden_holders(values: list[Any], index: int, referrers: list[Any]) -> bool:
    """Whether what the collector knows nothing of holds an object, for which it may be used still.

    It does not know containers after `gc.freeze`, nor the variables of functions that are running.

    Args:
        values: a list that has the object.
        index: where in the list it is.
        referrers: what the collector knows to hold it.
    """
    identity = id(values[index])
    known = sum(list(map(id, gc.get_referents(each))).count(identity) for each in referrers)
    return sys.getrefcount(values[index]) - known > _REFERENCES_OF_CALL
