"""Explored tests with a step that never ends."""

from __future__ import annotations

import os
import re
import sys

import pytest

from tests.plugin.conftest import RunProject, SetConstant


@pytest.fixture
def interrupted_soon(set_constant: SetConstant) -> None:
    """A step is interrupted a fifth of a second after its limit, instead of two seconds."""
    set_constant("aldente._explore.interrupting._ANSWER_LIMIT", 0.2)


# CPython 3.13.0 to 3.13.9 and 3.14.0 count threads that are started again after the fork.
COUNTS_TOO_LATE = (3, 13) <= sys.version_info < (3, 13, 10) or sys.version_info[:3] == (3, 14, 0)

STEPS = """
import asyncio
import time
import aldente
import pytest

@aldente.timeout(0.3)
@aldente.explore(max_seconds=60)
async def test_timeout():
    while True:
        pass

@aldente.explore(max_seconds=1)
async def test_max_seconds():
    await asyncio.sleep(3600)
    time.sleep(600)

async def swallow():
    await asyncio.sleep(0)
    while True:
        try:
            while True:
                pass
        except Exception:
            break

@aldente.timeout(0.3)
@aldente.explore
async def test_task_that_swallows_its_end():
    await asyncio.create_task(swallow())
    await asyncio.sleep(0)

@pytest.fixture
async def kitchen():
    yield
    while True:
        pass

@aldente.timeout(0.3)
@aldente.explore
async def test_tear_down(kitchen):
    pass

async def test_next():
    pass
"""


@pytest.mark.usefixtures("interrupted_soon")
def test_a_step_that_never_ends(run_project: RunProject) -> None:
    """It is interrupted after the limit of the test, whichever that is; stack and token are shown."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=STEPS)
    result.assert_outcomes(failed=4, passed=1)
    text = result.stdout.str()
    for name, seconds, line in [
        ("test_timeout", "0.3", "in test_timeout"),
        ("test_max_seconds", "1", "test_it.py:15 in test_max_seconds"),
        ("test_task_that_swallows_its_end", "0.3", "in swallow"),
        ("test_tear_down", "0.3", "in kitchen"),
    ]:
        told = f"PhaseTimeout: '{name}' blocked the loop and had not ended after {seconds} s, so aldente interrupted it."
        assert told in text
        stack = text.partition(told)[2].partition("aldente: what happened")[0]
        assert "The stack of the loop's thread, innermost last:" in stack
        assert line in stack
        assert re.search(
            rf"Run it again: pytest test_it.py::{name} --aldente-replay=[0-9A-Za-z]", text
        )


@pytest.mark.usefixtures("interrupted_soon")
def test_code_that_tries_again_after_every_exception(
    run_project: RunProject, set_constant: SetConstant
) -> None:
    """What catches the interruption, an Exception, is interrupted again by what it does not catch."""
    set_constant("aldente._rules.long_runs.END_LIMIT", 0.3)
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        ini="aldente_timeout = 0.2",
        test_it="""
        import aldente
        import pytest

        def poll():
            while True:
                try:
                    while True:
                        pass
                except Exception:
                    pass

        async def test_plain():
            poll()

        @pytest.fixture
        async def service():
            yield
            poll()

        async def test_fixture(service):
            pass

        @aldente.virtual_time
        async def test_virtual():
            poll()

        @aldente.explore
        async def test_explored():
            poll()
        """,
    )
    result.assert_outcomes(failed=3, passed=1, errors=1)
    text = result.stdout.str()
    for name in ("test_plain", "fixture service", "test_virtual", "test_explored"):
        assert f"PhaseTimeout: '{name}' blocked the loop and had not ended after 0.2 s" in text
    assert text.count("in poll") >= 4


@pytest.mark.usefixtures("interrupted_soon")
@pytest.mark.parametrize("how", ["option", "ini"])
def test_the_limit_of_all_tests(run_project: RunProject, how: str) -> None:
    """The limit of the configuration interrupts it too; a token of it is run again likewise."""
    options = ["--aldente-timeout=0.3"] if how == "option" else []
    ini = "aldente_timeout = 0.3" if how == "ini" else ""
    project = """
        import asyncio
        import aldente

        async def spin():
            while True:
                pass

        @aldente.explore(runs=3)
        async def test_it():
            await asyncio.gather(asyncio.sleep(1), spin())
        """
    result = run_project(*options, ini=ini, subprocess=True, test_it=project)
    result.assert_outcomes(failed=1)
    token = re.search(r"--aldente-replay=(\S+)", result.stdout.str())
    assert token is not None
    again = run_project(
        *options, f"--aldente-replay={token[1]}", "test_it.py::test_it", ini=ini, subprocess=True
    )
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        ["*PhaseTimeout: 'test_it' blocked the loop*", "*test_it.py:* in spin"]
    )


def test_slow_steps_within_the_limit(run_project: RunProject) -> None:
    """A search whose time ends in the middle of a run that goes on by itself passes as before."""
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio
        import aldente

        def work():
            for _ in range(1_000):
                pass

        async def some():
            for _ in range(20):
                work()
                await asyncio.sleep(0)

        @aldente.explore(max_seconds=0.5, runs=1_000_000)
        async def test_it():
            await asyncio.gather(some(), some())
        """,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.usefixtures("interrupted_soon")
def test_a_stack_that_cannot_be_told(run_project: RunProject) -> None:
    """A step that never ends is interrupted all the same."""
    result = run_project(
        subprocess=True,
        conftest="""
        from aldente._explore import interrupting

        def fail(frame):
            raise LookupError("broken inside")

        interrupting.describe_stack = fail
        """,
        test_it="""
        import aldente

        @aldente.timeout(0.3)
        @aldente.explore
        async def test_it():
            while True:
                pass
        """,
    )
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        [
            "*PhaseTimeout: 'test_it' blocked the loop*",
            "*aldente: an error in aldente itself, *while recording the stack of a step *",
        ]
    )


@pytest.mark.usefixtures("interrupted_soon")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.skipif(COUNTS_TOO_LATE, reason="this Python counts what is started after the fork")
def test_programs_that_fork(run_project: RunProject) -> None:
    """Python warns of no thread of aldente's, and steps are ended after the fork too."""
    result = run_project(
        "-W",
        "always",
        subprocess=True,
        test_it="""
        import os
        import aldente

        def fork():
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)

        @aldente.explore
        async def test_it():
            fork()

        @aldente.timeout(0.3)
        @aldente.explore
        async def test_hang():
            fork()
            while True:
                pass
        """,
    )
    result.assert_outcomes(passed=1, failed=1, warnings=0)
    result.stdout.fnmatch_lines(["*PhaseTimeout: 'test_hang' blocked the loop*"])


BESIDE_A_HEARTBEAT = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
import aldente
import pytest

@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool

@pytest.fixture
def idle(pool):
    with ThreadPoolExecutor(1) as own:
        own.submit(int).result()
        yield

async def beat():
    while True:
        await asyncio.sleep(1)

async def hang():
    async with asyncio.TaskGroup() as group:
        group.create_task(beat())
        await asyncio.Event().wait()

@aldente.explore(runs=5)
async def test_alone():
    await hang()

@aldente.explore(runs=5)
async def test_beside_idle_threads(idle):
    await hang()

@aldente.explore(runs=5)
async def test_that_goes_on():
    event = asyncio.Event()

    async def take_long():
        for _ in range(2_500):
            await asyncio.sleep(1)

    task = asyncio.create_task(take_long())
    task.add_done_callback(lambda _: event.set())
    await event.wait()
"""


def test_deadlocks_beside_a_heartbeat(run_project: RunProject) -> None:
    """A heartbeat hides no deadlock, nor do idle threads; and what ends at last is none."""
    result = run_project(test_it=BESIDE_A_HEARTBEAT)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*DeadlockError: Deadlock: 'test_alone' waits for an object that no code that still "
            "runs, such as the callback of a timer, can reach, so aldente ended it.",
            "Run 1 of at most 5 failed*",
            "E*DeadlockError: Deadlock: 'test_beside_idle_threads' waits for an object*",
            "Run 1 of at most 5 failed*",
        ]
    )
    assert "Not exact" not in result.stdout.str()
