"""The small picture of a story on a terminal."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aldente
from aldente._diagnosis.story_picture import picture_of
from aldente._records import SourcePlace
from aldente._schedules import Step

AT, NEXT = SourcePlace(__file__, 1), SourcePlace(__file__, 2)


async def oversold() -> None:
    stock = 1

    async def buy(who: str) -> None:
        nonlocal stock
        if stock > 0:
            await asyncio.sleep(1)
            stock -= 1

    await asyncio.gather(buy("Ann"), buy("Bob"))
    assert stock >= 0


async def overtaken() -> None:
    done: list[str] = []

    async def work(who: str) -> None:
        await asyncio.sleep(0)
        aldente.note(f"{who} is done")
        done.append(who)

    await asyncio.gather(work("Ann"), work("Bob"))
    assert done == ["Ann", "Bob"]


async def cancelled() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(event.wait(), name="waiting")
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.wait([waiting])
    raise ValueError


def drawn(main: object, width: int = 100) -> list[str]:
    failure = aldente.search(main, runs=50, seed=1).failure  # type: ignore[arg-type]
    assert failure is not None
    return picture_of(failure.steps, width)


def test_a_race_and_time() -> None:
    """The steps of a race are marked, tasks that wait are dotted, and times stand below."""
    assert drawn(oversold) == [
        "  Task-1              [1]....................[6]!",
        "  Task-2, buy('Ann')      [2]......[4]w",
        "  Task-3, buy('Bob')          [3]r......[5]a",
        "                      0 s          1 s",
        "  r reads, w changes, a acts on stock, ! raises",
    ]


def test_stock_order_and_notes() -> None:
    """A step with which the schedule leaves stock order is marked, and notes are no steps."""
    rows = drawn(overtaken)
    assert rows == [
        "  Task-2, work('Ann')  [1]..............[5].(6)",
        "  Task-3, work('Bob')      [2].>[3].(4)",
        "  Task-1                                        [7]!",
        "  > left stock order, ! raises, () note or other event",
    ]


def test_a_cancellation() -> None:
    """A cancelled step has its mark."""
    rows = drawn(cancelled)
    (waiting,) = [row for row in rows if row.startswith("  waiting ")]
    assert waiting.endswith("]x")
    assert "x is cancelled" in rows[-1]


def test_a_task_left_waiting() -> None:
    """A task that waits at the end is dotted up to there."""
    waiting = Step("stuck", "", "", 0.0, AT, outcome="waits for a Lock")
    steps = [waiting, Step("main", "", "", 0.0, AT), Step("main", "", "", 0.0, NEXT)]
    assert picture_of(steps, 80)[:2] == ["  stuck  [1].........", "  main       [2].[3]"]


def test_when_there_is_none() -> None:
    """A story of one task, of many steps, or one too wide for the terminal has no picture."""
    steps = [Step("main", "", "", 0.0, AT), Step("work", "", "", 0.0, AT)]
    assert picture_of(steps, 80) != []
    assert picture_of([], 80) == []
    assert picture_of(steps[:1] * 2, 80) == []
    switches = [replace(step, is_cancelled=True) for step in steps]
    assert picture_of(switches * 6, 100) != []
    assert picture_of([*switches * 6, switches[0]], 100) == []
    assert picture_of(switches * 6, 50) == []


def test_long_names_are_cut() -> None:
    """What a row begins with leaves room for the steps."""
    long = "a-task-with-a-name-that-is-longer-than-a-row-should-begin-with"
    rows = picture_of([Step(long, "", "", 0.0, AT), Step("work", "", "", 0.0, AT)], 80)
    assert rows[0].partition("...")[0].strip() == long[:29]
