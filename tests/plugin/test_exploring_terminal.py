"""Explored tests on a terminal: how far they are, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

LONG = """
import asyncio
import pathlib
import aldente

@aldente.explore(runs=10**9, max_seconds={seconds}, strategy="random")
async def test_long():
    pathlib.Path("begun").touch()
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(9)))

async def test_next():
    pass
"""


def _start(folder: Path, seconds: float, **streams: Any) -> subprocess.Popen[bytes]:
    (folder / "test_it.py").write_text(LONG.format(seconds=seconds), encoding="utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "80"}
    # What pytest thinks of the terminal it runs on itself.
    for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER", "NO_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider"]
    return subprocess.Popen(command, cwd=folder, env={**environment, "TERM": "xterm"}, **streams)


def _read(descriptor: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            # The other end is closed.
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)


def _as_seen(line: str) -> str:
    """What a terminal shows of a line in the end."""
    shown: list[str] = []
    place = 0
    for character in line:
        if character == "\b":
            place -= 1
        else:
            shown[place : place + 1] = [character]
            place += 1
    return "".join(shown)


def test_a_long_exploration_tells_how_far_it_is(tmp_path: Path) -> None:
    """On a terminal the number of runs is written after the dots, and taken back at the end."""
    ours, theirs = pty.openpty()
    process = _start(tmp_path, 1.6, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    text = _read(ours)
    os.close(ours)
    assert process.wait() == 0
    (line,) = [line for line in text.splitlines() if line.startswith("test_it.py")]
    assert "/1,000,000,000 runs, 1 s " in line
    plain = _as_seen(line.replace("\x1b[32m", "").replace("\x1b[0m", ""))
    assert plain.split() == ["test_it.py", "..", "[100%]"]
    # Where pytest puts it.
    assert len(plain.rstrip()) == 79


def test_no_progress_is_written_elsewhere(tmp_path: Path) -> None:
    """What is no terminal gets the dots only."""
    process = _start(tmp_path, 1.3, stdout=subprocess.PIPE)
    text = process.communicate()[0].decode()
    assert process.returncode == 0
    assert "1,000,000,000 runs, " not in text
    assert "\b" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
def test_ctrl_c_ends_an_exploration(tmp_path: Path) -> None:
    """It ends the session at once, as in every other test, and shows where the user was."""
    process = _start(tmp_path, 60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=30)[0].decode()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in text
    # What it has come in between of may be a coroutine that was just made.
    assert "INTERNALERROR" not in text
