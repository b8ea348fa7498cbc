# test_both.py
import asyncio

import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def sync_browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch()
        yield browser
        browser.close()


def test_title(sync_browser):
    page = sync_browser.new_page()
    page.set_content("<title>menu</title>")
    assert page.title() == "menu"
    page.close()


async def test_async():
    await asyncio.sleep(0.01)


def test_run_by_hand(sync_browser):
    coroutine = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="running event loop"):
        asyncio.run(coroutine)
    coroutine.close()


def test_title_again(sync_browser):
    page = sync_browser.new_page()
    page.set_content("<title>bill</title>")
    assert page.title() == "bill"
    page.close()
