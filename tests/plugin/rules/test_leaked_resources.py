"""The rule leaked-resource charges the test that made something, at its line, whenever that is found."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, run_with_findings

# Begins every project here.
START = """
import asyncio
import gc
import aiohttp
import aiosqlite
import httpx
import pytest

gc.disable()  # it comes when a test says so

kept = []

class Api:
    def __init__(self):
        self.session = aiohttp.ClientSession()  # in a cycle
        self.hooks = [self.close]
    async def close(self):
        await self.session.close()

async def silent(reader, writer):
    await reader.read()
    writer.close()

"""

WIDE = "pytestmark = pytest.mark.asyncio(loop_scope='module')\n\n"
NEXT = "\n\n{}def test_next():\n    gc.collect()\n"

STREAMS = """
    server = await asyncio.start_server(silent, '127.0.0.1', 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())  # here
    server.close()
"""

CLIENT = """
    server = await asyncio.start_server(silent, '127.0.0.1', 0)
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, *server.sockets[0].getsockname())  # here
    await asyncio.sleep(0.01)
    server.close()
"""

ASYNC = "async def test_it():\n"
RUNS = "async def main():\n{}\n\ndef test_it():\n    asyncio.run(main())\n"
SERVED = """
@pytest.fixture(scope='module')
async def port():
    server = await asyncio.start_server(silent, '127.0.0.1', 0)
    yield server.sockets[0].getsockname()[1]
    server.close()

"""

ANSWERED = (
    SERVED.replace("silent", "answer")
    + "async def answer(reader, writer):\n    await reader.readuntil(b'\\r\\n\\r\\n')\n"
    + "    writer.write(b'HTTP/1.1 204 No Content\\r\\n\\r\\n')\n    await reader.read()\n    writer.close()\n\n"
    + WIDE
    + "async def test_it(port):\n    client = httpx.AsyncClient(trust_env=False)  # here\n    await client.get(f'http://127.0.0.1:{port}/')\n"
)

DATABASE = """    database = await aiosqlite.connect(':memory:')  # here
    await database.execute('select 1')
"""

# Each with the comment of its line.
LEAKS = {
    "session in a cycle": (ASYNC + "    Api()", "# in a cycle"),
    "session in a cycle, sync": (RUNS.format("    Api()"), "# in a cycle"),
    "session in a cycle, wide": (WIDE + ASYNC + "    Api()", "# in a cycle"),
    "session": (ASYNC + "    session = aiohttp.ClientSession()  # here", "# here"),
    "session, wide": (WIDE + ASYNC + "    session = aiohttp.ClientSession()  # here", "# here"),
    "session in a global": (ASYNC + "    kept.append(aiohttp.ClientSession())  # here", "# here"),
    "session in a global, sync": (
        RUNS.format("    kept.append(aiohttp.ClientSession())  # here"),
        "# here",
    ),
    "session in a global, wide": (
        WIDE + ASYNC + "    kept.append(aiohttp.ClientSession())  # here",
        "# here",
    ),
    "session on a loop that nobody ends": (
        "def test_it():\n"
        "    async def make():\n        return aiohttp.ClientSession()  # here\n"
        "    kept.append(asyncio.new_event_loop())\n"
        "    kept.append(kept[0].run_until_complete(make()))\n",
        "# here",
    ),
    "session on self": (
        "class TestKept:\n    async def test_it(self):\n        self.session = aiohttp.ClientSession()  # here",
        "# here",
    ),
    "session of a fixture": (
        "@pytest.fixture\nasync def session():\n    return aiohttp.ClientSession()  # here\n\nasync def test_it(session):\n    pass",
        "# here",
    ),
    "client of httpx, wide": (ANSWERED, "# here"),
    "client of httpx in a global, wide": (ANSWERED + "    kept.append(client)\n", "# here"),
    "client of httpx in a cycle, wide": (ANSWERED + "    client.itself = client\n", "# here"),
    "client of httpx": (ANSWERED.replace(WIDE, "").replace("(scope='module')", ""), "# here"),
    "database": (ASYNC + DATABASE, "# here"),
    "database, wide": (WIDE + ASYNC + DATABASE, "# here"),
    "database, sync": (RUNS.format(DATABASE), "# here"),
    "database in a global": (ASYNC + DATABASE + "    kept.append(database)\n", "# here"),
    "database in a cycle": (ASYNC + DATABASE + "    database.itself = database\n", "# here"),
    "local streams": (ASYNC + STREAMS, "# here"),
    "local streams, wide": (WIDE + ASYNC + STREAMS, "# here"),
    "local streams, sync": (RUNS.format(STREAMS), "# here"),
    "streams in a cycle, wide": (
        WIDE + ASYNC + STREAMS + "    writer.itself = writer\n",
        "# here",
    ),
    "client of the same loop": (ASYNC + CLIENT, "# here"),
    "client of a wide server": (
        SERVED
        + WIDE
        + "async def test_it(port):\n"
        + "    await asyncio.get_running_loop().create_connection(asyncio.Protocol, '127.0.0.1', port)  # here\n"
        + "    await asyncio.sleep(0.01)\n",
        "# here",
    ),
    "server that its loop leaves, sync": (
        RUNS.format("    kept.append(await asyncio.start_server(silent, '127.0.0.1', 0))  # here"),
        "# here",
    ),
}


def run_each(
    run_project: RunProject, pytester: pytest.Pytester, *arguments: str, **projects: str
) -> dict[str, list[tuple[str, str, int]]]:
    """Run pytest once on all projects, each a module; gives the findings of each, in short."""
    # In a process of its own, as the collector is off; in one, as importing the libraries is slow.
    result, findings = run_with_findings(
        run_project, pytester, *arguments, subprocess=True, **projects
    )
    assert result.ret == 0
    found: dict[str, list[tuple[str, str, int]]] = {name: [] for name in projects}
    for finding in findings:
        module, _, test = finding["test"].partition(".py::")
        found[module].append((finding["rule"], test.rpartition("::")[2], finding["line"]))
    return found


def test_who_is_charged(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What a test leaks is one finding, of that test and at its line; the next test has none."""
    projects = {
        _module(name): START + test + NEXT.format("async " if WIDE in test else "")
        for name, (test, _) in LEAKS.items()
    }
    assert run_each(run_project, pytester, "-Wignore", **projects) == {
        _module(name): [("leaked-resource", "test_it", line_of(projects[_module(name)], line))]
        for name, (_, line) in LEAKS.items()
    }


def _module(name: str) -> str:
    return "test_" + name.replace(",", "").replace(" ", "_")


def test_what_is_alive_in_the_end(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What nobody has closed by the end of the run is told then, and may fail the run."""
    test, _ = LEAKS["session on a loop that nobody ends"]
    result, findings = run_with_findings(
        run_project,
        pytester,
        "--aldente-rule=leaked-resource=error",
        subprocess=True,
        test_it=START + test,
    )
    assert in_short(findings) == [f"leaked-resource test_it None {line_of(START + test, '# here')}"]
    assert findings[0]["what"] == "The aiohttp.ClientSession was still open when the run ended."
    assert result.ret == 1


NO_LEAKS = {
    "closed": ASYNC + "    async with aiohttp.ClientSession():\n        pass",
    "closed by a wide fixture": (
        "@pytest.fixture(scope='module')\nasync def session():\n    async with aiohttp.ClientSession() as session:\n        yield session\n\n"
        "async def test_it(session):\n    pass"
    ),
    "client without connections": (
        ASYNC
        + "    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200)))\n"
        + "    assert (await client.get('http://example.org')).status_code == 200\n    kept.append(client)\n"
    ),
    "streams that are closed": ASYNC + STREAMS + "    writer.close()\n",
    "ended by the other end": (
        "async def bye(reader, writer):\n    writer.close()\n\n"
        + ASYNC
        + STREAMS.replace("silent", "bye")
        + "    assert await reader.read() == b''\n    writer.close()\n    await writer.wait_closed()\n"
    ),
}


def test_what_is_no_leak(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What is closed, or keeps nothing, is no finding."""
    projects = {_module(name): START + test + NEXT.format("") for name, test in NO_LEAKS.items()}
    assert run_each(run_project, pytester, **projects) == {name: [] for name in projects}


def test_a_library_that_a_test_imports(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The test is charged, too, in which a library is imported for the first time."""
    project = (
        "import gc\n\nasync def test_it():\n    import aiohttp\n    session = aiohttp.ClientSession()\n"
        "    session.itself = session\n    del session\n\ndef test_next():\n    gc.collect()\n"
    )
    _, findings = run_with_findings(
        run_project, pytester, "-Wignore", subprocess=True, test_it=project
    )
    assert [finding["test"] for finding in findings] == ["test_it.py::test_it"]


def test_a_run_inside_a_test(run_project: RunProject) -> None:
    """A test that leaves something on a closed loop is told of it, though it ran pytest since."""
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio

        pytest_plugins = "pytester"
        kept = []

        def test_it(pytester, monkeypatch):
            loop = asyncio.new_event_loop()
            kept.append(
                loop.run_until_complete(asyncio.start_server(lambda r, w: None, "127.0.0.1", 0))
            )
            loop.close()
            pytester.makepyfile(test_inner="async def test_inner():\\n    pass")
            result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "aldente")
            assert result.ret == 0
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "leaked-resource [[]warn[]]: 1",
            "  A server on * was still open when its event loop ended.",
            "      in test_it.py::test_it",
        ]
    )
