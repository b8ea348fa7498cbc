"""The rule never-awaited: a coroutine that was made and dropped, charged to the test that made it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, run_with_findings


@pytest.fixture(autouse=True)
def no_chance() -> Iterator[None]:
    """Garbage is collected where a project says so, not by chance before."""
    gc.disable()
    yield
    gc.enable()


# Begins every project here; hold() keeps a coroutine in a reference cycle.
WORK = """
import asyncio
import contextlib
import gc
import threading
import unittest
import warnings
from unittest import mock
import pytest

kept = []

async def work():
    pass

class Holder:
    pass

def hold(coroutine):
    holder = Holder()
    holder.itself, holder.coroutine = holder, coroutine

def check():
    coroutine = work()  # in check
    raise ValueError(3)

"""


def test_the_report(run_project: RunProject) -> None:
    """The failure names the coroutine, its line, why it matters, the fix, and how to allow it."""
    result = run_project(
        test_it="""
        async def work():
            pass

        async def test_it():
            work()
        """
    )
    result.assert_outcomes(failed=1)
    assert part_of(result, "test_it") == (
        "never-awaited: the coroutine 'work' was never awaited.\n"
        "  test_it.py:5\n"
        "    work()\n"
        "Why: Calling an 'async def' function only makes a coroutine; its body runs when it is awaited. A\n"
        "test that forgets to await passes without having tested anything.\n"
        "Fix: Await it, or pass it to asyncio.create_task() and await the task.\n"
        'Allow: @aldente.allow("never-awaited") on the test, or \'with aldente.allow("never-awaited"):\' around the code.'
    )


WHAT = "the coroutine 'work' was never awaited."
MOCK = "the coroutine of the AsyncMock 'client.get' was never awaited."
FOUND = {
    "sync": ("def test_it():\n    work()  # here", WHAT),
    "async": ("async def test_it():\n    work()  # here", WHAT),
    "assert": ("async def test_it():\n    assert work()  # here", WHAT),
    "method": (
        "class Service:\n    async def fetch(self):\n        pass\n\ndef test_it():\n    Service().fetch()  # here",
        "the coroutine 'Service.fetch' was never awaited.",
    ),
    "mock": ("async def test_it():\n    mock.AsyncMock(name='client.get')()  # here", MOCK),
    "mock's method": (
        "async def test_it():\n    mock.AsyncMock(name='client').get()  # here",
        MOCK,
    ),
    "returned": (
        "async def test_it():  # here\n    return work()",
        "'test_it' returned the coroutine 'work', and nothing awaited it.",
    ),
    "returned by a plain function": (
        "def test_it():  # here\n    return work()",
        "'test_it' is a plain function that returned the coroutine 'work'; nothing awaited it.",
    ),
    "library": (
        "async def test_it():\n    asyncio.sleep(0)  # here",
        "the coroutine 'sleep' was never awaited.",
    ),
    "task": (
        "async def inner():\n    work()  # here\n\nasync def test_it():\n    await asyncio.create_task(inner())",
        WHAT,
    ),
}


@pytest.mark.parametrize(("test", "what"), FOUND.values(), ids=FOUND)
def test_what_is_found(
    run_project: RunProject, pytester: pytest.Pytester, test: str, what: str
) -> None:
    """Whatever makes a coroutine is found at the line that made it, and fails the test once."""
    result, findings = run_with_findings(run_project, pytester, test_it=WORK + test)
    result.assert_outcomes(failed=1)
    assert [finding["what"] for finding in findings] == [what]
    assert in_short(findings) == [f"never-awaited test_it call {line_of(WORK + test, '# here')}"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_fixtures(
    run_project: RunProject, pytester: pytest.Pytester, phase: str, *, is_async: bool
) -> None:
    """A coroutine that a fixture drops is an error of the phase in which it does."""
    steps = ["work()  # here", "yield"] if phase == "setup" else ["yield", "work()  # here"]
    project = WORK + (
        f"@pytest.fixture\n{'async ' * is_async}def resource():\n    {steps[0]}\n    {steps[1]}\n\n"
        "async def test_it(resource):\n    pass\n\ndef test_next():\n    pass\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=1 if phase == "setup" else 2, errors=1)
    assert in_short(findings) == [f"never-awaited test_it {phase} {line_of(project, '# here')}"]


@pytest.mark.parametrize("scope", ["class", "module"])
def test_wide_fixtures(run_project: RunProject, pytester: pytest.Pytester, scope: str) -> None:
    """What a wide fixture drops is charged to the test for which it is set up or torn down."""
    project = WORK + (
        f"@pytest.fixture(scope='{scope}')\nasync def resource():\n    work()  # first\n    yield\n    work()  # last\n\n"
        "class TestIt:\n    async def test_one(self, resource):\n        pass\n\n"
        "    async def test_two(self, resource):\n        pass\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=1, errors=2)
    assert in_short(findings) == [
        f"never-awaited TestIt::test_one setup {line_of(project, '# first')}",
        f"never-awaited TestIt::test_two teardown {line_of(project, '# last')}",
    ]


def test_parameters(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Of a parametrised test, only the case that drops a coroutine fails."""
    project = WORK + (
        "@pytest.mark.parametrize('n', [1, 2, 3])\nasync def test_it(n):\n    if n == 2:\n        work()  # here\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=2, failed=1)
    assert in_short(findings) == [f"never-awaited test_it[2] call {line_of(project, '# here')}"]


@pytest.mark.parametrize("base", ["TestCase", "IsolatedAsyncioTestCase"])
def test_unittest(run_project: RunProject, pytester: pytest.Pytester, base: str) -> None:
    """Tests of unittest are looked at as well, whoever runs their loop."""
    is_async = "async " if base != "TestCase" else ""
    project = WORK + (
        f"class TestIt(unittest.{base}):\n    {is_async}def test_it(self):\n        work()  # here\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(failed=1)
    assert in_short(findings) == [
        f"never-awaited TestIt::test_it call {line_of(project, '# here')}"
    ]


CALLED = {
    "thread": "thread = threading.Thread(target=work)  # here\n    thread.start()\n    thread.join()",
    "callback": "asyncio.get_running_loop().call_soon(work)  # here\n    await asyncio.sleep(0)",
    "partial": "asyncio.get_running_loop().call_soon(functools.partial(work))  # here\n    await asyncio.sleep(0)",
    "timer": "asyncio.get_running_loop().call_later(0, work)  # here\n    await asyncio.sleep(0.01)",
    "method": "asyncio.get_running_loop().call_soon(Service().save)  # here\n    await asyncio.sleep(0)",
    "done callback": (
        "task = asyncio.create_task(asyncio.sleep(0))\n    task.add_done_callback(report)  # here\n"
        "    await task\n    await asyncio.sleep(0)"
    ),
    "mock": (
        "save = mock.AsyncMock(name='save')\n    asyncio.get_running_loop().call_soon(save)  # here\n"
        "    await asyncio.sleep(0)"
    ),
    "mock's method": (
        "service = mock.AsyncMock()\n    asyncio.get_running_loop().call_soon(service.save)  # here\n"
        "    await asyncio.sleep(0)"
    ),
}
CALLBACK = (
    "The function is a callback, whose caller does not await what it returns. Pass a plain function that starts "
    "a task, 'lambda: asyncio.create_task(...)' on the loop's thread, and await the task."
)


@pytest.mark.parametrize("body", CALLED.values(), ids=CALLED)
def test_functions_that_are_handed_over(
    run_project: RunProject, pytester: pytest.Pytester, body: str
) -> None:
    """Of a coroutine function that the loop or a thread calls, the line is told that handed it over."""
    project = WORK + (
        "import functools\n\nclass Service:\n    async def save(self):\n        pass\n\n"
        f"async def report(task):\n    pass\n\nasync def test_it():\n    {body}\n"
    )
    _, findings = run_with_findings(
        run_project,
        pytester,
        # The thread is waited for, which takes long on a busy machine.
        "--aldente-rule=blocking-call=off",
        "--aldente-rule=slow-step=off",
        subprocess=True,
        test_it=project,
    )
    assert in_short(findings) == [f"never-awaited test_it call {line_of(project, '# here')}"]
    if "mock." not in body:
        assert findings[0]["fix"] == CALLBACK


def test_functions_that_are_handed_over_twice(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Where nothing tells which line has handed a function over, its definition is told."""
    line = "    asyncio.get_running_loop().call_soon(work)\n"
    project = WORK + f"async def test_it():\n{line}{line}    await asyncio.sleep(0)\n"
    _, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert {finding["line"] for finding in findings} == {line_of(project, "async def work")}


def test_functions_that_other_tests_hand_over_too(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Lines in other tests have not handed a function over in this one, so its own line is told."""
    project = WORK
    for number in range(3):
        project += (
            f"async def test_{number}():\n"
            f"    asyncio.get_running_loop().call_soon(work)  # {number}\n"
            "    await asyncio.sleep(0)\n\n"
        )
    _, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert in_short(findings) == [
        f"never-awaited test_{number} call {line_of(project, f'# {number}')}" for number in range(3)
    ]


MANAGERS = {
    "dropped": "async def test_it():\n    manage()  # here\n",
    "kept": "async def test_it():\n    kept.append(manage())  # here\n    kept.clear()\n",
    "in a cycle": "async def test_it():\n    hold(manage())  # here\n\nasync def test_next():\n    gc.collect()\n",
    "of a wide loop": (
        "pytestmark = pytest.mark.asyncio(loop_scope='module')\n\n"
        "async def test_it():\n    hold(manage())  # here\n\nasync def test_next():\n    gc.collect()\n"
    ),
    "in a sync test": (
        "async def test_first():\n    pass\n\ndef test_it():\n    with contextlib.suppress(TypeError):\n"
        "        with manage():  # here\n            pass\n"
    ),
}


@pytest.mark.parametrize("tests", MANAGERS.values(), ids=MANAGERS)
def test_context_managers_that_nobody_enters(
    run_project: RunProject, pytester: pytest.Pytester, tests: str
) -> None:
    """What @asynccontextmanager makes and nobody enters is a warning for the test that made it."""
    project = WORK + "@contextlib.asynccontextmanager\nasync def manage():\n    yield\n\n" + tests
    result, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert result.ret == 0
    assert [
        (finding["level"], finding["test"], finding["line"], finding["what"], finding["fix"])
        for finding in findings
    ] == [
        (
            "warn",
            "test_it.py::test_it",
            line_of(project, "# here"),
            "the context manager that 'manage' made was never entered.",
            "Enter it: 'async with manage(...):'. Nothing of the function runs before that.",
        )
    ]


APP = """
import asyncio

def release(semaphore):
    semaphore.release()  # in app

def keep(semaphore, kept):
    kept.append(semaphore.release())  # kept in app
"""

PLAIN = (
    "The code under test does not await it. If the real 'release' is a plain function, put a Mock in its place, not an "
    "AsyncMock (unittest.mock.create_autospec() knows which methods are async). If it is a coroutine function, "
    "the code under test must await it."
)
REAL = (
    "'{}' is a plain function, which is not awaited: put a Mock in its place, not an AsyncMock "
    "(unittest.mock.create_autospec() knows which methods are async)."
)
AWAIT = "Await it, or pass it to asyncio.create_task() and await the task."
SEMAPHORE = (
    "semaphore = mock.MagicMock(asyncio.Semaphore)\n    semaphore.release = mock.AsyncMock()\n    "
)

# What the test does, the level of the finding, the file and the comment of its line, and its fix.
DROPPED_MOCKS = {
    "by code under test": ("app.release(mock.AsyncMock())", "warn", "app.py", "# in app", PLAIN),
    "by code under test, in a cycle": (
        "hold(mock.AsyncMock().release)\n    app.keep(mock.AsyncMock(), kept)\n    holder = Holder()\n"
        "    holder.itself, holder.kept = holder, kept.pop()\n    del holder\n    gc.collect()",
        "warn",
        "app.py",
        "# kept in app",
        PLAIN,
    ),
    "by code under test, of a known class": (
        SEMAPHORE + "app.release(semaphore)",
        "warn",
        "app.py",
        "# in app",
        REAL.format("Semaphore.release"),
    ),
    "by code under test, of a known object": (
        "app.release(mock.MagicMock(release=mock.AsyncMock(wraps=asyncio.Semaphore().release)))",
        "warn",
        "app.py",
        "# in app",
        REAL.format("Semaphore.release"),
    ),
    "by the test": ("mock.AsyncMock().release()  # here", "error", "test_it.py", "# here", AWAIT),
    "by the test, of a known class": (
        SEMAPHORE + "semaphore.release()  # here",
        "error",
        "test_it.py",
        "# here",
        REAL.format("Semaphore.release"),
    ),
    "by the test, later": (
        "coroutine = mock.AsyncMock().release()  # here\n    coroutine = None",
        "error",
        "test_it.py",
        "# here",
        AWAIT,
    ),
    "by the test, with a spec": (
        "mock.create_autospec(work)()  # here",
        "error",
        "test_it.py",
        "# here",
        AWAIT,
    ),
    "by a fixture's helper": ("helper()", "error", "conftest.py", "# in conftest", AWAIT),
    "by a library": (
        "import argparse\n    parser = argparse.ArgumentParser()\n    parser.add_argument('it', type=mock.AsyncMock(name='release'))\n"
        "    parser.parse_args(['x']).it = None",
        "warn",
        None,
        None,
        PLAIN,
    ),
    "by a library that the test hands it to": (
        "thread = threading.Thread(target=mock.AsyncMock().release)  # here\n    thread.start()\n    thread.join()",
        "error",
        "test_it.py",
        "# here",
        CALLBACK,
    ),
}


@pytest.mark.parametrize(
    ("body", "level", "file", "code", "fix"), DROPPED_MOCKS.values(), ids=DROPPED_MOCKS
)
def test_coroutines_of_mocks(
    run_project: RunProject,
    pytester: pytest.Pytester,
    body: str,
    level: str,
    file: str | None,
    code: str | None,
    fix: str,
) -> None:
    """A mock's coroutine has its caller's line; only what the test drops is an error by default."""
    modules = {
        "app": APP,
        "conftest": "from unittest import mock\n\ndef helper():\n    mock.AsyncMock().release()  # in conftest\n",
        "test_it": WORK
        + f"import app\nfrom conftest import helper\n\ndef test_it():\n    {body}\n",
    }
    result, findings = run_with_findings(run_project, pytester, subprocess=True, **modules)
    assert [(finding["level"], finding["fix"]) for finding in findings] == [(level, fix)]
    if file is not None and code is not None:
        line = line_of(modules[file.removesuffix(".py")], code)
        assert (findings[0]["path"], findings[0]["line"]) == (file, line)
    assert result.ret == (level == "error")


SETTING = {
    "command line": ("", ["--aldente-rule=never-awaited=error"], ""),
    "ini": ("aldente_rules = never-awaited = error", [], ""),
    "strict": ("aldente_strict = true", [], ""),
    "mark": ("", [], "@aldente.rule('never-awaited', 'error')\n"),
}


@pytest.mark.parametrize(("ini", "options", "mark"), SETTING.values(), ids=SETTING)
def test_a_level_that_is_set_holds_for_mocks(
    run_project: RunProject, pytester: pytest.Pytester, ini: str, options: list[str], mark: str
) -> None:
    """Where the user has said that never-awaited is an error, a mock's coroutine is one too."""
    _, findings = run_with_findings(
        run_project,
        pytester,
        *options,
        ini=ini,
        app=APP,
        test_it=WORK
        + f"import aldente\nimport app\n\n{mark}def test_it():\n    app.release(mock.AsyncMock())\n",
    )
    assert [finding["level"] for finding in findings] == ["error"]


LATE = {
    "cycle": (
        "def test_maker():\n    hold(work())  # here\n\n"
        "@pytest.fixture\ndef collected():\n    gc.collect()\n\n"
        "def test_neighbour(collected):\n    pass\n\nasync def test_other():\n    gc.collect()\n"
    ),
    "cycle of the last test": "def test_first():\n    pass\n\ndef test_maker():\n    hold(work())  # here\n",
    "kept and dropped": (
        "def keep():\n    kept.append(work())  # here\n\n"
        "def test_maker():\n    keep()\n\ndef test_neighbour():\n    kept.clear()\n"
    ),
    "exception": (
        "def fail():\n    coroutine = work()  # here\n    raise ValueError\n\n"
        "def test_maker():\n    with pytest.raises(ValueError) as caught:\n        fail()\n    kept.append(caught)\n\n"
        "def test_neighbour():\n    kept.clear()\n    gc.collect()\n"
    ),
    "under a neighbour's pytest.warns": (
        "def test_maker():\n    hold(work())  # here\n\n"
        "def test_neighbour():\n    with pytest.warns(UserWarning) as caught:\n        gc.collect()\n        warnings.warn('mine')\n"
        "    assert len(caught) == 1\n"
    ),
    "while a neighbour ignores warnings": (
        "def test_maker():\n    hold(work())  # here\n\n"
        "@pytest.mark.filterwarnings('ignore')\ndef test_neighbour():\n    gc.collect()\n"
    ),
}


@pytest.mark.parametrize("tests", LATE.values(), ids=LATE)
def test_found_when_the_test_has_ended(
    run_project: RunProject, pytester: pytest.Pytester, tests: str
) -> None:
    """A coroutine that is found late is its maker's and never a neighbour's, and fails the run."""
    result, findings = run_with_findings(run_project, pytester, test_it=WORK + tests)
    result.assert_outcomes(passed=tests.count("def test_"), errors=1)
    assert result.ret == 1
    assert in_short(findings) == [
        f"never-awaited test_maker None {line_of(WORK + tests, '# here')}"
    ]
    result.stdout.fnmatch_lines(
        [
            "never-awaited [[]error[]]: 1",
            "  test_it.py:*: the coroutine 'work' was never awaited.",
            "      in test_it.py::test_maker, found after it had ended",
            # pytest before 9 shows no message here of what is a text only.
            "ERROR test_it.py::test_maker*",
        ]
    )


@pytest.mark.parametrize("threshold", [30, 120, 400, 1000, 100_000])
def test_makers_whenever_the_collector_comes(
    run_project: RunProject, pytester: pytest.Pytester, threshold: int
) -> None:
    """Each coroutine is charged to its maker however often the garbage collector runs."""
    project = WORK + (
        "@pytest.fixture(scope='module', autouse=True)\ndef threshold():\n    before = gc.get_threshold()\n"
        f"    gc.set_threshold({threshold})\n    yield\n    gc.set_threshold(*before)\n\n"
        "def keep():\n    kept.append(work())\n\n"
        "def test_keeps():\n    keep()\n\ndef test_releases():\n    kept.clear()\n\n"
        "@pytest.mark.parametrize('n', range(20))\ndef test_holds(n):\n    if n % 2:\n        hold(work())\n"
    )
    _, findings = run_with_findings(run_project, pytester, test_it=project)
    assert sorted(finding["test"].partition("::")[2] for finding in findings) == sorted(
        ["test_keeps", *(f"test_holds[{n}]" for n in range(1, 20, 2))]
    )


def test_an_exception_that_holds_the_frame(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A coroutine in a variable of the frame that failed is told beside that failure, once."""
    project = WORK + "async def test_it():\n    check()\n\ndef test_next():\n    gc.collect()\n"
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=1, failed=1)
    assert in_short(findings) == [f"never-awaited test_it call {line_of(project, '# in check')}"]
    assert part_of(result, "aldente: found in this test").startswith(
        "never-awaited: the coroutine 'work' was never awaited.\n"
    )


NOT_FOUND = {
    "awaited": "async def test_it():\n    await work()",
    "closed": "def test_it():\n    work().close()",
    "task cancelled before its start": (
        "async def test_it():\n    task = asyncio.create_task(work())\n    task.cancel()\n    await asyncio.wait([task])"
    ),
    "awaited by a later test": (
        "def test_it():\n    kept.append(work())\n\nasync def test_next():\n    gc.collect()\n    await kept.pop()"
    ),
    "frame that fails, and a task": (
        "@pytest.mark.xfail(raises=ValueError)\nasync def test_it():\n    coroutine = work()\n"
        "    task = asyncio.create_task(coroutine)\n    raise ValueError"
    ),
    "frame that fails, and a fixture": (
        "@pytest.fixture\nasync def later():\n    coroutines = []\n    yield coroutines\n    await asyncio.gather(*coroutines)\n\n"
        "@pytest.mark.xfail(raises=ValueError)\nasync def test_it(later):\n    coroutine = work()\n"
        "    later.append(coroutine)\n    raise ValueError"
    ),
    "pytest.warns": "def test_it():\n    with pytest.warns(RuntimeWarning, match='never awaited'):\n        work()",
    "pytest.warns of a cycle": (
        "def test_it():\n    with pytest.warns(RuntimeWarning, match='never awaited'):\n        hold(work())\n        gc.collect()"
    ),
    "recorded": (
        "def test_it():\n    with warnings.catch_warnings(record=True) as caught:\n        warnings.simplefilter('always')\n"
        "        work()\n    assert [str(one.message) for one in caught] == [\"coroutine 'work' was never awaited\"]\n"
        "    assert caught[0].filename == __file__"
    ),
    "recwarn": "def test_it(recwarn):\n    warnings.simplefilter('always')\n    work()\n    assert len(recwarn) == 1",
    "ignored by a mark": "@pytest.mark.filterwarnings('ignore:coroutine')\ndef test_it():\n    work()",
    "cycle ignored by a mark": (
        "@pytest.mark.filterwarnings('ignore:coroutine')\ndef test_it():\n    hold(work())\n\ndef test_next():\n    gc.collect()"
    ),
    "ignored by code": (
        "def test_it():\n    with warnings.catch_warnings():\n        warnings.simplefilter('ignore')\n        work()"
    ),
    "ignored for a module": "@pytest.mark.filterwarnings('ignore::RuntimeWarning:test_it')\ndef test_it():\n    work()",
    "mock": "async def test_it():\n    get = mock.AsyncMock()\n    await get()\n    get.assert_awaited_once()",
    "async context manager": (
        "@contextlib.asynccontextmanager\nasync def manage():\n    yield\n\n"
        "@manage()\nasync def decorated():\n    pass\n\n"
        "async def test_it():\n    async with manage():\n        pass\n    async with contextlib.AsyncExitStack() as stack:\n"
        "        await stack.enter_async_context(manage())\n    await decorated()\n    await manage()(work)()\n"
        "    manager = manage()\n    await manager.__aenter__()\n    await manager.__aexit__(None, None, None)\n"
    ),
    "generator of a context manager": (
        "@contextlib.asynccontextmanager\nasync def manage():\n    yield\n\n"
        "async def test_it():\n    async for _ in manage().gen:\n        pass\n"
        "    manager = manage()\n    await anext(manager.gen)\n"
    ),
    "async generator": "async def generate():\n    yield\n\nasync def test_it():\n    generate()",
}


@pytest.mark.parametrize("test", NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_is_not_found(run_project: RunProject, pytester: pytest.Pytester, test: str) -> None:
    """Coroutines that run or are closed, and warnings that the test asks for, are no findings."""
    result, findings = run_with_findings(run_project, pytester, test_it=WORK + test)
    assert findings == []
    assert result.ret == 0


@pytest.mark.parametrize("action", ["error", "always", "default", "once"])
def test_other_warning_filters(
    run_project: RunProject, pytester: pytest.Pytester, action: str
) -> None:
    """Whatever else a filter does with the warning, the finding takes its place."""
    project = (
        WORK + f"@pytest.mark.filterwarnings('{action}')\ndef test_it():\n    work()  # here\n"
    )
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(failed=1, warnings=0)
    assert in_short(findings) == [f"never-awaited test_it call {line_of(project, '# here')}"]


def test_at_import(run_project: RunProject) -> None:
    """What a module drops while it is imported is Python's warning, at the line that dropped it."""
    project = WORK + "work()  # here\n\ndef test_it():\n    pass\n"
    result = run_project("-Wdefault", test_it=project)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            f"*test_it.py:{line_of(project, '# here')}: RuntimeWarning: coroutine 'work' was never awaited",
            "    work()  # here",
        ]
    )


def test_levels(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """As a warning the finding fails nothing; switched off, Python's own warning is back."""
    project = WORK + "def test_it():\n    work()\n"
    result, findings = run_with_findings(
        run_project, pytester, "--aldente-rule=never-awaited=warn", test_it=project
    )
    result.assert_outcomes(passed=1)
    assert [(finding["rule"], finding["level"]) for finding in findings] == [
        ("never-awaited", "warn")
    ]
    result.stdout.fnmatch_lines(["never-awaited [[]warn[]]: 1"])
    result, findings = run_with_findings(
        run_project, pytester, "--aldente-rule=never-awaited=off", "-Wdefault", test_it=project
    )
    result.assert_outcomes(passed=1, warnings=1)
    assert findings == []
    result.stdout.fnmatch_lines(["*RuntimeWarning: coroutine 'work' was never awaited"])


def test_without_the_warnings_plugin(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The rule works, and respects pytest.warns, where pytest does not record warnings."""
    project = WORK + (
        "def test_it():\n    work()  # here\n\n"
        "def test_asks():\n    with pytest.warns(RuntimeWarning):\n        work()\n"
    )
    result, findings = run_with_findings(
        run_project, pytester, "-p", "no:warnings", "-Wdefault", test_it=project
    )
    result.assert_outcomes(passed=1, failed=1)
    assert in_short(findings) == [f"never-awaited test_it call {line_of(project, '# here')}"]
