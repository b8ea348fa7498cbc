"""Figures of the page: a picture, what it shows in a sentence, and the same as text.

All elements are made here, so that any text of a test, such as ``<b>`` or a control character, is
shown as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement

from aldente._report.elements import made

# The size of a character of code, in pixels. Fonts differ a little; this is that of a wide one.
CHARACTER = 6.8
LINE = 16.0

_WIDE = frozenset("WF")


def printable(text: str) -> str:
    """A text in which control characters and lone surrogates are escaped.

    >>> printable("a\\x1b[0m")
    'a\\\\x1b[0m'
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def columns_of(text: str) -> int:
    """How many columns a text takes in a font of fixed width; East Asian characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in _WIDE)
        for each in text
    )


def width_of(text: str) -> float:
    """The width of a text in pixels."""
    return columns_of(printable(text)) * CHARACTER


def cut(text: str, most: int) -> str:
    """The beginning of a text that takes at most some columns, with ``…`` if there was more.

    >>> cut("a long name", 7)
    'a long…'
    """
    text = printable(text)
    if columns_of(text) <= most:
        return text
    kept = ""
    for each in text:
        if columns_of(kept + each) >= most:
            break
        kept += each
    return f"{kept}…"


def folded(text: str, columns: int, most: int) -> list[str]:
    """A text in lines of at most some columns, broken between words if possible.

    Args:
        text: the text.
        columns: how many columns a line has.
        most: how many lines there are at most; the last one ends with ``…`` if there was more.

    >>> folded("waits for a lock", 9, 2)
    ['waits for', 'a lock']
    """
    lines: list[str] = []
    line = ""
    words = printable(text).split()
    for place, whole in enumerate(words):
        word = cut(whole, columns)
        longer = f"{line} {word}" if line else word
        if columns_of(longer) <= columns:
            line = longer
            continue
        rest = " ".join([longer, *words[place + 1 :]])
        if len(lines) == most - 1 or not line:
            return [*lines, cut(rest, columns)]
        lines.append(line)
        line = word
        if len(lines) == most - 1:
            return [*lines, cut(" ".join(words[place:]), columns)]
    return [*lines, line] if line else lines


def element(tag: str, classes: str = "", text: str = "", **attributes: float | str) -> Element:
    """An element of the page.

    Args:
        tag: its name.
        classes: its classes, or none.
        text: its text; characters that can't be printed are escaped.
        **attributes: its attributes, numbers with at most one digit after the point; ``_`` stands
            for ``-``.
    """
    values = {
        name: value if isinstance(value, str) else number(value)
        for name, value in attributes.items()
    }
    return made(tag, printable(text), **({"class": classes} if classes else {}), **values)


def number(value: float) -> str:
    """A number of pixels.

    >>> number(12.0), number(1.25)
    ('12', '1.2')
    """
    return f"{value:.1f}".removesuffix(".0")


def add(parent: Element, *children: Element) -> Element:
    """Append children to an element; returns it."""
    parent.extend(children)
    return parent


def picture(width: float, height: float, label: str) -> Element:
    """An empty picture, for which screen readers say a label."""
    return element(
        "svg",
        role="img",
        aria_label=label,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
    )


def in_words(lines: Iterable[str]) -> Element:
    """A list of sentences."""
    return add(element("ul"), *(element("li", text=line) for line in lines))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Element:
    """A table; the first cell of a row is its header."""
    whole = element("table")
    head = SubElement(SubElement(whole, "thead"), "tr")
    add(head, *(element("th", text=name, scope="col") for name in header))
    body = SubElement(whole, "tbody")
    for first, *others in rows:
        row = SubElement(body, "tr")
        row.append(element("th", text=first, scope="row"))
        add(row, *(element("td", text=cell) for cell in others))
    return whole


def figure(kind: str, drawn: Element, caption: str, *words: Element) -> Element:
    """A figure.

    Args:
        kind: the kind of its picture, which is a class.
        drawn: the picture.
        caption: what it shows, in a sentence.
        *words: all that it shows, as lists and tables.
    """
    # In reach of the keyboard, as it may be wider than the page.
    scrolled = element("div", "scrolled", tabindex="0", role="group", aria_label="Picture")
    details = add(element("details"), element("summary", text="As text"), *words)
    below = add(element("figcaption"), element("p", text=caption), details)
    return add(element("figure", f"picture {kind}"), add(scrolled, drawn), below)
