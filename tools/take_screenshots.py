"""Takes the pictures of docs/images from the pages that ``make demo`` has made.

Run by ``make screenshots`` with the Python that has Playwright.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from find_browser import NAMES

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "demo"
IMAGES = ROOT / "docs" / "images"


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A browser: the system's, or Playwright's own."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=options)
        yield found
        found.close()


def opened(found: Any, scheme: str, width: int = 1100) -> Page:
    """The page of the failures, in a window of a width."""
    page: Page = found.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, device_scale_factor=1.5
    )
    page.goto((PAGES / "failures.html").as_uri())
    return page


def take(page: Page, test: str, selector: str, name: str) -> None:
    """Take a picture of a part of the article about a test."""
    heading = page.get_by_role("heading", name=f"test_shop.py::{test}", exact=True)
    article = page.locator("article.failure").filter(has=heading)
    article.locator(selector).first.screenshot(path=IMAGES / f"{name}.png")


def main() -> None:
    """Take all of them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with browser() as found:
        light, dark = opened(found, "light"), opened(found, "dark")
        take(light, "test_the_last_item_is_sold_once", "section.lanes", "lanes")
        take(light, "test_transfers_in_both_directions", "figure.waits", "waits")
        take(light, "test_orders_are_paid", "figure.calls", "calls")
        take(light, "test_a_cache_shows_what_was_set", "figure.operations", "operations")
        article = dark.locator("article.failure").filter(has_text="test_no_order_is_lost")
        article.get_by_label("Loop time").first.check()
        take(dark, "test_no_order_is_lost", "section.lanes", "lanes-dark")


if __name__ == "__main__":
    main()
