"""The pictures of failures: plain values, collected where the test runs and drawn later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypedDict
from xml.etree.ElementTree import Element

from aldente._report import calls, operations, timers, waits
from aldente._report.elements import made

Kind = Literal["waits", "calls", "timers", "operations"]


class Panel(TypedDict):
    """What a picture shows: only values of JSON, which pytest-xdist sends between processes.

    Attributes:
        kind: which picture it is.
        title: its heading.
        data: what it shows; the module of its kind says what is in it.
    """

    kind: Kind
    title: str
    data: dict[str, Any]


_DRAWN: dict[Kind, Callable[[Any], Element]] = {
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
