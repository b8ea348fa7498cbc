"""Deadlocks on loops that aldente does not run: those of sync tests, of unittest, and of threads."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

pytestmark = pytest.mark.usefixtures("quick_deadlocks")

STUCK = """
import asyncio
import threading
import unittest
import pytest

async def stuck():
    await asyncio.Queue().get()

def test_run():
    asyncio.run(stuck())

def test_runner():
    with asyncio.Runner() as runner:
        runner.run(stuck())

def test_run_until_complete():
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(stuck())
    finally:
        loop.close()

def test_future():
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(loop.create_future())
    finally:
        loop.close()

class Test(unittest.IsolatedAsyncioTestCase):
    async def test_method(self):
        await stuck()

async def test_thread():
    await asyncio.to_thread(asyncio.run, stuck())

def test_that_ignores_its_end():
    async def main():
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    asyncio.run(main())

def test_next():
    asyncio.run(asyncio.sleep(0))
"""


def test_deadlocks_of_other_runs(run_project: RunProject) -> None:
    """A sync test whose asyncio.run hangs ends as an async one does, however the loop is run."""
    result = run_project("-p", "no:randomly", "-q", subprocess=True, test_it=STUCK)
    result.assert_outcomes(failed=7, passed=1)
    text = result.stdout.str()
    for name in (
        "test_run",
        "test_runner",
        "test_run_until_complete",
        "test_future",
        "test_method",
        "test_thread",
        "test_that_ignores_its_end",
    ):
        assert f"Deadlock: for 0.2 s nothing could happen any more while '{name}' was" in text
    assert text.count("test_it.py:7: await asyncio.Queue().get()") >= 5
    # aldente's own frame between the test and asyncio is not shown.
    assert "other_runs.py" not in text


def test_an_error_of_its_own(run_project: RunProject) -> None:
    """An error that is raised as such a run is ended is told beside the deadlock."""
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio

        async def main():
            try:
                await asyncio.Event().wait()
            finally:
                raise RuntimeError("own clean-up failed")

        def test_it():
            asyncio.run(main())
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E * RuntimeError: own clean-up failed", "E * aldente.errors.DeadlockError: Deadlock: *"]
    )


FIXTURE = """
import asyncio
import pytest

@pytest.fixture
def value():
    return asyncio.run(asyncio.Event().wait())

def test_it(value):
    pass

def test_next():
    pass
"""


def test_a_sync_fixture(run_project: RunProject) -> None:
    """A sync fixture whose loop hangs is ended too, and its test has an error at set-up."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=FIXTURE)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["E * aldente.errors.DeadlockError: *while 'test_it' was *"])


GOES_ON = """
import asyncio
import threading

LONG = 0.4

def test_timer():
    asyncio.run(asyncio.sleep(LONG))

def test_thread_that_calls_in():
    async def main():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        threading.Timer(LONG, loop.call_soon_threadsafe, [event.set]).start()
        await event.wait()

    asyncio.run(main())

async def test_loop_in_a_thread():
    thread = threading.Thread(target=lambda: asyncio.run(asyncio.sleep(LONG)))
    thread.start()
    await asyncio.to_thread(thread.join)

def test_loop_that_serves_threads():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(LONG), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
"""


def test_other_runs_that_go_on(run_project: RunProject) -> None:
    """A sync test that waits for a timer or for another thread's loop is left alone."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=GOES_ON)
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize("level", ["warn", "off"])
def test_where_it_is_no_error(run_project: RunProject, level: str) -> None:
    """Where the rule does not fail tests, such a run is not ended by it."""
    result = run_project(
        f"--aldente-rule=deadlock={level}",
        subprocess=True,
        test_it="""
        import asyncio
        import os
        import subprocess
        import sys

        def test_it():
            # Ctrl-C, as all else that could end the wait might wake the loop.
            child = subprocess.Popen(
                [sys.executable, "-c", f"import time, os; time.sleep(1); os.kill({os.getpid()}, 2)"]
            )
            try:
                asyncio.run(asyncio.Event().wait())
            except KeyboardInterrupt:
                raise RuntimeError("stopped") from None
            finally:
                child.wait()
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * RuntimeError: stopped"])
    assert ("deadlock [warn]: 1" in result.stdout.str()) == (level == "warn")


@pytest.mark.parametrize("hanging", ["test_method", "asyncSetUp", "asyncTearDown"])
def test_unittest_fails_once(run_project: RunProject, hanging: str) -> None:
    """A deadlock in an async test case of unittest fails the call, once, with what it waits for."""
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        test_it=f"""
        import asyncio
        import unittest

        class Test(unittest.IsolatedAsyncioTestCase):
            async def {hanging}(self):
                await asyncio.Event().wait()

            async def test_it(self):
                pass

        class TestNext(unittest.TestCase):
            def test_next(self):
                pass
        """,
    )
    result.assert_outcomes(failed=1, passed=2 if hanging == "test_method" else 1)
    result.stdout.fnmatch_lines(["*DeadlockError*", "*asyncio.Event().wait()*"])
    result.stdout.no_fnmatch_line("*ERROR at teardown*")


def test_failure_and_finding_in_unittest(run_project: RunProject) -> None:
    """A test of unittest that fails and has a finding fails once, and a skipped one is skipped."""
    result = run_project(
        subprocess=True,
        test_it="""
        import unittest

        async def forgotten():
            pass

        class Test(unittest.TestCase):
            def test_fails(self):
                forgotten()
                assert 1 == 2

            def test_fails_twice(self):
                self.addCleanup(lambda: 1 / 0)
                forgotten()
                assert 1 == 2

            def test_skips(self):
                forgotten()
                self.skipTest("not today")
        """,
    )
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*aldente: found in this test*"])
    result.assert_outcomes(failed=2, errors=1, skipped=1)
