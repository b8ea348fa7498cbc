"""Under ``-W error``, Python's warnings of unclosed resources fail the tests that left them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import run_with_findings

pytestmark = pytest.mark.skipif("sys.platform == 'win32'")

# What leaves something in a reference cycle, by the warnings that Python gives of it.
LEAKS = {
    "Unclosed client session": """
async def test_leaks():
    import aiohttp
    keep(aiohttp.ClientSession())
""",
    "unclosed transport <_SelectorSocketTransport": """
async def test_leaks():
    async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1") as server:
        keep(await asyncio.open_connection(*server.sockets[0].getsockname()))
""",
    "unclosed <socket.socket": """
async def test_leaks():
    keep(await asyncio.start_server(lambda r, w: None, "127.0.0.1"))
""",
    "unclosed transport <_UnixSubprocessTransport": """
async def test_leaks():
    program = "import time; time.sleep(60)"
    keep(await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=-1))
""",
    "unclosed event loop": """
def test_leaks():
    keep(asyncio.new_event_loop())
""",
}

_PROJECT = """
import asyncio
import gc
import sys
{imports}

def keep(resource):
    cycle = [resource]
    cycle.append(cycle)

gc.disable()

async def test_first():
    pass
{leak}
def test_innocent():
    gc.collect()
"""


def _project(warning: str) -> str:
    leak = LEAKS[warning]
    if "Subprocess" in warning and sys.version_info < (3, 12):
        pytest.skip("a thread that waits for the process keeps the transport alive")
    libraries = [line.strip() for line in leak.splitlines() if line.startswith("    import ")]
    for library in libraries:
        pytest.importorskip(library.removeprefix("import "))
    return _PROJECT.format(leak=leak, imports="\n".join(libraries))


@pytest.mark.parametrize("warning", LEAKS)
def test_unclosed_resource_fails_its_test(run_project: RunProject, warning: str) -> None:
    """What a test leaves unclosed fails it, and not the test in which the collector finds it."""
    result = run_project("-v", subprocess=True, test_it=_project(warning))
    result.stdout.fnmatch_lines(
        [
            "*::test_innocent PASSED*",
            f"leaked-resource: It was freed unclosed, and warnings are errors: *{warning}*",
            "aldente found it after the test had ended.",
            "ERROR test_it.py::test_leaks*",
        ]
    )
    result.stdout.no_fnmatch_line("*::test_innocent *ERROR*")
    result.assert_outcomes(passed=3, errors=result.parseoutcomes()["errors"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    # The writer of a stream and its transport are one connection.
    result.stdout.no_fnmatch_line("*loop is closed*")


@pytest.mark.parametrize("level", ["warn", "off"])
def test_level_that_is_set_holds(run_project: RunProject, level: str) -> None:
    """A level that the user has set for the rule holds for such warnings; off leaves them alone."""
    result = run_project(
        "-v",
        subprocess=True,
        ini=f"aldente_rules = leaked-resource = {level}",
        test_it=_project("unclosed transport <_SelectorSocketTransport"),
    )
    if level == "warn":
        result.assert_outcomes(passed=3)
        assert result.ret == pytest.ExitCode.OK
    else:
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(["*::test_innocent FAILED*"])


def test_allowed_leak_fails_no_test(run_project: RunProject) -> None:
    """What the mark of a test allows fails neither that test nor another."""
    project = _project("unclosed transport <_SelectorSocketTransport")
    marked = '@aldente.allow("leaked-resource")\nasync def test_leaks'
    result = run_project(
        subprocess=True,
        test_it="import aldente\n" + project.replace("async def test_leaks", marked),
    )
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK


def test_unclosed_resource_of_the_test_itself(run_project: RunProject) -> None:
    """A resource that is freed in the test that made it fails that test, as without aldente."""
    project = _project("unclosed event loop")
    own = "def test_own():\n    keep(asyncio.new_event_loop())\n    gc.collect()\n"
    result = run_project(
        subprocess=True, test_it=project.replace("def test_leaks", "def leaks") + own
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_own - *"])


def test_asked_for_warning_is_given(run_project: RunProject) -> None:
    """A test that asks for ResourceWarnings gets those of what another one has left."""
    project = _project("unclosed event loop").replace(
        "    gc.collect()",
        "    import pytest\n    with pytest.warns(ResourceWarning):\n        gc.collect()",
    )
    result = run_project(subprocess=True, test_it=project)
    result.assert_outcomes(passed=3)


def test_leak_is_listed_once(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What is open when its loop ends, and freed in parts later, is one error of the run."""
    result, findings = run_with_findings(
        run_project,
        pytester,
        subprocess=True,
        test_it="""
            import asyncio
            import gc

            kept = []

            async def test_leaks():
                server = await asyncio.start_server(lambda r, w: kept.append(w), "127.0.0.1")
                kept.append(server)
                kept.append(await asyncio.open_connection(*server.sockets[0].getsockname()))

            def test_innocent():
                kept.clear()
                gc.collect()
        """,
    )
    result.assert_outcomes(passed=2, errors=2)
    assert [finding["level"] for finding in findings] == ["error", "error"]
    assert sorted(finding["line"] for finding in findings) == [7, 9]


def test_leaks_at_one_line_of_two_files(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Leaks at lines of the same number in two files are two, also if one is freed late."""
    _, findings = run_with_findings(
        run_project,
        pytester,
        subprocess=True,
        helper="import asyncio\n\n\nasync def serve():\n"
        "    return await asyncio.start_server(lambda r, w: None, '127.0.0.1')\n",
        test_it="""
import asyncio, gc, helper
kept, others = [], []
async def test_leaks():
    others.append(await helper.serve())
    kept.append(await asyncio.start_server(lambda r, w: None, "127.0.0.1"))
def test_innocent():
    kept.clear()
    gc.collect()
""",
    )
    assert [finding["line"] for finding in findings] == [5, 5]
    assert {Path(finding["path"]).name for finding in findings} == {"helper.py", "test_it.py"}


def test_part_without_a_line_raises_the_level(run_project: RunProject) -> None:
    """A server's end of a connection that is freed unclosed makes the client's end the error."""
    result = run_project(
        subprocess=True,
        test_it="""
            import asyncio
            import gc

            kept = []
            accepted = []

            async def test_leaks():
                server = await asyncio.start_server(lambda r, w: accepted.append(w), "127.0.0.1")
                kept.append(await asyncio.open_connection(*server.sockets[0].getsockname()))
                await asyncio.sleep(0.01)
                server.close()

            def test_innocent():
                accepted.clear()
                gc.collect()
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "leaked-resource [[]error]: 1",
            "  test_it.py:9: A connection to 127.0.0.1:* was still open when its event loop ended.",
        ]
    )


@pytest.mark.parametrize("arguments", [(), ("-n2", "--dist=loadfile")], ids=["alone", "xdist"])
def test_library_that_a_test_imports(run_project: RunProject, arguments: tuple[str, ...]) -> None:
    """The client of a library that the test itself imports has a place, and fails no other test."""
    pytest.importorskip("aiohttp")
    project = """
import asyncio
import gc

kept = []

async def test_leaks():
    import aiohttp
    kept.append(aiohttp.ClientSession())

def test_innocent():
    kept.clear()
    gc.collect()
"""
    options = {"plugins": ["xdist"]} if arguments else {}
    result = run_project(*arguments, subprocess=True, test_it=project, **options)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "leaked-resource [[]error]: 1",
            "  test_it.py:8: *",
            "      in test_it.py::test_leaks*",
        ]
    )


def test_client_of_an_unknown_library(run_project: RunProject) -> None:
    """A client that is not known, but keeps its loop, fails the test of that loop, and no other."""
    result = run_project(
        subprocess=True,
        test_it="""
            import asyncio
            import gc
            import warnings

            class Client:
                def __init__(self):
                    self.loop = asyncio.get_running_loop()
                    self.me = self

                def __del__(self):
                    warnings.warn(f"unclosed {type(self).__name__}", ResourceWarning)

            async def test_leaks():
                gc.disable()
                Client()

            def test_innocent():
                gc.collect()
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*unclosed Client*", "ERROR test_it.py::test_leaks*"])


def test_freed_between_tests(run_project: RunProject) -> None:
    """What goes with the values of a test's fixtures, after its tear-down, fails no other test."""
    result = run_project(
        subprocess=True,
        test_it="""
            import aiosqlite
            import pytest

            @pytest.fixture
            async def database():
                yield await aiosqlite.connect(":memory:")

            async def test_leaks(database):
                await database.execute("select 1")

            def test_innocent():
                pass
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["leaked-resource [[]error]: 1", "ERROR test_it.py::test_leaks*"])
    result.stdout.no_fnmatch_line("leaked-thread*")
