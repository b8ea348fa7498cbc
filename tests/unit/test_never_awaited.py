"""Which test has made a coroutine that is freed, whenever and by whomever that is."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from aldente import _checked_pythons
from aldente._records import Finding
from aldente._rules import coroutine_origins, new_objects
from aldente._rules.coroutine_origins import kind_of_collector
from aldente._rules.never_awaited import CoroutineWatch


async def work() -> None:
    pass


def drop(coroutine: object) -> None:
    """Let go of a coroutine, which type checkers would not have happen unseen."""


class Holder:
    """Keeps a coroutine in a reference cycle."""

    def __init__(self, coroutine: Any) -> None:
        self.coroutine = coroutine
        self.itself = self


@pytest.fixture
def found() -> list[Finding]:
    """What the watch has reported."""
    return []


def shuffled(generation: int | None = None) -> list[Any]:
    """The objects of the collector in any order, as the incremental one may give them."""
    found = gc.get_objects(generation=generation)
    random.Random(len(found)).shuffle(found)
    return found


@pytest.fixture(params=["in order", "without order"])
def watch(
    request: pytest.FixtureRequest, found: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> Iterator[CoroutineWatch]:
    """A watch that is installed, with no collection going on but those that tests ask for."""
    monkeypatch.setattr(coroutine_origins, "kind_of_collector", lambda: request.param)
    if request.param == "without order":
        monkeypatch.setattr(new_objects, "_get_objects", shuffled)
    gc.collect()
    gc.disable()
    watch = CoroutineWatch(found.append)
    try:
        with watch.installed():
            yield watch
    finally:
        gc.enable()


def makers(found: list[Finding]) -> list[str | None]:
    return [finding.made_by for finding in found]


class Thing:
    """Something to be freed."""


def test_nothing_else_lives_on(watch: CoroutineWatch, found: list[Finding]) -> None:
    """What the code that drops a coroutine has in its variables is freed when that ends."""
    watch.begin("one")

    def forget() -> weakref.ref[Thing]:
        thing = Thing()
        drop(work())
        return weakref.ref(thing)

    assert forget()() is None
    assert len(found) == 1


def test_the_collector_comes_while_one_is_dropped() -> None:
    """A coroutine that is being freed is not asked for once it is gone."""
    found: list[Finding] = []

    def report(finding: Finding) -> None:
        gc.collect(0)
        found.append(finding)

    watch = CoroutineWatch(report)
    with watch.installed():
        for test in range(50):
            watch.begin(str(test))
            drop(work())
            # Others take its place in memory.
            running = [work() for _ in range(3)]
            gc.collect(0)
            for coroutine in running:
                coroutine.close()
        running.clear()
        assert not watch.has_waiting()
    assert makers(found) == [str(test) for test in range(50)]


@pytest.mark.parametrize("collections", [0, 1, 2])
def test_a_cycle_is_its_makers(
    watch: CoroutineWatch, found: list[Finding], collections: int
) -> None:
    """However many tests and young collections lie between, a cycle's coroutine is its maker's."""
    watch.begin("one")
    Holder(work())
    watch.begin("two")
    keep = Holder(work())
    for _ in range(collections):
        watch.begin("between")
        gc.collect(0)
    watch.begin("three")
    del keep
    gc.collect()
    assert sorted(makers(found), key=str) == ["one", "two"]


def test_a_drop_by_another_test(watch: CoroutineWatch, found: list[Finding]) -> None:
    """A coroutine that another test lets go of is its maker's, though nothing was collected."""
    watch.begin("one")
    kept = [work()]
    watch.begin("two")
    kept.clear()
    assert makers(found) == ["one"]


def test_a_coroutine_made_before_the_marker_moved(
    watch: CoroutineWatch, found: list[Finding]
) -> None:
    """A test whose marker the collector has looked at already is still charged with what follows."""
    watch.begin("one")
    gc.collect(0)
    Holder(work())
    watch.begin("two")
    gc.collect()
    assert makers(found) == ["one"]


def test_what_the_end_of_a_run_asks(watch: CoroutineWatch, found: list[Finding]) -> None:
    """At its end a run is told whether coroutines wait, and collecting them then charges their makers."""
    watch.begin("one")
    Holder(work())
    watch.begin("two")
    assert watch.has_waiting()
    gc.collect()
    assert makers(found) == ["one"]
    assert not watch.has_waiting()


def test_the_collector_comes_while_a_coroutine_is_made() -> None:
    """CPython 3.11 has no origin in it yet, but what was in its memory before, such as bytes."""
    code = """
import gc
from aldente._rules.never_awaited import CoroutineWatch

async def work(): pass

watch = CoroutineWatch(print)
with watch.installed():
    watch.begin("one")
    gc.set_threshold(2, 2, 2)
    waiting = []
    for _ in range(3_000):
        for size in range(100, 500, 16):
            bytes([255]) * size
        waiting.append(work())
    gc.set_threshold(700, 10, 10)
    assert watch.has_waiting()
    for coroutine in waiting:
        coroutine.close()
"""
    # In a process of its own, which would crash.
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_is_undone(found: list[Finding]) -> None:
    """When it is left, tracking, the collector's callbacks and Python's warning are as before."""

    def state() -> list[object]:
        return [
            sys.get_coroutine_origin_tracking_depth(),
            list(gc.callbacks),
            vars(warnings)["_warn_unawaited_coroutine"],
        ]

    before = state()
    with CoroutineWatch(found.append).installed():
        assert state() != before
    assert state() == before


def test_before_the_first_test(watch: CoroutineWatch, found: list[Finding]) -> None:
    """What is dropped while no test has begun is Python's warning, with its own text and place."""
    with pytest.warns(RuntimeWarning) as caught:
        drop(work())
    (warning,) = caught
    assert str(warning.message) == "coroutine 'work' was never awaited"
    assert warning.filename == __file__
    assert found == []


def test_the_origin_that_debug_mode_tracks(watch: CoroutineWatch) -> None:
    """Where somebody tracks more of the origin, Python's warning tells it, as it does without us."""
    sys.set_coroutine_origin_tracking_depth(5)
    with pytest.warns(RuntimeWarning) as caught:
        drop(work())
    text = str(caught[0].message)
    assert text.startswith(
        "coroutine 'work' was never awaited\nCoroutine created at (most recent call last)\n  File "
    )
    assert text.endswith("    drop(work())")


class Made:
    """Something that tells when it is freed."""

    def __init__(self, freed: list[int]) -> None:
        self._freed = freed

    def __del__(self) -> None:
        self._freed.append(threading.get_ident())


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that lose the GIL all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_what_other_threads_make_while_the_collector_comes(found: list[Finding]) -> None:
    """A tuple that another thread is making can grow, and what it lets go of is freed there."""
    freed: list[int] = []
    failed: list[Exception] = []

    def make() -> None:
        try:
            for _ in range(400):
                # It grows on the way, which fails when anybody else has it.
                tuple(Made(freed) for _ in range(30))
        except Exception as error:
            failed.append(error)

    watch = CoroutineWatch(found.append)
    with watch.installed():
        watch.begin("one")
        watch.begin("two")
        waiting = [work() for _ in range(10)]
        thread = threading.Thread(target=make)
        thread.start()
        while thread.is_alive():
            gc.collect(0)
            coroutine = work()
            drop(coroutine)
            del coroutine
            watch.begin("three")
        for each in waiting:
            each.close()
    assert failed == []
    assert set(freed) == {thread.ident}


def test_where_new_objects_are_not_found_a_coroutine_belongs_to_no_test(
    found: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a collector of which nothing is known, a dropped coroutine is charged to no test."""
    monkeypatch.setattr(coroutine_origins, "kind_of_collector", lambda: "unknown")
    watch = CoroutineWatch(found.append)
    with watch.installed():
        watch.begin("test_it.py::test_it")
        held = work()
        watch.begin("test_it.py::test_next")
        assert watch.has_waiting()
        del held
    assert makers(found) == [""]


def test_the_kind_of_collector_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of new objects is relied on only where it was checked and is seen."""

    def seen(*order: int) -> list[int]:
        made = new_objects.new_identities(coroutine_origins.Maker)[-3:]
        return [made[index] for index in order]

    assert kind_of_collector((3, 14, 4)) == "without order"
    assert kind_of_collector((3, 14, 5)) == kind_of_collector() == "in order"
    assert kind_of_collector(new_makers=lambda: seen(0, 1, 2)) == "in order"
    assert kind_of_collector(new_makers=lambda: seen(1, 0, 2)) == "without order"
    assert kind_of_collector(new_makers=lambda: seen(0, 1)) == "unknown"
    assert kind_of_collector(new_makers=list) == "unknown"
    monkeypatch.setattr(_checked_pythons, "running", (3, 99))
    assert kind_of_collector() == "without order"
