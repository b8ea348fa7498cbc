"""What the still pictures show, and how each kind is drawn."""

from __future__ import annotations

from typing import Any, Literal, TypedDict
from xml.etree.ElementTree import Element


class Panel(TypedDict):
    """What a picture shows.

    Attributes:
        kind: the kind of picture.
        title: its title.
        data: what it shows, as plain values; each kind has its own.
    """

    kind: Literal["waits", "calls", "timers", "operations"]
    title: str
    data: dict[str, Any]


def draw(panel: Panel) -> Element:
    """The figure of a panel, with its text."""
    raise NotImplementedError
