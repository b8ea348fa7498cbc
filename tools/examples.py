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
tests nor settings. In a page that is a project (tools/projects.py) all files stay, and the plugins
of the packages that the page has the reader install are there.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from documentation import run_pytest_on

# Where -p loads a module that another plugin has imported, pytest warns of that; of plugins that it
# finds by itself, as with readers, it does not.
_WITHOUT_WARNING = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")

# Files that belong to one example.
_OF_EXAMPLE = re.compile(r"(test_\w+|conftest)\.py|pytest\.ini|pyproject\.toml")


class Files:
    """The files of the example that a page has come to.

    Args:
        is_project: whether all files of the page belong together.
        plugins: the plugins of pytest that are there besides aldente.

    Attributes:
        is_project: as above; the page's own code does not import its files then.
    """

    def __init__(self, *, is_project: bool = False, plugins: Sequence[str] = ()) -> None:
        self.is_project = is_project
        self._texts: dict[str, str] = {}
        self._is_over = False
        self._plugins = plugins

    @property
    def are_there(self) -> bool:
        """Whether the page has shown any so far."""
        return bool(self._texts)

    def add(self, name: str, text: str) -> None:
        """Add a file."""
        if self._is_over and not self.is_project:
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
            plugins = [word for name in self._plugins for word in ("-p", name)]
            return run_pytest_on(folder, [*plugins, *_WITHOUT_WARNING, *arguments])


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
