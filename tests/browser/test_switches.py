"""The switches above the lanes: what is shown of the steps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.on_page import (
    LONG,
    LOST,
    RACE,
    at_cursor,
    attribute,
    block,
    box_of,
    failure,
    steps,
    switch,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

STOCK = "Steps in asyncio's own order: "


def test_only_the_steps_of_the_story(page: Page) -> None:
    """Of a long run only the steps of the story are shown at first, with how many are left out between."""
    only = switch(page, LONG, "Only the steps of the story")
    assert only.is_checked()
    assert steps(page, LONG).locator("[role=option]").count() == 6
    assert failure(page, LONG).locator(".plane .gap.left-out").all_inner_texts() == [
        "1,920 steps",
        "8 steps",
    ]
    heads = failure(page, LONG).locator(".head:not(.ruler-head)")
    shown = heads.count()
    hidden = re.search(
        r"(\d+) more lanes have no step in the story", failure(page, LONG).inner_text()
    )
    only.uncheck()
    assert "8 steps" not in failure(page, LONG).locator(".plane").inner_text()
    assert hidden is not None
    assert heads.count() == shown + int(hidden[1]) == 13
    assert block(page, LONG, "1920").is_visible()
    assert at_cursor(page, LONG) == "Step 1921: Task-13"


def test_steps_that_are_not_on_the_page(page: Page) -> None:
    """Where a very long run has steps that the page has not, their number stands between."""
    switch(page, LONG, "Only the steps of the story").uncheck()
    on_page = int(attribute(block(page, LONG, "1921"), "aria-setsize"))
    assert on_page < 1934
    # Half of what is left of those of the story is from the beginning.
    page.evaluate("number => { location.hash = `#failure-3/${number}` }", on_page // 2 - 10)
    gap = failure(page, LONG).locator(".plane .gap.left-out")
    gap.wait_for()
    assert gap.all_inner_texts() == [f"{1934 - on_page} steps"]


def test_all_steps_of_a_short_run(page: Page) -> None:
    """Of a short run all steps are shown at first; the cursor goes to one of the story with the switch."""
    only = switch(page, LOST, "Only the steps of the story")
    assert not only.is_checked()
    block(page, LOST, "3").click()
    only.check()
    assert at_cursor(page, LOST) == "Step 2: consumer"
    assert block(page, LOST, "3").count() == 0


def test_loop_time(page: Page) -> None:
    """With loop time, an axis has the times, gaps say how much passes, and that they are not to scale."""
    lost = failure(page, LOST)
    assert lost.locator(".time, .gap.passing").count() == 0
    switch(page, LOST, "Loop time").check()
    assert lost.locator(".time").all_inner_texts() == ["0 s", "1 s", "2 s", "3 s", "3.5 s"]
    assert lost.locator(".gap.passing").all_inner_texts() == ["+1 s", "+1 s", "+1 s", "+0.5 s"]
    assert "not to scale" in lost.locator(".ruler-head").inner_text()


def test_no_loop_time_that_stands_still(page: Page) -> None:
    """Where time never moves there is no switch for it."""
    assert switch(page, RACE, "Loop time").count() == 0
    assert switch(page, LOST, "Loop time").count() == 1


def test_beside_stock_order(page: Page) -> None:
    """Beside it, the run in asyncio's order is aligned up to where the runs part, which is said."""
    switch(page, RACE, "Beside stock order").check()
    said = failure(page, RACE).locator(".parting").inner_text()
    assert re.fullmatch(
        r"Here the runs part: in this one Task-4 runs at test_shop.py:14; "
        r"in asyncio's own order Task-2 runs at test_shop.py:14\.",
        said,
    ), said
    for step in ("1", "2", "3", "4"):
        here, there = (box_of(block(page, RACE, step, name)) for name in ("", "-stock"))
        assert here["x"] == there["x"]
        assert here["y"] < there["y"]
    lines = failure(page, RACE).locator(".part")
    assert lines.count() == 2
    assert len({box_of(line)["x"] for line in lines.all()}) == 1
    assert box_of(lines.first)["x"] < box_of(block(page, RACE, "5"))["x"]


def test_aligned_when_only_the_story_is_shown(page: Page) -> None:
    """The common beginning is aligned with gaps too, and both show the steps with which they part."""
    for text in ("Only the steps of the story", "Loop time", "Beside stock order"):
        switch(page, LOST, text).check()
    for step in ("2", "5"):
        here, there = (box_of(block(page, LOST, step, name)) for name in ("", "-stock"))
        assert here["x"] == there["x"]
    assert block(page, LOST, "5.1").is_visible()
    assert block(page, LOST, "6", "-stock").is_visible()
    assert len({box_of(line)["x"] for line in failure(page, LOST).locator(".part").all()}) == 1


def test_both_are_scrolled_together(page: Page) -> None:
    """Both runs are scrolled together."""
    page.set_viewport_size({"width": 500, "height": 900})
    switch(page, RACE, "Beside stock order").check()
    failure(page, RACE).locator(".scroller").evaluate("scroller => { scroller.scrollLeft = 70 }")
    here, there = (box_of(block(page, RACE, "4", name)) for name in ("", "-stock"))
    assert here["x"] == there["x"]


def test_the_cursor_in_stock_order(page: Page) -> None:
    """The cursor goes into the other run by a click, and comes back when that is put away."""
    beside = switch(page, RACE, "Beside stock order")
    beside.check()
    block(page, RACE, "5", "-stock").click()
    assert at_cursor(page, RACE) == "Step 5: Task-2"
    page.wait_for_url("**#failure-1/stock/5")
    assert steps(page, RACE).get_attribute("aria-activedescendant") is None
    assert (
        steps(page, RACE, STOCK).get_attribute("aria-activedescendant") == "failure-1-stock-step-5"
    )
    steps(page, RACE, STOCK).focus()
    page.keyboard.press("End")
    assert at_cursor(page, RACE).startswith("Step 9: ")
    beside.uncheck()
    assert attribute(steps(page, RACE), "aria-activedescendant").startswith("failure-1-step-")
