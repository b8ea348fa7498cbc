"""The rule background-error: failed tasks that something keeps alive, and those that are shielded."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator

import pytest

import aldente
from aldente import _asyncio_compat
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, run_with_findings

# What happens in a run in this process is seen by aldente in this run as well.
pytestmark = [aldente.allow("background-error"), pytest.mark.usefixtures("no_chance")]


@pytest.fixture
def no_chance() -> Iterator[None]:
    """Garbage is collected where a project says so, not by chance before."""
    gc.disable()
    yield
    gc.enable()


START = """
import asyncio
import pytest

kept = []

async def fail():
    for _ in range(6):
        await asyncio.sleep(0)
    raise ValueError("broken")  # here

async def shielded(task):
    waiting = asyncio.create_task(shield(task))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])

async def shield(task):
    await asyncio.shield(task)

"""
TURNS = "    for _ in range(9):\n        await asyncio.sleep(0)\n"

HANDLED = {
    "awaited by what was cancelled": """
async def test_it():
    async def work():
        task = asyncio.create_task(fail())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            with pytest.raises(ValueError):
                await task
    worker = asyncio.create_task(work())
    await asyncio.sleep(0)
    worker.cancel()
    await worker
""",
    "awaited before by another task": """
async def test_it():
    task = asyncio.create_task(fail())
    other = asyncio.create_task(asyncio.wait_for(task, None))
    await asyncio.sleep(0)
    await shielded(task)
    with pytest.raises(ValueError):
        await other
""",
    "asked for at the end": """
async def test_it():
    task = asyncio.create_task(fail())
    await shielded(task)
    await asyncio.wait([task])
    assert isinstance(task.exception(), ValueError)
""",
    "gathered": """
async def test_it():
    task = asyncio.gather(fail())
    await shielded(task)
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], ValueError)
""",
}


@pytest.mark.parametrize("test", HANDLED.values(), ids=HANDLED)
@pytest.mark.parametrize("mark", ["", "@aldente.explore(runs=5)"], ids=["plain", "explored"])
def test_a_shielded_error_that_is_handled_after_a_cancellation(
    run_project: RunProject, pytester: pytest.Pytester, test: str, mark: str
) -> None:
    """asyncio.shield logs it at once on Python 3.14, but it is no error that nothing awaits."""
    project = f"import aldente\n{START}{mark}{test}"
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    assert findings == []
    result.assert_outcomes(passed=1)


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="before, asyncio.shield asks for the exception itself"
)
@pytest.mark.parametrize("keep", ["", "    kept.append(task)\n"], ids=["freed", "kept"])
def test_a_shielded_error_that_nothing_awaits(
    run_project: RunProject, pytester: pytest.Pytester, keep: str
) -> None:
    """The error of a task whose shield was cancelled is found when nothing else asks for it."""
    project = (
        f"{START}async def test_it():\n    task = asyncio.create_task(fail())\n{keep}"
        f"    await shielded(task)\n    del task\n{TURNS}"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    assert [finding["rule"] for finding in findings] == ["background-error"]
    assert findings[0]["line"] == line_of(project, "# here")
    assert findings[0]["test"] == "test_it.py::test_it"
    assert result.ret == 1


def test_a_handler_of_the_program_sees_what_shield_tells(run_project: RunProject) -> None:
    """An exception handler is told of a shielded error as asyncio of this Python tells it."""
    project = (
        f"{START}async def test_it():\n    told = []\n"
        "    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context['message']))\n"
        "    task = asyncio.create_task(fail())\n    await shielded(task)\n"
        f"{TURNS}    assert isinstance(task.exception(), ValueError)\n"
        f"    assert told == {['ValueError exception in shielded future'] if sys.version_info >= (3, 14) else []}\n"
    )
    run_project(test_it=project).assert_outcomes(passed=1)


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="before, asyncio.shield asks for the exception itself"
)
def test_a_shielded_future_that_is_no_task(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A future that shield was to wait for, and that a module keeps, is found as a task is."""
    project = (
        f"{START}async def test_it():\n    future = asyncio.get_running_loop().create_future()\n"
        "    await shielded(future)\n    future.set_exception(LookupError())\n    kept.append(future)\n"
        "    del future\n"
        f"{TURNS}\ndef test_next():\n    pass\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    assert [(finding["rule"], finding["test"]) for finding in findings] == [
        ("background-error", "test_it.py::test_it")
    ]
    assert result.ret == 1


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before, asyncio.shield told of nothing")
@pytest.mark.parametrize("handler", ["", "own"])
def test_what_shield_tells_is_told_once(run_project: RunProject, handler: str) -> None:
    """The log, or a handler of the program's own, has the error of a shielded task once, as with asyncio."""
    of_own = (
        "    loop.set_exception_handler(lambda loop, context: told.append(context['message']))\n"
    )
    project = (
        f"{START}async def test_it(caplog):\n    told = []\n    loop = asyncio.get_running_loop()\n"
        f"{of_own if handler else ''}"
        "    await shielded(asyncio.create_task(fail()))\n"
        f"{TURNS}    told += [record.message.splitlines()[0] for record in caplog.records if record.name == 'asyncio']\n"
        "    assert told == ['ValueError exception in shielded future']\n"
    )
    result = run_project("--aldente-rule=background-error=warn", test_it=project)
    result.assert_outcomes(passed=1)


LOST = {
    "a loop of a sync test's own": (
        "async def main():\n    kept.append(asyncio.create_task(fail()))\n"
        + TURNS
        + "\ndef test_it():\n    asyncio.run(main())\n\ndef test_next():\n    pass\n"
    ),
    "a thread's loop": (
        "import threading\n\nasync def main():\n    kept.append(asyncio.create_task(fail()))\n"
        + TURNS
        + "\ndef test_it():\n    thread = threading.Thread(target=lambda: asyncio.run(main()))\n"
        "    thread.start()\n    thread.join()\n\ndef test_next():\n    pass\n"
    ),
}


@pytest.mark.parametrize("test", LOST.values(), ids=LOST)
def test_nothing_that_was_lost_leaves_the_exit_status_0(
    run_project: RunProject, pytester: pytest.Pytester, test: str
) -> None:
    """A task that failed, and that a module keeps to the end of the session, fails the session."""
    project = START + test
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    assert in_short(findings) == [f"background-error test_it None {line_of(project, '# here')}"]
    assert result.ret == 1


EAGER = (
    "async def fail_at_once():\n    raise ValueError('broken')  # at once\n\n"
    "async def test_it():\n    loop = asyncio.get_running_loop()\n"
    "    loop.set_task_factory(asyncio.eager_task_factory)\n"
    "    kept.append(loop.create_task(fail_at_once()))\n    loop.set_task_factory(None)\n"
)
LIBRARYS = (
    "class Mine(asyncio.Task):\n    pass\n\n"
    "async def test_it():\n    loop = asyncio.get_running_loop()\n"
    "    loop.set_task_factory(lambda loop, coroutine, **options: Mine(coroutine, loop=loop, **options))\n"
    "    kept.append(asyncio.create_task(fail()))\n" + TURNS
)


@pytest.mark.parametrize(
    ("test", "place"),
    [
        pytest.param(
            EAGER,
            "# at once",
            marks=pytest.mark.skipif(
                sys.version_info < (3, 14), reason="asyncio kept no record of such tasks"
            ),
        ),
        (LIBRARYS, "# here"),
    ],
    ids=["eager", "a factory's"],
)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_kept_task_however_it_was_made(
    run_project: RunProject, pytester: pytest.Pytester, test: str, place: str, loop: str
) -> None:
    """Tasks of task factories that fail and are kept are found at the end of their test."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    project = START + test
    conftest = (
        "import asyncio, importlib\n\ndef pytest_asyncio_loop_factories():\n"
        f"    return {{'it': importlib.import_module({loop!r}).new_event_loop}}\n"
    )
    result, findings = run_with_findings(run_project, pytester, conftest=conftest, test_it=project)
    assert [(finding["rule"], finding["line"], finding["phase"]) for finding in findings] == [
        ("background-error", line_of(project, place), "teardown")
    ]
    result.assert_outcomes(passed=1, errors=1)


def test_recording_tasks_leaves_no_trace() -> None:
    """Where a task was made is told as without it, and afterwards the method is asyncio's again."""

    async def main() -> list[list[str]]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(asyncio.sleep(0)), loop.create_task(asyncio.sleep(0))]
        loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop))
        tasks.append(asyncio.create_task(asyncio.sleep(0)))
        await asyncio.wait(tasks)
        return [[frame.name for frame in task._source_traceback[-3:]] for task in tasks]  # type: ignore[attr-defined]

    before = asyncio.BaseEventLoop.create_task
    with_aldente = asyncio.run(main(), debug=True)
    with _asyncio_compat.recording_tasks():
        recorded = asyncio.run(main(), debug=True)
    assert asyncio.BaseEventLoop.create_task is before
    assert recorded == with_aldente


def test_a_record_keeps_no_task_alive() -> None:
    """A recorded task is forgotten when it is freed."""

    async def main() -> int:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        assert unseen(asyncio.get_running_loop()) == [task]
        task.exception()
        assert unseen(asyncio.get_running_loop()) == []
        return id(task)

    async def fail() -> None:
        raise ValueError

    unseen = _asyncio_compat.failed_and_unseen
    with _asyncio_compat.recording_tasks():
        asyncio.run(main())
    assert unseen() == []
