"""Explored tests in rough hands: odd options, odd tests, other plugins, interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ('max_seconds="1"', "'1' is not a valid max_seconds. It must be a number of seconds*"),
        ("strategy=lambda: None", "* is not a valid strategy. * must take the seed as its only *"),
    ],
)
def test_options_that_would_fail_later(run_project: RunProject, option: str, message: str) -> None:
    """A mark is refused where it is written."""
    result = run_project(
        test_it=f"""
        import aldente

        @aldente.explore({option})
        async def test_it():
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E *InvalidSetting: {message}"])


def test_a_strategy_that_is_none(run_project: RunProject) -> None:
    """What a function made instead of a strategy, and a choice that is none, are told alone."""
    result = run_project(
        "--tb=short",
        test_it="""
        import asyncio
        import aldente

        class Odd:
            def start(self):
                return True
            def choose(self, count, options):
                return 99
            def end(self):
                pass

        @aldente.explore(strategy=lambda seed: 1)
        async def test_none():
            pass

        @aldente.explore(strategy=lambda seed: Odd())
        async def test_choice():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["* is not a valid strategy. *", "99 is not a valid choice of Odd. *"]
    )
    result.stdout.no_fnmatch_line("*_explore*arguments.py*")


def test_ctrl_c_names_the_users_line(tmp_path: Path) -> None:
    """pytest says where the test was when it was interrupted."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "import pathlib, time, aldente\n"
        "@aldente.explore\n"
        "async def test_it():\n"
        "    pathlib.Path('begun').touch()\n"
        "    time.sleep(20)\n"
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 20
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "test_it.py:5: KeyboardInterrupt" in output
