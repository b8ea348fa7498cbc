"""The part of the page about one failure of a test.

Its pictures are plain values (`Panel`), collected where the test runs and drawn here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypedDict
from xml.etree.ElementTree import Element

from aldente._report import calls, operations, timers, waits
from aldente._report.elements import add, add_list, made
from aldente._report.lanes import Lanes

# How long the output of all failures may be together, and that of one at most and at least: what is
# longer is cut in the middle. In characters.
_MOST_OF_ALL = 120_000
_MOST_OF_ONE = 12_000
_LEAST_OF_ONE = 2_000


class ShownFailure(TypedDict):
    """A failure as it is sent to the process that writes the page.

    Attributes:
        test: the node id of the test.
        phase: the phase that has failed: ``"setup"``, ``"call"``, ``"teardown"`` or ``"collect"``;
            or ``"another order"`` if the test has passed in asyncio's own.
        error: the first line of the exception.
        text: the traceback and what pytest shows with it.
        story: what happened in an explored run, in words; else empty.
        remarks: remarks about its schedule.
        command: the command that runs it again; empty without a schedule.
        lanes: its steps; None if they are not known.
        stock: the steps of the run in asyncio's own order; None without it.
        panels: what the other pictures show.
    """

    test: str
    phase: str
    error: str
    text: str
    story: str
    remarks: list[str]
    command: str
    lanes: Lanes | None
    stock: Lanes | None
    panels: list[Panel]


def has_pictures(failure: ShownFailure) -> bool:
    """Whether there is more to show of a failure than its text."""
    return failure["lanes"] is not None or bool(failure["panels"])


def article_of(failure: ShownFailure, number: int, count: int = 1) -> Element:
    """The part of the page about a failure.

    Args:
        failure: the failure.
        number: its number on the page, from 1.
        count: how many failures are on the page.
    """
    article = made("article", class_="failure", id=f"failure-{number}")
    article.set("data-failure", str(number - 1))
    add(article, "h2", failure["test"])
    where = {
        "setup": " in set-up",
        "teardown": " in tear-down",
        "collect": " in collection",
        "another order": " in another order of its steps; in asyncio's own order the test passes",
    }
    error = add(article, "p", failure["error"], class_="error")
    if failure["phase"] in where:
        add(error, "span", where[failure["phase"]], class_="phase")
    if failure["remarks"]:
        add_list(article, failure["remarks"], class_="remarks")
    if failure["command"]:
        again = add(article, "p", class_="again")
        add(again, "span", "Run it again:").tail = " "
        add(again, "code", failure["command"]).tail = " "
        add(again, "button", "Copy", type="button", class_="copy")
    if failure["lanes"] is not None:
        add(article, "section", class_="lanes", aria_label="Steps")
    article.extend(map(_drawn, failure["panels"]))
    if failure["story"]:
        add_text(article, "What happened, in words", failure["story"], class_="story", open="")
    shown = {} if has_pictures(failure) or failure["story"] else {"open": ""}
    most = max(min(_MOST_OF_ONE, _MOST_OF_ALL // count), _LEAST_OF_ONE)
    text = shortened(failure["text"], most)
    add_text(article, "Traceback and output", text, class_="traceback", **shown)
    return article


def _drawn(panel: Panel) -> Element:
    """The figure of a panel; an error in drawing it must not take the rest of the page away."""
    try:
        return draw(panel)
    except Exception as error:
        return made(
            "p",
            f"{panel['title']}: an error in aldente itself has left this picture out, "
            f"{type(error).__name__}: {error}. Please report it.",
            class_="error",
        )


def leave_out(figure: Element) -> None:
    """Leave a picture out of its figure, whose text stays and is shown."""
    for drawn in [each for each in figure if each.find("svg") is not None]:
        figure.remove(drawn)
    note = made("p", "The picture is left out, so that the page stays small. As text:")
    figure.insert(1, note)
    for details in figure.iter("details"):
        details.set("open", "")


def add_text(parent: Element, summary: str, text: str, **attributes: str) -> None:
    """Add a text that can be folded away."""
    details = add(parent, "details", **attributes)
    add(details, "summary", summary)
    add(details, "pre", text, tabindex="0")


def shortened(text: str, most: int) -> str:
    """A text without its middle if it is very long.

    >>> print(shortened("the first, many more, the last", 16))
    the firs
    <BLANKLINE>
    ... 14 characters are left out here ...
    <BLANKLINE>
    the last
    """
    if len(text) <= most:
        return text
    half = most // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n\n... {left_out:,} characters are left out here ...\n\n{text[-half:]}"


PanelKind = Literal["waits", "calls", "timers", "operations"]


class Panel(TypedDict):
    """What a picture shows: only values of JSON, which pytest-xdist sends between processes.

    Attributes:
        kind: which picture it is.
        title: its heading.
        data: what it shows; the module of its kind says what is in it.
    """

    kind: PanelKind
    title: str
    data: dict[str, Any]


_DRAWN: dict[PanelKind, Callable[[Any], Element]] = {
    "waits": waits.draw,
    "calls": calls.draw,
    "timers": timers.draw,
    "operations": operations.draw,
}


def draw(panel: Panel) -> Element:
    """Draw a panel: a figure with its title, a picture, a caption, and all that as text.

    Args:
        panel: what it shows.
    """
    figure = _DRAWN[panel["kind"]](panel["data"])
    figure.insert(0, made("h3", panel["title"]))
    return figure
