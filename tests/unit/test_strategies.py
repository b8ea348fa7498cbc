"""Strategies: which schedules they choose, and what they know about those they have tried."""

from __future__ import annotations

import asyncio
import collections
import gc
import itertools
import random
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._python_compat import identity_of
from aldente._simulation.choices import Followed, OptionKind, Options, Picks, Strategy
from aldente._strategies.auto import Auto, Unseen
from aldente._strategies.coverage_guided import Novelty
from aldente._strategies.dfs import Dfs
from aldente._strategies.line_counter import LineCounter, free_tool_number
from aldente._strategies.pct import Pct
from aldente._strategies.registry import STRATEGIES, make_strategy

Main = Callable[[], Coroutine[Any, Any, object]]


def in_order(count: int) -> Main:
    """A program of so many tasks with one race between all of them; gives their order."""

    async def main() -> tuple[int, ...]:
        order: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*map(work, range(count)))
        return tuple(order)

    return main


def runs_of(strategy: Strategy, main: Main, limit: int) -> list[Run]:
    """The runs that a strategy makes, so many at most."""
    found: list[Run] = []
    while len(found) < limit and strategy.start():
        found.append(simulate(main, strategy, RunSettings()))
    return found


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_the_same_for_the_same_seed(name: str) -> None:
    """The runs of a strategy follow from its seed alone."""
    first, second = (
        [run.choices for run in runs_of(make_strategy(name, 5), in_order(4), 30)] for _ in range(2)
    )
    assert first == second


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


class Cycle:
    """Refers to itself, and says when it is freed."""

    def __init__(self, freed: list[object]) -> None:
        self.freed = freed
        self.itself = self

    def __del__(self) -> None:
        self.freed.append(None)


def test_lines_that_the_collector_runs_do_not_count() -> None:
    """When the collector comes depends on what the process has done before, not on the schedule."""
    freed: list[object] = []

    def work() -> None:
        Cycle(freed)
        gc.collect()

    def on_collection(phase: str, information: object) -> None:
        freed.append(phase)

    before = list(gc.callbacks)
    counter = LineCounter()
    gc.callbacks.append(on_collection)
    try:
        counter.start()
        work()
        counter.stop()
    finally:
        gc.callbacks.remove(on_collection)
    assert (freed[0], freed.count(None), freed[-1]) == ("start", 1, "stop")
    counted = {number for number, _ in counter.counts}
    assert identity_of(work.__code__) in counted
    others = Cycle.__del__.__code__, on_collection.__code__
    assert counted.isdisjoint(map(identity_of, others))
    assert gc.callbacks == before


@pytest.mark.parametrize("name", ["auto", "pct", "pos", "random"])
def test_a_strategy_depends_on_its_seed(name: str) -> None:
    """Another seed gives other runs."""
    found = {
        tuple(tuple(run.choices) for run in runs_of(make_strategy(name, seed), in_order(5), 10))
        for seed in range(3)
    }
    assert len(found) == 3


@pytest.mark.parametrize("name", ["auto", "dfs", "fifo", "pct"])
def test_the_first_run_is_in_stock_order(name: str) -> None:
    """A strategy that begins in the order of stock asyncio chooses the oldest throughout."""
    (run,) = runs_of(make_strategy(name, 3), in_order(4), 1)
    assert len(run.choices) == 3
    assert set(run.choices) == {0}


@pytest.mark.parametrize("name", ["auto", "dfs"])
def test_a_small_space_is_exhausted(name: str) -> None:
    """Every order of four tasks is tried once, and then it is known that there is no other."""
    strategy = make_strategy(name, 1)
    runs = runs_of(strategy, in_order(4), 1_000)
    assert sorted(run.result for run in runs) == sorted(itertools.permutations(range(4)))
    assert strategy.is_exhaustive
    assert strategy.coverage == "All 24 schedules were tried; there are no others."


@pytest.mark.parametrize("strategy", ["auto", "dfs"])
def test_a_search_says_that_nothing_is_left(strategy: str) -> None:
    """A search ends when all schedules were tried, even in the very last run, and says so."""
    for runs in (24, 200):
        exploration = aldente.search(in_order(4), runs=runs, strategy=strategy)
        assert exploration.runs == exploration.distinct == 24
        assert exploration.exhausted
        assert exploration.coverage.startswith("All 24 schedules")
    exploration = aldente.search(in_order(4), runs=23, strategy=strategy)
    assert not exploration.exhausted


def test_all_schedules_of_random_programs_are_tried_once() -> None:
    """dfs and auto find the same set of schedules, and no schedule twice."""

    def program(seed: int) -> Main:
        draw = random.Random(seed)
        waits = [[draw.choice((0, 0, 1, 1.5)) for _ in range(draw.randint(1, 3))] for _ in range(3)]

        async def main() -> None:
            lock = asyncio.Lock()

            async def work(own: list[float]) -> None:
                for seconds in own:
                    if seconds == 1.5:
                        async with lock:
                            await asyncio.sleep(seconds)
                    else:
                        await asyncio.sleep(seconds)

            await asyncio.gather(*map(work, waits))

        return main

    sizes = set()
    for seed in range(12):
        found: list[set[tuple[int, ...]]] = []
        for strategy in (Dfs(skips_equivalent=False), Auto(seed)):
            runs = [tuple(run.choices) for run in runs_of(strategy, program(seed), 3_000)]
            assert strategy.is_exhaustive
            assert len(set(runs)) == len(runs)
            found.append(set(runs))
        assert found[0] == found[1]
        sizes.add(len(found[0]))
    assert max(sizes) > 50


def test_dfs_begins_with_few_switches() -> None:
    """Schedules come in the order of their context switches, and the bound ends the search."""
    one, two = Dfs(1), Dfs(2)
    first = runs_of(one, in_order(5), 1_000)
    second = runs_of(two, in_order(5), 1_000)
    assert len(first) < len(second) < 120
    assert [run.choices for run in second[: len(first)]] == [run.choices for run in first]
    assert not one.is_exhaustive
    count = len(first)
    assert one.coverage == f"All {count} schedules with at most 1 context switch were tried."
    exploration = aldente.search(in_order(5), strategy=Dfs(1), runs=1_000)
    assert not exploration.exhausted
    assert exploration.coverage == one.coverage


def test_dfs_says_how_far_it_has_come() -> None:
    """A search that was ended tells which numbers of context switches are complete."""
    first = len(runs_of(Dfs(1), in_order(5), 1_000))
    exploration = aldente.search(in_order(5), strategy="dfs", runs=first + 1)
    expected = f"{first + 1} schedules were tried, among them all with at most 1 context switch."
    assert exploration.coverage == expected
    assert not exploration.exhausted


def test_one_long_run_is_one_switch() -> None:
    """Two locks in opposite orders deadlock with one switch, however many steps lie between."""

    async def main() -> None:
        one, two = asyncio.Lock(), asyncio.Lock()

        async def work(first: asyncio.Lock, second: asyncio.Lock, steps: int) -> None:
            for _ in range(steps):
                await asyncio.sleep(0)
            async with first:
                await asyncio.sleep(0)
                async with second:
                    pass

        await asyncio.gather(work(one, two, 0), work(two, one, 30))

    assert aldente.search(main, strategy="fifo").failure is None
    found = aldente.search(main, strategy=Dfs(1), runs=200)
    assert found.failure is not None
    assert isinstance(found.failure.exception, aldente.DeadlockError)


def test_pct_prefers_a_task_for_long() -> None:
    """With priorities a task may take many steps while another one is ready: starvation is found."""

    async def main() -> None:
        steps = 0
        is_done = False

        async def poll() -> None:
            nonlocal steps
            while not is_done:
                await asyncio.sleep(0)
                steps += 1
                assert steps < 40

        async def finish() -> None:
            nonlocal is_done
            await asyncio.sleep(0)
            is_done = True

        await asyncio.gather(poll(), finish())

    runs = [aldente.search(main, strategy=Pct(seed), shrink=False).runs for seed in range(5)]
    assert max(runs) < 60
    assert aldente.search(main, strategy="random", runs=1_000).failure is None


def test_pct_lets_a_busy_task_starve_nobody_for_ever() -> None:
    """A task that polls without end is put last after a while, so that others can end it."""

    async def main() -> None:
        event = asyncio.Event()

        async def poll() -> None:
            while not event.is_set():
                await asyncio.sleep(0)

        async def finish() -> None:
            await asyncio.sleep(0)
            event.set()

        await asyncio.gather(poll(), finish())

    exploration = aldente.search(main, strategy="pct", runs=50, max_steps=5_000)
    assert exploration.failure is None


def test_auto_climbs_to_a_bug_behind_many_races() -> None:
    """Thirteen races that must each go one way are won one after the other."""

    async def until_lost() -> None:
        for _ in range(13):
            if await _race() == 0:
                return
        raise AssertionError

    async def counted() -> None:
        won = 0
        for number in range(13):
            if await _race() != number % 2:
                won += 1
        assert won < 13

    for program in (until_lost, counted):
        # Without climbing, `counted` needs more than 2,000. benchmarks/exploration.py tries programs
        # of this kind with ten seeds.
        found = aldente.search(program, runs=1_000, seed=0, shrink=False)
        assert found.failure is not None
        assert aldente.search(program, runs=500, strategy="random").failure is None


async def _race() -> int:
    first: list[int] = []

    async def run(number: int) -> None:
        await asyncio.sleep(0)
        first.append(number)

    await asyncio.gather(run(0), run(1))
    return first[0]


def test_no_schedule_is_tried_twice() -> None:
    """What leads a run to new schedules finds all of them, whatever is wanted."""
    unseen = Unseen(random.Random(0))
    seen = set()
    while not unseen.is_exhausted:
        unseen.start()
        first = unseen.lead(3, 0)
        rest = [unseen.lead(2, 1) for _ in range(first)]
        unseen.end([first, *rest], [3] + [2] * first)
        assert (first, *rest) not in seen
        seen.add((first, *rest))
    assert len(seen) == 1 + 2 + 4


@pytest.mark.parametrize("seed", range(3))
def test_auto_runs_no_schedule_twice(seed: int) -> None:
    """All runs of a search have different choices, and it ends when there are no others."""
    found = aldente.search(in_order(4), runs=500, seed=seed)
    assert found.distinct == found.runs
    found = aldente.search(in_order(2), runs=500, seed=seed)
    assert (found.distinct, found.exhausted) == (found.runs, True)


def test_a_program_that_changes_does_not_confuse_what_was_tried() -> None:
    """Other numbers of options than before are taken as they are."""
    unseen = Unseen(random.Random(0))
    draw = random.Random(1)
    for _ in range(500):
        unseen.start()
        counts = [draw.randint(2, 4) for _ in range(draw.randint(0, 4))]
        choices = [unseen.lead(count, draw.randrange(count)) for count in counts]
        assert all(0 <= choice < count for choice, count in zip(choices, counts, strict=True))
        unseen.end(choices, counts)


def test_lines_are_counted() -> None:
    """Each line of the program is counted as often as it is reached, and no line of a library."""

    def program() -> None:
        for _ in range(7):
            sum(map(abs, [1]))
        Path("a").with_suffix(".b")

    counter = LineCounter()
    for _ in range(2):
        counter.start()
        program()
        counter.stop()
    lines = {line: count for (_, line), count in counter.counts.items()}
    first = program.__code__.co_firstlineno
    if sys.gettrace() is None or sys.version_info >= (3, 12):
        assert lines[first + 2] == 7
        assert lines[first + 3] == 1
    own = {identity_of(program.__code__), identity_of(test_lines_are_counted.__code__)}
    assert {function for function, _ in counter.counts} <= own | {
        identity_of(LineCounter.stop.__code__),
    }
    program()
    assert {line: count for (_, line), count in counter.counts.items()} == lines


def test_lines_of_other_threads_are_not_counted() -> None:
    """What a thread of the program does beside a run is not counted, nor does its collection."""
    begin, end = threading.Event(), threading.Event()

    def work() -> None:
        begin.wait()
        for _ in range(3):
            gc.collect()
        end.set()

    def program() -> None:
        begin.set()
        end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    counter = LineCounter()
    counter.start()
    program()
    counter.stop()
    thread.join()
    counted = {number for number, _ in counter.counts}
    assert identity_of(program.__code__) in counted
    assert identity_of(work.__code__) not in counted


@pytest.mark.skipif("sys.version_info < (3, 12)", reason="it traces one thread only")
def test_lines_of_jobs_are_counted() -> None:
    """What a job does while the simulated loop waits for it belongs to the run."""

    def job() -> None:
        sorted([2, 1])

    async def main() -> None:
        await asyncio.to_thread(job)

    counter = LineCounter()
    counter.start()
    simulate(main, make_strategy("fifo", 0), RunSettings())
    counter.stop()
    assert identity_of(job.__code__) in {number for number, _ in counter.counts}


def test_lines_that_each_run_reaches_equally_often_are_not_counted_again() -> None:
    """What a line counts as is the same as if it were counted in each run, and others are counted."""

    def program(times: int, *, is_rare: bool) -> None:
        for _ in range(times):
            sorted([2, 1])
        abs(-1)
        if is_rare:
            abs(-2)

    counter = LineCounter()
    first = program.__code__.co_firstlineno

    def run(times: int, *, is_rare: bool) -> tuple[dict[int, int], int]:
        counter.start()
        program(times, is_rare=is_rare)
        counter.pause()
        own = identity_of(program.__code__)
        lines = {line - first: n for (code, line), n in counter.counts.items() if code == own}
        return lines, counter.unchanged

    try:
        for number in range(4):
            lines, unchanged = run(number, is_rare=False)
            assert (lines[3], lines.get(2, 0), unchanged) == (1, number, 0)
        assert not counter.are_equal
        lines, unchanged = run(9, is_rare=True)
        # Here, in this test and in `run`; those that were never reached are new.
        assert (lines, unchanged >= 2) == ({1: 10, 2: 9, 5: 1}, True)
        # All are counted again some runs after a line was new.
        assert any(3 in run(1, is_rare=False)[0] for _ in range(20))
        assert 3 not in run(1, is_rare=False)[0]
    finally:
        counter.stop()


def test_making_named_tuples_counts_no_line() -> None:
    """Their functions come from strings, as programs may, but most are aldente's and libraries'."""
    counter = LineCounter()
    counter.start()
    Point(1, 2)
    counter.stop()
    codes = {code for code, _ in counter.counts}
    assert identity_of(Point.__new__.__code__) not in codes


def test_a_thread_beside_changes_no_schedule() -> None:
    """A thread that the program's own modules keep busy leaves the schedules of a seed as they are."""

    def choices() -> list[list[int]]:
        runs = runs_of(make_strategy("auto", 5), in_order(4), 23)
        return [list(run.choices) for run in runs]

    alone = choices()
    is_over = threading.Event()

    def spin() -> None:
        while not is_over.is_set():
            sum(range(10))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        beside = choices()
    finally:
        is_over.set()
        thread.join()
    assert beside == alone


def test_news_are_told_once() -> None:
    """What a run does more often than ever is a record; what it does again is nothing new."""
    novelty = Novelty()

    def news(times: int) -> tuple[int, int, int]:
        novelty.start()
        for _ in range(times):
            novelty.note(1, Picks(2, "somebody"))
        return novelty.end({})

    assert news(1) == (1, 0, 1)
    assert news(1) == (0, 0, 0)
    assert news(3) == (1, 0, 1)
    assert news(2) == (0, 1, 0)
    assert news(2) == (0, 0, 0)


def test_options_have_keys_and_places() -> None:
    """A task has the same key in all of its steps, and another place wherever it stands."""
    seen: list[tuple[object, tuple[object, ...], str, bool]] = []

    class Looking:
        def start(self) -> bool:
            return True

        def choose(self, count: int, options: Any) -> int:
            assert options.keys() == [options.key(index) for index in range(count)]
            for index, option in enumerate(options):
                kind = option.who if option.kind is OptionKind.RESUME else option.kind.value
                by_itself = options.goes_on_by_itself(index)
                assert options.step(index) == (options.key(index), options.place(index))
                assert options.functions(index) == options.place(index)[::2]
                seen.append((options.key(index), options.place(index), kind, by_itself))
            return 0

        def end(self) -> None:
            pass

    async def main() -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(1)
            await asyncio.to_thread(int)

        async def later() -> None:
            await asyncio.sleep(1)
            await asyncio.sleep(0.5)
            await asyncio.sleep(0)

        await asyncio.gather(work(), work(), later())

    simulate(main, Looking(), RunSettings())
    by_name: dict[str, set[object]] = {}
    places: dict[str, set[object]] = {}
    for key, place, name, _ in seen:
        by_name.setdefault(name, set()).add(key)
        places.setdefault(name, set()).add(place)
    assert len(by_name["Task-2"]) == len(by_name["Task-3"]) == 1
    assert by_name["Task-2"] != by_name["Task-3"]
    assert len(places["Task-2"]) > 1
    assert "begin a job" in by_name
    assert {by_itself for _, _, name, by_itself in seen if name == "Task-2"} == {True, False}


def test_other_packages_give_strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point in the group aldente.strategies is a strategy by its name."""
    folder = tmp_path / "youngest-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: youngest\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(
        "[aldente.strategies]\nyoungest = youngest_strategy:Youngest\n"
    )
    (tmp_path / "youngest_strategy.py").write_text(
        "class Youngest:\n"
        "    def __init__(self, seed): self.seed = seed\n"
        "    def start(self): return True\n"
        "    def choose(self, count, options): return count - 1\n"
        "    def end(self): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert make_strategy("youngest", 7).seed == 7

    async def main() -> None:
        assert await in_order(3)() == (0, 1, 2)

    found = aldente.search(main, strategy="youngest", runs=2, shrink=False)
    assert found.failure is not None
    assert found.failure.schedule.choices == (2, 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tasks_written_in_python_are_explored(strategy: str) -> None:
    """Every strategy works with tasks that a factory makes of asyncio's class in Python."""
    kind: Any = vars(asyncio.tasks)["_PyTask"]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coroutine, **kwargs: kind(coroutine, loop=loop))
        order: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*(asyncio.create_task(work(number)) for number in range(3)))
        assert order[0] != 2

    found = aldente.search(main, runs=100, strategy=strategy)
    assert (found.failure is None) == (strategy == "fifo"), found


class Following:
    """Chooses at random, and checks what it knows of the options against what they are."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.followed, self.other = Followed(), Followed()
        self.kept = 0
        self.keys: list[object] = []
        self.same_keys: list[object] = []

    def start(self) -> bool:
        self.followed.start()
        self.other.start()
        self.keys.clear()
        self.same_keys.clear()
        return True

    def choose(self, count: int, options: Options) -> int:
        if options.is_of_values:
            return self.draw.randrange(count)
        self.followed.look(count, options)
        self.followed.keep(self.keys)
        self.kept += len(self.keys)
        self.other.follow(count, options, self.same_keys)
        assert self.same_keys == self.keys
        self.keys += [options.key(index) for index in range(len(self.keys), count)]
        assert self.keys == options.keys()
        self.same_keys[:] = self.keys
        return self.draw.randrange(count)

    def end(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(5))
def test_options_are_followed_from_choice_to_choice(seed: int) -> None:
    """What is kept of the options belongs to them, whatever comes, goes and is cancelled."""

    async def main() -> None:
        async def work(number: int) -> None:
            for _ in range(4):
                await asyncio.sleep(0)
                await asyncio.sleep(number % 3)
            await asyncio.to_thread(int)

        tasks = [asyncio.create_task(work(number)) for number in range(7)]
        for task in tasks[::3]:
            aldente.may_be_cancelled(task)
        await asyncio.wait(tasks)

    strategy = Following(seed)
    for run in runs_of(strategy, main, 20):
        assert run.error is None
    assert strategy.kept > 500


@pytest.mark.skipif("sys.version_info < (3, 12)", reason="Python 3.11 has no sys.monitoring")
def test_a_search_keeps_no_number_of_monitoring() -> None:
    """A paused counter gives its number to whoever asks, and none is taken after a search."""
    monitoring: Any = getattr(sys, "monitoring", None)
    numbers = [3, 4]
    assert [monitoring.get_tool(number) for number in numbers] == [None, None]
    counter = LineCounter()
    for _ in range(2):
        counter.start()
        counter.pause()
    assert monitoring.get_tool(3) == "aldente"
    assert free_tool_number() == 3
    monitoring.free_tool_id(3)
    counter.start()
    sorted([2, 1])
    counter.stop()
    assert counter.counts
    counter.start()
    counter.pause()
    del counter
    assert [monitoring.get_tool(number) for number in numbers] == [None, None]
    aldente.search(in_order(3), runs=3)
    assert aldente.search(in_order(3), runs=3).escaped == ""
    assert [monitoring.get_tool(number) for number in numbers] == [None, None]


def test_pos_prefers_none_of_the_steps_that_race() -> None:
    """Where all steps race, each has the same chance to be the next one."""
    strategy = make_strategy("pos", 2)
    runs = runs_of(strategy, in_order(3), 600)
    counted = collections.Counter(run.result for run in runs)
    assert len(counted) == 6
    assert min(counted.values()) > 60
