"""Runs the examples of the documentation, as a reader who copies them would."""

from __future__ import annotations

import atexit
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.forks import run_pytest

# What Python 3.13 and older say; the documentation has the words of the newest.
_NOT_AWAITABLE = re.compile(r"object (\w+) can't be used in 'await' expression")

# The title of a section, which pytest centres between characters of one kind.
_TITLE = re.compile(r"([=_-])\1{2,} (?P<title>.+) \1{2,}")


def check(
    test: str,
    *,
    conftest: str = "",
    ini: str = "",
    options: str = "",
    runs: int = 1,
    lines: int = 1,
    section: str = "",
    file: str = "",
) -> str:
    """Run pytest with aldente on a module, in a folder of its own.

    Args:
        test: the module's text.
        conftest: the text of a ``conftest.py``.
        ini: lines for the configuration file.
        options: further arguments of pytest's command line.
        runs: how often pytest is run; the last run counts.
        lines: how many lines to return.
        section: the title of the section to return instead, such as ``"FAILURES"``.
        file: the name of a file to return instead.

    Returns:
        The last lines that pytest printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_it.py").write_text(test.lstrip(), encoding="utf-8")
        (Path(folder) / "conftest.py").write_text(conftest, encoding="utf-8")
        (Path(folder) / "pytest.ini").write_text(f"[pytest]\n{ini}\n", encoding="utf-8")
        printed: list[str] = []
        for _ in range(runs):
            printed = run_pytest_on(folder, ["-q", *shlex.split(options)])
        if file:
            return (Path(folder) / file).read_text(encoding="utf-8").rstrip()
    return "\n".join(_lines_of(section, printed) if section else printed[-lines:])


def command(*commands: str, **modules: str) -> str:
    """Run commands of ``python -m aldente`` one after the other, in a folder with some modules.

    Args:
        commands: the commands, each as it is typed behind ``$ python -m aldente``.
        modules: the text of each module, by its name.

    Returns:
        What the last one has printed, and its exit status in a line of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, text in modules.items():
            (Path(folder) / f"{name}.py").write_text(text.lstrip(), encoding="utf-8")
        source = Path(__file__).parents[1] / "src"
        printed = ""
        for each in commands:
            done = subprocess.run(
                [sys.executable, "-m", "aldente", *shlex.split(each)],
                env={**os.environ, "PYTHONPATH": str(source)},
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            printed = f"{done.stdout}exit status {done.returncode}"
    return printed


def importable(**modules: str) -> None:
    """Write modules that this process can import, and those that it starts.

    Args:
        modules: the text of each module, by its name.
    """
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    for name, text in modules.items():
        (Path(folder.name) / f"{name}.py").write_text(text.lstrip(), encoding="utf-8")
    sys.path.insert(0, folder.name)


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


def comparable(printed: str) -> list[str]:
    """The lines of what pytest prints, with short titles and no empty lines."""
    printed = _NOT_AWAITABLE.sub(r"'\1' object can't be awaited", printed)
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    return [_TITLE.sub(r"\1\1\1 \g<title> \1\1\1", line) for line in lines]


def _lines_of(section: str, printed: list[str]) -> list[str]:
    """The lines of a section; all lines if it is not there."""
    title = f"=== {section} ==="
    if title not in printed:
        return printed
    following = printed[printed.index(title) + 1 :]
    return list(itertools.takewhile(lambda line: not line.startswith("=== "), following))
