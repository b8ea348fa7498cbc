"""The rules leaked-task, leaked-asyncgen and leaked-resource: what a scope leaves behind."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, run_with_findings

# Begins every project here.
START = """
import asyncio
import contextlib
import pytest

kept = []

async def forever():
    await asyncio.sleep(3600)  # waiting

async def generate():
    while True:
        yield  # yielding

"""

WIDE = "pytestmark = pytest.mark.asyncio(loop_scope='module')\n\n"


def test_the_report_of_a_task(run_project: RunProject) -> None:
    """The summary names the task, where it was made, and what to do; the test passes."""
    project = (
        START
        + "async def test_it():\n    kept.append(asyncio.create_task(forever(), name='server'))\n    await asyncio.sleep(0)\n"
    )
    result = run_project(test_it=project)
    result.assert_outcomes(passed=1)
    assert part_of(result, "aldente findings").strip() == (
        "leaked-task [warn]: 1\n"
        "  test_it.py:15: the task 'server' running 'forever' was left pending.\n"
        "      in test_it.py::test_it\n"
        "    Await it, or cancel it and await its end, before the test is over; asyncio.TaskGroup does both. List tasks that a library leaves running in aldente_known_tasks.\n"
        "pytest --aldente-explain RULE explains a rule, and how to fix or allow its findings."
    )
    result = run_project("--aldente-rule=leaked-task=error")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "leaked-task: the task 'server' running 'forever' was left pending.",
            "  test_it.py:15",
            "    kept.append(asyncio.create_task(forever(), name='server'))",
            "  it waits in *test_it.py:8",
            "Why: aldente cancels it now, whatever it is doing; in a program it would run on, hold its resources,",
            "and fail unnoticed.",
        ]
    )


def test_the_report_of_an_async_generator(run_project: RunProject) -> None:
    """A generator that is left unfinished is told with where it was iterated and where it waits."""
    project = (
        START
        + "async def test_it():\n    kept.append(generate())\n    async for _ in kept[0]:  # here\n        break\n"
    )
    result = run_project("--aldente-rule=leaked-asyncgen=error", test_it=project)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "leaked-asyncgen: the async generator 'generate' was iterated, and left unfinished.",
            f"  test_it.py:{line_of(project, '# here')}",
            "    async for _ in kept[[]0[]]:  # here",
            f"  it waits at its 'yield' in *test_it.py:{line_of(project, '# yielding')}",
            "Fix: Iterate it inside 'async with contextlib.aclosing(...)', so that it is closed where it was",
            "used.",
        ]
    )


LEFT = {
    "task": (
        "async def test_it():\n    kept.append(asyncio.create_task(forever()))  # here",
        "leaked-task",
    ),
    "task of a wide loop": (
        WIDE
        + "async def test_it():\n    kept.append(asyncio.create_task(forever()))  # here\n\nasync def test_next():\n    pass",
        "leaked-task",
    ),
    "generator": (
        "async def test_it():\n    kept.append(generate())\n    await anext(kept[0])  # here",
        "leaked-asyncgen",
    ),
    "server": (
        "async def test_it():\n    server = await asyncio.start_server(print, '127.0.0.1', 0)  # here\n    kept.append(server)",
        "leaked-resource",
    ),
}


@pytest.mark.parametrize(("test", "rule"), LEFT.values(), ids=LEFT)
def test_what_is_left(
    run_project: RunProject, pytester: pytest.Pytester, test: str, rule: str
) -> None:
    """Tasks, async generators and servers that a test leaves are found at the line that made them."""
    result, findings = run_with_findings(run_project, pytester, test_it=START + test)
    assert result.ret == 0
    assert [(finding["rule"], finding["test"], finding["line"]) for finding in findings] == [
        (rule, "test_it.py::test_it", line_of(START + test, "# here"))
    ]


def test_a_wide_loop_charges_the_test(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """On a module's loop each test is charged with its own tasks, once, when it ends."""
    project = (
        START
        + WIDE
        + "async def test_one():\n    kept.append(asyncio.create_task(forever()))  # one\n\n"
        + "async def test_two():\n    kept.append(asyncio.create_task(forever()))  # two\n\n"
        + "async def test_three():\n    assert len(asyncio.all_tasks()) == 3\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=3)
    assert in_short(findings) == [
        f"leaked-task test_one call {line_of(project, '# one')}",
        f"leaked-task test_two call {line_of(project, '# two')}",
    ]


NOT_LEFT = {
    "awaited": "async def test_it():\n    await asyncio.create_task(asyncio.sleep(0))",
    "cancelled": "async def test_it():\n    task = asyncio.create_task(forever())\n    await asyncio.sleep(0)\n    task.cancel()",
    "about to end": "async def turns():\n    for _ in range(5):\n        await asyncio.sleep(0)\n\nasync def test_it():\n    kept.append(asyncio.create_task(turns()))",
    "about to end, on a wide loop": (
        WIDE
        + "async def turns():\n    for _ in range(5):\n        await asyncio.sleep(0)\n\nasync def test_it():\n    kept.append(asyncio.create_task(turns()))"
    ),
    "fixture's": (
        "@pytest.fixture\nasync def server():\n    task = asyncio.create_task(forever())\n    await asyncio.sleep(0)\n    yield\n    task.cancel()\n\n"
        "async def test_it(server):\n    pass"
    ),
    "wide fixture's": (
        WIDE
        + "@pytest.fixture(scope='module')\nasync def server():\n    task = asyncio.create_task(forever())\n    yield\n    task.cancel()\n\n"
        "async def test_it(server):\n    await asyncio.sleep(0)\n\nasync def test_next(server):\n    pass"
    ),
    "library's, on a wide loop": (
        # As if asyncio itself had made it.
        "start = compile('kept.append(asyncio.create_task(forever()))', asyncio.__file__, 'exec')\n\n"
        + WIDE
        + "async def test_it():\n    exec(start)\n"
    ),
    "a server's, on a wide loop": (
        WIDE
        + "async def serve(reader, writer):\n    await reader.read()\n    writer.close()\n\n"
        + "@pytest.fixture(scope='module')\nasync def port():\n    async with await asyncio.start_server(serve, '127.0.0.1', 0) as server:\n        yield server.sockets[0].getsockname()[1]\n\n"
        + "async def test_it(port):\n    reader, writer = await asyncio.open_connection('127.0.0.1', port)\n    writer.close()\n    await writer.wait_closed()\n"
    ),
    "finished generator": "async def test_it():\n    async with contextlib.aclosing(generate()) as generator:\n        await anext(generator)",
    "dropped generator": "async def test_it():\n    async for _ in generate():\n        break",
    "generator that never ran": "async def test_it():\n    kept.append(generate())",
    "closed server": "async def test_it():\n    async with await asyncio.start_server(print, '127.0.0.1', 0):\n        pass",
    "task group": "async def test_it():\n    async with asyncio.TaskGroup() as group:\n        group.create_task(asyncio.sleep(0))",
}


@pytest.mark.parametrize("test", NOT_LEFT.values(), ids=NOT_LEFT)
def test_what_is_not_left(run_project: RunProject, pytester: pytest.Pytester, test: str) -> None:
    """What ends with the test, by itself or by its fixture, is no finding; nor is a library's task."""
    result, findings = run_with_findings(run_project, pytester, test_it=START + test)
    assert findings == []
    assert result.ret == 0


@pytest.mark.parametrize(
    ("known", "count"),
    [
        ("forever", 0),
        ("for*", 0),
        ("test_it.forever", 0),
        ("test_it.*", 0),
        ("*.forever", 0),
        ("other.*", 1),
    ],
)
def test_known_tasks(
    run_project: RunProject, pytester: pytest.Pytester, known: str, count: int
) -> None:
    """aldente_known_tasks names coroutines, with or without their module, that may be left."""
    project = START + "async def test_it():\n    kept.append(asyncio.create_task(forever()))\n"
    _, findings = run_with_findings(
        run_project, pytester, ini=f"aldente_known_tasks =\n    {known}\n", test_it=project
    )
    assert len(findings) == count


def test_tasks_that_end_beside_a_deadlock(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Tasks that wait for each other in a circle are a deadlock, and are not told as leaked too."""
    project = START + (
        "async def other(task):\n    await task\n\n"
        "async def test_it():\n    await asyncio.create_task(other(asyncio.current_task()))\n"
    )
    _, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert [finding["rule"] for finding in findings] == ["deadlock"]
