"""Hypothesis: ``@given`` on async tests."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

pytest.importorskip("hypothesis")


def test_every_example_runs_on_the_tests_loop(run_project: RunProject) -> None:
    """``@given`` on an async test runs each example on the test's loop, with its fixtures."""
    result = run_project(
        plugins=["hypothesispytest"],
        test_it="""
        import asyncio
        import pytest
        from hypothesis import given, settings, strategies

        loops = []

        @pytest.fixture(scope="module")
        async def pool():
            return asyncio.get_running_loop()

        @given(number=strategies.integers())
        @settings(max_examples=20, derandomize=True, database=None)
        async def test_given(pool, number):
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())
            assert loops[-1] is pool

        class TestMethods:
            @given(number=strategies.integers())
            @settings(max_examples=20, derandomize=True, database=None)
            async def test_falsified(self, number):
                await asyncio.sleep(0)
                assert number < 100

        def test_examples():
            assert len(loops) >= 10 and len(set(loops)) == 1
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*number=100,*"])


def test_examples_assumptions_and_data_are_as_in_sync_tests(run_project: RunProject) -> None:
    """``@example``, ``assume`` and ``data()`` do in an async test what they do in a sync one."""
    result = run_project(
        plugins=["hypothesispytest"],
        test_it="""
        import asyncio
        import pytest
        from hypothesis import assume, example, given, settings, strategies

        seen = []

        @pytest.mark.parametrize("factor", [2, 3])
        @given(number=strategies.integers(), data=strategies.data())
        @settings(max_examples=20, derandomize=True, database=None)
        async def test_given(factor, number, data):
            assume(number % 2)
            await asyncio.sleep(0)
            assert data.draw(strategies.just(factor)) == factor
            assert number % 2

        @given(number=strategies.integers(0, 9))
        @example(number=1234)
        @settings(max_examples=5, derandomize=True, database=None)
        async def test_example(number):
            await asyncio.sleep(0)
            seen.append(number)

        def test_seen():
            assert seen[0] == 1234 and set(seen[1:]) <= set(range(10))
        """,
    )
    result.assert_outcomes(passed=4)


def test_health_check_is_untouched(run_project: RunProject) -> None:
    """Hypothesis still warns of a function-scoped fixture that its examples share."""
    result = run_project(
        plugins=["hypothesispytest"],
        test_it="""
        import pytest
        from hypothesis import given, settings, strategies

        @pytest.fixture
        async def resource():
            return 1

        @given(number=strategies.integers())
        @settings(max_examples=5, database=None)
        async def test_given(resource, number):
            pass
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FailedHealthCheck*"])


_DEADLOCKS = """
import asyncio
import aldente
import anyio
from hypothesis import given, settings, strategies as st

WAITS = [
    lambda: anyio.sleep(0),
    lambda: anyio.Event().wait(),
    lambda: anyio.Semaphore(0).acquire(),
    lambda: asyncio.Event().wait(),
    lambda: asyncio.Queue().get(),
]

{mark}
@settings(database=None, max_examples=50, deadline=None)
@given(number=st.integers(0, 4))
async def test_it(number):
    await WAITS[number]()
"""


@pytest.mark.parametrize("mark", ["@aldente.virtual_time", "@aldente.explore(runs=20)"])
def test_deadlocks_at_one_line_are_one_failure(run_project: RunProject, mark: str) -> None:
    """Whatever a library does where the user's line waits, Hypothesis shrinks to one example."""
    result = run_project(
        "-p",
        "hypothesispytest",
        plugins=["hypothesispytest"],
        test_it=_DEADLOCKS.format(mark=mark),
    )
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "distinct failures" not in text
    assert "Flaky" not in text
    result.stdout.fnmatch_lines(["*number=1,*"])
