"""Pages of runs that the project does not have: tasks of long names, steps of no line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aldente._report.failures import ShownFailure
from aldente._report.lanes import lanes_of
from aldente._report.page import Content, page_of
from aldente._schedules import Step
from tests.browser.on_page import failure

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def write(folder: Path, steps: Sequence[Step]) -> str:
    """Write the page of a run, and return its address."""
    shown: ShownFailure = {
        "test": "test_it.py::test_it",
        "phase": "call",
        "error": "assert 1 == 2",
        "text": "assert 1 == 2",
        "story": "",
        "remarks": [],
        "command": "",
        "lanes": lanes_of(steps),
        "stock": None,
        "panels": [],
    }
    path = folder / "page.html"
    path.write_text(page_of(Content("1 of 1 test failed", "it", folder, [shown])), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_do_not_widen_the_page(browser: Browser, tmp_path: Path, width: int) -> None:
    """The name of a task may have any length, and no space in it."""
    name = "worker" * 50
    wait = f"waits for task {name!r}"
    steps = [
        Step("main", "it.py:1", "", 0.0, outcome=wait),
        Step(name, "it.py:3", "main", 0.0, outcome="ends"),
        Step("main", "it.py:1", name, 0.0),
    ]
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(write(tmp_path, steps))
    assert failure(page, 1).get_by_role("button", name=name).inner_text() == name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_a_step_of_no_line(browser: Browser, tmp_path: Path) -> None:
    """The source at the cursor says so if the first step that is shown has no line."""
    page = browser.new_page()
    page.goto(write(tmp_path, [Step("", "job in a thread", "", 0.0)]))
    said = failure(page, 1).locator(".source-panel").inner_text()
    assert said.split("\n")[-1] == "No line of the source is known for this step."
    page.close()
