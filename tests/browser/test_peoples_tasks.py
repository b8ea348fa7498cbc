"""What people come to the page for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.on_page import LONG, STUCK, at_cursor, attribute, failure, steps

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_find_the_racing_lines(page: Page) -> None:
    """Without a click the line that reads what is out of date is seen; two keys on, those that change it and act."""
    listbox = steps(page, LONG)
    listbox.focus()
    lit = []
    for key in ("", "ArrowRight", "End", "ArrowLeft"):
        if key:
            page.keyboard.press(key)
        found = failure(page, LONG).locator(".line.race").all_inner_texts()
        lit.append((at_cursor(page, LONG), [" ".join(text.split()) for text in found]))
    begin, change, _, act = lit
    assert begin[0] == "Step 1921: Task-13"
    assert begin[1][0].endswith("old = total reads total = 159")
    assert change[0] == "Step 1922: Task-2"
    assert change[1][0].endswith("total = old + 1 changes total to 160")
    assert act[0] == "Step 1933: Task-13"
    assert act[1][0].endswith("total = old + 1 changes total to 160")
    assert attribute(listbox.locator("svg path.crossing"), "d").count("M") == 1


def test_find_who_holds_the_lock(page: Page) -> None:
    """The picture of a deadlock has the two tasks in colour, and who holds what each waits for."""
    figure = failure(page, STUCK).locator("figure.waits")
    # As it is seen: the boxes and lines of the circle.
    circle = figure.locator("svg g.node.cycle")
    assert circle.count() == 2
    boxes = [" ".join(text.split()) for text in circle.all_text_contents()]
    assert any("'lefty'" in box and "held by 'righty'" in box for box in boxes)
    assert any("'righty'" in box and "held by 'lefty'" in box for box in boxes)
    colours = {
        each.evaluate("node => getComputedStyle(node.querySelector('rect')).stroke")
        for each in (circle.first, figure.locator("svg g.node:not(.cycle)").first)
    }
    assert len(colours) == 2
    # And as it is heard.
    figure.locator("summary").click()
    words = " ".join(figure.locator("details").inner_text().split())
    assert "'lefty'" in words
    assert "held by 'righty'" in words


def test_copy_the_command(page: Page) -> None:
    """The command that runs the failure again can be had with one press of its button."""
    again = failure(page, LONG).locator(".again")
    again.get_by_role("button", name="Copy").click()
    page.wait_for_function("document.querySelector('#failure-3 .copied').textContent !== ''")
    assert again.locator("[role=status]").inner_text() == "Copied"
