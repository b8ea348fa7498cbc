"""Threads that a module has started when it was imported, and that do work for tests."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

PROJECT = """
import asyncio
import queue
import threading
import time
import aldente

works = queue.{kind}()

def work_off():
    while True:
        try:
            loop, answer = works.get({arguments})
        except queue.Empty:
            continue
        time.sleep(0.02)
        loop.call_soon_threadsafe(answer.set_result, "done")

threading.Thread(target=work_off, daemon=True).start()

async def ask():
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    works.put((loop, answer))
    return await answer

async def test_on_a_real_loop():
    assert await ask() == "done"

@aldente.virtual_time
async def test_in_virtual_time():
    for _ in range(3):
        assert await ask() == "done"

@aldente.virtual_time
async def test_that_hurries():
    async with asyncio.timeout(10):
        assert await ask() == "done"

@aldente.explore(runs=10)
async def test_explored():
    assert await ask() == "done"

@aldente.explore(runs=10, order="io", slack=0)
async def test_explored_in_a_hurry():
    async with asyncio.timeout(10):
        assert await ask() == "done"
"""


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("Queue", "timeout=0.5"),
        ("Queue", "timeout=0.01"),
        ("LifoQueue", "True, 0.5"),
        ("Queue", ""),
        ("SimpleQueue", ""),
    ],
)
def test_a_worker_is_a_part_of_the_test(run_project: RunProject, kind: str, arguments: str) -> None:
    """Time stands still while a thread works for a test, and the test is not stuck."""
    project = PROJECT.format(kind=kind, arguments=arguments)
    # In a process of its own, in which the thread ends.
    run_project(subprocess=True, test_it=project).assert_outcomes(passed=5)


def test_a_deadlock_beside_a_worker_that_polls(run_project: RunProject) -> None:
    """A worker that finds no work ends no wait."""
    result = run_project(
        subprocess=True,
        test_it=PROJECT.format(kind="Queue", arguments="timeout=0.5")
        + "@aldente.virtual_time\nasync def test_stuck():\n    await asyncio.Event().wait()\n\n"
        + "@aldente.explore(runs=2)\nasync def test_stuck_in_all_runs():\n"
        + "    await asyncio.Event().wait()\n",
    )
    result.assert_outcomes(passed=5, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*DeadlockError: Deadlock: nothing could happen any more while 'test_stuck' was*",
            "E*DeadlockError: Deadlock: nothing*while 'test_stuck_in_all_runs' was*",
        ]
    )
