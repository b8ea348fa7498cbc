"""How long jobs, calls of threads and answers of doubles may take in an explored program."""

from __future__ import annotations

import asyncio
import queue
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import aldente
from aldente import Double
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.fifo import Fifo
from tests.unit.test_durations import outcomes_of


def since_start() -> float:
    """Seconds of loop time since the run began."""
    return round(asyncio.get_running_loop().time() - 100_000, 6)


async def order_of(event: Callable[[], Awaitable[object]], nap: float) -> tuple[str, float, float]:
    """Which comes first, an event or the end of another task's sleep; when both have come."""
    ends: dict[str, float] = {}

    async def sleeper() -> None:
        await asyncio.sleep(nap)
        ends["sleep"] = since_start()

    async def caller() -> None:
        await event()
        ends["event"] = since_start()

    await asyncio.gather(caller(), sleeper())
    return next(iter(ends)), ends["event"], ends["sleep"]


async def ask_double() -> None:
    await Double("service")()


async def run_job() -> None:
    await asyncio.to_thread(int)


async def hear_thread() -> None:
    """Wait for what a thread of the program's own calls in."""
    heard = asyncio.Event()
    call = asyncio.get_running_loop().call_soon_threadsafe
    thread = threading.Thread(target=lambda: call(heard.set))
    thread.start()
    await heard.wait()
    thread.join()


UNTIMED = pytest.mark.parametrize("event", [ask_double, run_job, hear_thread])


@UNTIMED
def test_what_takes_no_time_may_outlast_a_short_sleep(event: Any) -> None:
    """Up to 0.1 s with the default slack, at moments around the end of the sleep."""
    found = outcomes_of(lambda: order_of(event, 0.08))
    assert {when for _, when, _ in found} >= {0, 0.025, 0.05, 0.08, 0.1}
    assert max(when for _, when, _ in found) == 0.1
    assert {first for first, when, _ in found if when == 0.08} == {"event", "sleep"}


@UNTIMED
def test_it_does_not_outlast_a_long_sleep(event: Any) -> None:
    """With no sleep that ends in time there is no choice: it takes no time."""
    assert {when for _, when, _ in outcomes_of(lambda: order_of(event, 0.2))} == {0}
    assert {when for _, when, _ in outcomes_of(lambda: order_of(event, 0.08), slack=0)} == {0}
    found = outcomes_of(lambda: order_of(event, 0.2), slack=3)
    assert max(when for _, when, _ in found) == 0.3


@UNTIMED
def test_it_reaches_no_time_out(event: Any) -> None:
    """Any time-out is generous for what takes no time; so is a sleep of the test itself."""

    async def main() -> tuple[bool, float]:
        async def caller() -> float:
            async with asyncio.timeout(0.06):
                await event()
            return since_start()

        task = asyncio.create_task(caller())
        other = asyncio.create_task(asyncio.sleep(0.03))
        await asyncio.sleep(0.05)
        is_done = task.done()
        await other
        return is_done, await task

    found = outcomes_of(main)
    assert {is_done for is_done, _ in found} == {True}
    assert 0.03 < max(when for _, when in found) < 0.06


def test_the_calls_of_a_thread_keep_their_order() -> None:
    """A call that is late holds back the later ones of its thread."""

    async def main() -> tuple[int, ...]:
        heard: list[int] = []
        ended = asyncio.Event()
        call = asyncio.get_running_loop().call_soon_threadsafe

        def calls() -> None:
            for number in range(3):
                call(heard.append, number)
            call(ended.set)

        thread = threading.Thread(target=calls)
        thread.start()
        await asyncio.gather(ended.wait(), asyncio.sleep(0.04), asyncio.sleep(0.08))
        thread.join()
        return tuple(heard)

    for seed in range(20):
        assert aldente.run(main, seed=seed) == (0, 1, 2)


def test_a_call_of_a_thread_that_was_cancelled_is_dropped() -> None:
    """By the thread itself, before the loop has come to it."""

    async def main() -> list[str]:
        heard: list[str] = []
        call = asyncio.get_running_loop().call_soon_threadsafe

        def call_and_cancel() -> None:
            call(heard.append, "cancelled").cancel()
            call(heard.append, "called")

        thread = threading.Thread(target=call_and_cancel)
        thread.start()
        thread.join()
        await asyncio.gather(asyncio.sleep(0.05), asyncio.sleep(1))
        return heard

    for seed in range(5):
        assert aldente.run(main, seed=seed) == ["called"]


def test_a_late_thread_holds_back_no_other() -> None:
    """Each of two threads may be the one whose call comes last."""

    async def main() -> str:
        heard: list[str] = []
        both = asyncio.Event()
        loop = asyncio.get_running_loop()

        def note(name: str) -> None:
            heard.append(name)
            if len(heard) == 2:
                both.set()

        def call(name: str) -> None:
            loop.call_soon_threadsafe(note, name)

        async def start() -> None:
            # One after the other has called in, so that which is first depends on no thread.
            for name in "ab":
                thread = threading.Thread(target=call, args=name)
                thread.start()
                thread.join()
            await both.wait()

        await asyncio.gather(start(), asyncio.sleep(0.05))
        return "".join(heard)

    assert {aldente.run(main, seed=seed) for seed in range(40)} == {"ab", "ba"}


class Worker(threading.Thread):
    """A thread of the program's own that does one job after the other, like aiosqlite's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._jobs: queue.SimpleQueue[asyncio.Future[None] | None] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while (future := self._jobs.get()) is not None:
            # Long enough for the other thread to overtake this one.
            sum(range(20_000))
            self._loop.call_soon_threadsafe(future.set_result, None)

    async def work(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(future)
        await future

    def close(self) -> None:
        self._jobs.put(None)
        self.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what threads do")
def test_the_order_of_two_threads_does_not_depend_on_their_speed() -> None:
    """A seed gives one outcome, though two threads run at the same time."""

    async def main() -> tuple[tuple[str, int, float], ...]:
        seen: list[tuple[str, int, float]] = []
        workers = [Worker(asyncio.get_running_loop()) for _ in range(2)]

        async def use(name: str, worker: Worker) -> None:
            for number in range(3):
                await worker.work()
                seen.append((name, number, since_start()))
                await asyncio.sleep(0.03)

        try:
            await asyncio.gather(*map(use, "ab", workers), asyncio.sleep(0.05), asyncio.sleep(0.1))
        finally:
            for worker in workers:
                worker.close()
        return tuple(seen)

    for seed in range(15):
        first, second = (aldente.run(main, seed=seed) for _ in range(2))
        assert first == second


def test_a_job_sleeps_in_loop_time() -> None:
    """In stock order it ends where asyncio's would; it may take longer as a sleep may."""
    began = time.monotonic()

    async def main() -> tuple[str, float, float]:
        return await order_of(lambda: asyncio.to_thread(time.sleep, 500), 600)

    assert outcomes_of(main) >= {("event", 500, 600), ("sleep", 1000, 600), ("sleep", 600, 600)}
    assert time.monotonic() - began < 400


def test_a_time_out_beside_a_job_that_sleeps() -> None:
    """It fires if the job may reach past it."""

    async def main() -> str:
        try:
            async with asyncio.timeout(1.5):
                await asyncio.to_thread(time.sleep, 1)
        except TimeoutError:
            return "time-out"
        return "done"

    assert simulate(main, Fifo(), RunSettings()).result == "done"
    assert outcomes_of(main) == {"done", "time-out"}
    assert outcomes_of(main, slack=0.4) == {"done"}


def test_jobs_that_sleep_take_turns() -> None:
    """A pool of one thread does them one after the other, in loop time."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:

            async def nap() -> float:
                await loop.run_in_executor(pool, lambda: time.sleep(1.5))
                return since_start()

            return await asyncio.gather(*(nap() for _ in range(3)))

    assert simulate(main, Fifo(), RunSettings()).result == [1.5, 3, 4.5]


def test_what_is_no_length_of_time_is_refused_as_ever() -> None:
    """The errors of `time.sleep` are Python's own; an int, a negative number and 0 are no trouble."""

    async def main() -> float:
        wrongs: list[tuple[Any, type[Exception]]]
        wrongs = [(-1, ValueError), ("1", TypeError), (float("inf"), OverflowError)]
        for wrong, error in wrongs:
            with pytest.raises(error):
                await asyncio.to_thread(time.sleep, wrong)
        await asyncio.to_thread(time.sleep, 0)
        await asyncio.to_thread(time.sleep, 2)
        return since_start()

    run = simulate(main, Fifo(), RunSettings())
    assert run.error is None
    assert run.result == 2


def test_sleep_is_put_back() -> None:
    """Python's own function is there after a run, and stays what a test has made of it."""
    original = time.sleep

    async def main() -> None:
        await asyncio.to_thread(time.sleep, 1)

    for _ in range(3):
        assert simulate(main, Fifo(), RunSettings()).error is None
        assert time.sleep is original
    with pytest.MonkeyPatch.context() as patch:
        calls: list[float] = []
        patch.setattr(time, "sleep", calls.append)
        assert simulate(main, Fifo(), RunSettings()).error is None
        assert calls == []
        time.sleep(3)
        assert calls == [3]
    assert time.sleep is original


def test_a_replacement_that_outlasts_a_run_does_not_pile_up() -> None:
    """One of ours that other code has put back serves the next runs as well."""
    original = time.sleep
    patch = pytest.MonkeyPatch()

    async def main() -> float:
        if time.sleep.__module__ == "time":
            patch.setattr(time, "sleep", lambda seconds: original(0))
        await asyncio.sleep(0)
        return since_start()

    try:
        simulate(main, Fifo(), RunSettings())
        patch.undo()
        kept = time.sleep
        for _ in range(3):
            with asyncio.Runner(loop_factory=lambda: SimulatedLoop(Fifo())) as runner:
                runner.run(asyncio.sleep(0))
        assert time.sleep is kept
    finally:
        time.sleep = original


def test_the_story_says_what_a_job_took() -> None:
    """A job that takes some time instead of none, and one that sleeps longer."""

    async def main() -> None:
        is_open = True

        async def close() -> None:
            nonlocal is_open
            await asyncio.sleep(0.05)
            is_open = False

        async def use() -> None:
            await asyncio.to_thread(int)
            assert is_open

        await asyncio.gather(close(), use())

    failure = aldente.search(main).failure
    assert failure is not None
    assert re.search(r"Task-3 +to_thread takes 0\.(05|1) s", failure.report())


@pytest.mark.parametrize("strategy", ["dfs", "auto"])
def test_a_program_with_threads_of_its_own_is_not_exhausted(strategy: Any) -> None:
    """What its threads do is no choice of the schedule, so no search is a proof."""
    job = aldente.search(run_job, strategy=strategy, runs=50)
    assert (job.exhausted, job.failure) == (True, None)
    thread = aldente.search(hear_thread, strategy=strategy, runs=50)
    assert (thread.exhausted, thread.failure) == (False, None)
    assert thread.coverage == (
        "There is only one schedule. The schedules did not choose when the program's own threads "
        "call into the loop."
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what threads do")
def test_which_of_several_threads_is_heard_first_is_a_choice() -> None:
    """Without any sleep, at each of their answers; else one that overlaps with another is not seen."""

    async def main() -> str:
        heard: list[str] = []
        workers = [Worker(asyncio.get_running_loop()) for _ in range(2)]

        async def use(name: str, worker: Worker) -> None:
            for _ in range(2):
                await worker.work()
                heard.append(name)

        try:
            await asyncio.gather(*map(use, "ab", workers))
        finally:
            for worker in workers:
                worker.close()
        return "".join(heard)

    found = {aldente.run(main, seed=seed) for seed in range(60)}
    assert found == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}
    assert aldente.search(main, runs=20).failure is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what threads do")
def test_a_lost_update_over_two_connections_is_found() -> None:
    """In stock order each thread is heard to its end; the story says which one was not."""

    async def main() -> None:
        seats = 1
        workers = [Worker(asyncio.get_running_loop()) for _ in range(2)]

        async def reserve(worker: Worker) -> None:
            nonlocal seats
            await worker.work()  # say, a SELECT
            is_free = seats > 0
            await worker.work()
            if is_free:
                seats -= 1

        try:
            await asyncio.gather(*map(reserve, workers))
        finally:
            for worker in workers:
                worker.close()
        assert seats == 0

    failure = aldente.search(main, runs=50).failure
    assert failure is not None
    assert failure.run > 1
    assert "a thread answers 'Task-3' before another one that was started earlier" in str(
        failure.report()
    )
