"""A finding is charged to the test that has caused it, not to the one in which it comes to light."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

import aldente
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, run_with_findings

# What happens in a run in this process is seen by aldente in this run as well.
pytestmark = aldente.allow("background-error", "leaked-resource", "nested-loop")

# Begins every project here.
START = """
import asyncio
import gc
import pytest

kept = []

async def fail():
    raise ValueError("broken")  # here

"""

TURNS = "    await asyncio.sleep(0)\n    await asyncio.sleep(0)\n"

NEXT = "\nasync def test_next():\n    kept.clear()\n    gc.collect()\n"

WIDE = "pytestmark = pytest.mark.asyncio(loop_scope='module')\n\n"

KEPT = {
    "variable": "async def test_it():\n    kept.append(asyncio.create_task(fail()))\n" + TURNS,
    "cycle": (
        "async def fail_in_cycle():\n    cycle = [asyncio.current_task()]\n    cycle.append(cycle)\n    await fail()\n\n"
        "async def test_it():\n    asyncio.create_task(fail_in_cycle())\n" + TURNS
    ),
    "fixture": (
        "@pytest.fixture\nasync def resource():\n    kept.append(asyncio.create_task(fail()))\n    yield\n\n"
        "async def test_it(resource):\n" + TURNS
    ),
    "library's": (
        "async def test_it():\n    asyncio.get_running_loop().create_task(fail()).add_done_callback(kept.append)\n"
        + TURNS
    ),
}


@pytest.fixture
def no_chance() -> Iterator[None]:
    """Garbage is collected where a project says so, not by chance before."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_chance")
@pytest.mark.parametrize("test", KEPT.values(), ids=KEPT)
def test_failed_tasks_that_are_kept(
    run_project: RunProject, pytester: pytest.Pytester, test: str
) -> None:
    """A failed task that something keeps alive is told at the end of its test, and not once more."""
    project = START + test + NEXT + "\ndef test_log(caplog):\n    assert caplog.records == []\n"
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    assert in_short(findings) == [f"background-error test_it teardown {line_of(project, '# here')}"]
    result.assert_outcomes(passed=3, errors=1)


NOT_FAILED = {
    "awaited in the tear-down": (
        "@pytest.fixture\ndef tasks():\n    tasks = []\n    yield tasks\n    assert isinstance(tasks[0].exception(), ValueError)\n\n"
        "async def test_it(tasks):\n    tasks.append(asyncio.create_task(fail()))\n" + TURNS
    ),
    "taken by a handler": (
        "async def test_it():\n    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)\n"
        "    kept.append(asyncio.create_task(fail()))\n" + TURNS
    ),
    "cancelled": (
        "async def test_it():\n    kept.append(asyncio.create_task(asyncio.sleep(60)))\n    kept[0].cancel()\n"
        + TURNS
    ),
    "allowed": (
        "import aldente\n\n@aldente.allow('background-error')\nasync def test_it():\n    kept.append(asyncio.create_task(fail()))\n"
        + TURNS
    ),
    "on a loop that lives on": (
        WIDE + "async def test_it():\n    kept.append(asyncio.create_task(fail()))\n" + TURNS + "\n"
        "async def test_asks():\n    assert isinstance(kept[0].exception(), ValueError)\n"
    ),
}


@pytest.mark.parametrize("test", NOT_FAILED.values(), ids=NOT_FAILED)
def test_tasks_that_are_no_findings(
    run_project: RunProject, pytester: pytest.Pytester, test: str
) -> None:
    """A kept task is no finding if its exception is asked for, handled or allowed in time."""
    result, findings = run_with_findings(run_project, pytester, test_it=START + test + NEXT)
    assert findings == []
    assert result.ret == 0


WIDE_FAILURES = {
    "test": (
        WIDE + "async def test_it():\n    kept.append(asyncio.create_task(fail()))\n" + TURNS,
        "test_it None",
    ),
    "set-up": (
        WIDE
        + "@pytest.fixture(scope='module')\nasync def resource():\n    kept.append(asyncio.create_task(fail()))\n"
        + TURNS
        + "\nasync def test_it(resource):\n    pass\n",
        # To the tear-down of the fixture; before Python 3.12 a task does not show that it is the
        # fixture's.
        "test_last teardown" if sys.version_info >= (3, 12) else "test_it None",
    ),
    "tear-down": (
        WIDE
        + "@pytest.fixture(scope='module')\nasync def resource():\n    yield\n    kept.append(asyncio.create_task(fail()))\n"
        + TURNS
        + "\nasync def test_it(resource):\n    pass\n",
        " None",
    ),
}


@pytest.mark.parametrize(("test", "charged"), WIDE_FAILURES.values(), ids=WIDE_FAILURES)
def test_failed_tasks_of_a_wide_loop(
    run_project: RunProject, pytester: pytest.Pytester, test: str, charged: str
) -> None:
    """A failed task that is kept until its wide loop ends is charged to the test or fixture that made it."""
    project = START + test + "\nasync def test_last():\n    pass\n"
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == 1
    assert in_short(findings) == [f"background-error {charged} {line_of(project, '# here')}"]


def test_a_rule_that_is_off_asks_for_nothing(run_project: RunProject) -> None:
    """With background-error off, asyncio logs the exception of a kept task when that is freed."""
    result = run_project(
        "--aldente-rule=background-error=off",
        test_it=START
        + KEPT["variable"]
        + "\ndef test_log(caplog):\n    kept.clear()\n    gc.collect()\n"
        "    assert 'Task exception was never retrieved' in caplog.text\n",
    )
    result.assert_outcomes(passed=2)


def test_what_is_open_on_a_wide_loop(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What a test leaves open on a module's loop is charged to it, though found with the last test."""
    project = (
        START
        + WIDE
        # Once all is over, for real.
        + "@pytest.fixture(scope='module', autouse=True)\ndef close():\n    yield\n    kept[0].sockets[0]._sock.close()\n\n"
        + "async def test_it():\n    kept.append(await asyncio.start_server(print, '127.0.0.1', 0))  # server\n\n"
        + "async def test_last():\n    pass\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=2)
    assert in_short(findings) == [f"leaked-resource test_it None {line_of(project, '# server')}"]


POOL = """
class Pool:
    def __init__(self):
        self.loop = asyncio.get_running_loop()
    def __del__(self):
        self.loop.call_exception_handler({"message": "Unclosed pool", "pool": self})

"""


def test_what_a_library_says_later(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What a library says of an unclosed object when that is freed is charged to its loop's test."""
    project = START + POOL + "async def test_it():\n    kept.append(Pool())\n" + NEXT
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    assert in_short(findings) == ["leaked-resource test_it None None"]
    result.assert_outcomes(passed=2)


def test_what_the_collector_finds_on_a_wide_loop(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """What a library says when the collector comes is charged to no test if its maker is not known."""
    project = (
        START
        + POOL
        + WIDE
        + "gc.disable()\n\nasync def test_it():\n    pool = Pool()\n    pool.itself = pool\n\n"
        + "async def test_innocent():\n    gc.collect()\n"
    )
    _, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert in_short(findings) == ["leaked-resource  None None"]


LOOPS = {
    "factory's": ("pass", "asyncio.get_running_loop()", "test_last call"),
    "test's": ("kept.append(asyncio.SelectorEventLoop())", "kept[0]", "test_it None"),
}


@pytest.mark.parametrize(("make", "loop", "charged"), LOOPS.values(), ids=LOOPS)
def test_whose_a_loop_is(
    run_project: RunProject, pytester: pytest.Pytester, make: str, loop: str, charged: str
) -> None:
    """What fails on a loop that a test has made is its; a loop of a factory is no test's."""
    project = (
        START
        + WIDE
        + f"async def test_it():\n    {make}\n\n"
        + f"async def test_last():\n    {loop}.create_future().set_exception(ValueError('broken'))\n"
        + "    for loop in kept:\n        loop.close()\n"
    )
    _, findings = run_with_findings(
        run_project,
        pytester,
        "--aldente-rule=nested-loop=off",
        conftest="import asyncio\n\ndef pytest_asyncio_loop_factories():\n    return {'own': asyncio.SelectorEventLoop}\n",
        test_it=project,
    )
    assert in_short(findings) == [f"background-error {charged} None"]
