"""Runs the examples of the documentation as readers have them: files with names, and a command.

A code block of Python or ini whose first line names a file is that file, and a console block is
what is typed then, with what it prints:

    ```python
    # test_it.py
    async def test_it():
        ...
    ```

    ```console
    $ pytest
    ...
    === 1 passed in ...s ===
    ```

A line of three dots stands for any lines, three dots in a line for any text, and at its end for any
lines as well. Lines without text are left out, and titles are as wide as in this example. What is
typed ends an example: the next file begins a new one, with the page's modules that are neither
tests nor settings.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from documentation import run_pytest_on

_NAME = re.compile(r"# (?P<name>[\w/]+\.(?:py|ini|toml))\n")

# Files that belong to one example.
_OF_EXAMPLE = re.compile(r"(test_\w+|conftest)\.py|pytest\.ini|pyproject\.toml")


class Files:
    """The files of the example that a page has come to."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._is_over = False

    @classmethod
    def of(cls, namespace: dict[str, Any]) -> Files:
        """Those of a page, by the namespace of its code blocks."""
        files: Files = namespace.setdefault("__files__", cls())
        return files

    @property
    def are_there(self) -> bool:
        """Whether the page has shown any so far."""
        return bool(self._texts)

    def add(self, name: str, text: str) -> None:
        """Add a file."""
        if self._is_over:
            self._texts = {k: v for k, v in self._texts.items() if not _OF_EXAMPLE.fullmatch(k)}
            self._is_over = False
        self._texts[name] = text

    def run(self, command: str) -> list[str]:
        """Run a command in a folder with the files, and return what it prints, without empty lines.

        Raises:
            ValueError: it is no call of pytest.
        """
        self._is_over = True
        program, *arguments = shlex.split(command)
        if program != "pytest":
            raise ValueError(f"Only pytest is run, not {program!r}.")
        with tempfile.TemporaryDirectory() as folder:
            # A project of its own, whatever is above it.
            for name, text in {"pytest.ini": "[pytest]\n", **self._texts}.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return run_pytest_on(folder, arguments)


def file_in(text: str) -> str | None:
    """The name of the file that a code block is; None if it is none.

    >>> file_in("# test_it.py\\nasync def test_it(): ...\\n"), file_in("import asyncio\\n")
    ('test_it.py', None)
    """
    found = _NAME.match(text)
    return None if found is None else found["name"]


def is_executed(name: str) -> bool:
    """Whether a page's own code may import a file, as other modules than tests; it is executed."""
    return name.endswith(".py") and not _OF_EXAMPLE.fullmatch(name)


def difference(expected: str, printed: Sequence[str]) -> str:
    """What is wrong with what was printed, in words; empty if it is as expected.

    >>> difference("...\\n=== 1 passed in ...s ===", ["collected 1", "=== 1 passed in 0.01s ==="])
    ''
    >>> difference("2 passed", ["1 passed"]).splitlines()[0]
    'Expected:'
    """
    wanted = [line.rstrip() for line in expected.splitlines() if line.strip()]
    pattern = "".join(r"(?:[^\n]*\n)*?" if line == "..." else f"{_dots(line)}\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)):
        return ""
    return "\n".join(["Expected:", *wanted, "", "Printed:", *printed])


def _dots(line: str) -> str:
    rest = r"[^\n]*(?:\n[^\n]*)*?" if line.endswith("...") else ""
    return r"[^\n]*".join(map(re.escape, line.removesuffix("...").split("..."))) + rest
