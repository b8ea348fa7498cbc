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
typed, ``pytest``, ``python`` or ``cat``, ends an example: the next file begins a new one, in a new
folder, with the page's modules that are neither tests nor settings. A module that is shown again,
as it has been fixed, is tested by what tested it before. In a page that is a project
(tools/projects.py) all files stay, and the plugins of the packages that the page has the reader
install are there.
"""

from __future__ import annotations

import atexit
import importlib
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from documentation import run_pytest_on, run_python_in

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
        self._folder: Path | None = None
        self._plugins = plugins

    @property
    def are_there(self) -> bool:
        """Whether the page has shown any so far."""
        return bool(self._texts)

    def add(self, name: str, text: str) -> None:
        """Add a file."""
        if self._folder is not None:
            self._folder = None
            is_new = name not in self._texts or _OF_EXAMPLE.fullmatch(name) is not None
            if is_new and not self.is_project:
                self._texts = {k: v for k, v in self._texts.items() if not _OF_EXAMPLE.fullmatch(k)}
        self._texts[name] = text

    def run(self, command: str) -> list[str]:
        """Run a command in a folder with the files, and return what it prints, without empty lines.

        Raises:
            ValueError: it is no call of pytest or Python, and does not show a file.
        """
        folder = self._written()
        program, *arguments = shlex.split(command)
        if program == "pytest":
            plugins = [word for name in self._plugins for word in ("-p", name)]
            return run_pytest_on(str(folder), [*plugins, *_WITHOUT_WARNING, *arguments])
        if program == "python":
            return run_python_in(str(folder), arguments)
        if program == "cat" and len(arguments) == 1:
            lines = (folder / arguments[0]).read_text(encoding="utf-8").splitlines()
            return [line.rstrip() for line in lines if line.strip()]
        raise ValueError(f"Only pytest, python and cat are run, not {command!r}.")

    def _written(self) -> Path:
        """The folder of the example; made, with its files, by the first command."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp())
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            # A project of its own, whatever is above it.
            for name, text in {"pytest.ini": "[pytest]\n", **self._texts}.items():
                path = self._folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return self._folder


class Modules:
    """The modules of the page whose code is executed now, for it to import."""

    def __init__(self) -> None:
        self._page = ""
        self._folder = ""
        self._names: set[str] = set()

    def load(self, page: str, name: str, text: str) -> dict[str, Any]:
        """Import a module that a page shows, anew if it has shown it before.

        Args:
            page: the page.
            name: the name of the file.
            text: its text.

        Returns:
            What the module defines, by name.
        """
        if page != self._page:
            self._forget()
            self._page, self._folder = page, tempfile.mkdtemp()
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            sys.path.insert(0, self._folder)
        path = Path(self._folder, name)
        path.write_text(text, encoding="utf-8")
        # Of the file that had this name a moment ago.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        sys.modules.pop(path.stem, None)
        self._names.add(path.stem)
        importlib.invalidate_caches()
        defined = vars(importlib.import_module(path.stem))
        return {key: value for key, value in defined.items() if not key.startswith("__")}

    def _forget(self) -> None:
        if self._folder in sys.path:
            sys.path.remove(self._folder)
        for name in self._names:
            sys.modules.pop(name, None)
        self._names.clear()


def is_executed(name: str, text: str) -> bool:
    """Whether a page's own code may use what a file defines, one that is no test and no script."""
    is_script = "__main__" in text
    return name.endswith(".py") and not is_script and not _OF_EXAMPLE.fullmatch(name)


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
