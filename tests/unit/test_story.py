"""The report of a failure: the steps that matter, in words."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import aldente
from aldente._diagnosis.story import describe_steps
from aldente._records import SourcePlace
from aldente._schedules import Choice, Step

Main = Callable[[], Coroutine[Any, Any, object]]


def report_of(main: Main, **arguments: Any) -> str:
    failure = aldente.search(main, runs=500, **arguments).failure
    assert failure is not None
    return failure.report()


def looked_at(report: str) -> str:
    """A report without what depends on this file and on the number of runs."""
    report = re.sub(r"\S*test_story\.py:\d+", "FILE", report)
    return re.sub(r"'3[\w-]+'", "TOKEN", re.sub(r"Run \d+ failed", "Run N failed", report))


async def lost_item() -> None:
    """A consumer that is cancelled has taken an item and not stored it."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    stored: list[int] = []

    async def consume() -> None:
        while True:
            item = await queue.get()
            await asyncio.sleep(1)
            stored.append(item)

    async def stop() -> None:
        await asyncio.sleep(3.5)
        consumer.cancel()

    consumer = asyncio.create_task(consume(), name="consumer")
    stopper = asyncio.create_task(stop(), name="stopper")
    for number in range(2):
        await asyncio.sleep(1)
        queue.put_nowait(number)
    await asyncio.gather(consumer, stopper, return_exceptions=True)
    assert stored == [0, 1]


def test_a_report_tells_a_cancellation() -> None:
    """A cancellation is a step of the story, with who has cancelled and where it was noticed."""
    report = looked_at(report_of(lost_item, order="io"))
    story = report.partition("\n\n")[2].rpartition("\n\n")[0]
    assert re.search(r"^ +3\.5 s  consumer  FILE  await asyncio\.sleep\(1\)$", story, re.M)
    assert "is cancelled by 'stopper' in sleep" in story


async def cancelled_when_ready() -> None:
    """A worker is cancelled when it was woken already, and does not go on."""
    event = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        await event.wait()
        done.append("work")

    async def wake() -> None:
        await asyncio.sleep(0)
        event.set()

    async def stop() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        worker.cancel()

    worker = asyncio.create_task(work(), name="worker")
    stopper = asyncio.create_task(stop(), name="stopper")
    await asyncio.gather(worker, wake(), stopper, return_exceptions=True)
    assert done == ["work"]


def test_a_cancellation_of_a_task_that_is_ready_is_told() -> None:
    """A task that something has woken, and that is cancelled before it goes on, is told of so."""
    failure = aldente.search(cancelled_when_ready, runs=500).failure
    assert failure is not None
    (cancelled,) = [step for step in failure.steps if step.is_cancelled]
    assert cancelled.task == "worker"
    assert cancelled.woken_by != cancelled.cancelled_by == "stopper"
    assert "is cancelled by 'stopper' in Event.wait" in failure.report()


def test_telling_cancellations_changes_no_numbers() -> None:
    """Futures hash by the same numbers in the run that is traced, so that sets of them keep their order."""
    numbers: list[list[int]] = []

    async def main() -> None:
        first, second = (asyncio.get_running_loop().create_future() for _ in range(2))

        async def wait() -> None:
            await second

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        waiting.cancel()
        numbers.append([hash(first), hash(second)])
        await asyncio.gather(waiting, return_exceptions=True)
        raise ValueError

    assert aldente.search(main, runs=3).failure is not None
    # The last run is the one that was traced for its report.
    assert len(numbers) > 1
    assert numbers[-1] == numbers[0]


def test_what_a_block_waits_for_is_told_by_its_object() -> None:
    """The methods that enter a lock are inherited from a class that nobody knows."""

    async def main() -> None:
        lock = asyncio.Lock()

        async def work() -> None:
            async with lock:
                await asyncio.sleep(0)

        await asyncio.gather(work(), work())
        raise ValueError

    assert "goes on after Lock.__aenter__, woken by 'Task-2'" in report_of(main)


def test_a_cancellation_that_was_dealt_with_is_over() -> None:
    """Steps after a cancellation that the task has survived are none of a cancellation."""

    async def main() -> None:
        async def survive() -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                for _ in range(3):
                    await asyncio.sleep(0)
                raise ValueError from None

        task = asyncio.create_task(survive())
        await asyncio.sleep(1)
        task.cancel()
        await task

    failure = aldente.search(main).failure
    assert failure is not None
    assert sum(step.is_cancelled for step in failure.steps) == 1


async def wait_long() -> None:
    """Raise ValueError when cancelled."""
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        raise ValueError from None


def cancellers_of(main: Main, name: str) -> list[str]:
    """Who has cancelled a task, by what is told of the first failure of a program."""
    failure = aldente.search(main, runs=20, strategy="fifo").failure
    assert failure is not None
    return [step.cancelled_by for step in failure.steps if step.is_cancelled and step.task == name]


def test_a_cancellation_that_an_awaited_task_has_suppressed_is_forgotten() -> None:
    """A task is told to be cancelled by whom it did not survive, not by who has tried before."""

    async def suppress() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(10)

    async def wait() -> None:
        try:
            await asyncio.create_task(suppress())
        except asyncio.CancelledError:
            raise ValueError from None

    async def main() -> None:
        async def cancel_after(seconds: int) -> None:
            await asyncio.sleep(seconds)
            waiter.cancel()

        waiter = asyncio.create_task(wait(), name="waiter")
        first = asyncio.create_task(cancel_after(1), name="first")
        second = asyncio.create_task(cancel_after(2), name="second")
        await asyncio.gather(waiter, first, second)

    assert cancellers_of(main, "waiter") == ["second"]


def test_a_cancellation_that_is_underway_is_its_first_cancellers() -> None:
    """Who cancels a task once more, before it could go on, has not cancelled it."""

    async def wait() -> None:
        inner = asyncio.create_task(wait_long(), name="inner")
        await asyncio.gather(inner, asyncio.sleep(10))

    async def main() -> None:
        async def cancel(after: asyncio.Event | None = None) -> None:
            await (asyncio.sleep(1) if after is None else after.wait())
            waiter.cancel()
            event.set()

        event = asyncio.Event()
        waiter = asyncio.create_task(wait(), name="waiter")
        second = asyncio.create_task(cancel(event), name="second")
        first = asyncio.create_task(cancel(), name="first")
        await asyncio.gather(waiter, first, second)

    assert cancellers_of(main, "inner") == ["first"]


def test_a_callback_that_cancels_a_task_has_the_name_of_asyncios_own_method() -> None:
    """A timer that cancels a task is told of as on any other loop."""

    async def main() -> None:
        task = asyncio.create_task(wait_long(), name="task")
        asyncio.get_running_loop().call_later(1, task.cancel)
        await task

    assert cancellers_of(main, "task") == ["Task.cancel"]


def test_who_has_cancelled_a_task_of_another_class_is_told() -> None:
    """A task that is none of the loop's own is told to be cancelled by who has woken it so."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[None] = asyncio.Task(wait_long(), loop=loop, name="task")

        async def stop() -> None:
            await asyncio.sleep(1)
            task.cancel()

        await asyncio.gather(task, asyncio.create_task(stop(), name="stopper"))

    assert cancellers_of(main, "task") == ["stopper"]


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="on 3.12 an eager task is named after its first step"
)
def test_an_eager_task_that_cancels_another_one_at_once_is_named() -> None:
    """Who cancels is the eager task itself, not the one in whose step it begins."""

    async def main() -> None:
        task = asyncio.create_task(wait_long(), name="task")
        await asyncio.sleep(1)

        async def stop() -> None:
            task.cancel()

        factory: Any = vars(asyncio)["eager_task_factory"]
        asyncio.get_running_loop().set_task_factory(factory)
        await asyncio.create_task(stop(), name="stopper")
        await task

    assert cancellers_of(main, "task") == ["stopper"]


def test_a_task_that_cancels_itself_and_ends_has_cancelled_no_other() -> None:
    """A task at the same address is not told to be cancelled by one that is gone."""

    async def end() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def main() -> None:
        for _ in range(3):
            for _ in range(5):
                asyncio.create_task(end(), name="gone")  # noqa: RUF006  (is to be freed)
            await asyncio.sleep(1)
            tasks = [asyncio.create_task(wait_long(), name="task") for _ in range(5)]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        raise ValueError

    assert set(cancellers_of(main, "task")) == {"Task-1"}


async def stampede() -> None:
    """Fails if a fetch takes longer than usual."""
    fetched = 0
    cache: list[int] = []

    async def get() -> None:
        nonlocal fetched
        if not cache:
            fetched += 1
            await asyncio.sleep(1)
            cache.append(1)

    async def later() -> None:
        await asyncio.sleep(1.5)
        await get()

    first = asyncio.create_task(get(), name="first")
    second = asyncio.create_task(later(), name="second")
    await asyncio.gather(first, second)
    assert fetched == 1


def test_a_report_is_a_story() -> None:
    """The whole of a report: exception, steps with marks, budget, reach, and the call that replays."""
    report = looked_at(report_of(stampede))
    assert report.partition("\n\n")[2] == (
        """\
What raced: cache.
  second read cache = [] at FILE;
  first changed cache to [1] at FILE;
  then second changed cache to [1, 1] at FILE, based on what it had read
    before.

What happened, in 6 of 7 steps; > marks where the schedule left stock order:
      ... 1 other step
           0 s  first   FILE  async def get() -> None:
                        begins
                        reads cache = []  FILE  if not cache:
                        changes fetched to 1  FILE  fetched += 1
                        then waits for sleep(1)  FILE
           0 s  second  FILE  async def later() -> None:
                        begins
                        then waits for sleep(1.5)  FILE
  >        1 s  first   sleep takes 1 s longer than its 1 s
                        FILE  await asyncio.sleep(1)
         1.5 s  second  FILE  await asyncio.sleep(1.5)
                        goes on after sleep
                        reads cache = []  FILE  if not cache:
                        changes fetched to 2  FILE  fetched += 1
                        then waits for sleep(1)  FILE
           2 s  first   FILE  await asyncio.sleep(1)
                        goes on after sleep
                        changes cache to [1]  FILE  cache.append(1)
         2.5 s  second  FILE  await asyncio.sleep(1)
                        goes on after sleep, in later < get
                        changes cache to [1, 1]  FILE  cache.append(1)
         2.5 s  Task-1  FILE  await asyncio.gather(first, second)
                        goes on after gather
                        then ends with AssertionError  FILE  assert fetched == 1

Run N failed (seed 0).
Its schedule has 1 context switch away from stock order; it had 1 before shrinking.
5 more runs confirmed that this is the minimum.
With order="io" the search finds it too, in run 3.
Run it again: aldente.replay(main, TOKEN)"""
    )


def test_a_report_begins_with_the_program() -> None:
    """The traceback has no line of aldente's, and the assertion in full."""
    report = report_of(stampede)
    assert report.startswith("Traceback (most recent call last):\n")
    assert "test_story.py" in report.splitlines()[1]
    assert "simulating.py" not in report
    assert "assert fetched == 1" in report


async def woken_first() -> None:
    """Fails if the one who wakes goes on before the one who is woken."""
    event = asyncio.Event()
    order: list[str] = []

    async def wake() -> None:
        await asyncio.sleep(0)
        event.set()
        await asyncio.sleep(0)
        order.append("waker")

    async def wait() -> None:
        await event.wait()
        order.append("waiter")

    waker = asyncio.create_task(wake(), name="waker")
    waiter = asyncio.create_task(wait(), name="waiter")
    await asyncio.gather(waker, waiter)
    assert order == ["waiter", "waker"]


def test_a_report_tells_who_woke_whom() -> None:
    """A step says what its task waited for, who has woken it, and whom it has overtaken."""
    report = report_of(woken_first)
    assert "goes on after Event.wait, woken by 'waker'" in report
    assert re.search(r"^  > waker .*await asyncio\.sleep\(0\)$", report, re.M)
    assert "before 'waiter', which has been ready longer" in report


def test_an_order_that_io_does_not_reach_is_told() -> None:
    """A failure that no time outside can cause is told to be one of the order of ready tasks."""
    report = report_of(woken_first)
    assert 'With order="io" it does not happen: its only schedule passes.' in report
    assert 'order="io"' not in report_of(stampede, order="io")


def test_a_report_names_the_job_of_a_thread() -> None:
    """What an executor does is told by the name of the function."""

    async def main() -> None:
        done: list[str] = []

        def store() -> None:
            done.append("thread")

        async def other() -> None:
            await asyncio.sleep(0)
            done.append("loop")

        await asyncio.gather(asyncio.to_thread(store), other())
        assert done == ["thread", "loop"]

    report = report_of(main)
    assert "before 'store', which has been ready longer" in report
    assert re.search(r"^ +\(thread\) +calls store in a thread$", report, re.M)


def test_a_report_names_the_seed_and_replays() -> None:
    """The last line is the call that fails again in the same way."""
    report = report_of(woken_first, seed=7)
    assert "failed (seed 7)." in report
    found = re.search(r"Run it again: aldente\.replay\(main, '([\w-]+)'\)$", report)
    assert found is not None
    with pytest.raises(AssertionError):
        aldente.replay(woken_first, found[1])


def test_a_long_story_is_cut() -> None:
    """Of a run with very many switches the beginning and the end are told."""
    place = SourcePlace("/nowhere.py", 1)
    steps = [
        Step(f"task-{number}", "", "", 0.0, place, "sleep", False, Choice(number, 1, "", True))
        for number in range(1_000)
    ]
    lines = describe_steps(steps, Path("/"))
    assert len(lines) < 100
    assert "      ... 960 other steps" in lines
    assert any("task-999" in line for line in lines)
