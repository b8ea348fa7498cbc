"""``--aldente-explore``: all async tests without a mark, explored once they have passed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

# Before a project runs in this process, as tests/plugin/conftest.py says.
import aldente._plugin.suite.hooks
import aldente._rules.schedule_dependent  # noqa: F401
from tests.plugin.conftest import RunProject

# A payment that is lost if the check goes on after it.
RACE = """
import asyncio

async def test_race():
    balance = 100
    async def pay(amount):
        nonlocal balance
        before = balance
        await asyncio.sleep(0)
        balance = before - amount
    async def check():
        await asyncio.sleep(0)
        assert balance == 100
    await asyncio.gather(check(), pay(10))
"""

_SCHEDULE = "schedule-dependent"


def test_a_race_is_listed_with_its_story_and_replayed(run_project: RunProject) -> None:
    """A test that fails in another order passes; it is listed with a story and a token."""
    result = run_project("--aldente-explore", test_it=RACE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "aldente: exploring all tests",
            "1 test explored in * runs, 1 fails in another order",
            "schedule-dependent [[]warn[]]: 1",
            "  test_it.py:12: passes in asyncio's order, fails in another: AssertionError: *",
            "      in test_it.py::test_race",
            "    What happened, in * steps; > marks where the schedule left stock order:",
            "      > Task-3 *test_it.py:8  await asyncio.sleep(0)",
            "    Run it again: pytest test_it.py::test_race --aldente-replay=*",
        ]
    )
    found = re.search(r"--aldente-replay=(\S+)", result.stdout.str())
    assert found is not None
    again = run_project("test_it.py::test_race", f"--aldente-replay={found[1]}")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        [">       assert balance == 100", "This is the schedule of --aldente-replay."]
    )


def test_levels(run_project: RunProject) -> None:
    """At level error the test fails as well, at its tear-down; allowed, it is not explored."""
    at_error = run_project("--aldente-explore", f"--aldente-rule={_SCHEDULE}=error", test_it=RACE)
    at_error.assert_outcomes(passed=1, errors=1)
    at_error.stdout.fnmatch_lines(
        [
            f"{_SCHEDULE}: passes in asyncio's order, fails in another: *",
            "  Run it again: pytest test_it.py::test_race --aldente-replay=*",
            f'Allow: @aldente.allow("{_SCHEDULE}") on the test.',
        ]
    )
    allowed = RACE.replace(
        "async def test_race", f'import aldente\n@aldente.allow("{_SCHEDULE}")\nasync def test_race'
    )
    result = run_project("--aldente-explore", test_it=allowed)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*explored in*")
    off = run_project("--aldente-explore", f"--aldente-rule={_SCHEDULE}=off", test_it=RACE)
    off.stdout.no_fnmatch_line("*explored in*")


def test_the_baseline_and_the_file_of_findings(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """What a baseline knows is not reported, at level error either; the file has the story."""
    error = f"--aldente-rule={_SCHEDULE}=error"
    options = ("--aldente-explore", error, "--aldente-baseline=known.json")
    run_project(*options, "--aldente-findings=all.jsonl", test_it=RACE)
    (line,) = Path(pytester.path / "all.jsonl").read_text(encoding="utf-8").splitlines()
    finding = json.loads(line)
    assert (finding["rule"], finding["line"]) == (_SCHEDULE, 12)
    assert any("--aldente-replay=" in detail for detail in finding["details"])
    known = run_project(*options)
    known.assert_outcomes(passed=1)
    known.stdout.fnmatch_lines(["*1 finding is in the baseline known.json; none are new."])


def test_all_that_a_suite_has(run_project: RunProject) -> None:
    """Fixtures of every kind are made anew for each run; what can't be simulated is listed."""
    result = run_project(
        "--aldente-explore",
        "-v",
        test_it="""
        import asyncio
        import unittest
        import pytest
        import aldente

        made = []

        @pytest.fixture(scope="session")
        def shared():
            made.append("shared")
            return object()

        @pytest.fixture(scope="module")
        async def server(shared):
            made.append("server")
            yield asyncio.Lock()

        @pytest.fixture(scope="class")
        def client(server):
            return [server]

        # As the fixture of a suite that looks for what each test leaves.
        @pytest.fixture(autouse=True)
        def nothing_is_left(request):
            if "async" not in request.node.name:
                return (yield)
            loop = asyncio.get_event_loop()
            before = asyncio.all_tasks(loop)
            loop.run_until_complete(asyncio.sleep(0.01))
            yield
            assert not asyncio.all_tasks(loop) - before
            loop.run_until_complete(loop.shutdown_default_executor())

        @pytest.mark.parametrize("number", [1, 2])
        async def test_async_wide_fixtures(client, server, tmp_path, number):
            async def use():
                await asyncio.sleep(0)
                async with server:
                    await asyncio.sleep(0)
                    (tmp_path / "file").touch()
            await asyncio.gather(use(), use(), use())
            assert client == [server]

        class TestMethods:
            def setup_method(self):
                self.calls = []

            async def test_async_method(self, capsys, caplog):
                async def call(number):
                    await asyncio.sleep(0)
                    self.calls.append(number)
                    print("called")
                await asyncio.gather(call(1), call(2))
                assert sorted(self.calls) == [1, 2]
                assert capsys.readouterr().out == "called\\n" * 2

        async def test_async_process():
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()

        async def test_async_skipped():
            pytest.skip("not now")

        @pytest.mark.xfail
        async def test_async_expected():
            assert False

        @aldente.explore(runs=3)
        async def test_async_marked():
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

        class TestUnit(unittest.IsolatedAsyncioTestCase):
            async def test_unit(self):
                pass

        def test_made_last():
            # The session's fixture once, the module's also for each run.
            assert made.count("shared") == 1
            assert made.count("server") > 10
        """,
    )
    result.assert_outcomes(passed=7, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "3 tests explored in * runs*none fails in another order",
            "4 tests left alone:",
            "  2: it did not pass",
            "      test_it.py::test_async_skipped",
            "      test_it.py::test_async_expected",
            "  1: it starts a process",
            "      test_it.py::test_async_process: loop.subprocess_exec() at *test_it.py:*",
            "  1: unittest runs it on a loop of its own",
            "      test_it.py::TestUnit::test_unit",
            "1 test explored in 3 runs",
        ]
    )
    result.stdout.no_fnmatch_line("*aldente findings*")


def test_turns_of_the_test_and_its_sleeps_are_no_noise(run_project: RunProject) -> None:
    """A test may count its own turns, and have sleeps of its helpers end in their order."""
    result = run_project(
        "--aldente-explore",
        test_it="""
        import asyncio

        async def test_turns():
            seen = []
            async def work():
                for number in range(3):
                    seen.append(number)
                    await asyncio.sleep(0)
            tasks = [asyncio.create_task(work()) for _ in range(2)]
            for turn in range(3):
                await asyncio.sleep(0)
                assert seen == sorted([*range(turn + 1)] * 2)
            await asyncio.gather(*tasks)

        async def test_timers():
            seen = []
            async def work(seconds):
                await asyncio.sleep(seconds)
                await asyncio.sleep(0)
                seen.append(seconds)
            await asyncio.gather(work(0.02), work(0.01))
            assert seen == [0.01, 0.02]
        """,
    )
    result.stdout.fnmatch_lines(["2 tests explored in * runs*, none fails in another order"])


def test_what_a_test_counts_is_said(run_project: RunProject) -> None:
    """The advice for a test with ``sleep(0)`` names what waits for others."""
    result = run_project("--aldente-explore", test_it=RACE)
    result.stdout.fnmatch_lines(["*await aldente.settle() instead*"])
    other = run_project("--aldente-explore", test_it=RACE.replace("sleep(0)", "sleep(0.01)"))
    other.stdout.fnmatch_lines(["1 test explored in * runs, 1 fails in another order"])
    other.stdout.no_fnmatch_line("*aldente.settle()*")


def test_nothing_of_the_runs_is_noticed(run_project: RunProject) -> None:
    """Output, logs, warnings, properties and findings are those of the test's own run."""
    result = run_project(
        "--aldente-explore",
        "-rA",
        test_it="""
        import asyncio
        import logging
        import warnings
        import pytest

        async def test_noise(record_property):
            print("written")
            logging.warning("logged")
            warnings.warn("warned", UserWarning)
            record_property("seen", 1)
            asyncio.create_task(asyncio.sleep(10), name="left")
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
        """,
        ini="    ignore:warned\n",
    )
    text = result.stdout.str()
    assert text.count("written") == text.count("logged") == 1
    result.stdout.fnmatch_lines(["leaked-task [[]warn[]]: 1"])


def test_without_capturing_runs_write_nothing(run_project: RunProject) -> None:
    """With ``-s`` what a test prints comes once."""
    quiet = RACE.replace("balance = 100\n    async", "balance = 100\n    print('once')\n    async")
    result = run_project("--aldente-explore", "-s", test_it=quiet)
    assert result.stdout.str().count("once") == 1


def test_errors_of_tear_downs_stay(run_project: RunProject) -> None:
    """A test whose tear-down fails is not explored; wide fixtures are torn down all the same."""
    result = run_project(
        "--aldente-explore",
        test_it="""
        import pytest

        @pytest.fixture(scope="module")
        def wide():
            yield
            print("torn down")
            raise ValueError("wide")

        @pytest.fixture
        def narrow(wide):
            yield
            raise ValueError("narrow")

        async def test_both(narrow):
            pass
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ValueError: wide", "*ValueError: narrow"])
    result.stdout.fnmatch_lines(["torn down"])
    result.stdout.no_fnmatch_line("*explored in*")


def test_time_is_bounded(run_project: RunProject) -> None:
    """The runs of a test end after its time; no test is explored when that of all is over."""
    many = """
    import asyncio

    async def test_many():
        await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(20)))

    async def test_more():
        pass
    """
    limited = run_project(
        "--aldente-explore=1000000",
        "--aldente-explore-test-seconds=0.00001",
        "-k",
        "many",
        test_it=many,
    )
    limited.stdout.fnmatch_lines(["1 test explored in * run*, 1 cut short by the time limit*"])
    over = run_project("--aldente-explore", "--aldente-explore-seconds=0.000001")
    over.stdout.fnmatch_lines(
        [
            "1 test explored in 1 run, 1 cut short by the time limit*",
            "1 test left alone (-v lists them):",
            "  1: the time limit of --aldente-explore-seconds had passed",
        ]
    )


def test_only_exploring_takes_of_its_time(run_project: RunProject) -> None:
    """What else the suite does before does not count: a slow start leaves no test alone."""
    result = run_project(
        "--aldente-explore=5",
        "--aldente-explore-seconds=60",
        conftest="""
        import aldente._system
        import aldente._plugin.suite.hooks
        import pytest

        @pytest.fixture(scope="session")
        def a_minute_passes():
            monotonic = aldente._system.monotonic
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(aldente._plugin.suite.hooks, "monotonic", lambda: monotonic() + 60)
                yield
        """,
        test_it="""
        def test_sync(a_minute_passes):
            pass

        async def test_async():
            pass
        """,
    )
    result.stdout.fnmatch_lines(["1 test explored in * run*"])
    result.stdout.no_fnmatch_line("*left alone*")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("aldente_explore = true", "exploring all tests"),
        ("aldente_explore = 30", "exploring all tests (30 runs)"),
        (
            "aldente_explore = yes\naldente_explore_test_seconds = 1\naldente_explore_seconds = 60",
            "exploring all tests (1 s each, 60 s in all)",
        ),
    ],
)
def test_configured(run_project: RunProject, given: str, said: str) -> None:
    """The keys of the configuration file mean the same, and the header says what differs."""
    result = run_project(ini=given, test_it="async def test_one(): pass")
    result.stdout.fnmatch_lines([f"aldente: {said}", "1 test explored in 1 run, 1 exhaustively*"])


def test_what_follows_the_option(run_project: RunProject) -> None:
    """A path behind the option is no value of it; a wrong value says what is allowed."""
    result = run_project("--aldente-explore", "test_it.py", test_it=RACE)
    result.stdout.fnmatch_lines(["collected 1 item", "1 test explored in *"])
    wrong = run_project("--aldente-explore=often")
    wrong.stderr.fnmatch_lines(
        ["*It must be a number of runs, or true or false.", "*--aldente-explore='often'*"]
    )
    off = run_project(ini="aldente_explore = no")
    off.stdout.no_fnmatch_line("*explor*")


def test_what_else_breaks(run_project: RunProject) -> None:
    """A deadlock and an error that nobody awaits break a test too; each has a place."""
    result = run_project(
        "--aldente-explore",
        test_it="""
        import asyncio

        async def test_locks():
            one, other = asyncio.Lock(), asyncio.Lock()
            async def both(first, second, turns):
                for _ in range(turns):
                    await asyncio.sleep(0)
                async with first:
                    await asyncio.sleep(0)
                    async with second:
                        pass
            await asyncio.gather(both(one, other, 0), both(other, one, 2))

        async def test_unnoticed():
            values = []
            async def fill():
                await asyncio.sleep(0)
                values.append(1)
            async def use():
                await asyncio.sleep(0)
                values.pop()
            async with asyncio.TaskGroup() as group:
                group.create_task(fill())
                group.create_task(use())
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "schedule-dependent [[]warn[]]: 2",
            "  test_it.py:3: passes in asyncio's order, fails in another: DeadlockError: *",
            "  test_it.py:21: passes in asyncio's order, fails in another: ExceptionGroup: *",
        ]
    )


def test_examples_are_left_alone(run_project: RunProject) -> None:
    """A test with ``@given`` is listed: it is called many times already."""
    result = run_project(
        "--aldente-explore",
        plugins=["hypothesispytest"],
        test_it="""
        from hypothesis import given, strategies

        @given(strategies.integers())
        async def test_given(number):
            pass
        """,
    )
    result.stdout.fnmatch_lines(["  1: Hypothesis runs it with many examples: mark it with *"])


def test_workers(run_project: RunProject) -> None:
    """pytest-xdist's workers send what they have found and explored."""
    more = RACE.replace("test_race", "test_other")
    result = run_project(
        *("--aldente-explore", "-n", "2", "--dist", "each", "-p", "xdist"),
        subprocess=True,
        test_it=more,
    )
    result.stdout.fnmatch_lines(
        ["1 test explored in * 1 fails in another order", "*Run it again: pytest *test_other*"]
    )


def test_an_interrupt_ends_all(run_project: RunProject) -> None:
    """Ctrl-C while a test is explored ends the run, after the tear-down of what is set up."""
    result = run_project(
        "--aldente-explore",
        subprocess=True,
        test_it="""
        import asyncio
        import os
        import signal
        import pytest

        runs = []

        @pytest.fixture(scope="module", autouse=True)
        def wide():
            yield
            print("torn down")

        async def test_interrupted():
            runs.append(1)
            if len(runs) == 3:
                os.kill(os.getpid(), signal.SIGINT)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

        async def test_next():
            pass
        """,
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    result.stdout.no_fnmatch_line("*test_next*")


def test_what_the_collector_frees_counts(run_project: RunProject) -> None:
    """A coroutine in a cycle, which the test's own run has left, is found as without exploring."""
    project = """
        import asyncio
        import gc
        import pytest

        @pytest.fixture(autouse=True)
        def no_collection():
            gc.disable()
            yield
            gc.enable()

        async def work():
            pass

        async def test_cycle():
            class Holder:
                pass
            holder = Holder()
            holder.itself, holder.coroutine = holder, work()
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
        """
    result = run_project("--aldente-explore=20", test_it=project)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["never-awaited: the coroutine 'work' was never awaited."])
