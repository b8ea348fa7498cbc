"""The rule background-error: an exception in a task or callback that was never retrieved."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

import aldente
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, run_with_findings

# What happens in a run in this process is seen by aldente in this run as well.
pytestmark = aldente.allow("background-error")

# Begins every project here.
FAIL = """
import asyncio
import functools
import gc
import pytest

kept = []

async def fail():
    raise ValueError("broken")  # here

def fail_at_once(*arguments):
    raise ValueError("broken")  # at once

class Failing:
    def __call__(self):
        raise ValueError("broken")  # in object

async def generate():
    try:
        yield
    finally:
        raise KeyError("closing")  # in generator

"""


def test_the_report(run_project: RunProject) -> None:
    """The failure gives the exception, its task, the line that raised it, and what to do."""
    result = run_project(
        test_it="""
        import asyncio

        async def fail():
            raise ValueError("broken")

        async def test_it():
            asyncio.create_task(fail(), name="worker")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        """
    )
    result.assert_outcomes(failed=1)
    assert part_of(result, "test_it") == (
        "background-error: ValueError: broken, in the task 'worker' running 'fail', which was never awaited.\n"
        "  test_it.py:4\n"
        '    raise ValueError("broken")\n'
        "Why: asyncio only logs such an exception, so a test passes although the code under test has failed.\n"
        "Fix: Await the task where its result matters (asyncio.TaskGroup does it for you), or handle the\n"
        "exception inside the task or callback.\n"
        'Allow: @aldente.allow("background-error") on the test.'
    )


TURNS = "\n    for _ in range(6):\n        await asyncio.sleep(0)"
LAMBDA = "IndexError: list index out of range, in the callback 'test_it.<locals>.<lambda>' of the event loop."
FOUND = {
    "task": (
        "asyncio.create_task(fail(), name='worker')" + TURNS,
        "call",
        "ValueError: broken, in the task 'worker' running 'fail', which was never awaited.",
        "# here",
    ),
    "callback": (
        "asyncio.get_running_loop().call_soon(lambda: [][1])  # call" + TURNS,
        "call",
        LAMBDA,
        "# call",
    ),
    "timer": (
        "asyncio.get_running_loop().call_later(0, lambda: [][1])  # call\n    await asyncio.sleep(0.01)",
        "call",
        LAMBDA,
        "# call",
    ),
    "done callback": (
        "task = asyncio.create_task(asyncio.sleep(0))\n    task.add_done_callback(lambda task: [][1])  # call\n    await task"
        + TURNS,
        "call",
        LAMBDA,
        "# call",
    ),
    "callback of C": (
        "asyncio.get_running_loop().call_soon([].pop)" + TURNS,
        "call",
        "IndexError: pop from empty list, in the callback 'list.pop' of the event loop.",
        None,
    ),
    "partial": (
        "asyncio.get_running_loop().call_soon(functools.partial(fail_at_once, 1))" + TURNS,
        "call",
        "ValueError: broken, in the callback 'fail_at_once' of the event loop.",
        "# at once",
    ),
    "callable object": (
        "asyncio.get_running_loop().call_later(0, Failing())\n    await asyncio.sleep(0.01)",
        "call",
        "ValueError: broken, in the callback '<test_it.Failing object>' of the event loop.",
        "# in object",
    ),
    "future": (
        "asyncio.get_running_loop().create_future().set_exception(ValueError('set'))",
        "call",
        "ValueError: set, set on a future that was never awaited.",
        None,
    ),
    "gather": (
        "asyncio.gather(fail())" + TURNS,
        "call",
        "ValueError: broken, set on a future that was never awaited.",
        "# here",
    ),
    "async generator, dropped": (
        "generator = generate()\n    await anext(generator)\n    del generator" + TURNS,
        "call",
        "KeyError: 'closing', in an async generator while it was closed.",
        "# in generator",
    ),
    "async generator, left": (
        "kept.append(generate())\n    await anext(kept[0])",
        "teardown",
        "KeyError: 'closing', in the async generator 'generate' while it was closed.",
        "# in generator",
    ),
    "while draining": (
        "async def stubborn():\n        try:\n            await asyncio.sleep(3600)\n        finally:\n            raise ValueError('draining')  # drained\n\n"
        "    asyncio.create_task(stubborn(), name='worker')\n    await asyncio.sleep(0)",
        "teardown",
        "ValueError: draining, in the task 'worker' running 'test_it.<locals>.stubborn', which was never awaited.",
        "# drained",
    ),
}


@pytest.mark.parametrize(("body", "phase", "what", "code"), FOUND.values(), ids=FOUND)
def test_what_is_found(
    run_project: RunProject,
    pytester: pytest.Pytester,
    body: str,
    phase: str,
    what: str,
    code: str | None,
) -> None:
    """Whatever reaches the loop's exception handler fails the test, in the phase it happens in."""
    project = FAIL + f"async def test_it():\n    {body}\n"
    result, findings = run_with_findings(
        run_project,
        pytester,
        "--aldente-rule=leaked-task=off",
        "--aldente-rule=leaked-asyncgen=off",
        test_it=project,
    )
    line = line_of(project, code) if code else None
    assert [finding["what"] for finding in findings] == [what]
    assert in_short(findings) == [f"background-error test_it {phase} {line}"]
    if phase == "call":
        result.assert_outcomes(failed=1)
    else:
        result.assert_outcomes(passed=1, errors=1)


NOT_FOUND = {
    "awaited": "with pytest.raises(ValueError):\n        await asyncio.create_task(fail())",
    "gathered": "await asyncio.gather(fail(), return_exceptions=True)",
    "asked for": "task = asyncio.create_task(fail())\n    await asyncio.wait([task])\n    assert task.exception()",
    "cancelled": "task = asyncio.create_task(asyncio.sleep(3600))\n    await asyncio.sleep(0)\n    task.cancel()\n    await asyncio.wait([task])",
    "own handler": "asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)\n    asyncio.create_task(fail())"
    + TURNS,
    "message only": "asyncio.get_running_loop().call_exception_handler({'message': 'a remark'})",
    "retrieved at the end": "task = asyncio.create_task(fail())"
    + TURNS
    + "\n    with pytest.raises(ValueError):\n        task.result()",
}


@pytest.mark.parametrize("body", NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_is_not_found(run_project: RunProject, pytester: pytest.Pytester, body: str) -> None:
    """Exceptions that somebody retrieves or handles, and cancellations, are no findings."""
    result, findings = run_with_findings(
        run_project, pytester, test_it=FAIL + f"async def test_it():\n    {body}\n"
    )
    result.assert_outcomes(passed=1)
    assert findings == []


def test_beside_a_failure(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """When the body failed itself, the test fails with that, and its report tells the other too."""
    project = FAIL + (
        "async def test_it():\n    asyncio.create_task(fail(), name='worker')\n    await asyncio.sleep(0)\n    assert 1 == 2\n\n"
        "async def test_next():\n    gc.collect()\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(failed=1, passed=1)
    assert in_short(findings) == [f"background-error test_it call {line_of(project, '# here')}"]
    result.stdout.fnmatch_lines(["E       assert 1 == 2"])
    assert part_of(result, "aldente: found in this test").startswith(
        "background-error: ValueError: broken, in the task 'worker'"
    )


def test_the_lines_that_led_there(run_project: RunProject) -> None:
    """Of an exception that went through several functions of the user's, each is named."""
    result = run_project(
        test_it="""
        import asyncio

        async def inner():
            raise ValueError("broken")

        async def outer():
            await inner()

        async def test_it():
            asyncio.create_task(outer(), name="worker")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        """
    )
    result.stdout.fnmatch_lines(
        [
            "background-error: ValueError: broken, in the task 'worker' running 'outer', which was never awaited.",
            "  test_it.py:4",
            '    raise ValueError("broken")',
            "  outer at *test_it.py:7",
            "  inner at *test_it.py:4",
            "Why: *",
        ]
    )


SET_BY = {
    "call_later": "asyncio.get_running_loop().call_later(0.1, [].pop)",
    "call_soon": "asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_later, 0.1, [].pop)",
    "task": "kept.append(asyncio.create_task(set_it()))",
    "thread": "send = asyncio.get_running_loop().call_soon_threadsafe; "
    "after_a_moment(lambda: send([].pop))",
    "thread of a thread": "send = asyncio.get_running_loop().call_soon_threadsafe; "
    "after_a_moment(lambda: after_a_moment(lambda: send([].pop)))",
}


@pytest.mark.parametrize("step", SET_BY.values(), ids=SET_BY)
def test_timers_of_a_wide_loop(
    run_project: RunProject, pytester: pytest.Pytester, step: str
) -> None:
    """A callback that fails on a module's loop during a later test is its that has set it."""
    project = FAIL + (
        "import threading\n\n"
        "pytestmark = pytest.mark.asyncio(loop_scope='module')\n\n"
        "async def set_it():\n    asyncio.get_running_loop().call_later(0.1, [].pop)\n\n"
        # Not before the later test has begun, on a busy machine either.
        "begun = threading.Event()\n\n"
        "def after_a_moment(act):\n    def wait():\n        begun.wait(60)\n        act()\n\n"
        "    threading.Thread(target=wait, daemon=True).start()\n\n"
        f"async def test_maker():\n    {step}\n\n"
        "async def test_neighbour():\n    begun.set()\n    await asyncio.sleep(0.3)\n"
    )
    result, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == 1
    assert in_short(findings) == ["background-error test_maker None None"]
    assert findings[0]["what"] == (
        "IndexError: pop from empty list, in the callback 'list.pop' of the event loop."
    )


@pytest.mark.skipif("sys.version_info < (3, 12)", reason="a task does not tell its context")
@pytest.mark.parametrize(
    "start",
    [
        "tasks.append(asyncio.create_task(fail()))",
        "asyncio.get_running_loop().call_later(0.01, [].pop)",
    ],
)
def test_what_a_wide_fixture_has_started(run_project: RunProject, start: str) -> None:
    """An error in what a module's fixture has started is told at its tear-down, and names it."""
    result = run_project(
        test_it=f"""
        import asyncio
        import pytest

        tasks = []

        async def fail():
            await asyncio.sleep(0.01)
            raise ValueError("broken")

        @pytest.fixture(scope="module")
        async def connection():
            {start}
            yield

        @pytest.fixture
        async def own():
            yield

        async def test_first(connection, own):
            pass

        async def test_second(connection):
            await asyncio.sleep(0.1)
            tasks.clear()

        async def test_last(connection):
            pass
        """
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_last*",
            "  it was started by the set-up of the fixture 'connection' (test_it.py:10), which *",
        ]
    )


def test_tasks_of_tests_beside_wide_fixtures(run_project: RunProject) -> None:
    """The tasks of a test that uses a wide fixture are its own."""
    result = run_project(
        test_it="""
        import asyncio
        import contextvars
        import pytest

        variable = contextvars.ContextVar("variable")

        @pytest.fixture(scope="module")
        async def connection():
            variable.set(1)
            yield

        @pytest.mark.parametrize("n", [1, 2])
        async def test_it(connection, n):
            asyncio.get_running_loop().call_soon([].pop)
            await asyncio.sleep(0.01)
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.no_fnmatch_line("*it was started by*")


def test_where_a_callback_comes_from(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A finding says where the callback is defined; in debug mode, where it was set if it is of C."""
    project = FAIL + (
        "async def test_it():\n    loop = asyncio.get_running_loop()\n    loop.call_soon(fail_at_once)\n"
        "    loop.call_soon([].pop)  # set" + TURNS + "\n"
    )
    _, findings = run_with_findings(run_project, pytester, "--asyncio-debug", test_it=project)
    assert in_short(findings) == [
        f"background-error test_it call {line_of(project, code)}" for code in ("# at once", "# set")
    ]
    line = line_of(project, "def fail_at_once")
    assert findings[0]["details"] == [f"the callback is defined at test_it.py:{line}"]
    assert findings[1]["details"] == []


def test_tasks_of_a_wide_loop(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A task that a test leaves on a module's loop is its own when it fails during a later test."""
    project = FAIL + (
        "pytestmark = pytest.mark.asyncio(loop_scope='module')\n\n"
        "async def fail_later(event):\n    await event.wait()\n    raise ValueError('late')  # late\n\n"
        "async def test_maker():\n    event = asyncio.Event()\n    kept.append(event)\n    asyncio.create_task(fail_later(event))\n    await asyncio.sleep(0)\n\n"
        "async def test_neighbour():\n    kept.pop().set()\n    for _ in range(6):\n        await asyncio.sleep(0)\n"
    )
    result, findings = run_with_findings(
        run_project, pytester, "--aldente-rule=leaked-task=off", test_it=project
    )
    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == 1
    # Who made it is not known any more when it was in a reference cycle.
    assert [(finding["line"], finding["phase"]) for finding in findings] == [
        (line_of(project, "# late"), None)
    ]
    assert findings[0]["test"] in ("test_it.py::test_maker", "")


CYCLES = {
    "group": (
        "async def group():\n        # What TaskGroup itself leaves is freed at once from Python 3.14 on.\n"
        "        own = [asyncio.current_task()]\n        own.append(own)\n"
        "        async with asyncio.TaskGroup() as group:\n            group.create_task(fail())\n\n"
        "    asyncio.create_task(group(), name='worker')" + TURNS
    ),
    "own variable": (
        "class Owner:\n        pass\n\n    owner = Owner()\n    owner.itself = owner\n"
        "    owner.task = asyncio.create_task(fail(), name='worker')" + TURNS
    ),
}


@pytest.fixture
def no_chance() -> Iterator[None]:
    """Garbage is collected where a project says so, not by chance before."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_chance")
@pytest.mark.parametrize("body", CYCLES.values(), ids=CYCLES)
def test_reference_cycles(run_project: RunProject, pytester: pytest.Pytester, body: str) -> None:
    """A failed task in a reference cycle, which nothing has freed, is found at the end of its test."""
    project = FAIL + f"async def test_it():\n    {body}\n"
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == 1
    assert [(finding["rule"], finding["test"], finding["phase"]) for finding in findings] == [
        ("background-error", "test_it.py::test_it", "teardown")
    ]
    assert "in the task 'worker' running" in findings[0]["what"]


def test_fixtures(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A task of a fixture that fails while a test runs fails that test."""
    project = FAIL + (
        "@pytest.fixture\nasync def server():\n    ready = asyncio.Event()\n    kept.append(ready)\n    asyncio.create_task(fail_after(ready), name='server')\n    yield\n\n"
        "async def fail_after(ready):\n    await ready.wait()\n    await fail()\n\n"
        "async def test_it(server):\n    kept.pop().set()" + TURNS
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(failed=1)
    assert in_short(findings) == [f"background-error test_it call {line_of(project, '# here')}"]


def test_other_loops(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """On uvloop, whose handler can't be replaced for all loops, it is found as well."""
    pytest.importorskip("uvloop")
    project = FAIL + (
        "import uvloop\n\ndef pytest_asyncio_loop_factories():\n    return {'uvloop': uvloop.new_event_loop}\n"
    )
    result, findings = run_with_findings(
        run_project,
        pytester,
        conftest=project,
        test_it=FAIL + "async def test_it():\n    asyncio.create_task(fail())" + TURNS + "\n",
    )
    assert [finding["rule"] for finding in findings] == ["background-error"]
    assert result.ret == 1


def test_levels(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """As a warning it fails nothing; switched off, asyncio's own handler is untouched."""
    project = FAIL + (
        "before = asyncio.BaseEventLoop.default_exception_handler\n\n"
        "async def test_it():\n    asyncio.create_task(fail())" + TURNS + "\n"
        "    assert asyncio.BaseEventLoop.default_exception_handler is before\n"
    )
    result, findings = run_with_findings(
        run_project,
        pytester,
        "--aldente-rule=background-error=off",
        "--aldente-rule=leaked-resource=off",
        test_it=project,
    )
    result.assert_outcomes(passed=1)
    assert findings == []
    result, findings = run_with_findings(
        run_project,
        pytester,
        "--aldente-rule=background-error=warn",
        test_it=FAIL + "async def test_it():\n    asyncio.create_task(fail())" + TURNS,
    )
    result.assert_outcomes(passed=1)
    assert [finding["level"] for finding in findings] == ["warn"]


def test_a_later_replacement_stays(run_project: RunProject) -> None:
    """What others have put in the place of asyncio's handler is left there after the run."""
    original = asyncio.BaseEventLoop.default_exception_handler
    try:
        result = run_project(
            test_it="""
            import asyncio

            def handle(loop, context):
                pass

            async def test_it():
                asyncio.BaseEventLoop.default_exception_handler = handle
            """
        )
        left = asyncio.BaseEventLoop.default_exception_handler
    finally:
        asyncio.BaseEventLoop.default_exception_handler = original  # type: ignore[method-assign]
    result.assert_outcomes(passed=1)
    assert left.__name__ == "handle"
