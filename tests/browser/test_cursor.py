"""The cursor: pointer, keys, buttons, addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.on_page import (
    LONG,
    LOST,
    RACE,
    active_step,
    at_cursor,
    block,
    box_of,
    failure,
    steps,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_beginning(page: Page) -> None:
    """The cursor begins where asyncio's order is left, else where a race begins."""
    titles = ["Step 5: Task-4", "Event after step 5: consumer", "Step 1921: Task-13"]
    assert [at_cursor(page, number) for number in (RACE, LOST, LONG)] == titles
    assert all(active_step(steps(page, number)) for number in (RACE, LOST, LONG))


def test_click(page: Page) -> None:
    """A click on a block moves the cursor there, and the address follows."""
    block(page, RACE, "3").click()
    assert at_cursor(page, RACE) == "Step 3: Task-3"
    assert active_step(steps(page, RACE)).startswith("Step 3, Task-3: begins buy('Bob')")
    page.wait_for_url("**#failure-1/3")


# Beginning at step 5: some keys, and where they lead.
KEYS = {
    "ArrowRight": "Event after step 5: Task-4",
    "ArrowRight ArrowLeft": "Step 5: Task-4",
    "ArrowLeft": "Step 4: Task-4",
    "ArrowUp": "Step 3: Task-3",
    "ArrowUp ArrowUp": "Step 2: Task-2",
    "ArrowUp ArrowUp ArrowUp ArrowUp": "Step 1: test_race",
    "ArrowUp ArrowDown": "Step 4: Task-4",
    "Home": "Step 1: test_race",
    "Home ArrowLeft": "Step 1: test_race",
    "End": "Step 9: test_race",
    "End ArrowRight": "Step 9: test_race",
    "End ArrowLeft": "Step 8: Task-3",
    ",": "Step 4: Task-4",
    ".": "Event after step 5: Task-4",
    ", , . .": "Event after step 5: Task-4",
    "Control+ArrowRight": "Step 5: Task-4",
    "Alt+ArrowUp": "Step 5: Task-4",
    "Meta+End": "Step 5: Task-4",
}


def test_keys(page: Page) -> None:
    """Keys move the cursor of the lanes that have the focus, without a modifier."""
    listbox = steps(page, RACE)
    found, said = {}, {}
    for keys in KEYS:
        block(page, RACE, "5").click()
        listbox.focus()
        for key in keys.split():
            page.keyboard.press(key)
        found[keys] = at_cursor(page, RACE)
        said[keys] = active_step(listbox).partition(": ")[0]
    assert found == KEYS
    spoken = {
        keys: title.replace(" after step 5", "").replace(": ", ", ") for keys, title in KEYS.items()
    }
    assert said == spoken


def test_only_the_steps_of_these_lanes(page: Page) -> None:
    """A key moves the cursor of one failure, and of no other."""
    steps(page, RACE).focus()
    page.keyboard.press("End")
    assert at_cursor(page, LOST) == "Event after step 5: consumer"


def test_arrows_with_the_pointer(page: Page) -> None:
    """With the pointer in the lanes, the arrows left and right move their cursor."""
    block(page, RACE, "5").hover()
    page.keyboard.press("ArrowLeft")
    assert at_cursor(page, RACE) == "Step 4: Task-4"


def test_keys_elsewhere_scroll(page: Page) -> None:
    """Elsewhere the arrow keys scroll the page, and move no cursor."""
    page.mouse.move(5, 5)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("scrollY > 0")
    assert at_cursor(page, RACE) == "Step 5: Task-4"


def test_buttons(page: Page) -> None:
    """The buttons move the cursor, say where it is, and those that lead nowhere say so."""
    race = failure(page, RACE)
    seen = []
    for name in ("Previous", "First", "Next", "Last"):
        race.get_by_role("button", name=name, exact=True).click()
        seen.append(race.locator(".position").inner_text())
    assert seen == ["Step 4 of 9", "Step 1 of 9", "Step 2 of 9", "Step 9 of 9"]
    state = {
        name: race.get_by_role("button", name=name, exact=True).get_attribute("aria-disabled")
        for name in ("First", "Previous", "Next", "Last")
    }
    assert state == {"First": "false", "Previous": "false", "Next": "true", "Last": "true"}


def test_said_once(page: Page) -> None:
    """A move by a button is said by the live region, one by a key as the active step of the list."""
    status = failure(page, RACE).locator("section.lanes > [role=status]")
    failure(page, RACE).get_by_role("button", name="Next", exact=True).click()
    said = status.inner_text()
    assert said.startswith("Event, Task-4: note: Cleo pays; changes stock to 0")
    steps(page, RACE).focus()
    page.keyboard.press("ArrowRight")
    assert status.inner_text() == said


def test_links_between_steps(page: Page) -> None:
    """The step that has made another one ready is a link away."""
    block(page, RACE, "4").click()
    failure(page, RACE).locator(".step-panel").get_by_role(
        "button", name="test_race, step 1"
    ).click()
    assert at_cursor(page, RACE) == "Step 1: test_race"


@pytest.mark.parametrize(
    ("address", "number", "title"),
    [
        ("#failure-2/8", LOST, "Step 8: stopper"),
        ("#failure-1/5.1", RACE, "Event after step 5: Task-4"),
        ("#failure-3/700", LONG, "Step 700: Task-"),
        ("#failure-1/stock/6", RACE, "Step 6: Task-3"),
        ("#failure-1/900", RACE, "Step 5: Task-4"),
    ],
)
def test_addresses(open_page: OpenPage, address: str, number: int, title: str) -> None:
    """An address names a failure and a step, which are in sight then."""
    page = open_page(address)
    page.wait_for_function("scrollY > 0")
    assert at_cursor(page, number).startswith(title)
    box = box_of(failure(page, number).locator("h2"))
    assert 0 <= box["y"] < 200
    name = "-stock" if "stock" in address else ""
    step = address.split("/")[-1]
    if step != "900":
        shown = box_of(block(page, number, step, name))
        scroller = box_of(failure(page, number).locator(".scroller"))
        assert scroller["x"] <= shown["x"]
        assert shown["x"] + shown["width"] <= scroller["x"] + scroller["width"]


def test_an_address_that_changes(page: Page) -> None:
    """A change of the address moves the cursor."""
    page.evaluate("location.hash = '#failure-2/9'")
    page.wait_for_function(
        "document.querySelector('#failure-2 .step-panel h4').textContent === 'Step 9: consumer'"
    )
