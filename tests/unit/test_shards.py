"""`aldente.search` in the processes of an executor: the same result everywhere, and clear errors."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import aldente
from aldente._explore import sharded_search
from aldente._explore.batches import Batch, BatchResult, Bounds, FailedRun, run_batch, seed_of
from aldente._explore.result import Exploration
from aldente._explore.runs import RunSettings
from aldente._explore.sharded_search import SearchPlan, SearchProgress, ShardedSearch
from aldente._explore.simulate import Program
from aldente._schedules import Schedule
from aldente._strategies.auto import Auto
from aldente._strategies.shared_coverage import Covered, Covering, Shared


async def sells_twice() -> None:
    """Fails if a payment takes longer than usual."""
    seats, sold = 1, []

    async def buy(name: str, pause: float) -> None:
        nonlocal seats
        await asyncio.sleep(pause)
        if seats:
            await asyncio.sleep(0.01)
            seats -= 1
            sold.append(name)

    await asyncio.gather(buy("Ann", 0.1), buy("Bob", 0.115))
    assert len(sold) == 1


async def rarely_fails() -> None:
    """Fails in few of many orders."""
    order: list[int] = []

    async def work(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(5)))
    assert order[:6] != [4, 4, 3, 3, 2, 2]


async def passes(tasks: int = 4) -> None:
    """Has many schedules, none of which fails."""
    for _ in range(2):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(tasks)))


async def has_two_schedules() -> None:
    """Has two schedules, which pass."""
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))


async def leaves_a_task() -> None:
    """Passes with a warning."""
    asyncio.get_running_loop().create_task(asyncio.sleep(1000), name="left")
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))


async def loses_an_update() -> None:
    """Passes, although an update may be lost."""
    box = Box()

    async def add(number: int) -> None:
        before = box.value
        await asyncio.sleep(0)
        box.value = before + number

    await asyncio.gather(add(1), add(10))


class Box:
    value = 0


async def ends_its_process() -> None:
    """Ends the worker."""
    os._exit(3)


async def waits_for_ever(path: str) -> None:
    """Blocks its worker, after it has said so."""
    os.close(os.open(path, os.O_CREAT))
    threading.Event().wait()


async def fails_in_workers(parent: int) -> None:
    """Fails in every process but one."""
    assert os.getpid() == parent


def make_auto(seed: int) -> Auto:
    """A strategy for a seed."""
    return Auto(seed)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two processes."""
    with ProcessPoolExecutor(2) as made:
        # Has its thread started here, and not in a test.
        made.submit(os.getpid).result()
        yield made


def _result(found: Exploration) -> tuple[object, ...]:
    failure = found.failure
    told = None if failure is None else (failure.run, failure.token, repr(failure.exception))
    return found.runs, found.distinct, found.exhausted, found.coverage, told, found.findings


@pytest.mark.parametrize("main", [sells_twice, rarely_fails, passes, leaves_a_task])
def test_the_same_result(pool: ProcessPoolExecutor, main: Any) -> None:
    """Whatever runs the batches, and however many do: the result is the same."""
    first = aldente.search(main, runs=300, executor=pool)
    again = aldente.search(main, runs=300, executor=pool)
    with ProcessPoolExecutor(1) as one:
        alone = aldente.search(main, runs=300, executor=one)
    assert _result(first) == _result(again) == _result(alone)
    assert first.runs == 300 or first.failure is not None or first.exhausted


def test_another_number_of_shards(pool: ProcessPoolExecutor) -> None:
    """Each shard has schedules of its own, so another number of them finds others."""
    found = {aldente.search(passes, runs=64, executor=pool, shards=n).distinct for n in (1, 2, 16)}
    assert len(found) > 1


def test_a_failure_is_shrunk_and_replayed(pool: ProcessPoolExecutor) -> None:
    """A failure of a worker is analysed in this process, as one that was found here."""
    failure = aldente.search(sells_twice, executor=pool).failure
    assert failure is not None
    assert failure.shrinking is not None
    assert failure.shrinking.after == 1
    assert "What happened" in failure.report()
    with pytest.raises(AssertionError):
        aldente.replay(sells_twice, failure.token)


def test_a_partial(pool: ProcessPoolExecutor) -> None:
    """A partial of a function of a module can be sent."""
    found = aldente.search(functools.partial(passes, 3), runs=20, executor=pool)
    assert found.runs == 20


def test_all_schedules(pool: ProcessPoolExecutor) -> None:
    """A shard that has tried all schedules proves that for all; strategies without a seed too."""
    for strategy in ("auto", "dfs"):
        found = aldente.search(has_two_schedules, executor=pool, strategy=strategy)
        assert found.exhausted
        assert "2" in found.coverage


def test_no_claim_without_proof(pool: ProcessPoolExecutor) -> None:
    """Shards that have not tried all schedules each claim nothing together."""
    found = aldente.search(passes, runs=40, executor=pool)
    assert not found.exhausted
    assert found.coverage == ""


def test_warnings_of_rules(pool: ProcessPoolExecutor) -> None:
    """What a rule has found in workers is told once."""
    (text,) = aldente.search(leaves_a_task, runs=50, executor=pool).findings
    assert text.startswith("leaked-task")


def test_lost_updates(pool: ProcessPoolExecutor) -> None:
    """Lost updates are looked for in a worker, and told by their rule."""
    found = aldente.search(loses_an_update, runs=50, executor=pool)
    assert found.failure is None
    assert any(text.startswith("race") for text in found.findings)
    failed = aldente.search(loses_an_update, runs=50, executor=pool, rules={"race": "error"})
    assert failed.failure is not None
    assert str(failed.failure.exception).startswith("race")


def test_a_time_limit(pool: ProcessPoolExecutor) -> None:
    """It ends all shards, and the result says so."""
    found = aldente.search(passes, runs=10**9, max_seconds=0.5, executor=pool)
    assert found.is_late
    assert found.failure is None
    assert 0 < found.runs < 10**9


def test_a_strategy_by_a_function(pool: ProcessPoolExecutor) -> None:
    """A function that makes a strategy for a seed does so in each worker."""
    assert aldente.search(passes, runs=20, executor=pool, strategy=make_auto).runs == 20  # type: ignore[arg-type]


def test_a_failure_in_workers_only(pool: ProcessPoolExecutor) -> None:
    """A failure that this process does not see is told, with its traceback there."""
    main = functools.partial(fails_in_workers, os.getpid())
    failure = aldente.search(main, executor=pool).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.FailedElsewhere)
    assert "assert os.getpid() == parent" in failure.exception.text
    assert "passes in this one" in failure.inexact


# What goes wrong.


def test_a_program_that_cannot_be_sent(pool: ProcessPoolExecutor) -> None:
    """A closure is refused, with what to use instead."""

    async def inside() -> None:
        pass

    with pytest.raises(aldente.InvalidSetting, match=r"(?s)can't be sent.*functools\.partial"):
        aldente.search(inside, executor=pool)


class Unloadable:
    """Can't be unpickled."""

    async def main(self) -> None:
        pass

    def __reduce__(self) -> Any:
        return _raise, ()


def _raise() -> None:
    raise ValueError("not here")


def test_a_program_that_cannot_be_loaded(pool: ProcessPoolExecutor) -> None:
    """A program that workers can't load is told as such."""
    with pytest.raises(aldente.InvalidSetting, match=r"can't load it .*not here"):
        aldente.search(Unloadable().main, executor=pool)


def test_threads_are_refused() -> None:
    """Threads of this process can't run simulated programs at once."""
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(aldente.InvalidSetting, match="threads of this process"),
    ):
        aldente.search(passes, executor=threads)


class Here(Executor):
    """Does its work in this process, although it does not say so."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize("executor", [Here(), "two"])
def test_no_executor_of_processes(executor: Any) -> None:
    """An executor that works in this process is refused, and so is what is none."""
    with pytest.raises(aldente.InvalidSetting, match="executor"):
        aldente.search(passes, executor=executor)


def test_a_strategy_object_is_refused(pool: ProcessPoolExecutor) -> None:
    """Shards can't share one strategy."""
    with pytest.raises(aldente.InvalidSetting, match="makes a strategy from a seed"):
        aldente.search(passes, executor=pool, strategy=Auto(0))


@pytest.mark.parametrize("shards", [0, 1.5, "2"])
def test_a_wrong_number_of_shards(pool: ProcessPoolExecutor, shards: Any) -> None:
    """It must be a whole number of at least 1."""
    with pytest.raises(aldente.InvalidSetting, match="shards"):
        aldente.search(passes, executor=pool, shards=shards)


def test_a_worker_that_dies() -> None:
    """It ends the search with an error, and leaves no process."""
    with ProcessPoolExecutor(2) as doomed:
        with pytest.raises(aldente.WorkersFailed, match="a worker process died"):
            aldente.search(ends_its_process, executor=doomed)
        with pytest.raises(aldente.WorkersFailed, match="a worker process died"):
            aldente.search(passes, executor=doomed)


def test_an_executor_that_is_shut_down() -> None:
    """It is told as such."""
    closed = ProcessPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(aldente.WorkersFailed, match="accepts no more work"):
        aldente.search(passes, executor=closed)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals of POSIX")
def test_an_interrupt(tmp_path: Path) -> None:
    """Ctrl-C ends the search at once; workers end after their current run."""
    path = tmp_path / "began"
    main = functools.partial(waits_for_ever, str(path))
    thread = threading.get_ident()

    def interrupt() -> None:
        while not path.exists():
            os.sched_yield() if hasattr(os, "sched_yield") else None
        signal.pthread_kill(thread, signal.SIGINT)

    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(1)
    waiting = threading.Thread(target=interrupt)
    waiting.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            aldente.search(main, executor=executor)
    finally:
        waiting.join()
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        executor.shutdown()


# The order of batches.


class Delayed:
    """Has batches done in this process, and gives their results in some other order."""

    def __init__(self, results: Callable[[Batch], BatchResult], order: int) -> None:
        self._results = results
        self._order = order
        self._held: list[tuple[Future[BatchResult], BatchResult]] = []
        self.places: list[tuple[int, int]] = []

    def submit(self, batch: Batch, bounds: Bounds) -> Future[BatchResult]:
        """The future of a batch, which ends with one of the next ones."""
        future: Future[BatchResult] = Future()
        self.places.append(batch.place)
        self._held.append((future, self._results(batch)))
        if len(self._held) >= self._order:
            threading.Timer(0.001, self._let_go).start()
        else:
            threading.Timer(0.05, self._let_go).start()
        return future

    def _let_go(self) -> None:
        while self._held:
            future, result = self._held.pop()
            future.set_result(result)


def _given(failing: set[tuple[int, int]]) -> Callable[[Batch], BatchResult]:
    """The results of batches of which some fail in their third run."""
    import array

    def result(batch: Batch) -> BatchResult:
        schedules = array.array("q", range(batch.runs))
        news = (Covering((batch.round, batch.shard), True, ((batch.seed, 1),)),)
        if batch.place in failing:
            failed = FailedRun(Schedule(batch.place), 3, "it failed")
            return BatchResult(Exploration(3, 3, False), schedules, failed, news)
        return BatchResult(Exploration(batch.runs, batch.runs, False), schedules, None, news)

    return result


@pytest.mark.parametrize("order", [1, 3, 8])
def test_the_first_failure_is_reported(order: int) -> None:
    """Of several failures the one of the lowest round and shard is told, however they come."""
    delayed = Delayed(_given({(1, 2), (1, 0), (2, 0)}), order)
    plan = SearchPlan(4, 1_000, "auto", 0, looks_for_races=False)
    exploration, failed, number = ShardedSearch(plan, delayed.submit).run()
    assert failed is not None
    assert failed.schedule.choices == (1, 0)
    # Those of round 0, and the failed one.
    assert (exploration.runs, number) == (4 * 16 + 3, 4 * 16 + 3)


def test_what_is_new_is_shared() -> None:
    """A batch begins with what all batches two rounds earlier, and before, have covered."""
    shared: dict[tuple[int, int], Shared] = {}
    give = _given(set())

    def submit(batch: Batch, bounds: Bounds) -> Future[BatchResult]:
        shared[batch.place] = batch.shared
        future: Future[BatchResult] = Future()
        future.set_result(give(batch))
        return future

    plan = SearchPlan(2, 16 * 2 + 64 * 2 + 256 * 2 + 4, "auto", 0, looks_for_races=False)
    exploration, failed, _ = ShardedSearch(plan, submit).run()
    assert failed is None
    assert exploration.runs == plan.runs
    known = {
        place: [tuple(each.choices) for each in found.schedules] for place, found in shared.items()
    }
    assert known[1, 1] == []
    assert known[2, 0] == known[2, 1] == [(0, 0), (0, 1)]
    assert known[3, 1] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_news_are_told_once() -> None:
    """What one shard has covered is no news of another."""
    covered = Covered()
    covered.add([Covering((1,), True, ((7, 1), (7, 2)))])
    covered.add([Covering((2,), True, ((7, 2),)), Covering((3,), True, ((7, 2), (7, 3)))])
    assert [tuple(each.choices) for each in covered.shared().schedules] == [(1,), (3,)]
    assert covered.shared().levels == {7: 0b1110}


def test_a_batch_begins_with_what_others_know() -> None:
    """What another batch has covered is nothing new in one that knows of it."""
    program = Program(passes, RunSettings())
    first = run_batch(program, Batch(0, 0, 30, 0, "auto"))
    assert first.news
    covered = Covered()
    covered.add(first.news)
    again = run_batch(program, Batch(2, 0, 30, seed_of(0, 0, 2), "auto", covered.shared()))
    assert len(again.news) < len(first.news)


def test_a_search_goes_on() -> None:
    """A search that was cut off goes on to the result that it would have had."""
    plan = SearchPlan(3, 500, "auto", 0, looks_for_races=False)
    give = _given({(3, 1)})
    whole = ShardedSearch(plan, _at_once(give)).run()
    progress = SearchProgress()

    class Killed(Exception):
        pass

    lives = 0
    while True:
        lives += 1
        search = ShardedSearch(plan, _at_once(give), progress=progress, is_soak=True)
        results = 0

        def on_result() -> None:
            nonlocal results
            results += 1
            if results == 2:
                raise Killed

        search.on_result = on_result
        try:
            cut = search.run()
            break
        except Killed:
            progress = search.progress
    assert lives > 3
    assert cut[1:] == whole[1:]
    assert cut[0].runs == whole[0].runs


def test_an_interrupt_between_any_two_lines(tmp_path: Path) -> None:
    """Whenever Ctrl-C comes: what is kept then goes on to the same result, with no run twice."""
    plan = SearchPlan(1, 20, "auto", 0, looks_for_races=False)
    give = _given({(1, 0)})

    def search(progress: SearchProgress) -> ShardedSearch:
        return ShardedSearch(plan, _at_once(give), progress=progress, is_soak=True, folder=tmp_path)

    whole = search(SearchProgress()).run()
    lines = 0
    while True:
        lines += 1
        first = search(SearchProgress())
        try:
            with _interrupting_at(lines):
                first.run()
            break
        except KeyboardInterrupt:
            rest = search(first.progress).run()
        assert rest[1:] == whole[1:], f"after {lines} lines"
        assert rest[0].runs == whole[0].runs, f"after {lines} lines"
    assert lines > 100


@contextlib.contextmanager
def _interrupting_at(number: int) -> Iterator[None]:
    """While entered, raise KeyboardInterrupt before a line of `ShardedSearch`."""
    done = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal done
        if frame.f_code.co_filename != sharded_search.__file__:
            return None
        if event == "line":
            done += 1
            if done == number:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _at_once(
    give: Callable[[Batch], BatchResult],
) -> Callable[[Batch, Bounds], Future[BatchResult]]:
    def submit(batch: Batch, bounds: Bounds) -> Future[BatchResult]:
        future: Future[BatchResult] = Future()
        future.set_result(give(batch))
        return future

    return submit
