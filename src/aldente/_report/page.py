"""The page of a run: one HTML file that needs no other."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from aldente._report.elements import add, made, rendered
from aldente._report.failures import ShownFailure, article_of, leave_out
from aldente._report.findings import Excerpts, Explanation, Plain, add_findings
from aldente._report.lanes import Lanes, compared, shortened

# The parts of the style and of the script, in the order in which they are joined.
STYLES = ("page.css", "lanes.css", "pictures.css")
SCRIPTS = (
    "elements.js",
    "search.js",
    "data.js",
    "run.js",
    "marks.js",
    "columns.js",
    "rows.js",
    "lines.js",
    "plane.js",
    "heads.js",
    "views.js",
    "source_panel.js",
    "standings_panel.js",
    "step_panel.js",
    "parting.js",
    "controls.js",
    "keys.js",
    "lanes.js",
    "printing.js",
    "copying.js",
    "address.js",
    "page.js",
)

# How many steps all runs may have together, each some 15 bytes of the page; and each run at least.
_MOST_STEPS = 8_000
_LEAST_STEPS = 200

# How long the still pictures may be together, in characters of HTML.
_ROOM_FOR_PICTURES = 150_000

# Failures after these are only named: a run in which everything fails has one cause.
_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Content:
    """What a page shows.

    Attributes:
        title: the result of the run, in a few words.
        about: the project and the versions that it ran on.
        folder: paths inside it are shown relative to it.
        failures: the failures, in the order in which they came.
        causes: the findings that have one cause, for each cause; the worst first.
        explain: explains a rule.
    """

    title: str
    about: str
    folder: Path
    failures: Sequence[ShownFailure] = ()
    causes: Sequence[Sequence[Plain]] = ()
    explain: Callable[[str], Explanation] = field(default=lambda rule: Explanation("", ""))


def page_of(content: Content) -> str:
    """The HTML of a page.

    Args:
        content: what it shows.

    >>> page_of(Content("All 3 tests passed", "shop", Path.cwd())).partition("<h1>")[2][:18]
    'All 3 tests passed'
    """
    shown = content.failures[:_MOST_SHOWN]
    html = made("html", lang="en")
    style, script = "\n".join(map(_asset, STYLES)), "\n".join(map(_asset, SCRIPTS))
    _add_head(html, content.title, style, script)
    body = add(html, "body")
    if content.failures:
        add(body, "a", "Skip to the failures", class_="skip", href="#failures")
    header = add(body, "header")
    add(header, "h1", content.title)
    add(header, "p", content.about, class_="about")
    _add_navigation(body, content, shown)
    main = add(body, "main", id="failures")
    room = _ROOM_FOR_PICTURES
    for number, failure in enumerate(shown, 1):
        article = article_of(failure, number, len(shown))
        for figure in article.iter("figure"):
            size = len(rendered(figure))
            if size > room:
                leave_out(figure)
            else:
                room -= size
        main.append(article)
    if content.causes:
        add_findings(main, content.causes, content.folder, content.explain)
    add(body, "script", _packed(_data(shown, content.folder)), type="text/plain", id="data")
    add(body, "script", script, type="module")
    return f"<!DOCTYPE html>\n{rendered(html)}\n"


def _add_head(html: Element, title: str, style: str, script: str) -> None:
    head = add(html, "head")
    add(head, "meta", charset="utf-8")
    policy = _POLICY.format(script=_hash_of(script))
    add(head, "meta", http_equiv="Content-Security-Policy", content=policy)
    add(head, "title", f"{title} - aldente")
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "style", style)


# What the browser may do: load nothing, send nothing, and run no script but the page's own, even
# if a text of a test should be taken for markup.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src '{script}'; "
    "base-uri 'none'; form-action 'none'"
)


def _hash_of(text: str) -> str:
    """The name by which a policy allows a script that stands in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _add_navigation(body: Element, content: Content, shown: Sequence[ShownFailure]) -> None:
    if not content.failures and not content.causes:
        return
    navigation = add(body, "nav", aria_label="Failures and findings")
    entries = add(navigation, "ol")
    for number, failure in enumerate(shown, 1):
        entry = add(entries, "li")
        add(entry, "a", failure["test"], href=f"#failure-{number}").tail = " "
        add(entry, "span", failure["error"])
    for failure in content.failures[len(shown) :]:
        add(entries, "li", f"{failure['test']}: {failure['error']} (only named here)")
    if content.causes:
        count = sum(map(len, content.causes))
        add(add(navigation, "p"), "a", f"{count:,} finding{'s' * (count != 1)}", href="#findings")


def _data(failures: Sequence[ShownFailure], folder: Path) -> dict[str, Any]:
    """The data for the script: lanes, and the source that they are about."""
    sources = Excerpts(folder)
    found = []
    runs = sum((each["lanes"] is not None) + (each["stock"] is not None) for each in failures)
    most = max(_MOST_STEPS // max(runs, 1), _LEAST_STEPS)
    for failure in failures:
        lanes, stock = failure["lanes"], failure["stock"]
        difference = None
        both = None if lanes is None or stock is None else compared(lanes, stock, most)
        if both is not None:
            lanes, stock, difference = both
        else:
            lanes, stock = None if lanes is None else shortened(lanes, most), None
        found.append(
            {
                "lanes": _with_sources(lanes, sources),
                "stock": _with_sources(stock, sources),
                "first_difference": difference,
            }
        )
    return {"failures": found, "sources": sources.read()}


def _with_sources(lanes: Lanes | None, sources: Excerpts) -> Lanes | None:
    """Lanes with the paths that the page shows, whose lines are added to the sources."""
    if lanes is None:
        return None
    files = lanes["files"]
    for step in lanes["steps"]:
        places = [step.get("at"), step.get("stop"), *(use["at"] for use in step.get("uses", ()))]
        for place in places:
            if place is not None:
                sources.add(files[place[0]], place[1])
    return {**lanes, "files": [sources.shown(path) for path in files]}


def _packed(data: object) -> str:
    """Data as text: the steps of a long run take a twentieth so."""
    text = json.dumps(data, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _asset(name: str) -> str:
    folder = importlib.resources.files("aldente._report").joinpath("assets")
    return folder.joinpath(name).read_text(encoding="utf-8")
