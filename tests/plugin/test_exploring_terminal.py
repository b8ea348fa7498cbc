"""Explored tests on a terminal: how far they are, and Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.plugin import terminals

NO_CACHE = ("-p", "no:cacheprovider")

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


def _write(folder: Path, seconds: float) -> Path:
    (folder / "test_it.py").write_text(LONG.format(seconds=seconds), encoding="utf-8")
    return folder


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
    status, text = terminals.run(_write(tmp_path, 1.6), *NO_CACHE)
    assert status == 0
    (line,) = [line for line in text.splitlines() if line.startswith("test_it.py")]
    assert "/1,000,000,000 runs, 1 s " in line
    plain = _as_seen(line.replace("\x1b[32m", "").replace("\x1b[0m", ""))
    assert plain.split() == ["test_it.py", "..", "[100%]"]
    # Where pytest puts it.
    assert len(plain.rstrip()) == 79


def test_no_progress_is_written_elsewhere(tmp_path: Path) -> None:
    """What is no terminal gets the dots only."""
    process = terminals.start(_write(tmp_path, 1.3), *NO_CACHE, stdout=subprocess.PIPE)
    text = process.communicate()[0].decode()
    assert process.returncode == 0
    assert "1,000,000,000 runs, " not in text
    assert "\b" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
def test_ctrl_c_ends_an_exploration(tmp_path: Path) -> None:
    """It ends the session at once, as in every other test, and shows where the user was."""
    folder = _write(tmp_path, 60)
    process = terminals.start(folder, *NO_CACHE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=60)[0].decode()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, text
    assert "KeyboardInterrupt" in text
    # What it has come in between of may be a coroutine that was just made.
    assert "INTERNALERROR" not in text
