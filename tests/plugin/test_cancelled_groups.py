"""``TaskGroup.cancel()`` (Python 3.15) of a group that is around the ``yield`` of a fixture."""

from __future__ import annotations

import asyncio

import pytest

from tests.plugin.conftest import RunProject

pytestmark = pytest.mark.skipif(
    not hasattr(asyncio.TaskGroup, "cancel"), reason="task groups can't be cancelled"
)

FIXTURE = """
import asyncio
import pytest

@pytest.fixture
async def group():
    async with asyncio.TaskGroup() as group:
        yield group

"""

ENDED = (
    "*FixtureEnded: Async fixture 'group' (test_it.py:4) was ended by TaskGroup.cancel() while its "
    "value was in use."
)
FIX = "*Fix: cancel the tasks themselves with task.cancel(), or call cancel() in the fixture, *"

WAYS = {
    "test": "group.cancel()",
    "another task": "asyncio.get_running_loop().call_soon(group.cancel)",
    "task of the group": "group.create_task(call(group.cancel))",
    # Its attributes are in a dictionary then.
    "looked at": "vars(group)\n    group.cancel()",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_group_that_is_cancelled_while_the_test_runs(run_project: RunProject, way: str) -> None:
    """The test is cancelled, and its error says what has ended the fixture and what to do instead."""
    result = run_project(
        test_it=f"""{FIXTURE}
async def call(function):
    function()

async def test_it(group):
    group.create_task(asyncio.sleep(3600))
    {WAYS[way]}
    await asyncio.sleep(3600)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([ENDED, FIX])
    result.stdout.fnmatch_lines(
        [
            "*Async fixture 'group' (test_it.py:4) ended with this error while 'test_it' was using "
            "it, so the test was cancelled."
        ]
    )
    result.stdout.no_fnmatch_line("*find what cancels*")


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_a_group_that_is_cancelled_at_the_end_of_the_test(
    run_project: RunProject, kind: str
) -> None:
    """The test passes, and the tear-down says that the fixture was ended before."""
    result = run_project(test_it=f"{FIXTURE}{kind} test_it(group):\n    group.cancel()\n")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", ENDED, FIX])


def test_a_group_that_is_cancelled_by_another_fixture(run_project: RunProject) -> None:
    """A fixture that cancels the group of another one when it is torn down ends that early too."""
    result = run_project(
        test_it=f"""{FIXTURE}
@pytest.fixture
async def user(group):
    yield
    group.cancel()

async def test_it(user):
    pass
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([ENDED, FIX])


def test_a_group_that_is_cancelled_in_its_own_tear_down(run_project: RunProject) -> None:
    """That is what ``cancel()`` is for: the tasks end, and nothing is said."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        ended = []

        async def work(group=None):
            try:
                await asyncio.sleep(0.01 if group else 3600)
                group.cancel()
                await asyncio.sleep(3600)
            finally:
                ended.append(1)

        @pytest.fixture
        async def cancelling():
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                yield
                group.cancel()

        @pytest.fixture
        async def cancelled_by_a_task():
            async with asyncio.TaskGroup() as group:
                yield
                group.create_task(work(group))
                await asyncio.sleep(3600)

        async def test_it(cancelling, cancelled_by_a_task):
            await asyncio.sleep(0)

        def test_ended():
            assert ended == [1, 1]
        """
    )
    result.assert_outcomes(passed=2)


def test_other_groups_than_that_of_the_fixture(run_project: RunProject) -> None:
    """What else ends a fixture, beside groups that are cancelled, is told as ever."""
    result = run_project(
        test_it=f"""{FIXTURE}
@pytest.fixture
async def fixture(group):
    task = asyncio.current_task()
    async with asyncio.TaskGroup() as inner:
        # It has been cancelled, and left.
        inner.cancel()
    async with asyncio.TaskGroup() as around:
        asyncio.get_running_loop().call_soon(task.cancel)
        yield

async def test_it(fixture):
    async with asyncio.TaskGroup() as own:
        own.cancel()
    await asyncio.sleep(3600)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FixtureEnded: Async fixture 'fixture' * was cancelled while *"])


def test_a_group_of_which_a_task_has_failed(run_project: RunProject) -> None:
    """The error of the task is what the test fails with, also if the group is cancelled then."""
    result = run_project(
        test_it=f"""{FIXTURE}
async def fail(group):
    asyncio.get_running_loop().call_soon(group.cancel)
    raise ConnectionError("gone")

async def test_it(group):
    group.create_task(fail(group))
    await asyncio.sleep(3600)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ConnectionError: gone"])
    result.stdout.no_fnmatch_line("*TaskGroup.cancel()*")
