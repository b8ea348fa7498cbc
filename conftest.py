"""Makes tests of the documentation's Python code blocks, and names failures when they happen.

Each block is executed, and the blocks of a page build on one another. A block with ``>>>`` prompts
must print what it shows. A block whose first line names a test file or a file of settings is that
file, and a console block that calls pytest must print what it shows (tools/page_examples.py). Other
blocks are left alone, and so is a block after the comment ``<!-- skip: next "reason" -->``.
"""

from __future__ import annotations

import re
from doctest import ELLIPSIS
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

import code_blocks
import page_examples
import projects

# A project's tests are run by its page, which shows what they print.
collect_ignore = ["docs/projects"]


def files_of(example: Example) -> page_examples.Files:
    """The files that the page of a code block has come to."""
    page = Path(example.path)
    if "__files__" not in example.namespace:
        is_project = projects.is_project(page)
        packages = projects.packages_of(example.document.text) if is_project else []
        others = [name for name in packages if name.partition("[")[0] != "aldente"]
        plugins = projects.plugins_of(others)
        example.namespace["__files__"] = page_examples.Files(is_project=is_project, plugins=plugins)
    files: page_examples.Files = example.namespace["__files__"]
    return files


class PythonOrFileParser(PythonCodeBlockParser):
    """Executes Python code, but takes blocks that are files as such."""

    def __init__(self) -> None:
        super().__init__(doctest_optionflags=ELLIPSIS)
        self._execute = PythonEvaluator()
        self._modules = page_examples.Modules()
        self.codeblock_parser = CodeBlockParser("python", self._evaluate)

    def _evaluate(self, example: Example) -> str | None:
        name = code_blocks.file_in(example.parsed)
        if name is None:
            self._execute(example)
            return None
        files = files_of(example)
        files.add(name, example.parsed)
        if not files.is_project and page_examples.is_executed(name, example.parsed):
            # The page's own code may import it, and use its names without an import.
            example.namespace.update(self._modules.load(example.path, name, example.parsed))
        return None


class FileParser(CodeBlockParser):
    """Takes blocks of settings as files."""

    language = "ini"

    def evaluate(self, example: Example) -> str | None:
        name = code_blocks.file_in(example.parsed)
        if name is not None:
            files_of(example).add(name, example.parsed)
        return None


class ConsoleParser(CodeBlockParser):
    """Runs calls of pytest, and compares what they print."""

    language = "console"

    def evaluate(self, example: Example) -> str | None:
        command, _, expected = example.parsed.partition("\n")
        files = files_of(example)
        if (
            not re.match(r"\$ (pytest|python|cat)\b", command)
            or not expected.strip()
            or not files.are_there
        ):
            # An illustration, of what is typed elsewhere.
            return None
        printed = files.run(command.removeprefix("$ "))
        return page_examples.difference(expected, printed) or None


pytest_collect_file = Sybil(
    parsers=[
        PythonOrFileParser(),
        FileParser(),
        ConsoleParser(),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    # They are for maintainers; and a test walks through the guide.
    excludes=["*/README.md", "docs/guide/*"],
).pytest()


# Where single files take longest, and where many take a moment each.
_FIRST = (
    "tests/packaging/",
    "tests/conformance/",
    "tests/known_bugs/",
    "tests/plugin/coexistence/",
)
_LAST = "tests/unit/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files and end with short ones, which fill the time of all workers."""
    items.sort(key=lambda item: item.nodeid.startswith(_LAST) - item.nodeid.startswith(_FIRST))


class FailuresAtOnce:
    """Names each failed test as soon as it has failed: a run that is stopped shows them too.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"FAILED {report.nodeid} ({report.when})", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config), "failures-at-once")
