"""The rule race: lost updates in explored tests, and what is never put back."""

from __future__ import annotations

import re

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import read_findings

COUNTER = """
    import asyncio
    import pytest
    import aldente

    class Counter:
        def __init__(self):
            self.value = 0

        async def add(self, amount):
            before = self.value
            await asyncio.sleep(0.01)
            self.value = before + amount

    @pytest.fixture
    def counter():
        return Counter()

    @aldente.explore
    async def test_count(counter):
        await asyncio.gather(counter.add(1), counter.add(2))

    @aldente.explore
    async def test_count_one(counter):
        await counter.add(1)
"""

FOUND = [
    "race *: 1",
    "  test_it.py:12: an update of counter.value is lost: Task-3 sets it from a "
    "value that it read before Task-2 changed it.",
    "      in test_it.py::test_count",
    "      Task-3 reads counter.value = 0 at test_it.py:10",
    "      Task-2 changes counter.value to 1 at test_it.py:12",
    "      Task-3 changes counter.value to 2 at test_it.py:12",
    "      If the tasks run one after the other, in either order, counter.value ends as 3.",
    "      Run it again: pytest test_it.py::test_count --aldente-replay=*",
    "    Hold an asyncio.Lock from the line that reads it *",
]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["here", "xdist"])
def test_a_warning(run_project: RunProject, workers: tuple[str, ...]) -> None:
    """The test passes; the section says what, where, with which values, and how to see it again."""
    plugins = ["xdist"] if workers else []
    result = run_project(*workers, plugins=plugins, subprocess=bool(workers), test_it=COUNTER)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(FOUND)
    result.stdout.no_fnmatch_line("*test_count_one*lost*")


def test_an_error(run_project: RunProject) -> None:
    """The test fails with the finding, the story and the token, which finds it again."""
    rule = "--aldente-rule=race=error"
    result = run_project(rule, test_it=COUNTER)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "race: an update of counter.value is lost: *",
            "  test_it.py:12",
            "    self.value = before + amount",
            "  Task-3 reads counter.value = 0 at test_it.py:10",
            'Allow: @aldente.allow("race") on the test.',
            "What raced: counter.value.",
            "Run it again: pytest test_it.py::test_count --aldente-replay=*",
        ]
    )
    (token,) = set(re.findall("--aldente-replay=([^ \n]+)", result.stdout.str()))
    again = run_project(rule, f"--aldente-replay={token}", "-k", "test_count and not one")
    again.assert_outcomes(failed=1, deselected=1)
    again.stdout.fnmatch_lines(["race: an update of counter.value is lost: *"])
    run_project(
        "--aldente-rule=race=off", f"--aldente-replay={token}", "-k", "test_count and not one"
    ).assert_outcomes(passed=1, deselected=1)


def test_a_replay_warns(run_project: RunProject) -> None:
    """The token of a warning finds it again."""
    result = run_project(test_it=COUNTER)
    (token,) = set(re.findall("--aldente-replay=([^ \n]+)", result.stdout.str()))
    again = run_project(f"--aldente-replay={token}", "-k", "test_count and not one")
    again.assert_outcomes(passed=1, deselected=1)
    again.stdout.fnmatch_lines(FOUND)


def test_allowed(run_project: RunProject) -> None:
    """A mark allows it on a test, and a strict suite fails with it elsewhere."""
    allowed = COUNTER.replace(
        "    @aldente.explore\n", '    @aldente.explore\n    @aldente.allow("race")\n'
    )
    result = run_project("-o", "aldente_strict=true", test_it=allowed)
    result.assert_outcomes(passed=2)
    run_project("-o", "aldente_strict=true", test_it=COUNTER).assert_outcomes(passed=1, failed=1)


def test_a_baseline(run_project: RunProject) -> None:
    """What a baseline lists fails no test."""
    error = "--aldente-rule=race=error"
    baseline = "--aldente-baseline=known.json"
    new = run_project(error, baseline, test_it=COUNTER)
    new.stdout.fnmatch_lines(["aldente wrote these findings to known.json; *"])
    run_project(error, baseline).assert_outcomes(passed=2)


def test_the_file_of_findings(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """It has the place and the details, with the token."""
    result = run_project("--aldente-findings=found.json", test_it=COUNTER)
    result.assert_outcomes(passed=2)
    (finding,) = read_findings(pytester.path / "found.json")
    assert (finding["rule"], finding["line"]) == ("race", 12)
    assert "--aldente-replay=" in finding["details"][-1]


def test_what_a_cancelled_task_keeps(run_project: RunProject) -> None:
    """A connection that is never put back."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente

        class Pool:
            def __init__(self):
                self.free = ["a", "b"]

            async def use(self):
                connection = self.free.pop()
                await asyncio.sleep(0.01)
                self.free.append(connection)

        @aldente.explore
        async def test_pool():
            pool = Pool()
            request = aldente.may_be_cancelled(asyncio.create_task(pool.use()))
            await asyncio.wait([request])
            await pool.use()
        """
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "  test_it.py:9: Task-2 takes from pool.free, is cancelled, and never puts it back.",
            "      in test_it.py::test_pool",
            "      Task-2 changes pool.free by -1 at test_it.py:9, and is cancelled",
            "      A task that returns normally undoes that at test_it.py:11",
        ]
    )


def test_runs_one_after_the_other_find_nothing_else(run_project: RunProject) -> None:
    """What a task leaves in a run that is only for comparison is no finding of the test."""
    result = run_project(
        "--aldente-rule=race=off",
        test_it=COUNTER,
    )
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*aldente findings*")
    with_rule = run_project()
    with_rule.stdout.no_fnmatch_line("*leaked-task*")
