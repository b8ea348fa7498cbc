"""Doubles in simulated runs: an answer is a choice, as those of the world outside are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aldente
from aldente import Double


@pytest.mark.parametrize("order", ["any", "io"])
def test_answers_come_in_any_order(order: str) -> None:
    """Of two doubles that were asked, either may answer first, also when only what is outside may."""

    async def main() -> None:
        fetch = Double().calls(str.upper)
        answers: list[Any] = []

        async def ask(name: str) -> None:
            answers.append(await fetch(name))

        await asyncio.gather(ask("a"), ask("b"))
        assert answers == ["A", "B"], answers

    failure = aldente.search(main, strategy="random", order=order, runs=100).failure
    assert failure is not None
    assert str(failure.exception).startswith("['B', 'A']")
    with pytest.raises(AssertionError, match="'B', 'A'"):
        aldente.replay(main, failure.token)


def test_stock_order_is_that_of_calls() -> None:
    """In stock order the first that was asked answers first."""

    async def main() -> list[Any]:
        fetch = Double().calls(str.upper)
        answers: list[Any] = []

        async def ask(name: str) -> None:
            answers.append(await fetch(name))

        await asyncio.gather(ask("a"), ask("b"), ask("c"))
        return answers

    exploration = aldente.search(main, strategy="fifo", runs=1)
    assert exploration.failure is None


def test_time_of_answers_is_chosen_within_slack() -> None:
    """An answer may take longer than it says, within the slack; with none it takes what it says."""

    async def main() -> None:
        slow, fast = Double().takes(3), Double().takes(2)
        done: list[str] = []

        async def ask(double: Any, name: str) -> None:
            await double()
            done.append(name)

        await asyncio.gather(ask(slow, "slow"), ask(fast, "fast"))
        assert done == ["fast", "slow"]

    assert aldente.search(main, strategy="random", slack=0, runs=200).failure is None
    assert aldente.search(main, strategy="random", slack=1, runs=200).failure is not None


def test_asking_may_be_cancelled_before_the_answer() -> None:
    """A call that is cancelled as soon as it was made is over, and its answer disturbs nobody."""

    async def main() -> None:
        fetch = Double()
        first = asyncio.create_task(fetch())

        async def cancel() -> None:
            first.cancel()

        await asyncio.gather(first, cancel(), return_exceptions=True)
        assert fetch.cancelled_count == 1

    assert aldente.search(main, runs=10).failure is None


def test_gates_hold_under_every_schedule() -> None:
    """What a gate holds stays held, whatever the schedule."""

    async def main() -> None:
        fetch = Double().returns(1)
        gate = fetch.hold()
        tasks = [asyncio.create_task(fetch(number)) for number in range(3)]
        arrived = await gate.arrived(3)
        gate.release(arrived[1])
        await tasks[arrived[1].args[0]]
        assert [task.done() for task in tasks].count(True) == 1
        gate.release()
        await asyncio.gather(*tasks)
        assert fetch.peak_concurrency == 3

    assert aldente.search(main, strategy="random", runs=300).failure is None
