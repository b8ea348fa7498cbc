"""Explored tests that Hypothesis calls with examples: it chooses data, aldente schedules."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

_OPTIONS = ("-p", "no:randomly", "-W", "ignore")

ORDERS = """
import asyncio
import aldente
from hypothesis import HealthCheck, example, given, settings, strategies as st

runs = []

async def orders(count):
    order = []
    async def work(number):
        await asyncio.sleep(0)
        order.append(number)
    await asyncio.gather(*(work(number) for number in range(count)))
    return order
"""


@pytest.mark.parametrize("print_blob", [False, True])
def test_the_smallest_example_that_fails_under_some_schedule(
    run_project: RunProject, print_blob: bool
) -> None:
    """The report has the example, the assertion of the shrunk run, its story and its token.

    On machines that test what is to be merged, Hypothesis also prints how to reproduce the example.
    """
    module = (
        ORDERS
        + f"""
@aldente.explore
@settings(max_examples=30, database=None, print_blob={print_blob})
@given(count=st.integers(0, 6))
async def test_orders(count):
    order = await orders(count)
    assert count < 3 or order == sorted(order)
"""
    )
    result = run_project(*_OPTIONS, plugins=["hypothesispytest"], test_it=module)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       assert count < 3 or order == sorted(order)",
            "E       assert (3 < 3 or [[]*, *, *[]] == [[]0, 1, 2]",
            "E           count=3,",
            "*- aldente: what happened -*",
            "  > Task-3 * test_it.py:10  await asyncio.sleep(0)",
            "Run * of at most 20 for each example failed, after * (strategy auto, seed 0).",
            "Its schedule has 1 context switch away from stock order; *",
            "Run it again: pytest test_it.py::test_orders --aldente-replay=*",
        ]
    )
    assert "During handling" not in result.stdout.str()
    assert "run by failing test cases" not in result.stdout.str()
    token = result.stdout.str().partition("--aldente-replay=")[2].split()[0]
    again = run_project(
        *_OPTIONS, f"--aldente-replay={token}", plugins=["hypothesispytest"], test_it=module
    )
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        ["E           count=*,", "This is the schedule of --aldente-replay."]
    )


def test_every_example_has_a_share_of_the_runs(run_project: RunProject) -> None:
    """A tenth of the runs for each; an example that fails in stock order is Hypothesis's to find."""
    result = run_project(
        *_OPTIONS,
        "-v",
        plugins=["hypothesispytest"],
        test_it=ORDERS
        + """
@settings(max_examples=5, database=None)
@given(count=st.integers(5, 6))
@aldente.explore(runs=50)
async def test_passes(count):
    runs.append(count)
    await orders(count)

def test_share():
    # One more for each tells whether the test depends on more than its schedule.
    assert set(runs) <= {5, 6}
    assert len(runs) % 6 == 0

@aldente.explore
@settings(database=None)
@given(count=st.integers())
@example(1234)
async def test_stock(count):
    assert count != 1234

@aldente.explore
class TestClass:
    @settings(max_examples=3, database=None)
    @given(count=st.integers(0, 2))
    async def test_method(self, count):
        assert not hasattr(self, "mark")
        self.mark = await orders(count)
""",
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E * count=1234,", "test_it.py::test_passes: * runs.*"])


def test_fixtures_are_fresh_for_every_run_of_an_example(run_project: RunProject) -> None:
    """With its health check off, function-scoped fixtures are as fresh as without Hypothesis."""
    result = run_project(
        *_OPTIONS,
        plugins=["hypothesispytest"],
        test_it=ORDERS
        + """
import pytest

@pytest.fixture
async def box():
    yield []

@aldente.explore
@settings(
    max_examples=5, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(count=st.integers(0, 3))
async def test_box(box, count):
    assert box == []
    box.append(await orders(count))
""",
    )
    result.assert_outcomes(passed=1)


def test_assume_and_several_bugs(run_project: RunProject) -> None:
    """An example that is given up is none; several bugs are shown as Hypothesis shows them."""
    result = run_project(
        *_OPTIONS,
        plugins=["hypothesispytest"],
        test_it=ORDERS
        + """
from hypothesis import assume

@aldente.explore
@settings(max_examples=20, database=None)
@given(count=st.integers(0, 4))
async def test_assume(count):
    assume(count % 2)
    await orders(count)

@aldente.explore
@settings(max_examples=60, database=None)
@given(count=st.integers(0, 4))
async def test_two_bugs(count):
    order = await orders(count)
    if count == 1:
        raise ValueError("one")
    assert order == sorted(order)
""",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ValueError: one*"])
    result.stdout.fnmatch_lines(["*- aldente: what happened -*"])


@pytest.mark.parametrize("scale", ["0", "1"])
def test_examples_without_hypothesis_plugins_are_explored_too(
    run_project: RunProject, scale: str
) -> None:
    """What Hypothesis calls needs no plugin of pytest's."""
    result = run_project(
        *_OPTIONS,
        test_it=ORDERS
        + f"""
@aldente.explore
@settings(max_examples=5, database=None)
@given(count=st.integers(2, 3))
async def test_orders(count):
    order = await orders({scale} * count)
    assert order == sorted(order)
""",
    )
    result.assert_outcomes(**({"passed": 1} if scale == "0" else {"failed": 1}))


def test_no_example_fails_because_the_time_is_over(run_project: RunProject) -> None:
    """Examples for which ``max_seconds`` leaves no time pass; one that has failed fails again."""
    result = run_project(
        *_OPTIONS,
        plugins=["hypothesispytest"],
        test_it=ORDERS
        + """
import time

@aldente.explore(max_seconds=0.5)
@settings(database=None, max_examples=3, deadline=None)
@given(count=st.integers(0, 2))
@example(count=3)
@example(count=4)
@example(count=5)
async def test_late(count):
    if runs and count != runs[0]:
        time.sleep(0.6)
    runs.append(count)
    await orders(count)

waited = []

@aldente.explore(max_seconds=0.5)
@settings(database=None, max_examples=3, deadline=None)
@given(count=st.integers(2, 3))
async def test_fails(count):
    order = await orders(count)
    if order != sorted(order) and not waited:
        waited.append(time.sleep(0.6))
    assert order == sorted(order)
""",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*Flaky*")
    result.stdout.fnmatch_lines(["E  *assert [[]1, 0] == [[]0, 1]", "*aldente: what happened*"])
    result.stdout.fnmatch_lines(["cut short: test_it.py::test_late: * runs in max_seconds=0.5"])


def test_all_schedules_are_those_of_all_examples(run_project: RunProject) -> None:
    """The summary does not take the last example for all of them."""
    result = run_project(
        *_OPTIONS,
        plugins=["hypothesispytest"],
        test_it=ORDERS
        + """
from hypothesis import Phase

@aldente.explore
@settings(phases=[Phase.explicit])
@given(count=st.integers())
@example(count=0)
@example(count=6)
@example(count=0)
async def test_orders(count):
    await orders(count)
""",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test explored in * runs"])


WITHOUT_A_PLACE = {
    "deadlock": "        await asyncio.Event().wait()",
    "livelock": "        while True:\n            await asyncio.sleep(0)",
}


@pytest.mark.parametrize("ends", WITHOUT_A_PLACE)
def test_an_example_whose_failure_has_no_place(run_project: RunProject, ends: str) -> None:
    """What aldente ends fails again in the same way, though Hypothesis has raised it in between."""
    module = (
        ORDERS
        + f"""
@aldente.explore(runs=20, max_steps=100)
@settings(max_examples=20, database=None)
@given(count=st.integers(0, 10))
async def test_it(count):
    if count > 3:
{WITHOUT_A_PLACE[ends]}
"""
    )
    result = run_project(*_OPTIONS, plugins=["hypothesispytest"], test_it=module)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*count=4,*",
            "Run 1 of at most 2 for each example failed, *",
            "It fails in asyncio's default order; no special schedule is needed.",
        ]
    )
    result.stdout.no_fnmatch_line("*did not fail in the same way again*")
