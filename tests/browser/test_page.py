"""The page around the lanes: keys, copying, paper, narrow windows, no script, assistive technology."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aldente._report.page as page_maker
from tests.browser.conftest import OpenPage
from tests.browser.on_page import LONG, LOST, PLAIN, RACE, box_of, failure, steps, switch

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The elements with text whose colours are too near to each other: below 4.5 to 1.
TOO_FAINT = """() => {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const paint = (colour) => { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); };
    const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
        .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
    const pixel = () => light(context.getImageData(0, 0, 1, 1).data);
    const contrast = (element) => {
        const behind = [];
        for (let each = element; each; each = each.parentElement) behind.unshift(getComputedStyle(each).backgroundColor);
        paint(getComputedStyle(document.body).backgroundColor);
        behind.forEach(paint);
        const back = pixel();
        paint(getComputedStyle(element).color);
        const [high, low] = [pixel(), back].sort((one, other) => other - one);
        return (high + 0.05) / (low + 0.05);
    };
    const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.body.querySelectorAll("*")]
        .filter((element) => hasText(element) && element.checkVisibility() && !element.closest("svg"))
        .map((element) => [contrast(element), element.className, element.textContent.slice(0, 40)])
        .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(open_page: OpenPage, scheme: str) -> None:
    """All text stands out from what is behind it, in both schemes."""
    page = open_page(color_scheme=scheme)
    for text in ("Only the steps of the story", "Loop time", "Beside stock order"):
        switch(page, LOST, text).check()
    failure(page, LOST).locator(".help summary").click()
    assert page.evaluate(TOO_FAINT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_looks(open_page: OpenPage, scheme: str, width: int) -> None:
    """In both schemes, narrow and wide, parts stand below each other, inside the window, on its paper."""
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    parts = page.locator("#failure-1 > *, #failure-1 .lanes > :not([role=status])").all()
    boxes = [box_of(part) for part in parts if part.is_visible()]
    for box in boxes:
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    siblings = [box_of(part) for part in page.locator("#failure-1 > *").all()]
    for above, below in itertools.pairwise(siblings):
        assert above["y"] + above["height"] <= below["y"] + 0.5


def test_no_words_over_words(page: Page) -> None:
    """No words of the lanes lie over each other, or over a block."""
    for text in ("Loop time", "Beside stock order"):
        switch(page, LOST, text).check()
    switch(page, RACE, "Beside stock order").check()
    found = page.evaluate(
        """() => ["#failure-1", "#failure-2", "#failure-3"].flatMap((id) => {
            const parts = [...document.querySelectorAll(`${id} :is(.caption, .block > span:first-child, .gap span, .time, .part span)`)];
            const boxes = parts.map((part) => [part.textContent, part.getBoundingClientRect()]);
            const isOver = (one, other) => one.left < other.right - 1 && other.left < one.right - 1
                && one.top < other.bottom - 1 && other.top < one.bottom - 1;
            return boxes.flatMap(([text, box], place) => boxes.slice(place + 1)
                .filter(([, other]) => isOver(box, other)).map(([other]) => [text, other]));
        })"""
    )
    assert found == []


def test_words_are_whole(page: Page) -> None:
    """In a window of usual size the words below the blocks of a short run are whole."""
    cut = page.locator("#failure-1 .caption, #failure-2 .caption").evaluate_all(
        "parts => parts.filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.title)"
    )
    assert cut == []


def test_copy(open_page: OpenPage) -> None:
    """The button copies the command, and says so to everybody."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    command = failure(page, RACE).locator(".again code").inner_text()
    failure(page, RACE).get_by_role("button", name="Copy").click()
    page.wait_for_function("document.querySelector('#failure-1 .copied').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == command
    assert command.startswith("pytest test_shop.py::test_race --aldente-replay=")


def test_copy_without_clipboard(open_page: OpenPage) -> None:
    """Where a page that is a file has no clipboard, the command is copied by selecting it."""
    page = open_page()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    failure(page, RACE).get_by_role("button", name="Copy").click()
    page.wait_for_function("document.querySelector('#failure-1 .copied').textContent !== ''")
    command = failure(page, RACE).locator(".again code").inner_text()
    assert page.evaluate("getSelection().toString()") == command


def test_keys_between_failures(page: Page) -> None:
    """j and k go to the next and the previous failure."""
    tops = {}
    for keys, number in (("j", RACE), ("j", LOST), ("j", LONG), ("k", LOST), ("k", RACE)):
        page.keyboard.press(keys)
        tops[number] = box_of(failure(page, number))["y"]
        assert abs(tops[number]) < 20, (keys, number, tops)


def test_list_of_keys(page: Page) -> None:
    """The question mark shows the keys; Escape puts them away, and meanwhile no key does anything else."""
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    assert "next, previous failure" in dialog.inner_text()
    page.keyboard.press("j")
    assert page.evaluate("scrollY") == 0
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_keys_while_typing(page: Page) -> None:
    """No key fires while somebody types, or with a modifier."""
    page.evaluate("document.querySelector('h1').append(document.createElement('input'))")
    page.locator("h1 input").focus()
    page.keyboard.type("jk?")
    page.locator("h1 input").evaluate("field => field.blur()")
    page.keyboard.press("Control+j")
    assert page.evaluate("scrollY") == 0
    assert not page.get_by_role("dialog").is_visible()


def test_only_keys(page: Page) -> None:
    """All of it works with the keyboard: each control can be reached, is seen to have the focus, and used."""
    reached = []
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                    const { activeElement } = document;
                    const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
                    const name = activeElement.ariaLabel ?? activeElement.textContent;
                    return [name || activeElement.labels[0].textContent, `${outlineStyle} ${outlineWidth}`];
                }"""
            )
        )
    names = [name for name, _ in reached]
    assert names[0] == "Skip to the failures"
    assert names[7:15] == [
        "Copy", "First", "Previous", "Next", "Last", "Only the steps of the story",
        "Beside stock order", "Steps: test_shop.py::test_race",
    ]  # fmt: skip
    assert {outline for _, outline in reached} == {"solid 3px"}


def test_names_for_all_controls(page: Page) -> None:
    """Each control has a name, and each list of steps tells its number of steps."""
    unnamed = page.locator(
        "button, input, summary, [role=listbox], [role=option], [role=region]"
    ).evaluate_all(
        "all => all.filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent))"
        ".map((one) => one.outerHTML)"
    )
    assert unnamed == []
    option = steps(page, LONG).locator("[role=option]").first
    assert option.get_attribute("aria-setsize") == "6"
    ids = page.locator("[id]").evaluate_all("all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_paper(open_page: OpenPage) -> None:
    """On paper all is open, the lanes are cut into strips of the paper's width, and there are no controls."""
    page = open_page(viewport={"width": 700, "height": 900})
    page.emulate_media(media="print")
    page.wait_for_selector(".strip")
    assert page.locator("details:not([open])").count() == 0
    for control in (".moves", ".switches", ".copy", ".scroller"):
        assert page.locator(control).first.is_hidden()
    blocks = page.locator("#failure-1 .strip .block > span:first-child").all_inner_texts()
    assert {text for text in blocks if text} == {str(number) for number in range(1, 10)}
    assert page.locator("#failure-3 .strip .block").count() == 6
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    page.emulate_media(media="screen")
    page.wait_for_selector(".strip", state="detached")
    assert page.locator("details.traceback:not([open])").count() == 4


def test_without_script(open_page: OpenPage) -> None:
    """Without JavaScript all texts are there."""
    page = open_page(java_script_enabled=False)
    text = page.locator("body").inner_text()
    assert "What happened, in words" in text
    assert "goes on after sleep, before 'Task-2', which has been ready longer" in text
    assert "--aldente-replay=" in text
    assert failure(page, PLAIN).locator("pre").is_visible()
    assert failure(page, RACE).locator("section.lanes").is_hidden()


def test_all_files_are_joined() -> None:
    """The script is made of all its files, in the order that the last of them tells."""
    folder = Path(page_maker.__file__).parent / "assets"
    assert {path.name for path in folder.glob("*.js")} == set(page_maker.SCRIPTS)
    comment = (folder / "page.js").read_text(encoding="utf-8").split("async function")[0]
    assert tuple(re.findall(r"\w+\.js", comment)) == page_maker.SCRIPTS


def test_size(report: Path) -> None:
    """A page of five failures, one of them with two thousand steps, is no larger than 150 KB."""
    assert report.stat().st_size < 150_000
