"""Hosts and faults in explored tests: the fixture ``network``, the summary, and the story."""

from __future__ import annotations

from tests.plugin.conftest import RunProject

PROJECT = """
import asyncio
import aldente

async def handle(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
    except OSError:
        pass
    finally:
        writer.close()

async def serve():
    async with await asyncio.start_server(handle, "0.0.0.0", 4000) as server:
        await server.serve_forever()

async def ask():
    for attempt in range(20):
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("db", 4000)
                try:
                    writer.write(b"hello\\n")
                    answer = await reader.readline()
                    if answer:
                        return answer
                finally:
                    writer.close()
        except OSError:
            pass
        await asyncio.sleep(1)
"""


# Fails when its connection breaks.
FAILING = (
    PROJECT
    + """
@aldente.explore(seed=1)
async def test_it(network):
    network.host("db").run(serve())
    await asyncio.sleep(1)
    network.may_break()
    reader, writer = await asyncio.open_connection("db", 4000)
    writer.write(b"hello\\n")
    try:
        assert await reader.readline() == b"hello\\n"
    finally:
        writer.close()
"""
)


def test_the_fixture_of_an_explored_test(run_project: RunProject) -> None:
    """It gives the network of each run, to async fixtures as well, and faults are counted."""
    result = run_project(
        test_it=PROJECT
        + """
import pytest

@pytest.fixture
async def db(network):
    db = network.host("db")
    db.run(serve())
    return db

@aldente.explore(runs=40, seed=1)
async def test_it(network, db):
    assert isinstance(network, aldente.Network) and isinstance(db, aldente.Host)
    network.may_break()
    network.may_partition("db", seconds=2)
    db.may_crash(restart=serve)
    assert await ask() == b"hello\\n"
    assert network.here.name == "test"

@aldente.explore(runs=10, seed=1)
async def test_without_faults(network, db):
    assert await ask() == b"hello\\n"
"""
    )
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [
            r"2 tests explored in 50 runs",
            r"faults: \d+ resets?, \d+ partitions?, \d+ crash(es)? in 40 runs",
        ]
    )


def test_faults_that_never_happened(run_project: RunProject) -> None:
    """A fault that was allowed and has not happened is counted as none; verbose, for each test."""
    result = run_project(
        "-v",
        test_it=PROJECT
        + """
@aldente.explore(runs=3)
async def test_it(network):
    network.may_break()
""",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["faults: test_it.py::test_it: 0 resets in 1 run"])


def test_a_failure_shows_the_fault(run_project: RunProject) -> None:
    """The report of a failed test has the fault in its story, and its token replays it."""
    result = run_project(test_it=FAILING)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*ConnectionResetError*", "  > *(network)  the connection between test:*"]
    )
    result.stdout.re_match_lines([r"faults: 1 reset in \d+ runs?"])


def test_elsewhere_the_fixture_says_what_it_is_for(run_project: RunProject) -> None:
    """In a test that is not explored its calls say so, at the user's line."""
    result = run_project(
        test_it="""
async def test_it(network):
    network.host("db")
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>   *network.host("db")',
            "*NotSimulated: aldente.network().host() was called outside of a simulated run. Only "
            "a simulated network has hosts, links and faults.",
        ]
    )


def test_what_a_host_leaves_open_is_not_the_test_s(run_project: RunProject) -> None:
    """Tasks, connections and servers of hosts end with the test, without a finding."""
    result = run_project(
        "-W",
        "error",
        test_it=PROJECT
        + """
@aldente.explore(runs=20)
async def test_it(network):
    db = network.host("db")
    with db:
        await asyncio.start_server(handle, "0.0.0.0", 4000)
    reader, writer = await asyncio.open_connection("db", 4000)
    with network.host("web"):
        task = asyncio.create_task(asyncio.sleep(1000))
        asyncio.get_running_loop().call_later(1000, print)
    writer.write(b"hello\\n")
    assert await reader.readline() == b"hello\\n"
    db.crash()
    writer.close()
""",
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*leaked*")


def test_faults_of_a_kept_failure_are_counted(run_project: RunProject) -> None:
    """The schedule that has failed before is tried first, with its faults."""
    run_project("-p", "cacheprovider", test_it=FAILING).assert_outcomes(failed=1)
    again = run_project("-p", "cacheprovider")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["faults: 1 reset in 1 run"])
