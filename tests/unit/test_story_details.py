"""What a story says of each step: callers, where a task stops, jobs, and what it leaves out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aldente
from aldente._diagnosis.story import describe_steps
from aldente._records import SourcePlace
from aldente._schedules import Step

Main = Callable[[], Coroutine[Any, Any, object]]


def story_of(main: Main, **arguments: Any) -> str:
    """The steps of a failure, without numbers of lines."""
    failure = aldente.search(main, **arguments).failure
    assert failure is not None
    (story,) = failure.story(Path.cwd())
    return re.sub(r"\S*test_story_details\.py:\d+", "FILE", story)


async def outer(seconds: float) -> None:
    """Call a function that calls another."""
    await middle(seconds)


async def middle(seconds: float) -> None:
    """Call a function that waits."""
    await inner(seconds)


async def inner(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


def test_a_step_tells_its_callers() -> None:
    """The functions of the program in which a task goes on, if there is more than one."""

    async def main() -> None:
        await asyncio.gather(outer(1), inner(2))
        raise LookupError

    story = story_of(main)
    assert "goes on after sleep, in outer < middle < inner\n" in story
    assert re.search(r"2 s  Task-3  .*\n +goes on after sleep\n", story)


def test_a_long_chain_of_callers_is_cut_in_the_middle() -> None:
    """The outermost function says which task it is, and the innermost ones what it does."""
    callers = ("handle", *(f"function_{number}" for number in range(10)), "release")
    place = SourcePlace("/nowhere.py", 1)
    step = Step("Task-2", "", "", 0.0, place, "sleep", callers=callers)
    (line,) = (line for line in describe_steps([step], Path("/")) if "goes on" in line)
    assert line.endswith("in handle < ... < function_8 < function_9 < release")


@asynccontextmanager
async def slot(lock: asyncio.Lock) -> AsyncIterator[None]:
    """Wait before and after the block."""
    async with lock:
        await asyncio.sleep(1)
    yield
    await asyncio.sleep(0.5)


async def use_slot(lock: asyncio.Lock) -> None:
    """Enter a context manager that waits."""
    async with slot(lock):
        pass


def test_a_step_within_a_context_manager_tells_its_line() -> None:
    """The line and the callers are those inside of it, and what it waits for there."""

    async def main() -> None:
        lock = asyncio.Lock()
        await asyncio.gather(use_slot(lock), use_slot(lock))
        raise LookupError

    story = story_of(main)
    assert re.search(
        r"1\.5 s  Task-2  FILE  await asyncio\.sleep\(0\.5\)\n +goes on after sleep, in use_slot < slot\n",
        story,
    )
    assert "ContextManager" not in story


def test_a_wait_for_a_lock_tells_who_holds_it() -> None:
    """A task that stops at a lock is told to, with the lock's name and its holder."""

    async def main() -> None:
        lock = asyncio.Lock()
        await asyncio.gather(use_slot(lock), use_slot(lock))
        raise LookupError

    assert "then waits for lock (a Lock), held by 'Task-2'  " in story_of(main)


def test_a_wait_that_never_ends_tells_its_callers() -> None:
    """No later step says in which functions a task is stuck."""

    async def main() -> None:
        lock = asyncio.Lock()

        async def again() -> None:
            async with lock:
                await once()

        async def once() -> None:
            async with lock:
                pass

        await asyncio.gather(again(), asyncio.sleep(1))

    text = " ".join(story_of(main).split())
    assert "then waits for lock (a Lock), which it holds itself, in again < once FILE" in text


def test_what_other_tasks_wait_for_is_told() -> None:
    """Events, queues and tasks, each with what ends the wait."""

    async def main() -> None:
        event, queue = asyncio.Event(), asyncio.Queue[int]()

        async def wait() -> None:
            await event.wait()
            await queue.get()

        async def wake() -> None:
            await asyncio.sleep(1)
            event.set()
            await asyncio.sleep(1)
            queue.put_nowait(1)

        await asyncio.gather(wait(), wake())
        raise LookupError

    text = " ".join(story_of(main).split())
    for told in (
        "then waits for event (an Event) to be set",
        "calls event.set() FILE",
        "then waits for an item from queue (a Queue), which is empty",
        "calls queue.put_nowait() FILE",
    ):
        assert told in text


def test_a_call_that_need_not_happen_is_not_told() -> None:
    """A line has called something only if that is all it does."""

    async def main() -> None:
        event = asyncio.Event()

        async def wake() -> None:
            await asyncio.sleep(1)
            event.is_set() and event.set()  # type: ignore[func-returns-value]
            if event.is_set(): event.set()  # noqa: E701  # fmt: skip

        await asyncio.gather(wake(), asyncio.sleep(2))
        raise LookupError

    assert "calls" not in story_of(main)


def test_a_job_of_a_thread_that_raises_is_told() -> None:
    """What it raises, and that the loop learns of its end in a step of its own."""

    def load(key: str) -> None:
        raise KeyError(key)

    async def main() -> None:
        await asyncio.gather(asyncio.to_thread(load, "a"), asyncio.sleep(1))

    story = story_of(main)
    assert re.search(r"\(thread\) .*calls load in a thread, and raises KeyError\('a'\)\n", story), (
        story
    )
    assert story.count("KeyError('a')") <= 3
    assert re.search(r"\(loop\) .*is notified that load in a thread has ended\n", story)


def test_the_clean_up_after_the_failure_is_one_line() -> None:
    """Steps of tasks that are cancelled because of the failure say nothing about its cause."""

    async def main() -> None:
        async def fail() -> None:
            await asyncio.sleep(1)
            raise LookupError("key")

        async def wait() -> None:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            group.create_task(wait(), name="first")
            group.create_task(wait(), name="second")
            group.create_task(fail(), name="failing")

    lines = story_of(main).splitlines()
    text = " ".join(" ".join(lines).split())
    assert re.search(
        r"failing FILE await asyncio.sleep\(1\) goes on after sleep "
        r"then ends with LookupError\('key'\) FILE raise LookupError\(.key.\) "
        r"\.\.\. \d+ steps after the exception was raised, in which tasks were cancelled: first, "
        r"second, Task-1$",
        text,
    ), text


def test_a_cancellation_before_the_failure_is_told() -> None:
    """Only what follows the failure is clean-up."""

    async def main() -> None:
        async def wait() -> None:
            await asyncio.sleep(10)

        task = asyncio.create_task(wait(), name="waiter")
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        raise LookupError

    story = story_of(main)
    assert "is cancelled by 'Task-1' in sleep" in story
    assert "after the exception was raised" not in story


def test_equal_steps_are_folded() -> None:
    """A task that only lets other tasks run, again and again, is told of once."""

    async def main() -> None:
        async def spin() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        await spin()
        raise LookupError

    story = story_of(main)
    assert story.count("goes on after sleep") <= 2
    assert re.search(r"and so on, \d more times", story)


def test_what_the_failing_line_reads_is_told() -> None:
    """The steps that changed it are, though nothing was read before."""

    async def main() -> None:
        shown = ""

        async def search(text: str, seconds: float) -> None:
            nonlocal shown
            await asyncio.sleep(seconds)
            shown = text

        await asyncio.gather(search("a", 1.0), search("ab", 1.2))
        assert shown == "ab"

    story = story_of(main)
    first, second = story.find("changes shown to 'ab'"), story.find("changes shown to 'a' ")
    assert 0 < first < second


def test_all_steps_are_told_on_request() -> None:
    """With them the story leaves out no step of a task."""

    async def main() -> None:
        await asyncio.gather(*(outer(number) for number in range(30)))
        raise LookupError

    failure = aldente.search(main).failure
    assert failure is not None
    (few,) = failure.story()
    (all_of_them,) = failure.story(is_whole=True)
    assert "other step" in few
    assert "other step" not in all_of_them
    tasks = [step for step in failure.steps if step.task]
    assert f"in {len(tasks)} of {len(tasks)} steps" in all_of_them


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_too_long(width: int) -> None:
    """Lines are wrapped or cut at the width, whatever the names and the source."""

    async def main() -> None:
        lock = asyncio.Lock()

        async def a_function_with_a_name_that_is_rather_long(argument: str) -> None:
            async with lock:
                await asyncio.sleep(1)

        tasks = [
            asyncio.create_task(
                a_function_with_a_name_that_is_rather_long(f"an argument, number {number}"),
                name=f"a task with a name that is rather long, number {number}",
            )
            for number in range(3)
        ]
        await asyncio.gather(*tasks)
        raise LookupError("a message that is rather long, so that it needs more than one line")

    failure = aldente.search(main).failure
    assert failure is not None
    (story,) = failure.story(width=width)
    assert max(map(len, story.splitlines())) <= width
    assert "then waits for lock (a Lock), held by" in " ".join(story.split())


def test_looking_at_steps_runs_no_code_of_the_program() -> None:
    """What tasks wait for, hold and raise is shown without representations of their own."""
    asked: list[str] = []

    class Error(Exception):
        def __repr__(self) -> str:
            asked.append("repr")
            return "Error()"

        def __str__(self) -> str:
            asked.append("str")
            return "error"

    class Event(asyncio.Event):
        def __repr__(self) -> str:
            asked.append("repr of event")
            return "Event()"

    async def main() -> None:
        event = Event()

        async def wait() -> None:
            await event.wait()
            raise Error(event)

        async def wake() -> None:
            await asyncio.sleep(1)
            event.set()

        await asyncio.gather(wait(), wake())

    failure = aldente.search(main).failure
    assert failure is not None
    (story,) = failure.story()
    assert "then ends with Error(...)" in story
    assert asked == []


def test_exceptions_that_are_not_retrieved_stay_so() -> None:
    """To tell how a task ends is no retrieval: what nothing handles still fails the run."""

    async def main() -> None:
        async def fail() -> None:
            raise LookupError

        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        del task

    failure = aldente.search(main).failure
    assert failure is not None
    assert "background-error" in str(failure.exception) or "never" in failure.report()
