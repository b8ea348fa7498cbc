"""Which threads, and which runs of pytest in one process, have to do with a hang and which not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from aldente._plugin.findings import hooks
from tests.plugin.conftest import RunProject
from tests.plugin.rules import part_of, run_with_findings

# Waits with a time-out, and runs nothing but Python's own code.
CONFTEST = """
import threading

stop = threading.Event()

def pytest_configure():
    threading.Thread(target=stop.wait, args=(60,), daemon=True).start()

def pytest_unconfigure():
    stop.set()
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


def test_threads_that_are_there_before(run_project: RunProject) -> None:
    """A thread of a plugin hides no deadlock; one that a test module starts may wake a test."""
    result = run_project("--aldente-timeout=5", conftest=CONFTEST, test_it=PROJECT)
    result.assert_outcomes(passed=1, failed=1)
    assert "Deadlock: for 1 s nothing could happen" in part_of(result, "test_hangs")


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """What the threads of a test wait for; it is set afterwards."""
    stop = threading.Event()
    yield stop
    stop.set()


@pytest.mark.parametrize("whose", ["tool's", "user's"])
def test_whose_a_thread_is(stop: threading.Event, whose: str) -> None:
    """A thread that was there first is a bystander, unless it is running code of the user's."""
    is_there = threading.Event()

    def run() -> None:
        is_there.set()
        stop.wait(60)

    target: Callable[[], object] = stop.wait if whose == "tool's" else run
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    if whose == "user's":
        assert is_there.wait(60)
    bystanders = hooks._threads_of_tools()
    assert (thread.ident in bystanders) is (whose == "tool's")
    assert threading.get_ident() not in bystanders


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
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                pass
            # Seen to be over by whoever looks.
            await asyncio.sleep(0.1)
        """,
    )
    assert [finding["rule"] for finding in findings] == ["slow-step"]
    assert hooks.hooks_of(pytestconfig).collector.found == []
