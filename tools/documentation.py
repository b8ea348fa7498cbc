"""Runs the examples of the documentation, as a reader who copies them would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.forks import run_pytest

# What Python 3.13 and older say; the documentation has the words of the newest.
_NOT_AWAITABLE = re.compile(r"object (\w+) can't be used in 'await' expression")

# The title of a section, which pytest centres between characters of one kind.
_TITLE = re.compile(r"([=_-])\1{2,} (?P<title>.+) \1{2,}")


def run_pytest_on(folder: str, options: list[str]) -> list[str]:
    """Run pytest in a folder, and return what it prints, with short titles and no empty lines."""
    # pytest and aldente print more where they find themselves in continuous integration.
    known = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS")
    inherited = {k: v for k, v in os.environ.items() if k not in known}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        run_pytest(
            ["-p", "no:cacheprovider", "-p", "aldente", *options],
            # Wide enough for pytest not to cut messages, and without the plugins that are here only
            # because this is aldente's own environment.
            environment={**inherited, "COLUMNS": "300", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            folder=folder,
            stdout=output,
            stderr=output,
        )
        output.seek(0)
        return comparable(output.read())


def run_python_in(folder: str, arguments: list[str]) -> list[str]:
    """Run Python with aldente in a folder, and return what it prints, without empty lines."""
    source = Path(__file__).parents[1] / "src"
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(source)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return comparable(done.stdout)


def comparable(printed: str) -> list[str]:
    """The lines of what pytest prints, with short titles and no empty lines."""
    printed = _NOT_AWAITABLE.sub(r"'\1' object can't be awaited", printed)
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    return [_TITLE.sub(r"\1\1\1 \g<title> \1\1\1", line) for line in lines]
