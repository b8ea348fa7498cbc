"""A browser that opens the page of a real run, and what no test may leave behind in it.

Playwright is imported by the fixture: where it is missing, the tests are collected, and fail with
words on what to install.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.project import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

INSTALL = (
    "These tests need a browser: pip install playwright, and chromium on PATH "
    "(apt-get install chromium) or Playwright's own (playwright install chromium)."
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The first browser that there is."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        pytest.fail(f"{INSTALL}\n{error}", pytrace=False)
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        except Error as error:
            pytest.fail(f"{INSTALL}\n{error}", pytrace=False)
        yield started
        started.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the project's run."""
    return write_page(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def windows(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Windows of several kinds, each made once: nothing that a test does outlasts its page."""
    made: dict[str, BrowserContext] = {}

    def window(**options: Any) -> BrowserContext:
        key = repr(sorted(options.items()))
        if key not in made:
            made[key] = browser.new_context(**options)
        return made[key]

    yield window
    for context in made.values():
        context.close()


@pytest.fixture
def open_page(windows: Callable[..., BrowserContext], report: Path) -> Iterator[OpenPage]:
    """Opens the page; at the end, none may have had an error, nor asked the network for anything."""
    faults: list[str] = []
    pages = []

    def open_at(address: str = "", **options: Any) -> Page:
        page = windows(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
        pages.append(page)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: _check(request.url, report, faults))
        page.goto(f"{report.as_uri()}{address}")
        if options.get("java_script_enabled", True):
            page.wait_for_function("document.querySelectorAll('.scroller').length === 3")
        return page

    yield open_at
    for page in pages:
        page.close()
    assert faults == []


def _check(url: str, report: Path, faults: list[str]) -> None:
    if url.partition("#")[0] != report.as_uri():
        faults.append(f"request: {url}")


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page in a window of usual size."""
    return open_page()
