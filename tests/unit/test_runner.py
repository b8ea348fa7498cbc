"""The runner keeps its promises without pytest."""

from __future__ import annotations

import asyncio
import copy
import pickle
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from aldente._runner.runner import LoopRunner
from aldente.errors import FixtureEnded, FixtureYieldError, RunningLoopError


@pytest.fixture
def runner() -> Iterator[LoopRunner]:
    """A runner on a plain loop, closed afterwards."""
    runner = LoopRunner()
    yield runner
    runner.close()


def run(runner: LoopRunner, coroutine: Any, **options: Any) -> Any:
    """Run a coroutine in a copy of the current context."""
    return runner.run(coroutine, context=copy_context(), name="main", **options)


def start(runner: LoopRunner, generator: AsyncGenerator[Any, None]) -> Any:
    """Start a generator in a copy of the current context."""
    return runner.start_generator(
        generator, describe=lambda: "'it' (here.py:1)", context=copy_context(), name="it"
    )


async def answer() -> int:
    """Something to run."""
    await asyncio.sleep(0)
    return 42


def test_run_gives_result_and_names_the_task(runner: LoopRunner) -> None:
    """The result is the coroutine's, and its task has the name it was given."""

    async def name() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    assert run(runner, answer()) == 42
    assert run(runner, name()) == "main"


def test_debug_is_passed_on() -> None:
    """``debug=True`` puts the loop into debug mode."""
    runner = LoopRunner(debug=True)
    assert runner.loop.get_debug()
    runner.close()


def test_close_is_repeatable() -> None:
    """Closing twice, or after somebody closed the loop, does nothing more."""
    runner = LoopRunner()
    loop = runner.loop
    runner.close()
    runner.close()
    assert loop.is_closed()
    other = LoopRunner()
    other.loop.close()
    other.close()


def test_a_runner_is_opened_again() -> None:
    """One whose loop is like new gets another, and runs as a new one does."""
    loops: list[asyncio.AbstractEventLoop] = []

    def make() -> asyncio.AbstractEventLoop:
        loops.append(asyncio.new_event_loop())
        return loops[-1]

    def keep(box: list[asyncio.AbstractEventLoop]) -> bool:
        box.pop().close()
        return True

    runner = LoopRunner(make, debug=True, keep=keep)
    assert run(runner, answer()) == 42
    runner.close()
    assert runner.can_open_again
    runner.open_again()
    assert runner.loop is loops[1]
    assert runner.loop.get_debug()
    assert run(runner, answer()) == 42
    runner.close()
    assert loops[1].is_closed()


def test_a_runner_that_was_interrupted_is_not_opened_again(runner: LoopRunner) -> None:
    """As somebody may ask it for that."""

    async def press() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        run(runner, press())
    assert not runner.can_open_again


def test_a_running_loop_is_refused_with_what_runs_on_it(runner: LoopRunner) -> None:
    """Inside a running loop, neither a coroutine nor a generator is started or left un-awaited."""
    other = LoopRunner()

    async def generate() -> AsyncGenerator[int, None]:
        yield 1

    async def nested() -> list[str | None]:
        inside = []
        attempts: list[Callable[[], object]] = [
            lambda: run(other, answer()),
            lambda: start(other, generate()),
        ]
        for attempt in attempts:
            with pytest.raises(RunningLoopError) as caught:
                attempt()
            inside.append(caught.value.inside)
        return inside

    assert run(runner, nested()) == ["main", "main"]
    other.close()


def test_a_generator_lives_in_one_task(runner: LoopRunner) -> None:
    """Set-up and tear-down of a generator see the same task, hidden between them."""
    tasks = []

    async def generate() -> AsyncGenerator[str, None]:
        tasks.append(asyncio.current_task())
        assert asyncio.current_task() in asyncio.all_tasks()
        yield "value"
        tasks.append(asyncio.current_task())
        assert asyncio.current_task() in asyncio.all_tasks()

    host, value = start(runner, generate())
    assert value == "value"
    assert host.task not in asyncio.all_tasks(runner.loop)
    runner.finish_generator(host)
    assert tasks[0] is tasks[1] is host.task


@pytest.mark.parametrize("yields", [0, 2])
def test_wrong_numbers_of_yields(runner: LoopRunner, yields: int) -> None:
    """No yield is an error of set-up, and two are one of tear-down; the generator is closed."""
    closed = []

    async def generate() -> AsyncGenerator[int, None]:
        try:
            for number in range(yields):
                yield number
        finally:
            closed.append(True)

    def live() -> None:
        host, _ = start(runner, generate())
        runner.finish_generator(host)

    with pytest.raises(FixtureYieldError) as caught:
        live()
    assert caught.value.yields == yields
    assert closed == [True]


def test_a_death_is_raised_once_where_it_is_needed(runner: LoopRunner) -> None:
    """A host that dies cancels what needs it and nothing else, and is not reported once more."""

    async def generate() -> AsyncGenerator[None, None]:
        async with asyncio.timeout(0):
            yield

    bystander_host, _ = start(runner, generate())
    assert run(runner, asyncio.sleep(0.001, "done")) == "done"
    assert isinstance(bystander_host.death, TimeoutError)
    with pytest.raises(TimeoutError):
        run(runner, answer(), needs=[bystander_host])
    with pytest.raises(TimeoutError):
        run(runner, answer(), needs=[bystander_host])
    runner.finish_generator(bystander_host)

    host, _ = start(runner, generate())
    with pytest.raises(TimeoutError):
        run(runner, asyncio.sleep(3600), needs=[host])


@pytest.mark.parametrize("steps", range(5))
def test_a_death_that_the_loop_did_not_live_to_tell(runner: LoopRunner, steps: int) -> None:
    """A generator that dies as the loop is stopped is dead for those who come next."""

    async def generate() -> AsyncGenerator[asyncio.Task[Any], None]:
        task = asyncio.current_task()
        assert task is not None
        yield task

    async def cancel(task: asyncio.Task[Any]) -> None:
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)

    host, task = start(runner, generate())
    run(runner, cancel(task))
    with pytest.raises(FixtureEnded, match="was cancelled while its value was in use"):
        run(runner, asyncio.sleep(0), needs=[host])
    runner.finish_generator(host)


@pytest.mark.parametrize("steps", range(5))
def test_a_death_at_the_end_of_the_last_run(runner: LoopRunner, steps: int) -> None:
    """A generator that has died as the loop was stopped is an error when it is finished."""

    async def generate() -> AsyncGenerator[asyncio.Task[Any], None]:
        task = asyncio.current_task()
        assert task is not None
        yield task

    async def cancel(task: asyncio.Task[Any]) -> None:
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)

    host, task = start(runner, generate())
    run(runner, cancel(task))
    with pytest.raises(FixtureEnded, match="was cancelled while its value was in use"):
        runner.finish_generator(host)


def test_a_forgotten_host_is_drained(runner: LoopRunner) -> None:
    """Closing the runner ends a generator that nobody finished, in its own task."""
    events = []

    async def generate() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await asyncio.sleep(0)
            events.append("ended")

    host, _ = start(runner, generate())
    runner.close()
    assert events == ["ended"]
    assert isinstance(host.death, FixtureEnded)


def test_interrupts_off_the_main_thread_are_left_alone() -> None:
    """In another thread no handler of SIGINT is installed."""
    seen = []

    async def look() -> None:
        seen.append(signal.getsignal(signal.SIGINT))

    def work() -> None:
        runner = LoopRunner()
        run(runner, look())
        runner.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_handler_of_somebody_else_stays(runner: LoopRunner, when: str) -> None:
    """A handler of SIGINT that the user installs, before or inside, is the one there afterwards."""

    def mine(*arguments: object) -> None:
        """Stand for the user's handler."""

    async def install() -> object:
        if when == "during":
            signal.signal(signal.SIGINT, mine)
        return signal.getsignal(signal.SIGINT)

    original = signal.getsignal(signal.SIGINT)
    try:
        if when == "before":
            signal.signal(signal.SIGINT, mine)
        assert run(runner, install()) is mine
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, original)


def test_an_interrupt_drains_what_was_running(runner: LoopRunner) -> None:
    """SIGINT cancels the task, waits for its end and then raises KeyboardInterrupt."""
    events = []

    async def interrupted() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            events.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run(runner, interrupted())
    assert events == ["cleaned up"]
    assert run(runner, answer()) == 42


def test_an_interrupt_as_the_task_ends_is_not_lost(runner: LoopRunner) -> None:
    """SIGINT in the last step of a task is still raised."""

    async def last_step() -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(runner, last_step())


def test_a_task_that_stops_the_loop_at_its_end() -> None:
    """Who stops the loop while it is being ended is told of; it is not taken for time that is over."""
    runner = LoopRunner()

    async def stop_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0.01)

    async def start() -> asyncio.Task[None]:
        task = asyncio.create_task(stop_when_cancelled())
        await asyncio.sleep(0)
        return task

    runner.run(start(), context=copy_context(), name="start")
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        runner.close()


@pytest.mark.parametrize("by_group", [True, False])
def test_the_error_of_an_ended_fixture_in_another_process(by_group: bool) -> None:
    """It is the same there, as processes pass exceptions on by pickling them."""
    error = FixtureEnded("'server' (conftest.py:7)", cancelled=True, by_group=by_group)
    error.add_note("in a test")
    for passed_on in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(passed_on) is FixtureEnded
        assert str(passed_on) == str(error)
        assert vars(passed_on) == vars(error)
