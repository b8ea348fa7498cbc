"""The lanes of the page: the steps of a run as plain values."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import aldente
from aldente._explore.explorer import Explorer
from aldente._explore.result import Failure
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import Program
from aldente._report.lanes import Lanes, compared, first_difference, lanes_of, shortened
from aldente._schedules import Step
from aldente._strategies.auto import Auto


def failure_of(main: Any, runs: int = 100) -> Failure:
    failure = Explorer(Program(main, RunSettings()), is_beside_stock=True).explore(Auto(0), runs)
    assert failure.failure is not None
    return failure.failure


def names_of(lanes: Lanes) -> list[str]:
    return [lane["name"] for lane in lanes["lanes"]]


def test_tasks_of_one_name_have_a_lane_each() -> None:
    """Tasks that have the same name are told apart, by numbers that stock order has too."""

    async def main() -> None:
        done: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            done.append(number)

        tasks = [asyncio.create_task(work(number), name="worker") for number in range(3)]
        await asyncio.gather(*tasks)
        assert done[0] == 0

    failure = failure_of(main)
    lanes, stock = lanes_of(failure.steps), lanes_of(failure.stock_order)
    workers = ["worker", "worker (2)", "worker (3)"]
    for each in (lanes, stock):
        calls = {lane["name"]: lane["call"] for lane in each["lanes"]}
        assert [calls[name] for name in workers] == ["work(0)", "work(1)", "work(2)"]
    parting = lanes["steps"][first_difference(lanes, stock)]
    assert parting["number"] < lanes["total"]
    assert "switch" in parting["marks"]


async def overtaken() -> None:
    done: list[str] = []
    go_on = asyncio.Event()

    async def work(who: str) -> None:
        await go_on.wait()
        done.append(who)

    async def start() -> None:
        go_on.set()
        await asyncio.sleep(0)

    await asyncio.gather(work("Ann"), work("Bob"), start())
    assert done == ["Ann", "Bob"]


def test_who_has_woken_whom() -> None:
    """An arrow begins in the very step that has made another one ready, not in a later one."""

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()

        async def complete() -> None:
            await asyncio.sleep(0)
            future.set_result(None)
            for _ in range(3):
                await asyncio.sleep(0)

        completing = asyncio.create_task(complete(), name="completing")
        await future
        await completing
        raise ValueError

    lanes = lanes_of(failure_of(main).steps)
    steps = lanes["steps"]
    own = [n for n, step in enumerate(steps) if names_of(lanes)[step["lane"]] == "completing"]
    woken = [step for step in steps if step["words"].startswith("goes on after a future")]
    assert [step.get("woken_in") for step in woken] == [own[1]]
    # It was created by the first step, and in the end its task wakes the main task by a callback.
    assert steps[own[0]].get("woken_in") == 0
    assert steps[-1].get("woken_in") == own[-1]


def test_a_lane_says_what_it_is() -> None:
    """A lane has its task's name, the call with arguments, and the task that created it."""
    lanes = lanes_of(failure_of(overtaken).steps)
    (ann,) = [lane for lane in lanes["lanes"] if lane["call"] == "work('Ann')"]
    assert (ann["kind"], ann["creator"]) == ("task", "Task-1")
    assert ann["place"] is not None
    assert lanes["files"][ann["place"][0]] == __file__
    assert lanes["total"] == len(lanes["steps"])
    assert [step["number"] for step in lanes["steps"]] == list(range(1, lanes["total"] + 1))
    json.dumps(lanes)


def test_marks_and_uses() -> None:
    """Steps have marks for what is special, and the uses of what raced with their roles."""

    async def main() -> None:
        stock = 1

        async def buy() -> None:
            nonlocal stock
            if stock > 0:
                await asyncio.sleep(1)
                stock -= 1

        async def never() -> None:
            aldente.note("never begins")
            await asyncio.sleep(9)

        late = asyncio.create_task(never())
        await asyncio.gather(buy(), buy())
        late.cancel()
        await asyncio.wait([late])
        assert stock >= 0

    lanes = lanes_of(failure_of(main).steps)
    marks = [mark for step in lanes["steps"] for mark in step.get("marks", ())]
    assert {"event", "cancelled", "failing"} <= set(marks)
    uses = [use for step in lanes["steps"] for use in step.get("uses", ())]
    raced = {use["role"]: use for use in uses if use["role"]}
    assert set(raced) == {"read", "change", "act"}
    assert {use["name"] for use in raced.values()} == {"stock"}
    assert raced["change"]["words"] == "changes stock to 0"
    assert raced["change"]["is_change"]
    assert not raced["read"]["is_change"]


def test_beside_stock_order() -> None:
    """The first difference is the first step that the other run does not take as well."""
    failure = failure_of(overtaken)
    lanes, stock = lanes_of(failure.steps), lanes_of(failure.stock_order)
    place = first_difference(lanes, stock)
    assert lanes["steps"][place].get("marks") == ["switch"]
    assert names_of(lanes)[lanes["steps"][place]["lane"]] == "Task-3"
    assert names_of(stock)[stock["steps"][place]["lane"]] == "Task-2"
    assert lanes["steps"][place].get("instead_of") == "Task-2"
    for mine, theirs in zip(lanes["steps"][:place], stock["steps"][:place], strict=True):
        assert mine["words"] == theirs["words"]


def test_a_failure_in_stock_order_has_nothing_beside_it() -> None:
    """No run is compared with itself."""

    async def main() -> None:
        await asyncio.sleep(0)
        raise ValueError

    assert failure_of(main).stock_order == ()


def test_threads_have_a_lane() -> None:
    """The jobs of executors are in a lane of their own, and their ends in that of the loop."""

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), int)
        raise ValueError

    lanes = lanes_of(failure_of(main).steps)
    assert {lane["kind"] for lane in lanes["lanes"]} == {"task", "thread", "loop"}


def long_run(count: int, *, differing_at: int = -1) -> Lanes:
    """A run of three tasks in turn; at one step another one may come first."""
    steps = [
        Step(f"Task-{number % 3}", "", "", 0.0, woken_in=number - 1) for number in range(count)
    ]
    if differing_at >= 0:
        steps[differing_at] = replace(steps[differing_at], task="Task-9", is_cancelled=True)
    return lanes_of(steps)


def test_a_very_long_run() -> None:
    """Of a very long run most of the middle is left out, and said to be; not what the story tells."""
    lanes = long_run(6000, differing_at=3000)
    numbers = [step["number"] for step in lanes["steps"]]
    assert (lanes["total"], len(numbers)) == (6000, 5000)
    assert 3001 in numbers
    shown = [n for n, step in enumerate(lanes["steps"]) if step.get("marks")]
    (cancelled,) = shown
    # Before which index, and how many; they are the differences of the numbers.
    assert [place for place, _ in lanes["left_out"]] == [cancelled, cancelled + 1]
    assert [count for _, count in lanes["left_out"]] == [
        numbers[place] - numbers[place - 1] - 1 for place, _ in lanes["left_out"]
    ]
    # What has made it ready is left out.
    assert "woken_in" not in lanes["steps"][cancelled]
    assert lanes["steps"][1]["woken_in"] == 0
    again = shortened(lanes, 100)
    assert len(again["steps"]) == 100
    assert sum(count for _, count in again["left_out"]) == 5900


def test_two_long_runs() -> None:
    """The first difference of two long runs is kept; where that can't be, they are not compared."""
    one, other = long_run(900, differing_at=500), long_run(900)
    both = compared(one, other, 100)
    assert both is not None
    mine, theirs, place = both
    assert mine["steps"][place]["number"] == 501
    assert names_of(mine)[mine["steps"][place]["lane"]] == "Task-9"
    assert names_of(theirs)[theirs["steps"][place]["lane"]] == "Task-2"
    assert compared(long_run(6000, differing_at=5999), long_run(6000), 100) is None
    assert compared(one, one, 1000) == (one, one, 900)
