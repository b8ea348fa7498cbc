"""`Dfs` leaves out schedules that differ only in the order of independent steps."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import CodeType
from typing import Any

import pytest

import aldente
from aldente import _stacks
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._runner import outside, peers, threads
from aldente._simulation import foreign_threads
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.network import loop as network_loop
from aldente._source import is_own
from aldente._stacks import with_callers
from aldente._strategies.auto import Auto
from aldente._strategies.dfs import Dfs
from aldente._strategies.line_counter import free_tool_number
from aldente._strategies.recorder import AccessRecorder
from tests.conformance.racing import racing_program, source_of

Main = Callable[[], Coroutine[Any, Any, object]]
Work = Callable[[int], Awaitable[object]]

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python 3.11 has no sys.monitoring"
)


def outcomes(strategy: Dfs, main: Main, limit: int = 10_000) -> tuple[int, set[tuple[str, str]]]:
    """How many runs a strategy makes, and what those end with that are not equivalent to others."""
    found: set[tuple[str, str]] = set()
    runs = 0
    while runs < limit and strategy.start():
        run = simulate(main, strategy, RunSettings())
        if strategy.was_needed:
            found.add((repr(run.result), repr(run.error)))
        runs += 1
    return runs, found


def runs_of(main: Main) -> tuple[int, int]:
    """How many runs there are in all, and without equivalent ones, which end with the same."""
    everything, all_outcomes = outcomes(Dfs(skips_equivalent=False), main)
    strategy = Dfs()
    reduced, found = outcomes(strategy, main)
    assert found == all_outcomes
    assert strategy.is_exhaustive
    return everything, reduced


def gathered(work: Work, count: int) -> Main:
    """A program that gathers so many tasks."""

    async def main() -> object:
        return await asyncio.gather(*map(work, range(count)))

    return main


def grouped(work: Work, count: int) -> Main:
    """A program with a group of so many tasks."""

    async def main() -> object:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_call(work, number)) for number in range(count)]
        return [task.result() for task in tasks]

    return main


async def _call(work: Work, number: int) -> object:
    return await work(number)


async def independent(number: int) -> int:
    """Knows nothing but its own variables."""
    total = 0
    for _ in range(2):
        await asyncio.sleep(0)
        total = total + number
    return total


# Some of their tasks fail with nobody to await them.
@aldente.allow("background-error")
# benchmarks/simulation_proofs.py tries 3,000.
@pytest.mark.parametrize("seed", range(24))
def test_the_same_outcomes_are_reached(seed: int) -> None:
    """Whatever a random program may end with, it ends with in a run that is not left out."""
    main = racing_program(seed)
    most = 150
    everything, expected = outcomes(Dfs(skips_equivalent=False), main, most)
    if everything == most:
        return
    strategy = Dfs()
    runs, found = outcomes(strategy, main, most)
    assert found == expected, source_of(seed)
    assert runs <= everything
    assert strategy.is_exhaustive


@needs_monitoring
@pytest.mark.parametrize("arrange", [gathered, grouped])
def test_independent_tasks_take_few_runs(arrange: Callable[[Work, int], Main]) -> None:
    """Tasks that have nothing in common are not tried in every order, on any Python."""
    assert runs_of(arrange(independent, 3)) == (90, 13)


@needs_monitoring
def test_tasks_that_sleep_take_fewer_runs() -> None:
    """Setting a timer for a sleep is independent of what other tasks do, on any Python."""

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(1 + number)

    assert runs_of(gathered(work, 2)) == (16, 9)


@needs_monitoring
def test_a_gather_beside_an_independent_task_takes_few_runs() -> None:
    """What `asyncio.gather` does when its tasks have ended is independent of other tasks."""

    async def main() -> None:
        async def gather() -> None:
            await asyncio.gather(independent(1), independent(2))
            await asyncio.sleep(0)

        await asyncio.gather(gather(), independent(3))

    # Before Python 3.14 a weak set of asyncio's runs Python code when a task is freed.
    assert runs_of(main) == (102, 14 if sys.version_info >= (3, 14) else 15)


@needs_monitoring
def test_an_independent_task_beside_a_race_takes_few_runs() -> None:
    """A race is tried in all ways, and not once more for each place of a task beside it."""

    async def main() -> int:
        total = 0

        async def add() -> None:
            nonlocal total
            await asyncio.sleep(0)
            before = total
            await asyncio.sleep(0)
            total = before + 1

        await asyncio.gather(add(), add(), independent(1))
        return total

    assert runs_of(main) == (90, 18)


RACES: dict[str, Callable[[list[int], dict[str, int], Any], Work]] = {}


def race(make: Callable[[list[int], dict[str, int], Any], Work]) -> object:
    """A program of tasks that all race for one thing, made of what they may share."""
    RACES[make.__name__] = make
    return make


@race
def append(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> None:
        await asyncio.sleep(0)
        items.append(number)

    return work


@race
def add_in_place(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> None:
        await asyncio.sleep(0)
        table["key"] = table["key"] * 2 + number

    return work


@race
def set_attribute(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> None:
        await asyncio.sleep(0)
        box.value = box.value * 2 + number

    return work


@race
def set_attribute_by_name(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> None:
        await asyncio.sleep(0)
        setattr(box, "value", getattr(box, "value") * 2 + number)  # noqa: B009, B010

    return work


@race
def take_from_iterator(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return next(box.source)  # type: ignore[no-any-return]

    return work


@race
def change_dictionary_of(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> None:
        await asyncio.sleep(0)
        vars(box).update(value=number)

    return work


@race
def show_other_tasks(items: list[int], table: dict[str, int], box: Any) -> Work:
    async def work(number: int) -> object:
        await asyncio.sleep(0)
        return bool("%s" % box)  # noqa: UP031

    return work


@needs_monitoring
@pytest.mark.parametrize("name", RACES)
def test_tasks_that_all_race_are_tried_in_every_order(name: str) -> None:
    """No order of steps is left out in which they change the same thing."""

    class Box:
        value = 1

        def __init__(self) -> None:
            self.source = iter(range(10))

    async def main() -> object:
        items: list[int] = []
        table, box = {"key": 1}, Box()
        results = await asyncio.gather(*map(RACES[name](items, table, box), range(4)))
        return results, items, table, box.value

    assert runs_of(main) == (24, 24)


def test_who_asks_whether_a_task_has_ended_races_with_its_end() -> None:
    """The end of a task is no step that is independent of one that asks for it."""

    async def main() -> object:
        async def end() -> None:
            await asyncio.sleep(0)

        async def ask() -> bool:
            await asyncio.sleep(0)
            has_ended = first.done()
            await asyncio.sleep(0)
            return has_ended

        first = asyncio.create_task(end())
        return await asyncio.gather(first, ask(), independent(1))

    runs_of(main)


def test_the_end_of_the_last_task_of_a_group_is_no_counting() -> None:
    """Whoever waits for two tasks goes on at any time after both, whatever a third one does."""

    async def main() -> int:
        total = 0

        async def end() -> None:
            await asyncio.sleep(0)

        async def add() -> None:
            nonlocal total
            for _ in range(3):
                await asyncio.sleep(0)
                total = total + 1

        async def wait() -> int:
            await asyncio.gather(end(), end())
            return total

        task = asyncio.create_task(add())
        seen = await wait()
        await task
        return seen

    runs_of(main)


def test_an_invariant_sees_what_is_between_independent_steps() -> None:
    """With a check after each step no order of steps is left out, as it may see all of them."""

    async def main() -> None:
        one = other = 0

        async def first() -> None:
            nonlocal one
            await asyncio.sleep(0)
            one = 1

        async def second() -> None:
            nonlocal other
            await asyncio.sleep(0)
            other = 1

        aldente.invariant(lambda: one >= other)
        await asyncio.gather(first(), second(), independent(1))

    found = aldente.search(main, strategy="dfs", shrink=False)
    assert found.failure is not None
    assert outcomes(Dfs(), main)[0] == outcomes(Dfs(skips_equivalent=False), main)[0]


@needs_monitoring
def test_coverage_says_what_was_left_out() -> None:
    """A search tells how many runs there were, and that others are equivalent to them."""
    exploration = aldente.search(gathered(independent, 3), strategy="dfs")
    assert exploration.exhausted
    runs = exploration.runs
    first, _, second = exploration.coverage.partition(": ")
    assert first == f"{runs} schedules were tried, and every other one is equivalent to one of them"
    assert second.endswith(" branches were skipped.")
    # Before that, nothing is said of how many context switches are complete unless it is known.
    started = aldente.search(gathered(independent, 3), strategy="dfs", runs=runs - 1)
    assert not started.exhausted
    assert "branches were skipped as equivalent" in started.coverage
    assert "at most 1" not in started.coverage


def test_a_bound_counts_schedules_one_by_one() -> None:
    """With a limit of context switches nothing is left out, as it may have fewer of them."""
    main = gathered(independent, 3)
    assert outcomes(Dfs(2), main)[0] == outcomes(Dfs(2, skips_equivalent=False), main)[0]


def test_a_program_that_depends_on_more_than_its_schedule_ends() -> None:
    """When another task goes on than in the run before, nothing is left out any more."""
    numbers = iter(range(1_000_000))

    async def main() -> None:
        async def work(steps: int) -> None:
            for _ in range(steps):
                await asyncio.sleep(0)

        first = next(numbers) % 3
        await asyncio.gather(*(work(1 + (first + number) % 3) for number in range(3)))

    strategy = Dfs()
    runs, found = outcomes(strategy, main, 400)
    assert 0 < runs <= 400
    assert found == {("None", "None")}


@needs_monitoring
def test_nothing_is_left_out_when_nobody_can_look() -> None:
    """Without a free number for tools all schedules are tried."""
    monitoring: Any = vars(sys)["monitoring"]
    taken = []
    while (number := free_tool_number()) is not None:
        taken.append(number)
    try:
        assert outcomes(Dfs(), gathered(independent, 3))[0] == 90
    finally:
        for number in taken:
            monitoring.free_tool_id(number)


@needs_monitoring
def test_looking_leaves_nothing_behind() -> None:
    """After each run the numbers of tools are free again."""
    monitoring: Any = vars(sys)["monitoring"]
    before = [monitoring.get_tool(number) for number in range(6)]
    strategy = Dfs()
    assert strategy.start()
    simulate(gathered(independent, 2), strategy, RunSettings())
    assert [monitoring.get_tool(number) for number in range(6)] == before


@needs_monitoring
def test_what_another_strategy_does_not_look_at_is_seen() -> None:
    """A search that looks at the lines of the program only hides none of asyncio from a later one."""

    async def main() -> object:
        event = asyncio.Event()

        async def put() -> None:
            await asyncio.sleep(0)
            event.set()

        async def get() -> bool:
            await asyncio.sleep(0)
            return event.is_set()

        tasks = [asyncio.create_task(put()), asyncio.create_task(get())]
        return [await task for task in tasks]

    strategy = Auto(1)
    assert strategy.start()
    simulate(main, strategy, RunSettings())
    # At once, as code is observed anew once it was run without any observer.
    found = outcomes(Dfs(), main)[1]
    assert found == {("[None, True]", "None"), ("[None, False]", "None")}


def test_an_invariant_sees_steps_that_are_independent() -> None:
    """Where the program is looked at between its steps, no order of them is left out."""

    async def main() -> None:
        seen = {"one": 0, "other": 0}

        async def work(name: str) -> None:
            mine = 0
            for _ in range(2):
                await asyncio.sleep(0)
                mine += 1
            seen[name] = mine

        def other_is_never_first() -> None:
            assert seen["one"] >= seen["other"]

        with aldente.invariant(other_is_never_first):
            await asyncio.gather(work("one"), work("other"))

    assert aldente.search(main, strategy="dfs").failure is not None


@needs_monitoring
def test_other_threads_do_nothing_to_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread of other code does meanwhile is not taken for the program's."""
    # Each run looks for a moment whether the thread is about to wait for work.
    monkeypatch.setattr(outside, "_MOMENT", 0.0)
    is_over = threading.Event()
    seen: list[int] = []

    def busy() -> None:
        while not is_over.is_set():
            seen.append(len(seen))
            seen.clear()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert runs_of(gathered(independent, 3)) == (90, 13)
    finally:
        is_over.set()
        thread.join()


@needs_monitoring
def test_waiting_for_a_thread_is_no_part_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What aldente does again and again while the loop waits is not taken for the program's."""
    seen: set[str] = set()
    # Python 3.11, for which types are checked, has none of its methods for events.
    recorder_of_lines: Any = AccessRecorder
    watch, wait = recorder_of_lines._watch, SimulatedLoop.wait.__code__

    def note(recorder: AccessRecorder, code: CodeType) -> None:
        callers = with_callers(sys._getframe())
        if is_own(code.co_filename) and any(each.f_code is wait for each in callers):
            seen.add(code.co_filename)
        watch(recorder, code)

    monkeypatch.setattr(recorder_of_lines, "_watch", note)
    jobs: queue.Queue[object] = queue.Queue()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while jobs.get(timeout=0.01) is None:
                pass

    async def main() -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Event()

        def call_in() -> None:
            time.sleep(0.02)
            loop.call_soon_threadsafe(heard.set)

        thread = threading.Thread(target=call_in)
        thread.start()
        # A time-out has the loop look at the threads, whether time may jump.
        async with asyncio.timeout(60):
            await heard.wait()
        thread.join()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert outcomes(Dfs(), main, 3)[1] == {("None", "None")}
    finally:
        jobs.put("end")
        thread.join()
    # What is sent comes then, and is a part of the program's step.
    assert network_loop.__file__ in seen
    assert seen.isdisjoint(
        module.__file__ for module in (_stacks, foreign_threads, outside, peers, threads)
    )
