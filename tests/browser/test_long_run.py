"""Two thousand steps take no more work to go through than twelve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.on_page import LONG, RACE, at_cursor, block, box_of, failure, steps, switch

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Presses a key many times in the list with the focus.
PRESS = """([key, times]) => {
    const list = document.activeElement;
    for (let time = 0; time < times; time++) {
        list.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    }
}"""

# As it does, and counts the elements that came, went or changed.
COUNT = f"""(given) => {{
    let count = 0;
    const add = (records) => records.forEach(({{ addedNodes, removedNodes }}) => {{
        count += addedNodes.length + removedNodes.length || 1;
    }});
    const watcher = new MutationObserver(add);
    watcher.observe(document.body,
        {{ subtree: true, childList: true, attributes: true, characterData: true }});
    ({PRESS})(given);
    add(watcher.takeRecords());
    watcher.disconnect();
    return count;
}}"""


def changes(page: Page, number: int, times: int) -> float:
    """How many elements change by a press of a key."""
    steps(page, number).focus()
    counts = [page.evaluate(COUNT, [key, times]) for key in ("ArrowLeft", "ArrowRight")]
    return float(sum(counts)) / (2 * times)


def test_keys_change_no_more(page: Page) -> None:
    """A press changes as much among 1,934 steps as among 12, but for the tasks that there are more of."""
    switch(page, LONG, "Only the steps of the story").uncheck()
    block(page, LONG, "1921").click()
    few, many = changes(page, RACE, 4), changes(page, LONG, 50)
    assert few > 0
    assert many < 2 * few, (many, few)


def test_few_elements(page: Page) -> None:
    """Only the steps in sight and near have elements, wherever 200 presses of a key lead."""
    switch(page, LONG, "Only the steps of the story").uncheck()
    failure(page, LONG).get_by_role("button", name="First", exact=True).click()
    counts = set()
    steps(page, LONG).focus()
    for _ in range(8):
        page.evaluate(PRESS, ["ArrowRight", 25])
        counts.add(page.locator("#failure-3 *").count())
    assert at_cursor(page, LONG).startswith("Step 201: ")
    assert max(counts) < 1_200, counts
    shown = box_of(block(page, LONG, "201"))
    scroller = box_of(failure(page, LONG).locator(".scroller"))
    assert scroller["x"] <= shown["x"] < scroller["x"] + scroller["width"]


def test_moving_draws_nothing_anew(page: Page) -> None:
    """A move of the cursor to a step in sight changes that block and the one it leaves, and no other."""
    switch(page, LONG, "Only the steps of the story").uncheck()
    block(page, LONG, "1925").click()
    page.evaluate(
        """() => {
            window.changed = new Set();
            const watch = (records) => records.forEach(({ target, addedNodes }) => {
                const block = target.closest?.(".block");
                if (block) changed.add(block.id);
                addedNodes.forEach((node) => changed.add(node.id));
            });
            window.watcher = new MutationObserver(watch);
            watcher.observe(document.querySelector("#failure-3 .plane"),
                { subtree: true, childList: true, attributes: true });
        }"""
    )
    steps(page, LONG).focus()
    page.keyboard.press("ArrowLeft")
    assert at_cursor(page, LONG).startswith("Step 1924: ")
    assert page.evaluate("[...changed].sort()") == ["failure-3-step-1924", "failure-3-step-1925"]


def test_scrolling_draws_what_comes_in_sight(page: Page) -> None:
    """Scrolled anywhere, the steps there have their blocks."""
    switch(page, LONG, "Only the steps of the story").uncheck()
    scroller = failure(page, LONG).locator(".scroller")
    for left in (40_000, 3_000, 70_000):
        scroller.evaluate("(scroller, left) => { scroller.scrollLeft = left }", left)
        page.wait_for_function(
            """left => {
                const box = document.querySelector("#failure-3 .scroller").getBoundingClientRect();
                const blocks = [...document.querySelectorAll("#failure-3 .block:not(.at-cursor)")];
                return blocks.filter(block => {
                    const { left, right } = block.getBoundingClientRect();
                    return left >= box.left && right <= box.right;
                }).length > 15;
            }""",
            arg=left,
        )
