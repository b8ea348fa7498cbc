"""The examples of the documentation that need a browser."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

import code_blocks
import page_examples
from documentation import run_pytest_on
from tests.browser.conftest import ARGUMENTS, NAMES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "playwright.md"

# Readers have Playwright's own browser. Here it may be another, and in a container its user is root.
_LAUNCHED = """
import playwright.async_api
import playwright.sync_api

def start_the_browser_that_there_is(kind):
    launch = kind.launch
    kind.launch = lambda self: launch(self, executable_path={path!r}, args={arguments!r})

start_the_browser_that_there_is(playwright.async_api.BrowserType)
start_the_browser_that_there_is(playwright.sync_api.BrowserType)
"""


def _blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


_RUNS = [block for block in _blocks("console") if block.startswith("$ pytest")]


@pytest.mark.parametrize("block", _RUNS, ids=["async_api", "sync_api"])
def test_playwright(block: str, tmp_path: Path) -> None:
    """The files of the page, run as it says, print what it shows."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    launched = _LAUNCHED.format(path=path, arguments=list(ARGUMENTS))
    (tmp_path / "launched.py").write_text(launched, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for text in _blocks("python"):
        name = code_blocks.file_in(text)
        assert name is not None
        (tmp_path / name).write_text(text, encoding="utf-8")
    command, _, expected = block.partition("\n")
    _, program, *arguments = shlex.split(command)
    assert program == "pytest"
    printed = run_pytest_on(str(tmp_path), ["-p", "launched", *arguments])
    assert page_examples.difference(expected, printed) == ""
