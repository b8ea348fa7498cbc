"""The content security policy of the page: its own script runs, and nothing else does or is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def strict_page(browser: Browser) -> Iterator[Page]:
    """A window that obeys the policy."""
    page = browser.new_page()
    yield page
    page.close()


def test_its_own_script_runs(strict_page: Page, report: Path) -> None:
    """The page is drawn, and nothing of it breaks its policy."""
    faults: list[str] = []
    strict_page.on("console", lambda message: faults.append(message.text))
    strict_page.on("pageerror", lambda error: faults.append(str(error)))
    strict_page.goto(report.as_uri())
    strict_page.locator(".scroller").nth(2).wait_for()
    assert faults == []


def test_nothing_else_does(strict_page: Page, report: Path, tmp_path: Path) -> None:
    """Were a text taken for markup, its script would not run, and its picture not be loaded."""
    forged = tmp_path / "page.html"
    markup = (
        "<script>document.title = 'forged'</script>"
        "<img src='picture.png' onerror=\"document.title = 'forged'\">"
        "<iframe src='frame.html'></iframe></body>"
    )
    forged.write_text(report.read_text(encoding="utf-8").replace("</body>", markup), "utf-8")
    refused: list[str] = []
    strict_page.on("console", lambda message: refused.append(message.text))
    strict_page.goto(forged.as_uri())
    strict_page.locator(".scroller").nth(2).wait_for()
    assert "forged" not in strict_page.title()
    for what in ("script", "image", "fram"):
        assert any(what in text and "Content Security Policy" in text for text in refused), refused
