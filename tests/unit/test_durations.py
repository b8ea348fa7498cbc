"""How long the sleeps of an explored program may take."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.durations import End, Reach, ends_of, soonest
from aldente._strategies.dfs import Dfs

Main = Callable[[], Coroutine[Any, Any, Any]]


def outcomes_of(main: Main, **rules: Any) -> set[Any]:
    """What a program returns under all schedules there are."""
    strategy, found = Dfs(skips_equivalent=False), set()
    while strategy.start():
        run = simulate(main, strategy, RunSettings(**rules))
        assert run.error is None, run.error
        found.add(run.result)
    assert strategy.is_exhaustive
    return found


async def ends_of_two(first: float, second: float) -> tuple[float, float]:
    """When two tasks wake that sleep at the same time, in seconds since then."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return round(loop.time() - began, 6)

    one, two = await asyncio.gather(nap(first), nap(second))
    return one, two


def test_a_sleep_takes_a_few_lengths() -> None:
    """A quarter, a half and all of the slack longer, and until another sleep ends."""
    found = outcomes_of(lambda: ends_of_two(1, 1.9))
    assert {first for first, _ in found} == {1, 1.25, 1.5, 2, 1.9}
    # When the first is over by then, the second is alone.
    assert {second for first, second in found if first < 1.9} == {1.9}
    # While it is not, the second may take longer, too.
    assert {second for first, second in found if first == 2} == {1.9, 2, 2.375, 2.85, 3.8}


@pytest.mark.parametrize(("slack", "longest"), [(0, 1), (0.5, 1.5), (1, 2), (3, 4)])
def test_slack_is_the_most(slack: float, longest: float) -> None:
    """No sleep takes more than `slack` times longer."""
    found = outcomes_of(lambda: ends_of_two(1, 10), slack=slack)
    assert max(first for first, _ in found) == longest
    assert min(first for first, _ in found) == 1


def test_a_sleep_that_is_alone_takes_as_long_as_it_says() -> None:
    """If nothing else can happen before it ends, there is no choice."""

    async def main() -> float:
        async def work() -> None:
            for _ in range(3):
                await asyncio.sleep(1)

        await asyncio.create_task(work())
        return asyncio.get_running_loop().time()

    assert outcomes_of(main) == {100_003.0}


def moments_at_time_out() -> Main:
    """A program that returns when an answer came, and what was called when, in order."""

    async def main() -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        async def answer() -> None:
            await asyncio.sleep(0.7)
            seen.append("answer")
            await asyncio.sleep(0)
            seen.append("after it")

        loop.call_later(1, seen.append, "time-out")
        await asyncio.create_task(answer())
        await asyncio.sleep(2)
        return tuple(seen)

    return main


def test_the_moments_around_a_timer() -> None:
    """Before a timer, in its turn ahead of its callback, after its callback: all of these happen."""
    assert outcomes_of(moments_at_time_out()) == {
        ("answer", "after it", "time-out"),
        ("answer", "time-out", "after it"),
        ("time-out", "answer", "after it"),
    }
    assert outcomes_of(moments_at_time_out(), slack=0.4) == {("answer", "after it", "time-out")}


def test_the_tests_own_sleeps_take_no_longer() -> None:
    """They say when the test does something; what others wait for may take longer than them."""

    async def main() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        done: list[bool] = []

        async def work() -> None:
            await asyncio.sleep(0.8)
            done.append(True)

        task = asyncio.create_task(work())
        await asyncio.sleep(1)
        found = loop.time() - began, bool(done)
        await task
        return found

    assert outcomes_of(main) == {(1, True), (1, False)}


def test_a_test_that_advances_its_clock_sets_the_pace() -> None:
    """What is due before its moment is over then, also what was late already."""

    async def main() -> bool:
        done = asyncio.Event()

        async def work() -> None:
            await asyncio.sleep(0.8)
            done.set()

        async def other() -> None:
            await asyncio.sleep(0.9)

        task = asyncio.create_task(work())
        await asyncio.create_task(other())
        await aldente.Clock(asyncio.get_running_loop).advance(0.01)
        is_done = done.is_set()
        await task
        return is_done

    # Late by nearly as much as it may be, it would come at 1.6 s.
    assert outcomes_of(main) == {True}


def test_sleeps_of_functions_that_the_test_calls_may_take_longer() -> None:
    """The code under test may sleep in the task of the test."""

    async def call() -> None:
        await asyncio.sleep(1)

    async def main() -> float:
        other = asyncio.create_task(asyncio.sleep(5))
        await call()
        found = asyncio.get_running_loop().time()
        await other
        return found

    assert max(outcomes_of(main)) == 100_002


def test_a_cancelled_sleep_is_over() -> None:
    """A sleep that takes longer can be cancelled like any other."""

    async def main() -> str:
        async def work() -> str:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                return "cancelled"
            return "done"

        task = asyncio.create_task(work())
        asyncio.get_running_loop().call_later(1.5, task.cancel)
        return await task

    assert outcomes_of(main) == {"done", "cancelled"}


def test_two_sleeps_that_end_in_the_same_moment() -> None:
    """Both are late until one moment; they go on in any order, and no two entries are equal."""

    async def main() -> str:
        order: list[str] = []

        async def nap(name: str) -> None:
            await asyncio.sleep(1)
            order.append(name)

        asyncio.get_running_loop().call_later(1.5, order.append, "timer")
        await asyncio.gather(*map(nap, "ab"))
        return "".join(each[0] for each in order)

    found = outcomes_of(main)
    assert {"ab", "ba", "tab", "tba", "atb", "bta"} <= found


def test_ends_are_within_reach_and_all_different() -> None:
    """No end is later than the last one allowed; an end that two reasons give is there once."""
    reach = Reach(due=10.0, number=3, most=10.0, last=15.0, serial=7)
    ends = ends_of(reach, [12.5, 12.5, 40.0], [End(9.0, 1), End(14.0, 2), End(16.0, 5)])
    assert ends[0][:2] == (10.0, 3)
    assert [end.when for end in ends[1:]] == [
        *(12.5, 15.0),
        *(math.nextafter(14.0, 0), 14.0, 14.0, 14.0),
    ]
    assert len({(end.when, end.number, end.is_ahead) for end in ends}) == len(ends)


def test_only_the_next_of_many_timers_is_known() -> None:
    """To sort thousands of timers for each sleep would take longer than to simulate them."""
    assert soonest([(3, 1), (5, 2), (4, 3)]) == [(3, 1), (4, 3), (5, 2)]
    many = [(number, number) for number in range(100)]
    assert soonest(many) == [(0, 0)]


def test_the_story_says_what_took_longer() -> None:
    """With the seconds, and with the moment that mattered."""

    async def main() -> None:
        async def ask() -> None:
            await asyncio.sleep(0.7)

        async with asyncio.timeout(1):
            await asyncio.create_task(ask(), name="request")

    # The first of its options that reaches past the time-out.
    failure = aldente.search(main, strategy="dfs").failure
    assert failure is not None
    assert "  request  sleep takes 0.35 s longer than its 0.7 s\n" in failure.report()
    assert "  (loop)   calls Timeout._on_timeout\n" in failure.report()
