"""Fingerprints: two runs that a trace would tell apart have different ones."""

from __future__ import annotations

import asyncio
import cProfile
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aldente
from aldente._explore import nondeterminism
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import Program, simulate
from aldente._strategies.fifo import Fifo

Main = Callable[[], Coroutine[Any, Any, object]]


async def _turn() -> None:
    await asyncio.sleep(0)


async def place(flag: bool) -> None:
    """Waits at one line or at another."""
    if flag:
        await asyncio.sleep(0)
    else:
        await asyncio.sleep(0)


async def inner_place(flag: bool) -> None:
    """Waits at one line, in one function or in another."""

    async def other() -> None:
        await asyncio.sleep(0)

    await (other() if flag else _turn())


async def moment(flag: bool) -> None:
    """Waits for one second or for two, and as long in all."""
    for seconds in (1, 2) if flag else (2, 1):
        await asyncio.sleep(seconds)


async def name(flag: bool) -> None:
    """Names a task."""
    await asyncio.create_task(_turn(), name="one" if flag else "other")


async def number_of_steps(flag: bool) -> None:
    """Waits once more."""
    for _ in range(2 + flag):
        await asyncio.sleep(0)


async def cause(flag: bool) -> None:
    """One of two tasks wakes a third."""
    event = asyncio.Event()

    async def wake(is_it: bool) -> None:
        if is_it:
            event.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(event.wait())
        group.create_task(wake(flag))
        group.create_task(wake(not flag))


async def awaited(flag: bool) -> None:
    """Awaits one of two tasks that end at the same time."""
    tasks = [asyncio.create_task(_turn()) for _ in range(2)]
    await tasks[flag]


async def cancellation(flag: bool) -> None:
    """Cancels a task, or lets it end, in its last step."""
    future = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await asyncio.wait([future])

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    if flag:
        task.cancel()
    else:
        future.set_result(None)
    await asyncio.wait([task])


async def note(flag: bool) -> None:
    """Makes a note at one line or at another."""
    if flag:
        aldente.note("one")
    else:
        aldente.note("one")


async def plain_callback(flag: bool) -> None:
    """Calls one function or another."""
    asyncio.get_running_loop().call_soon(str if flag else int)
    await asyncio.sleep(0)


PROGRAMS = [
    place,
    inner_place,
    moment,
    name,
    number_of_steps,
    cause,
    awaited,
    cancellation,
    note,
    plain_callback,
]


def run_of(program: Callable[[bool], Coroutine[Any, Any, object]], flag: bool, **how: Any) -> Run:
    strategy = Fifo()
    strategy.start()
    return simulate(lambda: program(flag), strategy, RunSettings(), **how)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_what_a_trace_tells_apart_has_different_fingerprints(
    program: Callable[[bool], Coroutine[Any, Any, object]],
) -> None:
    """Each difference of two traces shows in the fingerprints; the same run has the same one."""
    traces = [run_of(program, flag, is_traced=True).steps for flag in (False, True, True)]
    assert traces[0] != traces[1] == traces[2]
    prints = [run_of(program, flag, is_compared=True).fingerprint for flag in (False, True, True)]
    assert prints[0] != prints[1] == prints[2]


def test_the_words_of_a_note_make_no_difference() -> None:
    """They may be addresses or times."""
    words = iter("ab")

    async def noting(flag: bool) -> None:
        aldente.note(next(words))

    one, other = (run_of(noting, False, is_compared=True).fingerprint for _ in range(2))
    assert one == other


def changing(flags: str) -> tuple[Main, list[int]]:
    """A program that does one thing in some runs and another in others; and its calls."""
    calls: list[int] = []

    async def main() -> None:
        calls.append(1)
        number = len(calls) - 1
        await place(flags[min(number, len(flags) - 1)] == "1")

    return main, calls


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("0", ""),
        # As if the first run fills a cache.
        ("01", ""),
        ("0101010101", "differed at step"),
        ("010001", "differed at step"),
        # Only the second run is another one.
        ("010", "differed in their steps; it may be"),
    ],
)
def test_runs_that_differ_are_told(flags: str, words: str) -> None:
    """Runs are recorded only if fingerprints differ, until the records show where."""
    main, calls = changing(flags)
    escaped = aldente.search(main, runs=1).escaped
    assert words in escaped
    assert bool(escaped) == bool(words)
    if flags == "0":
        assert len(calls) == 2


@pytest.mark.parametrize(("before", "are_recorded"), [("", False), ("abs(1); ", True)])
def test_code_that_each_run_makes_anew_is_no_difference(before: str, are_recorded: bool) -> None:
    """A program that compiles its functions is not reported, even if their instructions differ."""

    async def main() -> None:
        made: dict[str, Any] = {"asyncio": asyncio}
        exec(f"async def wait():\n    {before * len(kept)}await asyncio.sleep(0)", made)
        kept.append(made)
        await made["wait"]()

    kept: list[object] = []
    program = Program(main, RunSettings())
    run = run_of(lambda flag: main(), False, is_compared=True)
    assert nondeterminism.likely_cause(program, run.schedule(program.rules), run) == ""
    # The fingerprints of the first two differ in where they stand in a line, so others are recorded.
    assert (len(kept) > 2) == are_recorded


def test_beside_a_profiler_in_c() -> None:
    """A search that looks at what a program calls leaves cProfile as it is."""

    async def main() -> None:
        began = time.time()
        await asyncio.sleep(0)
        assert time.time() < began

    def end() -> None:
        """Called while the profiler is on again."""

    profile = cProfile.Profile()
    profile.enable()
    try:
        failure = aldente.search(main, runs=1).failure
        end()
    finally:
        profile.disable()
    assert failure is not None
    assert isinstance(failure.exception, AssertionError)
    assert end.__code__ in {entry.code for entry in profile.getstats()}
