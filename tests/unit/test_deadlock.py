"""An explanation says who waits for whom, where, and what no task is left to do."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from aldente._diagnosis import deadlock
from aldente._diagnosis.await_graph import snapshot
from aldente._diagnosis.finding_text import place_in
from aldente._diagnosis.waits import AwaitGraph, Wait, WaitingTask, WaitKind
from tests.unit.test_await_graph import Program, look_at, spawn

HERE = Path(__file__)


def line_of(mark: str) -> str:
    """The place of the line of this file that ends in a comment, as a report gives it."""
    for number, line in enumerate(HERE.read_text().splitlines(), 1):
        if line.endswith(f"  # {mark}"):
            return f"{HERE.name}:{number}"
    raise AssertionError(mark)


def explain(graph: AwaitGraph, main: str | None = "main") -> str:
    """The explanation, with its lines without the comments that mark places in this file."""
    text = deadlock.explain(graph, main=main, folder=HERE.parent)
    return "\n".join(line.partition("  # ")[0] for line in text.splitlines())


def summarise(graph: AwaitGraph) -> str:
    """The summary, after the place of the culprit."""
    summary = deadlock.summary(graph, main="main")
    place = deadlock.culprit_place(graph, main="main")
    return summary if place is None else f"{place_in(place, HERE.parent)}: {summary}"


async def cross(first: asyncio.Lock, second: asyncio.Lock) -> None:
    async with first:
        await asyncio.sleep(0)
        async with second:  # cross
            pass


def test_lock_cycle() -> None:
    """Two tasks that hold each other's lock are told as a story, and each with its line."""

    async def main() -> None:
        lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
        one = spawn(cross(lock_a, lock_b), "one")
        two = spawn(cross(lock_b, lock_a), "two")
        await asyncio.gather(one, two)  # both

    graph = look_at(main)
    story = (
        "'one' waits for second (Lock 1), held by 'two', "
        "which waits for second (Lock 2), held by 'one'."
    )
    assert summarise(graph) == f"{line_of('cross')}: {story}"
    assert (
        explain(graph)
        == f"""\
{story}

'main' (test_lock_cycle.<locals>.main) waits for 'one' and 'two' (asyncio.gather).
    {line_of("both")}: await asyncio.gather(one, two)

'one' (cross) waits for second (Lock 1), held by 'two' (as first).
    {line_of("cross")}: async with second:

'two' (cross) waits for second (Lock 2), held by 'one' (as first).
    {line_of("cross")}: async with second:"""
    )


def test_lock_cycle_by_attributes() -> None:
    """Locks that are called differently need no numbers."""

    class Accounts:
        def __init__(self) -> None:
            self.lock_a, self.lock_b = asyncio.Lock(), asyncio.Lock()

        async def pay(self) -> None:
            async with self.lock_a:
                await asyncio.sleep(0)
                async with self.lock_b:
                    pass

        async def refund(self) -> None:
            async with self.lock_b:
                await asyncio.sleep(0)
                await self.lock_a.acquire()

    async def main() -> None:
        accounts = Accounts()
        async with asyncio.TaskGroup() as group:
            group.create_task(accounts.pay(), name="Task-2")
            group.create_task(accounts.refund(), name="Task-3")

    assert explain(look_at(main)).splitlines()[0] == (
        "'Task-2' waits for self.lock_b, held by 'Task-3', "
        "which waits for self.lock_a, held by 'Task-2'."
    )


def test_lock_held_by_the_task_itself() -> None:
    """A task that acquires a lock it holds is told so, with both functions."""

    async def deposit(lock: asyncio.Lock) -> None:
        async with lock:  # again
            pass

    async def main() -> None:
        lock = asyncio.Lock()
        async with lock:
            await deposit(lock)  # outer

    graph = look_at(main)
    assert summarise(graph) == f"{line_of('again')}: 'main' waits for lock, which it holds itself."
    assert (
        explain(graph)
        == f"""\
'main' waits for lock, which it holds itself.

'main' (test_lock_held_by_the_task_itself.<locals>.main) waits for lock (a Lock), which it holds \
itself. A task can't acquire the same Lock twice.
    {line_of("again")}: async with lock:
    from {line_of("outer")}: await deposit(lock)"""
    )


def test_lock_that_was_not_released() -> None:
    """A lock acquired without ``async with`` is charged to nobody, but those who may hold it."""

    async def keep(mine: asyncio.Lock) -> None:
        await mine.acquire()
        await asyncio.Event().wait()

    async def leave(lock: asyncio.Lock) -> None:
        await lock.acquire()

    async def main() -> None:
        lost, kept = asyncio.Lock(), asyncio.Lock()
        await leave(lost)
        spawn(keep(kept), "keeper")
        await asyncio.sleep(0)
        spawn(cross(asyncio.Lock(), kept), "waiter")
        del kept
        await lost.acquire()  # lost

    graph = look_at(main)
    assert (
        "waits for lost (a Lock). aldente sees no task that holds it: this task, or one that has "
        "ended, acquired it without 'async with'.\n"
        f"    {line_of('lost')}: await lost.acquire()"
    ) in explain(graph)
    assert (
        "'waiter' (cross) waits for second (a Lock). aldente sees no task that holds it by 'async "
        "with'; 'keeper' (as mine) may hold it, because a variable there refers to it.\n"
        f"    {line_of('cross')}: async with second:"
    ) in explain(graph)


def one_task(kind: str) -> Program:
    """A program of one task that waits for something nobody else has."""

    async def main() -> None:
        if kind == "event":
            ready = asyncio.Event()
            await ready.wait()  # event
        elif kind == "condition":
            changed = asyncio.Condition()
            async with changed:
                await changed.wait()  # condition
        elif kind == "get":
            jobs: asyncio.Queue[int] = asyncio.Queue()
            await jobs.get()  # get
        elif kind == "put":
            jobs = asyncio.Queue(1)
            await jobs.put(1)
            await jobs.put(2)  # put
        elif kind == "join":
            jobs = asyncio.Queue()
            await jobs.put(1)
            await jobs.get()
            await jobs.join()  # join
        elif kind == "barrier":
            start = asyncio.Barrier(3)
            await start.wait()  # barrier
        elif kind == "future":
            reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            await reply  # future
        else:
            assert kind == "nameless"
            await asyncio.Event().wait()  # nameless

    return main


ALONE = {
    "event": ("waits for ready (an Event) to be set", "set it"),
    "condition": ("waits for changed (a Condition) to be notified", "notify it"),
    "get": ("waits for an item from jobs (a Queue), which is empty", "put one"),
    "put": ("waits for room in jobs (a Queue), which is full (maxsize=1)", "take an item"),
    "join": (
        "waits for all items of jobs (a Queue) to be finished "
        "(1 task_done() missing, 0 still in the queue)",
        "call task_done()",
    ),
    "barrier": ("waits at start (a Barrier) (1 of 3 have arrived)", "arrive at it"),
    "future": ("waits for reply (a Future) to be completed", "complete it"),
    "nameless": ("waits for an Event to be set", "set it"),
}


@pytest.mark.parametrize("kind", ALONE)
def test_nobody_is_left(kind: str) -> None:
    """What nobody else has is said to be ended by nobody, with the line that waits for it."""
    waits, remedy = ALONE[kind]
    graph = look_at(one_task(kind))
    place = line_of(kind)
    assert summarise(graph) == f"{place}: 'main' {waits}."
    text = explain(graph)
    # test_future_origins.py has where a future was made.
    told = re.sub(r" It was made at \S+ by the task itself\.", "", text)
    assert f" {waits}. No task is left to {remedy}: aldente sees no other task with" in told
    assert text.splitlines()[1].startswith(f"    {place}: await ")
    assert ("an earlier notify() is lost" in text) is (kind == "condition")


def test_queue_that_nobody_feeds() -> None:
    """The culprit is the consumer's line; the main task that has the queue is stuck on it."""

    async def consume(jobs: asyncio.Queue[int]) -> None:
        while True:
            await jobs.get()  # consume

    async def main() -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue()
        await spawn(consume(jobs), "consumer")  # feeds not

    graph = look_at(main)
    consumer = "'consumer' waits for an item from jobs (a Queue), which is empty."
    assert summarise(graph) == f"{line_of('consume')}: {consumer}"
    assert (
        explain(graph)
        == f"""\
'main' (test_queue_that_nobody_feeds.<locals>.main) waits for 'consumer'.
    {line_of("feeds not")}: await spawn(consume(jobs), "consumer")

'consumer' (test_queue_that_nobody_feeds.<locals>.consume) waits for an item from jobs (a Queue), \
which is empty. Only 'main' could put one, but is stuck itself.
    {line_of("consume")}: await jobs.get()"""
    )


def test_those_who_go_on_may_still_help() -> None:
    """A task that has the event and goes on by itself is said to be able to set it."""

    async def later(event: asyncio.Event) -> None:
        await asyncio.sleep(3600)
        event.set()

    async def main() -> None:
        ready = asyncio.Event()
        spawn(later(ready), "later")
        await ready.wait()

    text = explain(look_at(main))
    assert "waits for ready (an Event) to be set. 'later' (as event) could set it.\n" in text
    assert (
        "'later' (test_those_who_go_on_may_still_help.<locals>.later) waits for a timer: " in text
    )


def test_semaphore_that_is_used_up() -> None:
    """All that hold the semaphore are named, and the wait of one of them is the culprit."""

    async def use(limit: asyncio.Semaphore) -> None:
        async with limit:
            await asyncio.Event().wait()  # use

    async def main() -> None:
        limit = asyncio.Semaphore(2)
        spawn(use(limit), "one")
        spawn(use(limit), "two")
        await asyncio.sleep(0)
        await limit.acquire()  # third

    graph = look_at(main)
    assert summarise(graph) == f"{line_of('use')}: 'one' waits for an Event to be set."
    assert (
        "waits for limit (a Semaphore), held by 'one' and 'two'.\n"
        f"    {line_of('third')}: await limit.acquire()"
    ) in explain(graph)


def test_semaphore_is_no_circle_while_another_holder_goes_on() -> None:
    """A task that acquires its semaphore again is stuck only when all the others are."""

    async def use(limit: asyncio.Semaphore, seconds: float) -> None:
        async with limit:
            await asyncio.sleep(seconds)
            async with limit:
                pass

    async def main() -> None:
        limit = asyncio.Semaphore(2)
        await asyncio.gather(spawn(use(limit, 0), "one"), spawn(use(limit, 3600), "two"))

    assert explain(look_at(main)).startswith("'main' (")


def test_tasks_that_wait_for_one_another() -> None:
    """A task that waits for itself through another is told as a circle."""

    async def wait_for(tasks: dict[str, asyncio.Task[None]], name: str) -> None:
        await asyncio.sleep(0)
        await tasks[name]  # each other

    async def main() -> None:
        tasks: dict[str, asyncio.Task[None]] = {}
        tasks["one"] = spawn(wait_for(tasks, "two"), "one")
        tasks["two"] = spawn(wait_for(tasks, "one"), "two")
        await asyncio.wait(tasks.values())

    # Not cancelled with the others: CPython would pass the cancellation round for ever.
    graph = look_at_circle(main)
    story = "'one' waits for 'two', which waits for 'one'."
    assert summarise(graph) == f"{line_of('each other')}: {story}"
    assert explain(graph).startswith(f"{story}\n\n'main' (")


def look_at_circle(program: Program) -> AwaitGraph:
    """As `look_at`, for tasks that wait for one another and can't be cancelled."""
    loop = asyncio.new_event_loop()
    main = loop.create_task(program(), name="main")
    for _ in range(10):
        loop.run_until_complete(asyncio.sleep(0))
    tasks = asyncio.all_tasks(loop)
    graph = snapshot(tasks)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()
    assert not main.done()
    loop.close()
    return graph


async def numbers(ready: asyncio.Event) -> AsyncIterator[int]:
    await ready.wait()  # generator
    yield 1


WAYS = [
    "as_completed",
    "gather",
    "TaskGroup",
    "wait_for",
    "wait",
    "shield",
]


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_wait_for_tasks(way: str) -> None:
    """The culprit is found behind whatever the main task waits by, in an async generator too."""

    async def child() -> None:
        async for _ in numbers(asyncio.Event()):
            pass

    async def main() -> None:
        task = spawn(child(), "child")
        if way == "gather":
            await asyncio.gather(task, asyncio.sleep(0))
        elif way == "TaskGroup":
            async with asyncio.TaskGroup() as group:
                group.create_task(child(), name="child of group")
        elif way == "as_completed":
            for earliest in asyncio.as_completed([task]):
                await earliest
        elif way == "wait_for":
            await asyncio.wait_for(task, None)
        elif way == "wait":
            await asyncio.wait([task])
        else:
            await asyncio.shield(task)

    graph = look_at(main)
    name = "child of group" if way == "TaskGroup" else "child"
    assert f"main) waits for '{name}' (asyncio.{way}).\n" in explain(graph)
    assert summarise(graph) == (
        f"{line_of('generator')}: '{name}' waits for ready (an Event) to be set."
    )


def test_what_wait_takes_for_a_future_is_told() -> None:
    """A plain mock, which `asyncio.wait()` waits for without a word, is told beside the tasks."""
    calls: list[Any] = []

    async def main() -> None:
        mock: Any = Mock(name="not called")
        calls.append(mock)
        stuck = asyncio.create_task(asyncio.Event().wait(), name="stuck")
        asyncio.create_task(asyncio.wait([mock]), name="other")  # noqa: RUF006 - for this test
        await asyncio.wait({stuck, mock})

    graph = look_at(main)
    assert "'other' (wait) waits for a Mock, which is not a future (asyncio.wait).\n" in explain(
        graph
    )
    assert "main) waits for 'stuck' and a Mock, which is not a future (asyncio.wait).\n" in explain(
        graph
    )
    assert "done" not in calls[0]._mock_children


def test_time_outs_are_told() -> None:
    """A wait that a time-out will end says so, and is not blamed for anything."""

    async def main() -> None:
        async with asyncio.timeout(3600):
            await asyncio.Event().wait()

    text = explain(look_at(main))
    assert "waits for an Event to be set, until asyncio.timeout ends it." in text


def test_many_workers() -> None:
    """A thousand alike workers are told as one, in a time that grows as their number does."""

    async def work(jobs: asyncio.Queue[int], number: int) -> None:
        await jobs.get()  # worker

    async def main() -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.gather(*(spawn(work(jobs, n), f"Task-{n}") for n in range(count)))  # workers

    async def measured() -> tuple[str, int]:
        tasks = [asyncio.create_task(main(), name="main")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        calls = itertools.count()
        sys.setprofile(lambda frame, event, argument: next(calls))
        try:
            text = explain(snapshot(others))
        finally:
            sys.setprofile(None)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        return text, next(calls)

    count = 100
    _, calls_for_few = asyncio.run(measured())
    count = 1000
    text, calls_for_many = asyncio.run(measured())
    # Ten times as many for ten times as many tasks, and what sorting them takes besides.
    assert calls_for_many < 15 * calls_for_few
    assert (
        text
        == f"""\
'main' (test_many_workers.<locals>.main) waits for 'Task-0', 'Task-1', 'Task-2', 'Task-3' and \
996 more (asyncio.gather).
    {line_of("workers")}: await asyncio.gather(*(spawn(work(jobs, n), f"Task-{{n}}") for n in \
range(count)))

'Task-0' (test_many_workers.<locals>.work) waits for an item from jobs (a Queue), which is empty. \
Only 'main' could put one, but is stuck itself.
    {line_of("worker")}: await jobs.get()
    999 more like this: 'Task-1', 'Task-2', 'Task-3', 'Task-4' and 995 more"""
    )


def test_diamonds() -> None:
    """Thirty levels of two tasks that both wait for the two below are told once each."""

    async def wait_for_both(below: list[asyncio.Task[None]]) -> None:
        await asyncio.wait(below)  # asyncio would cancel gathers two to the power of thirty times

    async def main() -> None:
        level = [spawn(numbers(asyncio.Event()).__anext__(), f"0-{n}") for n in range(2)]  # type: ignore[arg-type]
        for number in range(1, 31):
            level = [spawn(wait_for_both(level), f"{number}-{n}") for n in range(2)]
        await asyncio.wait(level)

    # It would take for ever if each way from one to another counted.
    graph = look_at(main, turns=50)
    text = explain(graph)
    assert len(graph.tasks) == 63
    assert len(text) < 20_000
    assert summarise(graph).startswith(f"{line_of('generator')}: '0-0' waits for ready (an Event)")


def long_cycle(length: int) -> AwaitGraph:
    """A circle of tasks, each waiting for the next one."""
    return AwaitGraph(
        tuple(
            WaitingTask(
                f"t{index}", "work", (), (), Wait(WaitKind.TASKS, tasks=((index + 1) % length,))
            )
            for index in range(length)
        )
    )


def test_long_circles() -> None:
    """A circle of very many tasks is told by its beginning and its end."""
    assert summarise(long_cycle(10_000)) == (
        "'t0' waits for 't1', which waits for 't2', which waits for 't3', which waits for 't4', "
        "which waits for 't5', which waits for 't6', which waits for 't7', which waits for "
        "... (9,992 more tasks) ..., which waits for 't0'."
    )


def test_tasks_of_the_same_name() -> None:
    """Tasks that have the same name are told apart by numbers."""
    wait = Wait(WaitKind.TASKS, tasks=(1,))
    graph = AwaitGraph(
        (
            WaitingTask("worker", "work", (), (), wait),
            WaitingTask("worker", "sleep", (), (), Wait(WaitKind.TIMER)),
        )
    )
    assert explain(graph, main=None) == (
        "'worker' (work) waits for 'worker' (2).\n\n'worker' (2) (sleep) waits for a timer."
    )


def test_the_same_text_every_time() -> None:
    """Sets of asyncio have no part in the order of what is told."""

    async def main() -> None:
        tasks: list[asyncio.Task[Any]] = [
            spawn(asyncio.Event().wait(), f"Task-{n}") for n in (3, 20, 100)
        ]
        await asyncio.wait({*tasks})

    texts = {explain(look_at(main)) for _ in range(5)}
    assert len(texts) == 1
    assert "waits for 'Task-3', 'Task-20' and 'Task-100' (asyncio.wait)." in texts.pop()


def test_a_task_that_runs_nothing_of_the_users() -> None:
    """What it waits for is not called by a library's name, and its place is where it is awaited."""

    async def main() -> None:
        waiting = asyncio.create_task(asyncio.Event().wait(), name="waiting")
        outer = asyncio.create_task(asyncio.wait_for(waiting, None), name="outer")
        await outer  # at last

    graph = look_at(main)
    assert summarise(graph) == f"{line_of('at last')}: 'waiting' waits for an Event to be set."
    assert "'waiting' (Event.wait) waits for an Event to be set. No task is left" in explain(graph)
