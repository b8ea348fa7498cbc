"""What follows from a failure, or from another finding, is no finding of its own."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, run_with_findings

LEAVES = """
import asyncio
import pytest
import aldente

kept = []

async def generate():
    yield 1
    yield 2

async def leave():
    kept.append(asyncio.create_task(asyncio.sleep(3600), name="left"))
    generator = generate()
    kept.append(generator)
    await anext(generator)
    kept.append(await asyncio.start_server(lambda *streams: None, "127.0.0.1", 0))
    await asyncio.sleep(0)

@pytest.fixture
async def failing():
    await leave()
    raise ValueError

@pytest.fixture
def fails_in_the_end():
    yield
    raise ValueError

class TestWide:
    @pytest.mark.asyncio(loop_scope="class")
    async def test_first(self):
        kept.append(asyncio.create_task(asyncio.sleep(3600), name="left"))
        kept.append(await asyncio.start_server(lambda *streams: None, "127.0.0.1", 0))
        assert False

    @pytest.mark.asyncio(loop_scope="class")
    async def test_second(self):
        pass

async def test_failed():
    await leave()
    assert False

@pytest.mark.xfail
async def test_expected():
    await leave()
    assert False

async def test_set_up(failing):
    pass

@aldente.explore(runs=3)
async def test_explored():
    kept.append(asyncio.create_task(asyncio.sleep(3600), name="left"))
    await asyncio.sleep(0)
    assert False
"""


def test_what_a_failed_test_leaves_behind(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Tasks, generators and servers that a failed test had no chance to end are no findings."""
    result, findings = run_with_findings(
        run_project, pytester, "-p", "no:randomly", subprocess=True, test_it=LEAVES
    )
    assert in_short(findings) == []
    result.assert_outcomes(failed=3, passed=1, xfailed=1, errors=1)


@pytest.mark.parametrize("end", ["pass", "pytest.skip('no')"])
def test_what_others_leave_behind(
    run_project: RunProject, pytester: pytest.Pytester, end: str
) -> None:
    """What a test leaves behind that has passed or was skipped is found, also after one that failed."""
    project = LEAVES[: LEAVES.index("class TestWide")] + (
        f"async def test_failed():\n    assert False\n\nasync def test_it():\n    await leave()\n    {end}\n"
    )
    _, findings = run_with_findings(
        run_project, pytester, "-p", "no:randomly", subprocess=True, test_it=project
    )
    assert {finding["rule"] for finding in findings} == {
        "leaked-task",
        "leaked-asyncgen",
        "leaked-resource",
    }
    assert {finding["test"] for finding in findings} == {"test_it.py::test_it"}


def test_a_test_that_is_run_again(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A test that has failed before is charged with what it leaves behind when it passes."""
    pytest.importorskip("pytest_rerunfailures")
    project = LEAVES[: LEAVES.index("class TestWide")] + (
        "async def test_it():\n    await leave()\n    assert len(kept) > 3\n"
    )
    result, findings = run_with_findings(
        run_project,
        pytester,
        "--reruns=1",
        plugins=["rerunfailures"],
        subprocess=True,
        test_it=project,
    )
    assert len(findings) == 3
    assert result.ret == 0


RUNS_A_LOOP = """
import asyncio
import pytest
import aldente

@pytest.fixture
def resource():
    yield
    asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))  # here

@aldente.explore(runs=5)
async def test_it(resource):
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    assert {holds}
"""


@pytest.mark.parametrize("holds", [True, False])
def test_an_explored_tests_sync_tear_down_runs_a_loop(
    run_project: RunProject, pytester: pytest.Pytester, holds: bool
) -> None:
    """It may do so between runs of the test, as in other tests."""
    project = RUNS_A_LOOP.replace("{holds}", str(holds))
    result, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert findings == []
    result.assert_outcomes(passed=int(holds), failed=int(not holds))


def test_an_explored_test_runs_a_loop(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """It is told once; that a coroutine was never awaited follows from it, in every run."""
    project = """
import asyncio
import aldente

@aldente.explore(runs=5)
async def test_it():
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    asyncio.get_running_loop().run_until_complete(asyncio.sleep(0))  # here
"""
    result, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert in_short(findings) == [f"nested-loop test_it call {line_of(project, '# here')}"]
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*never awaited*")


OF_OTHER_LOOPS = {
    "on another loop, before or during the first run.": (
        "    loop = asyncio.new_event_loop()\n"
        "    future = loop.create_future()\n"
        "    loop.close()\n"
        "    await future\n"
    ),
    "in an earlier run.": "    await asyncio.gather(use(), use())\n",
}


@pytest.mark.parametrize("when", OF_OTHER_LOOPS)
def test_what_belongs_to_another_loop(run_project: RunProject, when: str) -> None:
    """A run before is named only where there was one."""
    result = run_project(
        subprocess=True,
        test_it=f"""
import asyncio
import aldente

lock = asyncio.Lock()

async def use():
    async with lock:
        await asyncio.sleep(0)

@aldente.allow("nested-loop")
@aldente.explore(runs=5)
async def test_it():
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
{OF_OTHER_LOOPS[when]}""",
    )
    result.stdout.fnmatch_lines([f"*, and this object was made, or first used, {when}"])
