"""Explored tests in rough hands: odd options, odd tests, other plugins, interruptions."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ('max_seconds="1"', "'1' is not a valid max_seconds. It must be a number of seconds*"),
        ("strategy=lambda: None", "* is not a valid strategy. * must take the seed as its only *"),
    ],
)
def test_options_that_would_fail_later(run_project: RunProject, option: str, message: str) -> None:
    """A mark is refused where it is written."""
    result = run_project(
        test_it=f"""
        import aldente

        @aldente.explore({option})
        async def test_it():
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E *InvalidSetting: {message}"])


def test_a_strategy_that_is_none(run_project: RunProject) -> None:
    """What a function made instead of a strategy, and a choice that is none, are told alone."""
    result = run_project(
        "--tb=short",
        test_it="""
        import asyncio
        import aldente

        class Odd:
            def start(self):
                return True
            def choose(self, count, options):
                return 99
            def end(self):
                pass

        @aldente.explore(strategy=lambda seed: 1)
        async def test_none():
            pass

        @aldente.explore(strategy=lambda seed: Odd())
        async def test_choice():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["* is not a valid strategy. *", "99 is not a valid choice of Odd. *"]
    )
    result.stdout.no_fnmatch_line("*_explore*arguments.py*")


def test_ctrl_c_names_the_users_line(tmp_path: Path) -> None:
    """pytest says where the test was when it was interrupted."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "import pathlib, time, aldente\n"
        "@aldente.explore\n"
        "async def test_it():\n"
        "    pathlib.Path('begun').touch()\n"
        "    time.sleep(20)\n"
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    # On a busy machine Ctrl-C may come before the line that sleeps has begun.
    assert re.search(r"test_it\.py:[45]: KeyboardInterrupt", output), output


def test_what_examples_note_and_how_long_they_take(run_project: RunProject) -> None:
    """Notes are those of the run that failed; deadlines are of runs; fixtures are fresh."""
    modules = {
        "test_it": """
        import asyncio
        import time
        import aldente
        import pytest
        from hypothesis import assume, given, note, settings, strategies as st

        pytestmark = [aldente.explore]

        async def order():
            found = []
            async def add(number):
                await asyncio.sleep(0)
                found.append(number)
            await asyncio.gather(add(1), add(2))
            return found

        @settings(max_examples=10, database=None)
        @given(count=st.integers(0, 9))
        async def test_notes(count):
            assume(count > 3)
            found = await order()
            note(f"the order was {found}")
            assert found == [1, 2]

        @settings(max_examples=50, database=None)
        @given(count=st.integers(0, 9))
        async def test_two(count):
            if count > 5:
                raise ValueError("many")
            assert await order() == [1, 2]

        @pytest.fixture
        def box():
            return []

        @aldente.allow("blocking-call")
        @settings(max_examples=2, database=None, deadline=40)
        @given(count=st.integers(0, 9))
        async def test_takes_time(box, count):
            box.append(1)
            assert box == [1]
            time.sleep(0.011)
            await order()
        """
    }
    options = ("--tb=short", "-p", "no:randomly")
    result = run_project(*options, plugins=["hypothesispytest"], **modules)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E   the order was [[]2, 1[]]",
            "What happened, in * of * steps; > marks where the schedule left stock order:",
            "Run 2 of at most 20 for each example failed, *",
            "*Hypothesis found 2 distinct failures*",
        ]
    )
    result.stdout.no_fnmatch_line("*the order was ?1, 2?*")
    result.stdout.no_fnmatch_line("*Explanation*")
    token = re.findall(r"test_notes --aldente-replay=(\S+)", result.stdout.str())[0]
    replay = ("test_it.py::test_notes", f"--aldente-replay={token}")
    again = run_project(*options, *replay, plugins=["hypothesispytest"])
    again.stdout.fnmatch_lines(["E   the order was [[]2, 1[]]"])


def test_a_cache_that_cannot_be_written(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The test is explored all the same."""
    (pytester.path / "odd").write_text("no folder")
    result = run_project(
        *("-p", "cacheprovider", "-o", "cache_dir=odd", "-W", "default"),
        test_it="""
        import asyncio
        import aldente

        @aldente.explore(runs=5)
        async def test_it():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        """,
    )
    result.assert_outcomes(passed=1)


def test_a_warning_that_differs_in_every_run(run_project: RunProject) -> None:
    """It is told a few times, not once for each run."""
    result = run_project(
        *("-W", "default", "-W", "ignore:Module already imported"),
        test_it="""
        import asyncio
        import warnings
        import aldente

        @aldente.explore(runs=30, strategy="random")
        async def test_it():
            warnings.warn(f"of {object()}, {len(runs)}")
            runs.append(1)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))

        runs = []
        """,
    )
    result.assert_outcomes(passed=1, warnings=10)


def test_what_is_kept_cannot_be_removed(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """It is warned of, and the test is explored all the same."""
    options = ("-p", "cacheprovider", "-W", "default")
    body = "import aldente\n@aldente.explore(runs=5)\nasync def test_it(): pass"
    run_project(*options, test_it=body)
    name = hashlib.sha256(b"test_it.py::test_it").hexdigest()[:24]
    (pytester.path / ".pytest_cache/d/aldente" / f"{name}.json").mkdir()
    result = run_project(*options, test_it=body)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*PytestCacheWarning: aldente: *can't be removed*"])


def test_fixtures_that_are_meant_for_one_run(run_project: RunProject) -> None:
    """Those of other plugins that would break the session or report every run are refused."""
    result = run_project(
        plugins=["benchmark"],
        test_it="""
        import aldente

        @aldente.explore
        async def test_benchmark(benchmark):
            pass
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "'test_benchmark' can't be explored: the fixture 'benchmark' measures *",
            "Fix: measure in a separate test.",
        ]
    )


def test_exceptions_of_a_class_of_the_tests_own(run_project: RunProject) -> None:
    """A class that every run defines anew is the same one."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente

        @aldente.explore
        async def test_it():
            class Unordered(Exception):
                pass
            found = []
            async def add(number):
                await asyncio.sleep(0)
                found.append(number)
            await asyncio.gather(add(1), add(2))
            if found != [1, 2]:
                raise Unordered
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Its schedule has 1 context switch away from stock order; *"])
    result.stdout.no_fnmatch_line("Not exact*")


def test_replaying_several_tests_in_several_processes(run_project: RunProject) -> None:
    """The refusal is shown, though pytest-xdist shows none of those of its processes."""
    result = run_project(
        *("-n", "1", "--aldente-replay=3AHfP"),
        plugins=["xdist"],
        subprocess=True,
        test_it="""
        import aldente

        @aldente.explore
        async def test_one():
            pass

        @aldente.explore
        async def test_other():
            pass
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "--aldente-replay runs one explored test again, but 2 are selected:",
            "Fix: name the test, as in the report of its failure.",
        ]
    )


def test_how_a_finding_is_allowed(run_project: RunProject) -> None:
    """As in any other test."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente

        @aldente.explore
        async def test_it():
            asyncio.sleep(1)
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['Allow: @aldente.allow("never-awaited") on the test, or *'])


def test_what_outlives_a_run(run_project: RunProject) -> None:
    """What belongs to the loop of a run before is explained, and told when only reruns meet it."""
    result = run_project(
        *("-p", "no:randomly"),
        test_it="""
        import asyncio
        import aldente

        lock = asyncio.Lock()

        async def use():
            async with lock:
                await asyncio.sleep(0)

        @aldente.explore
        async def test_one_schedule():
            await asyncio.gather(use(), use())

        @aldente.explore
        async def test_group():
            async with asyncio.TaskGroup() as group:
                group.create_task(use())
                group.create_task(use())
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*RuntimeError: * is bound to a different event loop",
            "*| Every run of an explored test has an event loop of its own, *",
            "not exact: test_it.py::test_one_schedule: two runs of one schedule differed in how they "
            "ended (well, then RuntimeError(*)); a run may leave something behind for the next, *",
        ]
    )


def test_a_long_exploration_without_a_terminal(run_project: RunProject) -> None:
    """Nobody is told how far it is."""
    result = run_project(
        *("-p", "no:terminal"),
        subprocess=True,
        conftest="""
        import aldente._plugin.explore.output as progress

        progress._FIRST = 0
        """,
        test_it="""
        import asyncio
        import aldente

        @aldente.explore(runs=5)
        async def test_it():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        """,
    )
    assert result.ret == 0


def test_after_a_run_of_pytester_in_the_same_process(run_project: RunProject) -> None:
    """Such a run forgets the modules that it has imported first; others follow."""
    result = run_project(
        *("-p", "pytester", "-p", "no:randomly"),
        subprocess=True,
        test_it='''
        import asyncio
        import aldente
        import pytest

        @pytest.fixture
        def box():
            return []

        def test_pytester(pytester):
            pytester.makepyfile(
                """
                import aldente

                @aldente.explore(runs=2)
                async def test_it(tmp_path):
                    pass
                """
            )
            pytester.runpytest_inprocess("-p", "aldente", "-p", "no:rerunfailures").assert_outcomes(passed=1)

        @aldente.explore(runs=5)
        async def test_it(box):
            assert box == []
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        ''',
    )
    result.assert_outcomes(passed=2)
