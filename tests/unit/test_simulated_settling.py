"""`settle` and `Clock` on the simulated loop: time stands still until whoever waits has gone on."""

from __future__ import annotations

import asyncio

import pytest

import aldente


@pytest.mark.parametrize("order", ["any", "io"])
def test_time_stands_still_until_the_loop_has_settled(order: str) -> None:
    """Under every schedule `settle` lets all run that can, and `advance` stops at its moment."""

    async def main() -> None:
        got: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            got.append(number)
            await asyncio.sleep(1)
            got.append(-number)

        clock = aldente.Clock(asyncio.get_running_loop)
        async with asyncio.TaskGroup() as group:
            for number in (1, 2):
                group.create_task(work(number))
            await aldente.settle()
            assert sorted(got) == [1, 2]
            assert clock.elapsed == 0
            await clock.advance(0.75)
            assert (sorted(got), clock.elapsed) == ([1, 2], 0.75)
            await clock.advance(0.25)
            assert (len(got), clock.elapsed) == (4, 1)

    exploration = aldente.search(main, order=order, strategy="dfs")
    assert exploration.failure is None, exploration.failure.report()
    assert exploration.exhausted
    assert exploration.runs > 1


def test_two_who_settle_both_go_on() -> None:
    """All who wait for the loop to settle are woken at the same moment."""

    async def main() -> None:
        sleeper = asyncio.create_task(asyncio.sleep(5))
        await asyncio.gather(aldente.settle(), aldente.settle())
        assert not sleeper.done()
        await sleeper

    assert aldente.search(main).failure is None


def test_whoever_gives_up_settling_lets_time_pass() -> None:
    """A cancelled `settle` holds nothing up."""

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(aldente.settle())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(3)
        return asyncio.get_running_loop().time() - began

    assert aldente.run(main, seed=1) == 3
