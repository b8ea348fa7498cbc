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
    from playwright.sync_api import Browser, Page

INSTALL = (
    "These tests need a browser: pip install playwright, and chromium on PATH "
    "(apt-get install chromium) or Playwright's own (playwright install chromium)."
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
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
    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        except Error as error:
            pytest.fail(f"{INSTALL}\n{error}", pytrace=False)
        yield started
        started.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the project's run."""
    return write_page(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def windows(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Windows of several kinds, each opened once, as that takes as long as most tests do."""
    opened: dict[str, Page] = {}

    def window(**options: Any) -> Page:
        key = repr(sorted(options.items()))
        if key not in opened:
            # Playwright waits for conditions by a script, which the page's policy refuses as all others
            # (test_policy.py).
            opened[key] = browser.new_context(bypass_csp=True, **options).new_page()
        return opened[key]

    yield window
    for page in opened.values():
        page.context.close()


@pytest.fixture
def open_page(windows: Callable[..., Page], report: Path) -> Iterator[OpenPage]:
    """Opens the page anew; at the end it may have had no error, nor asked the network for anything."""
    faults: list[str] = []
    undo: list[Callable[[], None]] = []

    def listen(page: Page, event: Any, listener: Callable[[Any], None]) -> None:
        page.on(event, listener)
        undo.append(lambda: page.remove_listener(event, listener))

    def open_at(address: str = "", **options: Any) -> Page:
        size = options.setdefault("viewport", {"width": 1280, "height": 900})
        page = windows(**options)
        # Nothing that an earlier test has done outlasts its document, but for the size.
        page.goto("about:blank")
        page.set_viewport_size(size)
        page.mouse.move(0, 0)
        listen(page, "console", lambda message: faults.append(f"console: {message.text}"))
        listen(page, "pageerror", lambda error: faults.append(f"error: {error}"))
        listen(page, "request", lambda request: _check(request.url, report, faults))
        page.goto(f"{report.as_uri()}{address}")
        if options.get("java_script_enabled", True):
            page.wait_for_function("document.querySelectorAll('.scroller').length === 3")
        return page

    yield open_at
    for each in undo:
        each()
    assert faults == []


def _check(url: str, report: Path, faults: list[str]) -> None:
    if url.partition("#")[0] != report.as_uri():
        faults.append(f"request: {url}")


@pytest.fixture(scope="module")
def read_page(browser: Browser, report: Path) -> Iterator[Page]:
    """A page for tests that only read, or say themselves which step they are about."""
    faults: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(report.as_uri())
    page.wait_for_function("document.querySelectorAll('.scroller').length === 3")
    yield page
    page.close()
    assert faults == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page in a window of usual size."""
    return open_page()
