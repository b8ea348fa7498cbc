"""`maybe_timeout` and `may_be_cancelled`: cancellations at any await, and nothing else."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.choices import OptionKind, Options, RareEvents, Strategy
from aldente._strategies.coverage_guided import Climbing
from aldente._strategies.dfs import Dfs
from aldente._strategies.fifo import Fifo
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random
from aldente.errors import InvalidSetting

Main = Callable[[], Coroutine[Any, Any, Any]]


def outcomes_of(main: Main, **rules: Any) -> set[Any]:
    """What a program returns in all its schedules."""
    strategy, found = Dfs(), set()
    while strategy.start():
        run = simulate(main, strategy, RunSettings(**rules))
        assert run.error is None, run.error
        found.add(run.result)
    assert strategy.is_exhaustive
    return found


class Always:
    """Has everything happen that seldom does, and goes on in stock order besides."""

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Options) -> int:
        return int(options.is_seldom)

    def end(self) -> None:
        pass


class AtTheEnd(Always):
    """Has everything happen that seldom does, but as late as possible."""

    def choose(self, count: int, options: Options) -> int:
        if options.is_seldom:
            return 1
        return next(
            number for number in range(count) if options[number].kind is not OptionKind.CANCEL
        )


def run(main: Main, strategy: Strategy | None = None, **rules: Any) -> Run:
    result = simulate(main, strategy or Always(), RunSettings(**rules))
    assert result.error is None, result.error
    return result


# Where and when.


async def three_awaits(seen: list[str]) -> None:
    try:
        await asyncio.sleep(1)
        seen.append("sleep")
        await asyncio.sleep(0)
        seen.append("yield")
        await asyncio.get_running_loop().run_in_executor(None, bool)
        seen.append("job")
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise


def test_a_task_is_cancelled_at_each_of_its_awaits() -> None:
    """There is a schedule for each await of the task, and one in which it is not cancelled."""

    async def main() -> tuple[str, ...]:
        seen: list[str] = []
        task = aldente.may_be_cancelled(asyncio.create_task(three_awaits(seen)))
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() == ("cancelled" in seen)
        return tuple(seen)

    assert outcomes_of(main) == {
        ("cancelled",),
        ("sleep", "cancelled"),
        ("sleep", "yield", "cancelled"),
        ("sleep", "yield", "job"),
    }


def test_an_await_times_out_at_each_await_inside() -> None:
    """So it is for `maybe_timeout`, of which a TimeoutError comes out; its result is handed on."""

    async def main() -> tuple[object, ...]:
        seen: list[str] = []
        try:
            result: object = await aldente.maybe_timeout(three_awaits(seen))
        except TimeoutError as error:
            result = f"timed out by {type(error.__cause__).__name__}"
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        await asyncio.sleep(0)
        return (*seen, result)

    assert outcomes_of(main) == {
        ("cancelled", "timed out by CancelledError"),
        ("sleep", "cancelled", "timed out by CancelledError"),
        ("sleep", "yield", "cancelled", "timed out by CancelledError"),
        ("sleep", "yield", "job", None),
    }


@pytest.mark.parametrize("order", ["any", "io"])
def test_what_is_awaited_may_be_done_already(order: str) -> None:
    """A task is cancelled before, together with, or after what it awaits; then it has gone on."""

    async def main() -> tuple[bool, bool]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        done_at_end: list[bool] = []

        async def wait() -> None:
            try:
                await future
            except asyncio.CancelledError:
                done_at_end.append(future.done() and not future.cancelled())
                raise

        async def complete() -> None:
            await asyncio.sleep(1)
            if not future.done():
                future.set_result(None)
            await asyncio.sleep(1)

        task = aldente.may_be_cancelled(asyncio.create_task(wait()))
        await asyncio.gather(task, complete(), return_exceptions=True)
        return task.cancelled(), done_at_end == [True]

    found = outcomes_of(main, order=order)
    assert {(False, False), (True, False), (True, True)} >= found
    assert (True, True) in found or order == "io"
    assert len(found) >= 2


@pytest.mark.parametrize("slack", [0.0, 1.0])
def test_a_cancellation_may_come_later(slack: float) -> None:
    """It comes at once, or after any timer of others, whatever the slack; others go on meanwhile."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def work() -> float:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return round(loop.time() - began, 6)

        async def sleep() -> None:
            await asyncio.sleep(2)

        loop.call_later(1, int)
        work_task = aldente.may_be_cancelled(asyncio.create_task(work()))
        loop.call_later(3, work_task.cancel)
        sleeper = asyncio.create_task(sleep())
        result = await work_task
        await sleeper
        return result

    # The sleep itself may take a quarter longer, or end just before the last timer fires.
    later = {2.5} if slack else set()
    assert outcomes_of(main, slack=slack) == {0.0, 1.0, 2.0, 3.0} | later


def test_a_task_is_cancelled_once() -> None:
    """A task that goes on after its cancellation is not cancelled again."""

    async def main() -> int:
        async def work() -> int:
            count = 0
            for _ in range(5):
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    count += 1
            return count

        return await aldente.may_be_cancelled(asyncio.create_task(work()))

    assert outcomes_of(main) == {0, 1}


def test_a_task_is_not_cancelled_before_it_begins() -> None:
    """Only awaits of a task count, also if it had come to one already when it was named."""

    async def main() -> tuple[bool, bool]:
        begun: list[str] = []

        async def work(name: str) -> None:
            begun.append(name)
            await asyncio.sleep(0.5)

        first = aldente.may_be_cancelled(asyncio.create_task(work("first")))
        second = asyncio.create_task(work("second"))
        await asyncio.sleep(0.1)
        assert begun == ["first", "second"]
        aldente.may_be_cancelled(second)
        await asyncio.gather(first, second, return_exceptions=True)
        return first.cancelled(), second.cancelled()

    flags = (False, True)
    assert outcomes_of(main) == {(first, second) for first in flags for second in flags}


def test_the_current_task_may_be_named() -> None:
    """A task may name itself, at any moment; awaits before that do not count."""

    async def main() -> int:
        seen = 0

        async def work() -> None:
            nonlocal seen
            task = asyncio.current_task()
            assert task is not None
            for number in range(4):
                await asyncio.sleep(1)
                seen += 1
                if number == 1:
                    aldente.may_be_cancelled(task)

        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.create_task(work())
        return seen

    assert outcomes_of(main) == {2, 3, 4}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_an_eager_task_times_out_at_its_first_await() -> None:
    """The first await of an eager task, which lies in a step of another one, counts too."""

    async def main() -> str:
        factory: Any = getattr(asyncio, "eager_task_factory", None)
        asyncio.get_running_loop().set_task_factory(factory)

        async def work() -> str:
            try:
                return await aldente.maybe_timeout(asyncio.sleep(1, "done"))
            except TimeoutError:
                return "timed out"

        return await asyncio.create_task(work())

    assert outcomes_of(main) == {"done", "timed out"}


def test_a_cancellation_that_comes_too_late_is_none() -> None:
    """When a callback that is called before it has the task go on, nothing happens."""

    async def main() -> str:
        event = asyncio.Event()

        async def wait() -> str:
            try:
                await aldente.maybe_timeout(event.wait())
            except TimeoutError:
                return "timed out"
            return "done"

        async def wake() -> None:
            await asyncio.sleep(1)
            event.set()

        # One more that is ready when the waiter is woken, which with "io" is a plain callback.
        result, *_ = await asyncio.gather(wait(), wake(), asyncio.sleep(1))
        return result

    assert outcomes_of(main, order="io") == {"done", "timed out"}


# What it means, beside asyncio.timeout.


async def swallowed(limited: Callable[[Any], Any]) -> object:
    async def swallow() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "swallowed"
        return "done"

    return await limited(swallow())


async def changed(limited: Callable[[Any], Any]) -> object:
    async def change() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise KeyError from None

    try:
        return await limited(change())
    except KeyError as error:
        return type(error.__context__ or error.__cause__)


async def nested(limited: Callable[[Any], Any]) -> object:
    """The inner one is over at once when the outer one is, so the outer one's error comes out."""

    async def inner() -> object:
        try:
            result: object = await limited(asyncio.sleep(10, "done"))
            return result
        except TimeoutError:
            return "inner"

    try:
        return await limited(inner())
    except TimeoutError:
        return "outer"


async def in_a_group(limited: Callable[[Any], Any]) -> object:
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(10))
            tasks.create_task(asyncio.sleep(20))

    try:
        await limited(group())
    except TimeoutError:
        return len(asyncio.all_tasks())
    return None


@pytest.mark.parametrize("program", [swallowed, changed, in_a_group], ids=lambda one: one.__name__)
def test_it_means_what_a_timeout_means(program: Callable[[Any], Any]) -> None:
    """When it has timed out, all is as if the time of an asyncio.timeout were over."""

    async def stock(awaitable: Any) -> Any:
        async with asyncio.timeout(0.01):
            return await awaitable

    assert run(lambda: program(aldente.maybe_timeout)).result == asyncio.run(program(stock))


def test_a_cancellation_from_outside_wins() -> None:
    """A task that somebody cancels while its time-out is under way is cancelled, as on asyncio."""

    async def main() -> tuple[bool, str, int]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        timed_out_at: list[float] = []

        async def work() -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                timed_out_at.append(loop.time() - began)
                await asyncio.sleep(1)
                raise

        async def stop() -> None:
            await asyncio.sleep(0.5)
            task.cancel()

        task = asyncio.create_task(aldente.maybe_timeout(work()))
        await asyncio.gather(stop(), task, return_exceptions=True)
        (result,) = await asyncio.gather(task, return_exceptions=True)
        return timed_out_at == [0], type(result).__name__, task.cancelling()

    assert outcomes_of(main, slack=0) == {(True, "CancelledError", 1), (False, "CancelledError", 1)}


def test_nested_ones_time_out_separately() -> None:
    """Either of two may time out, each with its own TimeoutError."""
    assert outcomes_of(lambda: nested(aldente.maybe_timeout)) == {"done", "inner", "outer"}


# What it must not do.


async def busy_program() -> list[tuple[str, float]]:
    names: list[tuple[str, float]] = []

    async def work(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(number)
        task = asyncio.current_task()
        names.append((task.get_name() if task else "", asyncio.get_running_loop().time()))

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    aldente.may_be_cancelled(tasks[2])
    aldente.may_be_cancelled(tasks[3])
    await aldente.maybe_timeout(asyncio.gather(*tasks))
    names.append((f"{len(asyncio.all_tasks())} left", asyncio.get_running_loop().time()))
    return names


def test_without_cancellations_all_is_as_it_is_on_asyncio() -> None:
    """Option 0 at each choice is stock order, with the same names of tasks and the same times."""
    names = run(busy_program, Fifo()).result
    on_virtual_time = aldente.run(busy_program, clock="virtual")
    assert [time for _, time in names] == [time for _, time in on_virtual_time]
    assert [name for name, _ in names] == ["Task-2", "Task-3", "Task-4", "Task-5", "1 left"]


def test_elsewhere_nothing_happens() -> None:
    """On asyncio's loop an awaitable is awaited, and a task is what it was."""

    async def main() -> str:
        task = asyncio.create_task(asyncio.sleep(0.001, "done"))
        assert aldente.may_be_cancelled(task) is task
        return await aldente.maybe_timeout(task)

    assert asyncio.run(main()) == "done"


def test_what_is_left_is_not_cancelled_by_it() -> None:
    """When the program has ended, a cancellation that has not come does not come any more."""
    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        tasks[:] = [aldente.may_be_cancelled(asyncio.create_task(asyncio.sleep(10)))]
        await asyncio.sleep(0)

    run(main, AtTheEnd())
    assert tasks[0].cancelled()


@pytest.mark.parametrize("wrong", [None, "task", asyncio.sleep])
def test_only_tasks_may_be_cancelled(wrong: Any) -> None:
    """What is no task is refused."""
    with pytest.raises(InvalidSetting, match=r"is not a valid task\. It must be a task"):
        aldente.may_be_cancelled(wrong)


def test_a_deadlock_is_one_still() -> None:
    """That a task might have been cancelled does not hide that it waits for ever."""

    async def main() -> None:
        async def wait() -> None:
            await asyncio.Event().wait()

        await aldente.may_be_cancelled(asyncio.create_task(wait(), name="waiter"))

    failure = aldente.search(main, strategy="fifo").failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.DeadlockError)
    assert "explorer" not in failure.report()


def test_a_thread_may_name_a_task() -> None:
    """A job of an executor may have a task of the loop be cancelled."""

    async def main() -> bool:
        task = asyncio.create_task(asyncio.sleep(1))
        await asyncio.to_thread(aldente.may_be_cancelled, task)
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert outcomes_of(main) == {False, True}


# How strategies choose.


@pytest.mark.parametrize("strategy", [Random, Pct, Pos, Climbing], ids=lambda one: one.__name__)
def test_strategies_cancel_at_all_awaits_alike(strategy: Callable[[int], Any]) -> None:
    """A strategy that draws comes to the last of twenty awaits as to the first."""
    places: collections.Counter[int] = collections.Counter()

    async def main() -> None:
        seen = 0

        async def work() -> None:
            nonlocal seen
            for _ in range(20):
                await asyncio.sleep(1)
                seen += 1

        task = aldente.may_be_cancelled(asyncio.create_task(work()))
        await asyncio.gather(task, return_exceptions=True)
        places[seen if task.cancelled() else 20] += 1

    made = strategy(3)
    for _ in range(400):
        made.start()
        run(main, made)
        made.end()
    thirds = [sum(places[n] for n in range(begin, begin + 6)) for begin in (0, 7, 14)]
    assert min(thirds) > 30, places
    assert places[20] > 20, places


def test_options_tell_that_they_are_seldom() -> None:
    """Strategies of others see which choices are about something that seldom happens."""
    seen: list[tuple[bool, str, int]] = []

    class Looking(Always):
        def choose(self, count: int, options: Options) -> int:
            seen.append((options.is_seldom, options[0].who, count))
            return 0

    async def main() -> None:
        await aldente.maybe_timeout(asyncio.sleep(0))

    run(main, Looking())
    assert seen == [(True, "the explorer, which lets 'Task-1' time out", 2)]
    assert RareEvents.is_of_values


# What is told.


async def lost_permit() -> None:
    lock = asyncio.Lock()

    async def work() -> None:
        await lock.acquire()
        await asyncio.sleep(1)
        lock.release()

    worker = aldente.may_be_cancelled(asyncio.create_task(work(), name="worker"))
    await asyncio.gather(worker, return_exceptions=True)
    assert not lock.locked()


async def timed_out() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    try:
        async with asyncio.timeout(1):
            await aldente.maybe_timeout(queue.get())
    except TimeoutError:
        assert asyncio.get_running_loop().time() > 100_000.5


def report_of(main: Main) -> str:
    failure = aldente.search(main).failure
    assert failure is not None
    assert not failure.inexact
    with pytest.raises(type(failure.exception)):
        aldente.replay(main, failure.token)
    return re.sub(r"\S*test_cancelling_anywhere\.py:\d+", "FILE", failure.report())


def test_a_cancellation_is_told() -> None:
    """The story tells a cancellation as something that the explorer has done, where, and to whom."""
    assert """\
  > (explorer)  cancels 'worker' in sleep
                FILE  await asyncio.sleep(1)
    worker      FILE  await asyncio.sleep(1)
                is cancelled by the explorer in sleep
""" in report_of(lost_permit)


def test_a_timeout_is_told() -> None:
    """So is a time-out, with what is awaited inside."""
    assert """\
  > (explorer)  lets 'Task-1' time out in Queue.get
                FILE  await aldente.maybe_timeout(queue.get())
    Task-1      FILE  await aldente.maybe_timeout(queue.get())
                is cancelled by the explorer in Queue.get
""" in report_of(timed_out)


def test_a_cancellation_counts_as_a_switch() -> None:
    """A failure by one cancellation in stock order is one step away from stock order, no fewer."""
    failure = aldente.search(lost_permit).failure
    assert failure is not None
    assert failure.shrinking is not None
    assert (failure.shrinking.after, failure.shrinking.outcome) == (1, "least")
