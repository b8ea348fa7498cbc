"""What is shown of the moment at the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.on_page import LONG, LOST, RACE, block, failure

if TYPE_CHECKING:
    from playwright.sync_api import Page


def lines(page: Page, number: int, kind: str) -> list[str]:
    """The lines of the source that are lit as a kind, with their notes."""
    found = failure(page, number).locator(f".line.{kind}")
    return [" ".join(text.split()) for text in found.all_inner_texts()]


def table(page: Page, number: int, name: str) -> list[list[str]]:
    """The rows of a table, as shown."""
    rows = failure(page, number).locator(f".{name} tbody tr")
    return [
        [" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()]
        for row in rows.all()
        if row.is_visible()
    ]


def test_the_step_in_words(read_page: Page) -> None:
    """The step is told: what it does, how it ends, what it uses, who has made it ready."""
    block(read_page, RACE, "8").click()
    said = " ".join(failure(read_page, RACE).locator(".step-panel").inner_text().split())
    assert "Step 8: Task-3 goes on after sleep" in said
    assert "Then ends" in said
    assert "changes stock to -2 (line 18)" in said
    assert "In buy" in said
    assert "Made ready by itself, step 7" in said


def test_the_line_that_runs(read_page: Page) -> None:
    """The line at which the task goes on is lit, with its name, and is the current one."""
    block(read_page, RACE, "5").click()
    assert lines(read_page, RACE, "current") == [
        "14 await asyncio.sleep(0) Task-4 goes on Task-2, Task-3 stand here"
    ]
    current = failure(read_page, RACE).locator("[aria-current=step]")
    assert current.count() == 1
    block(read_page, RACE, "2").click()
    assert lines(read_page, RACE, "current")[0].startswith("11 async def buy(who): Task-2 begins")
    assert current.count() == 1


def test_the_lines_of_the_others(read_page: Page) -> None:
    """The line at which each other task stands is lit in a second tone, with its name."""
    block(read_page, LOST, "7").click()
    others = lines(read_page, LOST, "other")
    assert any("stopper stands here" in line and "sleep(3.5)" in line for line in others), others
    assert not any("consumer stands" in line for line in others)


def test_the_lines_that_race(read_page: Page) -> None:
    """What a step reads and changes stands beside the line."""
    block(read_page, RACE, "5.1").click()
    assert "18 stock -= 1 changes stock to 0" in lines(read_page, RACE, "race")


def test_the_current_line_is_in_sight(read_page: Page) -> None:
    """The source is scrolled to the line that runs, and the page is not."""
    block(read_page, LONG, "1921").click()
    top = read_page.evaluate("scrollY")
    for step in ("1934", "1921"):
        block(read_page, LONG, step).click()
        read_page.wait_for_function(
            """() => {
                const [line, code] = [".line.current", ".code"].map(
                    (part) => document.querySelector(`#failure-3 ${part}`).getBoundingClientRect());
                return code.top <= line.top && line.bottom <= code.bottom;
            }"""
        )
    assert read_page.evaluate("scrollY") == top


def test_where_each_task_is(read_page: Page) -> None:
    """Each task has its place, the line there, and its state; one that is not created has no row."""
    block(read_page, RACE, "3").click()
    rows = table(read_page, RACE, "standings")
    assert [
        "Task-2 buy('Ann')",
        "test_shop.py:14 await asyncio.sleep(0)",
        "is ready, waits for its turn",
    ] in rows
    assert [
        "Task-4 buy('Cleo')",
        "test_shop.py:11 async def buy(who):",
        "is created, has not begun",
    ] in rows
    assert rows[2][2] == "runs, then lets other tasks run"
    block(read_page, LOST, "1").click()
    assert [row[0] for row in table(read_page, LOST, "standings")] == [
        "test_lost",
        "consumer",
        "stopper",
    ]
    block(read_page, LOST, "9").click()
    assert ["stopper", "", "has ended"] in table(read_page, LOST, "standings")


def test_what_tasks_wait_for(read_page: Page) -> None:
    """A task that waits says what for."""
    block(read_page, LOST, "3").click()
    rows = table(read_page, LOST, "standings")
    assert [row[2] for row in rows if row[0] == "consumer"] == [
        "waits for an item from queue (a Queue), which is empty"
    ]


def test_values(read_page: Page) -> None:
    """Each shared name has its last known value, marked when it has just changed."""
    block(read_page, RACE, "2").click()
    assert table(read_page, RACE, "values") == [
        ["stock", "1", "Step 2, Task-2"],
        ["sold", "not used yet", ""],
    ]
    block(read_page, RACE, "5.1").click()
    assert table(read_page, RACE, "values") == [
        ["stock", "1 → 0 changed now", "Event after step 5, Task-4"],
        ["sold", "['Cleo'] changed now", "Event after step 5, Task-4"],
    ]
    block(read_page, RACE, "6").click()
    assert table(read_page, RACE, "values")[0] == ["stock", "0", "Event after step 5, Task-4"]
