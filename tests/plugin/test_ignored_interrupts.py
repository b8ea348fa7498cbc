"""Runs whose parent has SIGINT ignored, as ``nohup`` and a shell's background jobs do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to ignore")


def run_with_sigint_ignored(
    pytester: pytest.Pytester, test: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest on a module as ``nohup`` would."""
    pytester.makepyfile(test_it=test)
    command = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    pytest_command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "aldente",
        "test_it.py",
    ]
    return subprocess.run(
        [sys.executable, "-c", command, *pytest_command],
        cwd=pytester.path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "block",
    ["while True:\n        pass", "time.sleep(60)", "threading.Event().wait(60)"],
    ids=["spinning", "sleeping", "waiting"],
)
def test_a_time_out_ends_what_blocks_the_loop(pytester: pytest.Pytester, block: str) -> None:
    """A test that blocks its loop is ended at its time-out, and the next test runs."""
    result = run_with_sigint_ignored(
        pytester,
        "import asyncio, signal, threading, time\nimport aldente\n\n"
        f"@aldente.timeout(0.2)\nasync def test_blocks():\n    {block}\n\n"
        "def test_next():\n    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN\n",
    )
    assert "1 failed, 1 passed" in result.stdout, result.stdout + result.stderr
    assert "PhaseTimeout: 'test_blocks' blocked the loop" in result.stdout


def test_ctrl_c_stays_ignored(pytester: pytest.Pytester) -> None:
    """A SIGINT while a test runs does nothing, as the parent wants it."""
    result = run_with_sigint_ignored(
        pytester,
        "import asyncio, os, signal\n\n"
        "async def test_it():\n    os.kill(os.getpid(), signal.SIGINT)\n    await asyncio.sleep(0.01)\n",
    )
    assert result.returncode == 0, result.stdout + result.stderr
