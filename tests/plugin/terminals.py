"""Runs of pytest on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any


def start(
    folder: Path, *arguments: str, columns: int = 80, **streams: Any
) -> subprocess.Popen[bytes]:
    """Start pytest in a folder, with aldente alone."""
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": str(columns),
        "TERM": "xterm",
    }
    # What pytest thinks of the terminal it runs on itself.
    for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER", "NO_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-p", "aldente", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, **streams)


def read(descriptor: int) -> str:
    """All that is written to a terminal until its other end is closed."""
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


def run(folder: Path, *arguments: str, columns: int = 80) -> tuple[int, str]:
    """Run pytest on a terminal; return its exit status and what it writes."""
    ours, theirs = pty.openpty()
    process = start(
        folder,
        *arguments,
        columns=columns,
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    text = read(ours)
    os.close(ours)
    return process.wait(), text.replace("\r\n", "\n")
