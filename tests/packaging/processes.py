"""Processes that see nothing of the run of tests that starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Of pytest, of coverage when it follows subprocesses, and of where this run finds its modules.
_OF_THIS_RUN = ("COVERAGE", "COV_", "PYTEST", "PYTHONPATH")


def run(command: Sequence[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without input.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        variables: variables of its environment, besides those of the machine.

    Returns:
        The process that has ended; its ``stdout`` has the errors too.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_RUN)
    }
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def output_of(command: Sequence[str], folder: Path, **variables: str) -> str:
    """Run a program as with `run`, which must succeed, and return what it prints."""
    finished = run(command, folder, **variables)
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def install(folder: Path, *packages: str) -> None:
    """Have pip put packages into a folder, which another process may have in its ``sys.path``.

    Args:
        folder: the folder; it exists.
        packages: the packages, and options of pip.
    """
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    # Most of it is not imported.
    pip += ["--no-compile"]
    output_of([*pip, "--target", str(folder), *packages], folder)
