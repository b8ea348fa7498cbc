"""Tests and fixtures that fork meet no thread of aldente's."""

from __future__ import annotations

import os
import sys

import pytest

from tests.plugin.conftest import RunProject

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# CPython 3.13.0 to 3.13.9 and 3.14.0 count threads that are started again after the fork.
counts_too_late = pytest.mark.skipif(
    (3, 13) <= sys.version_info < (3, 13, 10) or sys.version_info[:3] == (3, 14, 0),
    reason="this Python counts what is started after the fork",
)

FORKING = """
import os

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
"""


@counts_too_late
def test_python_warns_of_no_threads_in_async_tests(run_project: RunProject) -> None:
    """Async tests and fixtures fork without a warning of threads, however long they have run."""
    modules = {
        "forking": FORKING,
        "test_it": """
        import asyncio
        import multiprocessing
        import subprocess
        import sys

        import pytest

        from forking import fork

        async def test_late():
            await asyncio.sleep(0.15)
            fork()

        @pytest.mark.parametrize("number", range(10))
        async def test_again(number):
            await asyncio.sleep(0.03)
            fork()

        @pytest.fixture
        async def forking():
            await asyncio.sleep(0.03)
            fork()
            yield
            await asyncio.sleep(0.03)
            fork()

        async def test_fixture(forking):
            fork()

        async def test_multiprocessing():
            await asyncio.sleep(0.03)
            process = multiprocessing.get_context("fork").Process(target=print)
            process.start()
            process.join()

        async def test_subprocess():
            await asyncio.sleep(0.03)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "", preexec_fn=lambda: None
            )
            assert await process.wait() == 0
        """,
    }
    # Before 3.15 Python forgets an error that such a warning is turned into.
    for action in ("always", "error"):
        result = run_project("-W", action, subprocess=True, **modules)
        result.assert_outcomes(passed=14, warnings=0)


def test_python_warns_of_no_threads_in_sync_tests(run_project: RunProject) -> None:
    """Sync tests fork without a warning of threads, after async ones that were looked at."""
    modules = {
        "forking": FORKING,
        "test_it": """
        import asyncio

        import pytest

        from forking import fork

        @pytest.mark.parametrize("number", range(5))
        class TestBoth:
            async def test_async(self, number):
                await asyncio.sleep(0.03)

            def test_sync(self, number):
                fork()
        """,
    }
    for action in ("always", "error"):
        result = run_project("-W", action, subprocess=True, **modules)
        result.assert_outcomes(passed=10, warnings=0)


RUNNING_IN_CHILDREN = """
import os
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report.longreprtext for report in reports if report.failed]
        os.write(writer, "\\n".join(failed).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, errors="replace") as file:
        print(f"{item.name}: {file.read()}")
    return True
"""


def test_tests_that_run_in_forked_children(run_project: RunProject) -> None:
    """Time limits and rules hold for them too, as with pytest-forked."""
    result = run_project(
        "-s",
        "-p",
        "no:randomly",
        subprocess=True,
        conftest=RUNNING_IN_CHILDREN,
        test_it="""
        import asyncio
        import aldente
        import pytest

        async def test_in_time():
            await asyncio.sleep(0.05)

        @aldente.timeout(0.5)
        @pytest.mark.parametrize("number", range(2))
        async def test_limit(number):
            await asyncio.sleep(60)

        async def test_deadlock():
            await asyncio.Event().wait()
        """,
    )
    result.stdout.fnmatch_lines(
        [
            "*test_in_time: ",
            "*test_limit[[]0[]]: *",
            "*PhaseTimeout: *",
            "*test_limit[[]1[]]: *",
            "*PhaseTimeout: *",
            "*test_deadlock: *",
            "*DeadlockError: *",
        ]
    )


def test_loops_of_other_children(run_project: RunProject) -> None:
    """A child that a test forks may wait for being ended by its parent."""
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio
        import os
        import signal
        import time

        def test_it():
            asyncio.run(asyncio.sleep(0.05))
            child = os.fork()
            if child == 0:
                try:
                    asyncio.run(asyncio.Event().wait())
                finally:
                    os._exit(3)
            time.sleep(2)
            os.kill(child, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        """,
    )
    result.assert_outcomes(passed=1)
