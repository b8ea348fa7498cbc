"""Runs without async tests: nothing is watched until a test comes to an event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject

# asyncio is imported, as by pytest itself from Python 3.14 on.
IMPORTS_ASYNCIO = "import asyncio\n"

BLOCKS = """
import asyncio
import time

async def block():
    time.sleep(0.01)
"""


def test_nothing_is_installed_without_a_loop(run_project: RunProject) -> None:
    """A run that comes to no event loop imports no rule about them, and has no thread of aldente's."""
    modules = {
        "conftest": IMPORTS_ASYNCIO,
        "test_it": """
        import asyncio
        import sys
        import unittest

        def test_first():
            pass

        class TestSecond(unittest.TestCase):
            def test_it(self):
                pass

        def test_nothing_is_watched():
            assert "aldente._rules.blocking_call" not in sys.modules
            assert "aldente._runner.runner" not in sys.modules
            assert len(sys._current_frames()) == 1
        """,
    }
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(passed=3)


WAYS = {
    "run": "asyncio.run(block())",
    "loop made before": "LOOP.run_until_complete(block())",
    "runner": "with asyncio.Runner() as runner: runner.run(block())",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_first_loop_is_watched(run_project: RunProject, way: str) -> None:
    """The rules see the first loop that a sync test runs, also one that was made at import."""
    modules = {
        "conftest": IMPORTS_ASYNCIO,
        "test_it": f"""{BLOCKS}
LOOP = asyncio.new_event_loop()

def test_it():
    {WAYS[way]}

def test_last():
    LOOP.close()
""",
    }
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["blocking-call ?warn?: 1", "  test_it.py:5: time.sleep*"])


def test_the_makers_of_first_loops(run_project: RunProject) -> None:
    """What goes wrong on the first loop is charged to the test that has made it."""
    modules = {
        "conftest": IMPORTS_ASYNCIO,
        "test_it": """
        import asyncio

        def test_makes():
            async def fail():
                raise ValueError("seen by nobody")

            async def main():
                task = asyncio.create_task(fail())
                await asyncio.sleep(0)
                await asyncio.sleep(0)

            asyncio.run(main())
        """,
    }
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*background-error*"])


def test_a_case_of_unittest(run_project: RunProject) -> None:
    """The rules see the loop of an IsolatedAsyncioTestCase when it is the first."""
    modules = {
        "test_it": f"""{BLOCKS}
import unittest

class Test(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        await block()
"""
    }
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["blocking-call ?warn?: 1"])


def test_a_loop_of_another_kind(run_project: RunProject) -> None:
    """Where there are loops that are not asyncio's own, the rules see what runs on them."""
    pytest.importorskip("uvloop")
    modules = {
        "test_it": f"""{BLOCKS}
import uvloop

def test_it():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(block())
"""
    }
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["blocking-call ?warn?: 1"])


def test_a_wrong_setting_ends_the_run(run_project: RunProject) -> None:
    """A function that aldente_blocking_calls names in vain ends the run when the first loop comes."""
    modules = {
        "conftest": IMPORTS_ASYNCIO,
        "test_it": f"""{BLOCKS}
def test_first():
    pass

def test_it():
    asyncio.run(block())

def test_last():
    pass
""",
    }
    result = run_project(
        ini="aldente_blocking_calls =\n    no_such.function\n", fresh=True, **modules
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*no_such.function*is not a valid aldente_blocking_calls*"])
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "kind",
    ["async def test_it():\n    time.sleep(0.01)", "def test_it():\n    asyncio.run(block())"],
)
def test_a_run_within_a_run(run_project: RunProject, kind: str) -> None:
    """What is found in a run of pytest within another one is told by that one."""
    modules = {
        "conftest": f"{IMPORTS_ASYNCIO}pytest_plugins = 'pytester'\n",
        "test_outer": f"""
INNER = {(BLOCKS + kind)!r}

def test_outer(pytester):
    pytester.makepyfile(test_it=INNER)
    result = pytester.runpytest_inprocess("-p", "aldente", "-p", "no:cacheprovider", "-p", "no:rerunfailures")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["blocking-call ?warn?: 1"])
""",
    }
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("blocking-call*")


COMPARES_DESCRIPTORS = """
import asyncio
import os
import pytest

@pytest.fixture
def opens_nothing():
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) - before == set()

@pytest.mark.parametrize("seconds", [0, 0.1])
def test_it(opens_nothing, seconds):
    asyncio.run(asyncio.sleep(seconds))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors can't be listed here")
@pytest.mark.parametrize("has_async_tests", [False, True])
def test_a_test_that_compares_descriptors(
    run_project: RunProject, *, has_async_tests: bool
) -> None:
    """The test that comes to the first loop sees no descriptor that aldente opens."""
    modules = {"conftest": IMPORTS_ASYNCIO, "test_it": COMPARES_DESCRIPTORS}
    if has_async_tests:
        modules["test_last"] = "async def test_last():\n    pass\n"
    result = run_project(fresh=True, **modules)
    result.assert_outcomes(passed=2 + has_async_tests)
