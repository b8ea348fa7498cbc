"""Runs that fail by what rules find in them, although the program itself passes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

import aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import Program
from aldente._records import Finding, SourcePlace
from aldente._rules import never_awaited
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.fifo import Fifo
from aldente.errors import FoundInRun, InvalidSetting
from tests.unit.test_never_awaited import Holder, drop


class Looking:
    """Notes when it is asked, and what it sees."""

    def __init__(self, findings: Sequence[Finding] = ()) -> None:
        self.seen: list[object] = []
        self._findings = findings

    def begin(self, loop: SimulatedLoop) -> None:
        self.seen.append(("begin", loop.main_task))

    def failed(self, loop: SimulatedLoop, error: BaseException) -> None:
        names = sorted(task.get_name() for task in asyncio.all_tasks(loop))
        self.seen.append((type(error).__name__, names))

    def main_ended(self, loop: SimulatedLoop) -> None:
        names = sorted(task.get_name() for task in asyncio.all_tasks(loop))
        self.seen.append(("main ended", names))

    def take(self) -> Sequence[Finding]:
        self.seen.append("take")
        return self._findings

    looks_for_races = False

    def report_race(self, finding: Finding) -> bool:
        raise AssertionError(finding)

    def again(self, token: str) -> str:
        raise AssertionError(token)

    def aside(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()


_FINDING = Finding("leaked-task", "a task was left.", "Await it.", SourcePlace(__file__, 1))


async def leave_a_task() -> str:
    async def last() -> None:
        await asyncio.sleep(0)

    tasks = {asyncio.create_task(asyncio.sleep(10), name="left")}
    tasks.add(asyncio.create_task(last(), name="about to end"))
    return "done"


def test_a_watch_is_asked_in_order() -> None:
    """A watch is told of a run's begin, of what is left when it has been given time, and of its end."""
    watch = Looking()
    run = Program(leave_a_task, RunSettings(), watch=watch).run(Fifo())
    assert watch.seen == [("begin", None), ("main ended", ["left"]), "take"]
    assert (run.result, run.error, run.findings) == ("done", None, ())


def test_a_watch_is_told_of_a_failure() -> None:
    """A watch sees a run that has failed before anything of it is cancelled, unless a rule fails it."""

    async def main() -> None:
        left = asyncio.create_task(asyncio.sleep(10), name="left")
        await asyncio.sleep(1)
        assert left.done()

    watch = Looking()
    Program(main, RunSettings(), watch=watch).run(Fifo())
    assert watch.seen[1] == ("AssertionError", ["left"])
    watch = Looking([_FINDING])
    Program(leave_a_task, RunSettings(), watch=watch).run(Fifo())
    assert watch.seen[-1] == ("FoundInRun", [])


def test_findings_fail_a_run() -> None:
    """A run in which something is found has an exception that says what the rule says."""
    run = Program(leave_a_task, RunSettings(), watch=Looking([_FINDING])).run(Fifo())
    assert isinstance(run.error, FoundInRun)
    assert run.error.findings == run.findings == (_FINDING,)
    assert str(run.error).startswith(
        "leaked-task: a task was left.\n  tests/unit/test_found_in_run"
    )


def test_the_programs_own_exception_wins() -> None:
    """A run that fails by itself has its own exception, and the findings besides."""

    async def main() -> None:
        raise ValueError

    run = Program(main, RunSettings(), watch=Looking([_FINDING])).run(Fifo())
    assert isinstance(run.error, ValueError)
    assert list(run.findings) == [_FINDING]


# What aldente.search, aldente.replay and aldente.run look at.

Main = Callable[[], Coroutine[Any, Any, object]]


async def fetch() -> None:
    """Dropped by the programs below."""


async def forgets_to_await() -> None:
    drop(fetch())


async def forgets_a_task() -> None:
    async def fail() -> None:
        raise ValueError("nobody sees this")

    task = asyncio.create_task(fail(), name="unseen")
    await asyncio.sleep(0)
    assert not task.cancelled()


async def keeps_a_failed_task() -> None:
    """The failed task is in a reference cycle, so nothing frees it while the run goes on."""
    tasks: list[Any] = []

    async def fail() -> None:
        raise ValueError("nobody sees this")

    tasks += [asyncio.create_task(fail(), name="unseen"), tasks]
    await asyncio.sleep(0)


async def fails_in_a_callback() -> None:
    def fail() -> None:
        raise ValueError("nobody sees this")

    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(1)


async def _numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


kept: list[object] = []


async def leaves_things() -> None:
    kept[:] = [asyncio.create_task(asyncio.sleep(10), name="left"), _numbers()]
    await anext(kept[1])  # type: ignore[call-overload]


ERRORS: dict[Main, str] = {
    forgets_to_await: "never-awaited: the coroutine 'fetch' was never awaited.",
    forgets_a_task: "background-error: ValueError: nobody sees this, in the task 'unseen' running",
    keeps_a_failed_task: "background-error: ValueError: nobody sees this, in the task 'unseen'",
    fails_in_a_callback: "background-error: ValueError: nobody sees this, in the callback 'fails_in_a_callback.<locals>.fail' of the event loop",
}


@pytest.mark.parametrize("main", ERRORS, ids=lambda main: main.__name__)
def test_what_fails_a_test_fails_a_run(main: Main) -> None:
    """What is an error in a test fails a search, a replay and a run with a seed."""
    failure = aldente.search(main).failure
    assert failure is not None
    assert isinstance(failure.exception, FoundInRun)
    assert str(failure.exception).startswith(ERRORS[main])
    with pytest.raises(FoundInRun, match=re.escape(ERRORS[main])):
        aldente.replay(main, failure.token)
    with pytest.raises(FoundInRun, match=re.escape(ERRORS[main])):
        aldente.run(main, seed=1)


def test_what_was_found_is_told_in_full() -> None:
    """The text says what, where with the source line, why, how to fix and how to allow it."""
    failure = aldente.search(forgets_to_await).failure
    assert failure is not None
    line = forgets_to_await.__code__.co_firstlineno + 1
    assert str(failure.exception) == (
        f"""\
never-awaited: the coroutine 'fetch' was never awaited.
  tests/unit/test_found_in_run.py:{line}
    drop(fetch())
Why: Calling an 'async def' function only makes a coroutine; its body runs when it is awaited. A
test that forgets to await passes without having tested anything.
Fix: Await it, or pass it to asyncio.create_task() and await the task.
Allow: rules={{"never-awaited": "off"}} in aldente.search; @aldente.allow("never-awaited") on an explored test."""
    )
    assert failure.report().startswith("aldente.errors.FoundInRun: never-awaited: the coroutine")


def test_what_was_found_is_shrunk_and_replayed_like_other_failures() -> None:
    """A finding that only some schedules lead to is found, shrunk and replayed at its place."""

    async def main() -> None:
        first: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            first.append(number)
            if first[0] == 2 and number == 1:
                drop(fetch())

        await asyncio.gather(work(1), work(2))

    failure = aldente.search(main).failure
    assert failure is not None
    assert not failure.inexact
    assert failure.shrinking is not None
    assert (failure.shrinking.after, failure.shrinking.outcome) == (1, "least")
    with pytest.raises(FoundInRun):
        aldente.replay(main, failure.token)


def test_what_is_a_warning_is_told_once() -> None:
    """What is left behind fails nothing; a search tells it once, however many runs have left it."""
    found = aldente.search(leaves_things, runs=5)
    assert found.failure is None
    assert [text.splitlines()[0] for text in found.findings] == [
        "leaked-task: the task 'left' running 'sleep' was left pending.",
        "leaked-asyncgen: the async generator '_numbers' was iterated, and left unfinished.",
    ]
    aldente.run(leaves_things, seed=1)


def test_levels_can_be_set() -> None:
    """Each rule can be an error, a warning or off."""
    failure = aldente.search(leaves_things, rules={"leaked-task": "error"}).failure
    assert failure is not None
    assert "the task 'left'" in str(failure.exception)
    with pytest.raises(FoundInRun):
        aldente.replay(leaves_things, failure.token, rules={"leaked-task": "error"})
    aldente.replay(leaves_things, failure.token)
    found = aldente.search(forgets_to_await, rules={"never-awaited": "warn"})
    assert found.failure is None
    assert len(found.findings) == 1
    found = aldente.search(forgets_to_await, rules={"never-awaited": "off"})
    assert (found.failure, found.findings) == (None, ())


def test_an_error_that_is_off_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that no rule looks at is told by asyncio, as without aldente."""
    with caplog.at_level(logging.ERROR, "asyncio"):
        aldente.search(forgets_a_task, runs=1)
        assert not caplog.records
        aldente.search(forgets_a_task, runs=1, rules={"background-error": "off"})
    assert "Task exception was never retrieved" in caplog.text


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["leaked-task"], "It must be a mapping of rules to levels"),
        (
            {"slow-step": "error"},
            "'slow-step' is not a valid rules. The rules for simulated runs are",
        ),
        ({"leaked-task": "loud"}, "Valid levels are: error, warn, off"),
    ],
)
def test_wrong_levels_are_refused(rules: Any, message: str) -> None:
    """Levels that are none, or of rules that are not looked at, are a mistake."""
    with pytest.raises(InvalidSetting, match=re.escape(message)):
        aldente.search(forgets_to_await, rules=rules)
    with pytest.raises(InvalidSetting, match=re.escape(message)):
        aldente.replay(forgets_to_await, "3AHfP", rules=rules)


def test_findings_are_told_with_the_programs_own_exception() -> None:
    """The report of a program that fails by itself tells what was found in the same run."""

    async def main() -> None:
        drop(fetch())
        raise KeyError

    failure = aldente.search(main).failure
    assert failure is not None
    assert isinstance(failure.exception, KeyError)
    assert "\n\nFound in the same run:\nnever-awaited: the coroutine 'fetch'" in failure.report()
    with pytest.raises(KeyError) as caught:
        aldente.replay(main, failure.token)
    assert "Found in the same run:\nnever-awaited" in caught.value.__notes__[0]


def test_what_a_program_deals_with_is_no_finding() -> None:
    """Exceptions that somebody asks for, awaited coroutines and ended tasks are none."""

    async def main() -> None:
        async def fail() -> None:
            raise ValueError

        results = await asyncio.gather(fail(), fetch(), return_exceptions=True)
        assert isinstance(results[0], ValueError)
        task = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        asyncio.get_running_loop().call_soon(fail_here)
        await asyncio.sleep(0)

    def fail_here() -> None:
        raise ValueError

    found = aldente.search(main, rules={"leaked-task": "error", "leaked-asyncgen": "error"})
    assert found.failure is None, found.failure.report()


@pytest.fixture
def rare_collections() -> Iterator[None]:
    """The collector comes only when it is called.

    When it frees a coroutine that was never awaited while a named tuple is being made, Python can't
    import ``warnings``, as that code has no builtins, and does not warn of the coroutine.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("rare_collections")
def test_what_others_drop_is_not_the_runs() -> None:
    """A coroutine of a test that is freed between the runs of its search is the test's."""
    found: list[Finding] = []
    of_test = never_awaited.CoroutineWatch(found.append)

    async def main() -> None:
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    with of_test.installed():
        of_test.begin("the test")
        Holder(fetch())
        assert aldente.search(main).failure is None
        gc.collect()
        assert aldente.search(forgets_to_await).failure is not None
    assert [finding.made_by for finding in found] == ["the test"]


@pytest.mark.usefixtures("rare_collections")
@pytest.mark.parametrize("is_young", [True, False])
def test_the_collector_comes_in_a_run(is_young: bool) -> None:
    """A coroutine that the test has dropped is not the run's in which the collector frees it."""
    found: list[Finding] = []
    of_test = never_awaited.CoroutineWatch(found.append)

    async def main() -> None:
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        gc.collect()

    with of_test.installed():
        of_test.begin("the test")
        holder = Holder(fetch())
        if not is_young:
            gc.collect()
        del holder
        assert aldente.search(main).failure is None
    assert [finding.made_by for finding in found] == ["the test"]


@pytest.mark.usefixtures("rare_collections")
def test_the_collector_frees_what_a_run_has_dropped() -> None:
    """A coroutine of a run is the run's, also when the collector frees it."""

    async def main() -> None:
        Holder(fetch())
        await asyncio.sleep(0)
        gc.collect()

    failure = aldente.search(main).failure
    assert failure is not None
    assert isinstance(failure.exception, FoundInRun)


def test_what_an_exception_holds_is_the_runs() -> None:
    """A coroutine that is kept by the exception of a program is told with it, and never again."""
    found: list[Finding] = []
    of_test = never_awaited.CoroutineWatch(found.append)

    async def main() -> None:
        kept: Any = fetch()
        raise ValueError(kept.cr_code.co_name)

    with of_test.installed():
        of_test.begin("the test")
        failure = aldente.search(main).failure
        assert failure is not None
        assert "Found in the same run:\nnever-awaited: the coroutine 'fetch'" in failure.report()
        del failure
        gc.collect()
    assert found == []


def test_nothing_is_left_installed() -> None:
    """After a search coroutines that are dropped are what they were."""
    with contextlib.suppress(FoundInRun):
        aldente.run(forgets_to_await, seed=1)
    with pytest.warns(RuntimeWarning, match="coroutine 'fetch' was never awaited"):
        drop(fetch())
