"""What is said on the terminal of runs that do not go on: after a while, at SIGTERM, and at time-outs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject

SOON = """
import aldente._rules.long_runs

aldente._rules.long_runs.PROGRESS_LIMIT = 0.3
aldente._rules.long_runs.PROGRESS_INTERVAL = 0.1
"""

SLOW = """
import asyncio
import time
import aldente

async def wait():
    await asyncio.sleep(1.5)

async def test_waits():
    task = asyncio.create_task(wait(), name="waiter")
    await task

async def test_asks_again_and_again():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        await asyncio.sleep(0.01)

async def test_blocks():
    print("captured")
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        pass

def test_sync():
    asyncio.run(wait())

@aldente.timeout(60)
async def test_limited():
    await asyncio.sleep(1)
"""


def test_a_run_without_progress(run_project: RunProject) -> None:
    """A test that no limit ends is told of once while it runs: which, and who waits where."""
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        conftest=SOON,
        test_it=SLOW,
    )
    result.assert_outcomes(passed=5)
    text = result.stdout.str()
    for test in ("waits", "asks_again_and_again", "blocks", "sync"):
        told = f"aldente: test_it.py::test_{test} has made no progress for 0.3 s, and no time limit ends it (@aldente.timeout, aldente_timeout):"
        assert text.count(told) == 1, test
    assert "test_limited" not in text
    result.stdout.fnmatch_lines(
        [
            "'test_waits' (test_waits) waits for 'waiter'.",
            "    test_it.py:10: await task",
            "'waiter' (wait) waits for a timer: asyncio.sleep(1.5).",
            "'test_asks_again_and_again' (test_asks_again_and_again) waits for a timer: asyncio.sleep(0.01).",
            "    test_it.py:15: await asyncio.sleep(0.01)",
            "The stack of the loop's thread, innermost last:",
            "  *test_it.py:2* in test_blocks",
            "*'Task-*' (wait) waits for a timer: asyncio.sleep(1.5).",
        ]
    )
    assert "captured" not in text


def test_workers(run_project: RunProject) -> None:
    """A worker of pytest-xdist tells it on the terminal of the whole run, once for each test."""
    pytest.importorskip("xdist")
    result = run_project(
        "-n2",
        plugins=["xdist"],
        subprocess=True,
        conftest=SOON,
        test_it="""
        import asyncio
        import time

        async def test_quick():
            pass

        async def test_waits():
            await asyncio.sleep(1.5)

        async def test_blocks():
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                pass
        """,
    )
    result.assert_outcomes(passed=3)
    text = result.stdout.str()
    for test in ("waits", "blocks"):
        told = f"\naldente: test_it.py::test_{test} has made no progress for 0.3 s"
        assert text.count(told) == 1
    result.stdout.fnmatch_lines(
        [
            "'test_waits' (test_waits) waits for a timer: asyncio.sleep(1.5).",
            "    test_it.py:8: await asyncio.sleep(1.5)",
        ]
    )
    result.stdout.fnmatch_lines(["  *test_it.py:*in test_blocks"])


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_workers_at_ctrl_c(run_project: RunProject) -> None:
    """What tasks of a worker of pytest-xdist wait for at Ctrl-C is printed on the terminal, too."""
    pytest.importorskip("xdist")
    result = run_project(
        "-n1",
        plugins=["xdist"],
        subprocess=True,
        test_it="""
        import asyncio
        import os
        import signal

        async def test_waits():
            loop = asyncio.get_running_loop()
            loop.call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        """,
    )
    result.stdout.fnmatch_lines(
        [
            "aldente: at Ctrl-C:",
            "'test_waits' (test_waits) waits for a timer: asyncio.sleep(60).",
        ]
    )


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_sigterm_tells_who_waits_for_whom(tmp_path: Path, kind: str) -> None:
    """A run that is ended by SIGTERM says what its tasks were waiting for, and ends by it."""
    run = "asyncio.run(main())" if kind == "sync" else "await main()"
    (tmp_path / "test_it.py").write_text(
        "import asyncio, pathlib\n\n"
        "async def serve(event):\n    await event.wait()\n\n"
        "async def main():\n"
        "    event = asyncio.Event()\n"
        "    task = asyncio.create_task(serve(event), name='server')\n"
        "    await asyncio.sleep(0)\n"
        "    pathlib.Path('ready').touch()\n"
        "    await asyncio.wait_for(task, 600)\n\n"
        f"{'async ' if kind == 'async' else ''}def test_it():\n    {run}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert "aldente: at SIGTERM, in test_it.py::test_it:" in output
    assert "'server' (serve) waits for event (an Event) to be set." in output
    assert "test_it.py:4: await event.wait()" in output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forks_end_at_once(run_project: RunProject) -> None:
    """A fork has SIGTERM as Python has it: it ends by that wherever it is."""
    result = run_project(
        subprocess=True,
        test_it="""
        import multiprocessing
        import signal
        import time

        async def test_it():
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
            child.start()
            child.terminate()
            child.join()
            assert child.exitcode == -signal.SIGTERM
        """,
    )
    result.assert_outcomes(passed=1)
    assert "at SIGTERM" not in result.stdout.str() + result.stderr.str()


def test_frozen_clocks(run_project: RunProject) -> None:
    """The report of a time-out while freezegun has stopped the clocks says how they go on."""
    pytest.importorskip("freezegun")
    result = run_project(
        "--aldente-timeout=0.3",
        subprocess=True,
        test_it="""
        import asyncio
        import freezegun

        async def test_it():
            with freezegun.freeze_time("2030-01-01", real_asyncio=True):
                await asyncio.Event().wait()

        async def test_next():
            try:
                await asyncio.sleep(600)
            except TimeoutError:
                pass
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.PhaseTimeout: 'test_it' was still running after 0.3 s, so aldente cancelled it.",
            "E *freezegun has frozen the clocks: code that waits for one to advance waits for ever. freeze_time(..., real_asyncio=True) leaves*",
        ]
    )
    assert result.stdout.str().count("freezegun has frozen the clocks") == 1
