"""Which threads, and which runs of pytest in one process, have to do with a hang and which not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aldente._plugin.findings import hooks
from aldente._plugin.session import state_of
from tests.plugin.conftest import RunProject
from tests.plugin.rules import part_of, run_with_findings

# An installed plugin, a thread of which waits with a time-out.
TOOL = """
import threading

stop = threading.Event()

def watch():
    stop.wait(60)

def pytest_configure():
    threading.Thread(target=watch, daemon=True).start()

def pytest_unconfigure():
    stop.set()
"""

# Its threads run only Python's own code while tests are collected.
CONFTEST = """
import sched
import threading
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(1)
POOL.submit(len, "x").result()

SCHEDULER = sched.scheduler()
NEW, OLD = [], []

def tick():
    # So none is called before a deadlock must have lasted.
    while OLD:
        OLD.pop()()
    OLD.extend(NEW)
    NEW.clear()
    SCHEDULER.enter(1.2, 1, tick)

SCHEDULER.enter(1.2, 1, tick)
threading.Thread(target=SCHEDULER.run, daemon=True).start()
"""

STARTED_IN_CONFTEST = """
import asyncio
import time
import aldente
import conftest

async def test_scheduler():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    conftest.NEW.append(lambda: loop.call_soon_threadsafe(event.set))
    await event.wait()

async def test_job():
    await asyncio.get_running_loop().run_in_executor(conftest.POOL, time.sleep, 1.4)

@aldente.virtual_time
async def test_job_that_calls_in():
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def job():
        time.sleep(1.4)
        loop.call_soon_threadsafe(event.set)

    conftest.POOL.submit(job)
    await event.wait()
"""

PROJECT = """
import asyncio
import threading
import time

begun = threading.Event()
wake = []

def wake_later():
    begun.wait(60)
    # Longer than a deadlock must last.
    time.sleep(1.3)
    wake.pop()()

threading.Thread(target=wake_later, daemon=True).start()

async def test_waits():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    wake.append(lambda: loop.call_soon_threadsafe(event.set))
    begun.set()
    await event.wait()

async def test_hangs():
    event = asyncio.Event()
    await event.wait()
"""


def install(pytester: pytest.Pytester, name: str) -> None:
    """Have a module of a project be a plugin of pytest's that is installed."""
    folder = pytester.mkdir(f"{name}-1.0.dist-info")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[pytest11]\n{name} = {name}\n")
    pytester.syspathinsert()


def test_threads_that_are_there_before(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A thread of a plugin hides no deadlock; one that a test module starts may wake a test."""
    install(pytester, "tool")
    result = run_project("--aldente-timeout=5", plugins=["tool"], tool=TOOL, test_it=PROJECT)
    result.assert_outcomes(passed=1, failed=1)
    assert "Deadlock: for 1 s nothing could happen" in part_of(result, "test_hangs")


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """What the threads of a test wait for; it is set afterwards."""
    stop = threading.Event()
    yield stop
    stop.set()


def run_code(module: str, is_there: threading.Event, stop: threading.Event) -> None:
    """Wait in code of a module."""
    namespace: dict[str, Any] = {"__name__": module}
    exec("def wait(is_there, stop):\n    is_there.set()\n    stop.wait(60)", namespace)
    namespace["wait"](is_there, stop)


@pytest.mark.parametrize(
    ("module", "is_tools"),
    [
        ("execnet.gateway_base", True),
        ("aldente._plugin", True),
        ("test_it", False),
        ("apscheduler.schedulers.background", False),
    ],
)
def test_whose_a_thread_is(
    stop: threading.Event, pytestconfig: pytest.Config, module: str, is_tools: bool
) -> None:
    """A thread that was there first is a bystander only if it runs code of a plugin of pytest's."""
    is_there = threading.Event()
    thread = threading.Thread(target=run_code, args=(module, is_there, stop), daemon=True)
    thread.start()
    assert is_there.wait(60)
    bystanders = hooks._threads_of_tools(pytestconfig)
    assert (thread.ident in bystanders) is is_tools
    assert threading.get_ident() not in bystanders


def test_threads_of_a_conftest(run_project: RunProject) -> None:
    """A thread that a conftest has started may wake a test, whatever it does until then."""
    result = run_project(subprocess=True, conftest=CONFTEST, test_it=STARTED_IN_CONFTEST)
    result.assert_outcomes(passed=3)


def test_runs_in_one_process(
    run_project: RunProject, pytester: pytest.Pytester, pytestconfig: pytest.Config
) -> None:
    """What hangs or is slow in a run that a test starts in its own process is found by that alone."""
    _, findings = run_with_findings(
        run_project,
        pytester,
        test_it="""
        import asyncio
        import time

        async def test_it():
            end = time.thread_time() + 0.5
            while time.thread_time() < end:
                pass
            # All watchdogs see that it is over.
            await asyncio.sleep(0.1)
        """,
    )
    assert [finding["rule"] for finding in findings] == ["slow-step"]
    assert state_of(pytestconfig).collector.found == []
