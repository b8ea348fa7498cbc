"""The rule slow-step: a step that held the event loop for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, run_with_findings

# Begins every project here. What is slow is so however little of a busy processor it gets.
START = """
import asyncio
import sys
import time
import aldente
import pytest

def compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass  # computing

"""

COMPUTES = START + "async def test_it():\n    compute(1)\n"


def test_a_step_that_computes(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A step that computes for long is found at the line seen last, with the way there."""
    result, findings = run_with_findings(
        run_project, pytester, "--aldente-rule=slow-step=error", subprocess=True, test_it=COMPUTES
    )
    result.assert_outcomes(failed=1)
    (finding,) = findings
    assert (finding["rule"], finding["phase"]) == ("slow-step", "call")
    assert line_of(COMPUTES, "while time") <= finding["line"] <= line_of(COMPUTES, "# computing")
    result.stdout.fnmatch_lines(
        [
            "slow-step: a step held the event loop for * s or longer.",
            "  test_it.py:*",
            "  in compute at *test_it.py:*",
            f"  in test_it at *test_it.py:{line_of(COMPUTES, 'compute(1)')}",
            "Why: While one step runs, nothing else on the loop runs: time-outs fire late, connections stall, and",
            "tests of concurrent code show an order that production never sees.",
            "Fix: Do the work in a thread (await asyncio.to_thread(...)) or a process, or let other tasks run",
            "with 'await asyncio.sleep(0)' in between.",
        ]
    )


def test_a_call_that_blocks(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A blocking call is one finding: of blocking-call when that is on, else of slow-step."""
    project = START + "async def test_it():\n    time.sleep(1)  # here\n"
    line = line_of(project, "# here")
    _, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert in_short(findings) == [f"blocking-call test_it call {line}"]
    _, findings = run_with_findings(
        run_project, pytester, "--aldente-rule=blocking-call=off", subprocess=True, test_it=project
    )
    assert in_short(findings) == [f"slow-step test_it call {line}"]


def test_fixtures(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A slow step of a fixture belongs to its set-up or tear-down."""
    project = START + (
        "@pytest.fixture\nasync def resource():\n    compute(1)\n    yield\n    compute(1)\n\n"
        "async def test_it(resource):\n    pass\n"
    )
    _, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    assert [finding["phase"] for finding in findings] == ["setup", "teardown"]


NOT_FOUND = {
    "many short steps": "async def test_it():\n    for _ in range(40):\n        compute(0.01)\n        await asyncio.sleep(0)",
    "waiting": "async def test_it():\n    await asyncio.sleep(0.3)",
    "thread": "async def test_it():\n    await asyncio.to_thread(time.sleep, 0.3)",
    "sync test": "def test_it():\n    compute(0.3)",
    "allowed by a mark": "@aldente.allow('slow-step')\nasync def test_it():\n    compute(1)",
    "allowed by a block": "async def test_it():\n    with aldente.allow('slow-step'):\n        compute(1)",
}


def test_what_is_not_found(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Short steps, waits, threads, sync tests and what is allowed are no findings."""
    project = START + "\n\n".join(
        test.replace("test_it", f"test_{number}") for number, test in enumerate(NOT_FOUND.values())
    )
    result, findings = run_with_findings(run_project, pytester, subprocess=True, test_it=project)
    result.assert_outcomes(passed=len(NOT_FOUND))
    assert findings == []


POOLS = (
    START
    + """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from workers import begin

@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
async def test_idle(method):
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["slow_to_load"])
    with ProcessPoolExecutor(2, context, begin, (context.Value("i", 0),)) as pool:
        assert await loop.run_in_executor(pool, abs, -1) == 1

async def test_busy():
    with ProcessPoolExecutor(1) as pool:
        pool.submit(time.sleep, 1)
"""
)

WORKERS = """
import time

def begin(number):
    with number:
        number.value += 1
        is_first = number.value == 1
    time.sleep(0 if is_first else 1)
"""


def test_pools_of_processes(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Starting and ending a pool takes what it takes, however it is done; work that is waited for counts."""
    _, findings = run_with_findings(
        run_project,
        pytester,
        "--aldente-rule=blocking-call=off",
        "-W",
        # There are other threads than aldente's: those of the pool.
        "ignore:.*multi-threaded:DeprecationWarning",
        subprocess=True,
        test_it=POOLS,
        workers=WORKERS,
        slow_to_load="import time\ntime.sleep(1)\n",
    )
    assert in_short(findings) == [
        f"slow-step test_busy call {line_of(POOLS, 'ProcessPoolExecutor(1)')}"
    ]


def test_the_limit(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """aldente_slow_step says from how many seconds on a step is slow."""
    _, findings = run_with_findings(
        run_project, pytester, ini="aldente_slow_step = 5", subprocess=True, test_it=COMPUTES
    )
    assert findings == []


def test_a_debugger(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Time that is spent in a debugger is no slow step."""
    project = START + (
        "import pdb\n\nclass Slow:\n    def readline(self):\n        time.sleep(0.4)\n        return 'continue\\n'\n\n"
        "async def test_it():\n    pdb.Pdb(stdin=Slow(), stdout=sys.stderr, nosigint=True).set_trace()\n    await asyncio.sleep(0)\n"
    )
    result, findings = run_with_findings(
        run_project,
        pytester,
        "-s",
        "--aldente-rule=blocking-call=off",
        subprocess=True,
        test_it=project,
    )
    result.assert_outcomes(passed=1)
    assert findings == []


def test_the_summary(run_project: RunProject) -> None:
    """By default a slow step fails nothing, and is told at the end of the run."""
    result = run_project(subprocess=True, test_it=COMPUTES)
    result.assert_outcomes(passed=1)
    assert (
        part_of(result, "aldente findings").strip().startswith("slow-step [warn]: 1\n  test_it.py:")
    )


LISTS_DESCRIPTORS = """
import asyncio
import os
import time

def list_for(seconds):
    seen = set()
    end = time.monotonic() + seconds
    while not seen or time.monotonic() < end:
        for name in os.listdir("/proc/self/fd"):
            try:
                seen.add(os.readlink(f"/proc/self/fd/{name}"))
            except FileNotFoundError:
                pass  # that of the listing
    return seen

async def test_it():
    before = list_for(0)
    # As long as they are open before, nothing has to be opened now.
    assert sum("schedstat" in target for target in before) == 2
    assert list_for(1) == before
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors can't be listed here")
def test_watching_opens_nothing(run_project: RunProject) -> None:
    """A slow step that lists the descriptors of its process sees none that aldente opens."""
    run_project(test_it=LISTS_DESCRIPTORS, subprocess=True).assert_outcomes(passed=1)
