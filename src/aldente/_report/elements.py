"""Elements of HTML and SVG, made by ElementTree so that no text of a user's is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

# Characters that no HTML text may have: NUL, escape and the like; and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# What sets colours, titles and links on a terminal: control sequences and commands (ECMA-48).
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


def without_sequences(text: str) -> str:
    """A text without what only terminals understand.

    >>> without_sequences("\\x1b[1mbold\\x1b[0m")
    'bold'
    """
    return _SEQUENCE.sub("", text)


def add(parent: Element, tag: str, text: str = "", /, **attributes: str) -> Element:
    """Add an element to another one, and return it.

    Args:
        parent: the other one.
        tag: its tag.
        text: its text.
        **attributes: its attributes; ``_`` at the end of a name is left out, others become ``-``.

    >>> page = Element("body")
    >>> rendered(add(page, "p", "1 < 2", class_="note", aria_label="so"))
    '<p class="note" aria-label="so">1 &lt; 2</p>'
    """
    element = SubElement(parent, tag, _named(attributes))
    element.text = text
    return element


def made(tag: str, text: str = "", /, **attributes: str) -> Element:
    """An element without a parent; arguments as of `add`."""
    element = Element(tag, _named(attributes))
    element.text = text
    return element


def _named(attributes: dict[str, str]) -> dict[str, str]:
    return {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}


def add_list(parent: Element, texts: Iterable[str], **attributes: str) -> Element:
    """Add a list of texts."""
    element = add(parent, "ul", **attributes)
    for text in texts:
        add(element, "li", text)
    return element


def rendered(element: Element) -> str:
    """The HTML of an element, with characters replaced that HTML may not have.

    >>> rendered(made("p", "bold: \\x1b[1m"))
    '<p>bold: \\\\x1b[1m</p>'
    """
    for each in element.iter():
        each.text, each.tail = _printable(each.text), _printable(each.tail)
        for name, value in each.attrib.items():
            each.set(name, _printable(value) or "")
    return tostring(element, encoding="unicode", method="html")


def _printable(text: str | None) -> str | None:
    if text is None:
        return None
    text = text.replace("\r\n", "\n")
    return _UNPRINTABLE.sub(lambda found: ascii(found.group())[1:-1], text)
