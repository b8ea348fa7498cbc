"""What the lanes show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.on_page import (
    LONG,
    LOST,
    PLAIN,
    RACE,
    attribute,
    block,
    box_of,
    failure,
    steps,
    switch,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_lane_for_each_task(read_page: Page) -> None:
    """Each task has a row, headed by its name, its call and its creator."""
    heads = failure(read_page, RACE).locator(".head").all_inner_texts()
    assert any(
        re.fullmatch(r"Task-3 buy\('Bob'\)\s+created by test_race", head) for head in heads
    ), heads


def test_heads_stay_in_sight(page: Page) -> None:
    """The heads stay where they are when the lanes are scrolled sideways."""
    switch(page, LONG, "Only the steps of the story").uncheck()
    head = failure(page, LONG).locator(".head", has_text="Task-5")
    before = box_of(head)
    failure(page, LONG).locator(".scroller").evaluate(
        "scroller => { scroller.scrollLeft = 20_000 }"
    )
    assert before is not None
    assert box_of(head) == before


def test_blocks_in_the_order_of_the_run(read_page: Page) -> None:
    """The blocks stand from left to right in the order of the run, each with its number."""
    blocks = steps(read_page, RACE).locator("[role=option]")
    found = sorted((box_of(each)["x"], each.inner_text().split("\n")[0]) for each in blocks.all())
    numbers = [int(text) for _, text in found if text.isdigit()]
    assert numbers == list(range(1, 10))
    assert len(found) == 12


def test_blocks_of_a_task_share_a_row(read_page: Page) -> None:
    """The blocks of a task stand in the row that its head names."""
    head = box_of(failure(read_page, RACE).locator(".head", has_text="Task-4"))
    for step in ("4", "5"):
        box = box_of(block(read_page, RACE, step))
        assert head["y"] <= box["y"]
        assert box["y"] + box["height"] <= head["y"] + head["height"]


def test_who_woke_whom(read_page: Page) -> None:
    """An arrow goes from a step to each task that it creates or wakes."""
    arrows = attribute(steps(read_page, RACE).locator("svg path.arrow"), "d")
    first = block(read_page, RACE, "1")
    middle = first.evaluate("block => block.offsetLeft + block.offsetWidth / 2")
    starts = [float(start) for start in re.findall(r"M([\d.]+) ", arrows)]
    assert sum(abs(start - middle) < 1 for start in starts) == 3, arrows


def test_waiting_and_ready(read_page: Page) -> None:
    """Between two steps of a task its line is thin while it waits, and thick from what makes it ready."""
    lanes = steps(read_page, LOST)
    stops, wakes, goes_on = (
        block(read_page, LOST, step).evaluate("block => block.offsetLeft + block.offsetWidth / 2")
        for step in ("2", "4", "5")
    )
    for kind, start, end in (("waits", stops, wakes), ("ready", wakes, goes_on)):
        way = attribute(lanes.locator(f"svg path.{kind}"), "d")
        found = [tuple(map(float, each)) for each in re.findall(r"M([\d.]+) [\d.]+H([\d.]+)", way)]
        assert any(abs(x - start) < 1 and abs(y - end) < 1 for x, y in found), (
            kind,
            start,
            end,
            way,
        )


def test_words_below_blocks(read_page: Page) -> None:
    """What is special about a step stands below it in words."""
    race = steps(read_page, RACE)
    words = race.locator(".caption").all_inner_texts()
    assert "reads stock = 1" in words
    assert "instead of Task-2" in words
    assert "ends with AssertionError" in words


def test_marks_differ_without_colour(read_page: Page) -> None:
    """Each kind of mark has a letter or a shape of its own."""
    badges = failure(read_page, RACE).locator(".scroller .badge")
    looks = {
        each.evaluate(
            "badge => [badge.className, badge.textContent + getComputedStyle(badge).transform]"
        )[1]
        for each in badges.all()
    }
    kinds = {attribute(each, "class") + each.inner_text() for each in badges.all()}
    assert len(looks) == len(kinds) == 5


def test_legend_of_what_occurs(read_page: Page) -> None:
    """The legend explains what is in the picture, and nothing else."""
    for number in (RACE, LOST):
        failure(read_page, number).locator(".help").evaluate("details => { details.open = true }")
    race = failure(read_page, RACE).locator(".legend").inner_text()
    lost = failure(read_page, LOST).locator(".legend").inner_text()
    assert "changes it in between" in race
    assert "changes it in between" not in lost
    assert "is cancelled" in lost
    assert "is cancelled" not in race.replace("creates, wakes or cancels", "")
    assert "leaves asyncio's own order" in race


def test_a_wait_made_longer_has_a_bar(read_page: Page) -> None:
    """A wait that the explorer has made longer has a bar up to the step that it delays."""
    bar = attribute(steps(read_page, LOST).locator("svg path.late"), "d")
    found = re.fullmatch(r"M([\d.]+) [\d.]+H([\d.]+)", bar)
    assert found is not None
    start, end = map(float, found.groups())
    event, next_step = (
        block(read_page, LOST, step).evaluate("block => block.offsetLeft") for step in ("5.1", "7")
    )
    assert event < start < end <= next_step


def test_no_lanes_without_steps(read_page: Page) -> None:
    """A failure whose steps are not known has its texts only."""
    assert failure(read_page, PLAIN).locator(".scroller").count() == 0
    assert "assert 1 == 2" in failure(read_page, PLAIN).inner_text()
