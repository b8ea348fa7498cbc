"""That nothing else runs while an iterator is gone through in one go."""

from __future__ import annotations

import functools
import gc
import operator
import sys
import threading
import weakref
from collections.abc import Iterator
from itertools import accumulate, chain, count, repeat, takewhile, tee
from types import FrameType
from typing import Any

import pytest

from aldente._stacks import (
    Stack,
    atomic_list,
    frame_of,
    frames_of_threads,
    variables_of,
    with_callers,
)


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_is_left_as_it_was(is_enabled: bool) -> None:
    """It rests meanwhile, and afterwards it does what it did before."""
    seen = []

    def look(value: int) -> int:
        seen.append(gc.isenabled())
        return value

    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        assert atomic_list(lambda: map(look, (1, 2))) == [1, 2]
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
    assert seen == [False, False]


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_collector_as_it_was(
    is_enabled: bool, error: type[BaseException]
) -> None:
    """What the iterator raises is passed on."""

    def fail(value: int) -> int:
        raise error(value)

    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        with pytest.raises(error):
            atomic_list(lambda: map(fail, (1,)))
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


class Thing:
    """Something to be freed."""


def test_nothing_of_the_iterator_is_kept() -> None:
    """What the iterator came to last is freed by then, also where it went through it twice."""

    def references() -> Iterator[tuple[weakref.ref[Thing], type]]:
        things, others = tee(map(operator.call, (Thing,)))
        return zip(map(weakref.ref, things), map(type, others), strict=True)

    [(reference, kind)] = atomic_list(references)
    assert (reference(), kind) == (None, Thing)


@pytest.fixture
def busy_collector() -> Iterator[None]:
    """A collector that comes often, and lets other threads run then, which lose the GIL often."""

    def on_collection(phase: str, info: dict[str, int]) -> None:
        sum(range(50))

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.set_threshold(50)
    gc.callbacks.append(on_collection)
    yield
    gc.callbacks.remove(on_collection)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


class _Worker:
    """A thread whose stack changes all the time, coroutines among it."""

    def __init__(self) -> None:
        self.is_to_end = False
        self.thread = threading.Thread(target=self._work)

    def __enter__(self) -> int:
        self.thread.start()
        assert self.thread.ident is not None
        return self.thread.ident

    def __exit__(self, *details: object) -> None:
        self.is_to_end = True
        self.thread.join()

    def _work(self) -> None:
        while not self.is_to_end:
            for depth in range(10):
                self._nested(depth)
                next(self._generators(depth))
                with pytest.raises(StopIteration):
                    self._coroutines(depth).send(None)

    def _nested(self, depth: int) -> list[object]:
        thing = [self]
        return self._nested(depth - 1) if depth else [[thing] for _ in range(3)]

    def _generators(self, depth: int) -> Iterator[object]:
        thing = [self]
        if depth:
            yield from self._generators(depth - 1)
        yield thing

    async def _coroutines(self, depth: int) -> object:
        thing = [self]
        return await self._coroutines(depth - 1) if depth else [*self._nested(3), thing]


_LOOKS = 5_000


@pytest.mark.usefixtures("busy_collector")
def test_frames_of_a_thread_while_the_collector_comes() -> None:
    """Two looks at a thread in one go see the same, and no frame is used after its function's end.

    CPython 3.11 crashes here if the collector comes while a frame object is made.
    """
    is_there = functools.partial(operator.is_not, None)
    name_of = operator.attrgetter("f_globals")
    with _Worker() as thread:

        def walk(innermost: Iterator[FrameType]) -> Iterator[Any]:
            values: Iterator[Any] = chain(innermost, repeat("f_back"))
            return takewhile(is_there, accumulate(values, getattr))

        def walk_twice() -> Iterator[tuple[str, object]]:
            frames = map(operator.call, (sys._current_frames,))
            innermost, again = tee(map(operator.itemgetter(thread), frames))
            return zip(map(repr, walk(innermost)), map(name_of, walk(again)), strict=True)

        for _ in range(_LOOKS):
            assert atomic_list(walk_twice)
        assert gc.isenabled()


@pytest.mark.usefixtures("busy_collector")
def test_what_is_seen_of_a_thread_while_the_collector_comes() -> None:
    """All ways to look at a thread that runs work at any time."""
    with _Worker() as thread:
        stack = Stack(thread)
        for _ in range(_LOOKS):
            assert stack.entries()
            frames = with_callers(frames_of_threads()[thread])
            for frame in frames:
                assert isinstance(variables_of(frame), dict)


def test_the_frame_of_a_coroutine() -> None:
    """It is given for coroutines and generators that have one, and for nothing else."""

    async def coroutine() -> None:
        pass

    made = coroutine()
    frame = frame_of(made)
    assert frame is not None
    assert frame.f_code is coroutine.__code__
    made.close()
    assert frame_of(made) is None
    generator = (number for number in count())
    assert frame_of(generator, "gi_frame") is not None
    assert frame_of(object()) is None


def test_variables_that_a_function_has_asked_for_itself() -> None:
    """To read a function's variables takes nothing from what it got from ``locals()``."""

    def function() -> dict[str, object]:
        own = 1
        mine = locals()
        assert variables_of(sys._getframe())["own"] == own
        return mine

    assert function()["own"] == 1
