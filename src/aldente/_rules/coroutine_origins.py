"""Which test has made a coroutine: by its age.

Python's garbage collector keeps new objects in the order of their making until it looks at them for
the first time. A marker is made with each test, so the coroutines between two markers are those of
one test. They are looked up whenever the collector is about to run, which it does often and which
comes before any of them can move on. Nothing is collected for this.

That is how the collector of CPython 3.11 to 3.15 works. Early releases of 3.14 had another one, and
later Pythons may have: there nothing is told by the order of objects. The new ones are looked up at
the end of every test as well, so that all that were not there before are the test's; and where even
new objects are not found, a coroutine belongs to no test.

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
from aldente._rules.new_objects import (
    FoundCoroutine,
    identity_of,
    new_coroutines,
    new_identities,
    waiting_coroutines,
)

if TYPE_CHECKING:
    Coroutine = CoroutineType[Any, Any, Any]
    Filters = Sequence[tuple[Any, ...]]


class Maker:
    """A test that makes coroutines; also the marker among the new objects of the collector.

    Attributes:
        test: its node id.
        filters: the warning filters that hold for it.
    """

    __slots__ = ("filters", "test")

    def __init__(self, test: str) -> None:
        self.test = test
        self.filters: Filters = _python_compat.warning_filters()


class _Made(NamedTuple):
    """A coroutine that had not started when it was seen, by its origin, which nothing else shares.

    Not by a weak reference: one to a coroutine that is being freed would never be cleared.
    """

    origin: object
    maker: Maker


# How objects are found that were made of late: in the order of their making, without an order, or
# not at all.
CollectorKind = Literal["in order", "without order", "unknown"]

# The releases of CPython 3.14 before this one had an incremental collector.
_FIRST_RELEASE_OF_3_14_IN_ORDER = (3, 14, 5)


def _new_makers() -> list[int]:
    return new_identities(Maker)


def kind_of_collector(
    version: tuple[int, ...] = sys.version_info[:3],
    new_makers: Callable[[], list[int]] = _new_makers,
) -> CollectorKind:
    """What is known of the garbage collector of the running Python.

    Args:
        version: its version.
        new_makers: gives the identities of the markers among the objects that were made since the
            collector came last.

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


# What is counted for an origin when nobody else refers to it.
_SAMPLE = _Made(object(), Maker(""))
_REFERENCES_TO_LAST = sys.getrefcount(_SAMPLE.origin)

# How many coroutines are known at least, until those that are gone are looked for.
_MANY_MADE = 100


class CoroutineMakers:
    """Tells which test has made a coroutine that has not started.

    Where coroutines are made has to be tracked (`sys.set_coroutine_origin_tracking_depth`): they
    are known by their origins, so that none is kept alive.
    """

    def __init__(self, collector: CollectorKind | None = None) -> None:
        self._collector = collector or kind_of_collector()
        # The tests since the last look, in their order.
        self._markers: list[Maker] = []
        self._made: dict[int, _Made] = {}
        self._next_cleaning = _MANY_MADE
        # Coroutines that had no origin yet when they were seen, as the collector came while they
        # were being made, by their identities; it does so on CPython 3.11.
        self._unfinished: dict[int, Maker] = {}

    @property
    def knows_tests(self) -> bool:
        """Whether coroutines can be told from those of other tests."""
        return self._collector != "unknown"

    def begin(self, test: str) -> None:
        """What is made from now on is made by a test, given by its node id."""
        if self._collector != "in order":
            self.look()
            self._markers.clear()
        self._markers.append(Maker(test))

    @property
    def newest(self) -> Maker | None:
        """The test that has begun last, if any has."""
        return self._markers[-1] if self._markers else None

    def are_waiting(self) -> bool:
        """Whether coroutines that have not started may be alive; takes a while."""
        if self._collector == "unknown":
            return True
        self.look()
        self._forget_gone()
        if not self._made and not self._unfinished:
            return False
        with _not_collecting():
            waiting = waiting_coroutines()
        return any(
            identity_of(each.origin) in self._made or each.identity in self._unfinished
            for each in waiting
        )

    def _forget_gone(self) -> None:
        # Other threads drop coroutines meanwhile.
        for key in [key for key, made in list(self._made.items()) if _is_gone(made)]:
            self._made.pop(key, None)
        self._next_cleaning = max(_MANY_MADE, 2 * len(self._made))

    def look(self) -> None:
        """Note the coroutines among the new objects that have not started, by their test."""
        if not self._markers or self._collector == "unknown":
            return
        if len(self._made) >= self._next_cleaning:
            self._forget_gone()
        # Nearly always there are none, or only that of the test that is about to run; and there are
        # so many other objects that each is passed by without a step of the interpreter.
        found = new_coroutines()
        if found:
            self._note(found)
        del self._markers[:-1]

    def _note(self, found: list[FoundCoroutine]) -> None:
        """Note coroutines that have not started."""
        origins = {
            identity_of(each.origin): each.origin for each in found if each.origin is not None
        }
        if sys.version_info < (3, 12) and sys.get_coroutine_origin_tracking_depth():
            self._note_unfinished(found)
        for identity, maker in self._makers(origins.keys()):
            # Not for one that is known: the markers before the last look are gone.
            self._made.setdefault(identity, _Made(origins[identity], maker))

    def _note_unfinished(self, found: list[FoundCoroutine]) -> None:
        for each in found:
            if each.origin is None:
                self._unfinished[each.identity] = self._markers[-1]
        # Most of them begin and end, which nobody tells.
        for identity in list(self._unfinished)[:-_MANY_MADE]:
            del self._unfinished[identity]

    def _makers(self, origins: Set[int]) -> Iterable[tuple[int, Maker]]:
        """The tests that have made some coroutines of late, by their origins.

        A coroutine that is being freed is put behind all others, but its origin is where it was.

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
        """The test that has made a coroutine; the newest when nothing tells."""
        # First of all, as a collection would take the new objects away.
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
            # No collector has come by since it was made.
            for _, maker in self._makers({identity_of(origin)}):
                return maker
        unfinished = self._unfinished.pop(identity_of(coroutine), None)
        # Another coroutine may have come to its place in memory.
        if unfinished is not None and identity_of(origin) not in new_identities(tuple):
            return unfinished
        return self._markers[-1]


@contextlib.contextmanager
def _not_collecting() -> Iterator[None]:
    """While entered, the collector does not come by itself."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _is_gone(made: _Made) -> bool:
    return sys.getrefcount(made.origin) <= _REFERENCES_TO_LAST


def look_into_frames(
    error: BaseException, report: Callable[[CoroutineType[Any, Any, Any]], object]
) -> None:
    """Find the coroutines that have not started, and that only the frames of an exception hold.

    They are closed then, or Python would warn of them when they are freed.

    Args:
        error: the exception; a group of them is looked into as well.
        report: called with each coroutine.
    """
    # Not a generator, which would hold what it looks at. Before CPython 3.13 frames keep these.
    all_variables: list[object] = []
    entry = error.__traceback__
    while entry is not None:
        variables = entry.tb_frame.f_locals
        all_variables.append(variables)
        values = list(variables.values())
        for value in values:
            if (
                type(value) is CoroutineType
                and inspect.getcoroutinestate(value) == inspect.CORO_CREATED
                and _is_held_by_frames(value, [id(each) for each in (values, *all_variables)])
            ):
                report(value)
                value.close()
        entry = entry.tb_next
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            look_into_frames(each, report)


def _is_held_by_frames(value: object, looking: Collection[int]) -> bool:
    """Whether no task holds an object that has not had its turn yet, nor a list, nor anything else.

    Args:
        value: the object.
        looking: the identities of what holds it only because it is looked at.
    """
    # No variable is in a closure here, whose cell would hold what it is about.
    referrers = gc.get_referrers(value)
    ours = (*looking, id(referrers))
    for referrer in referrers:
        if isinstance(referrer, FrameType) or id(referrer) in ours:
            continue
        # Else the arguments of a function that takes any number of them.
        if type(referrer) is not tuple or not _are_frames(gc.get_referrers(referrer), ours):
            return False
    return True


def _are_frames(referrers: list[object], ours: Collection[int]) -> bool:
    return all(isinstance(each, FrameType) or id(each) in ours for each in referrers)
