"""Figures of the page: a picture, what it shows in a sentence, and the same as text.

All elements are made here, so that any text of a test, such as ``<b>`` or a control character, is
shown as it is.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
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


_NAME_COLUMNS = 24
_TEXT_COLUMNS = 60
_LANE = 24.0
_BAR = 18.0
_PADDING = 5.0
_MARGIN = 8.0
_AXIS = 22.0
# The width of an axis of time, and the least of a bar.
_SPAN = 640.0
_LEAST = 5.0
# In seconds; shorter ones are the error of a float.
_LEAST_SPAN = 1e-9
# The distance of moments of which only the order is known.
_STEP = 14.0
_MOST_TICKS = 6


class ChartBar(NamedTuple):
    """A bar.

    Attributes:
        row: the name of its row.
        began, ended: its moments; an end of None is that of the picture.
        text: what stands in it.
        classes: its classes.
        detail: more, which shows when the mouse is over it.
    """

    row: str
    began: float
    ended: float | None
    text: str
    classes: str = ""
    detail: str = ""


class Rectangle(NamedTuple):
    """Where a bar is drawn, in pixels."""

    left: float
    top: float
    width: float
    height: float


class Chart(NamedTuple):
    """A picture of bars.

    Attributes:
        drawn: the picture.
        places: where each bar is, in their order.
    """

    drawn: Element
    places: tuple[Rectangle, ...]


class _Scale(NamedTuple):
    """Where moments are, from the left end of the axis, and the labels of some."""

    positions: Mapping[float, float]
    end: float
    ticks: Sequence[tuple[float, str]]


def draw_bars(
    bars: Sequence[ChartBar],
    *,
    label: str,
    in_seconds: bool,
    until: float = 0.0,
    between: float = 0.0,
) -> Chart:
    """Draw bars; those of a row that overlap, or whose texts would, are below one another.

    Args:
        bars: the bars.
        label: what screen readers say.
        in_seconds: whether their moments are seconds; else only the order of these counts.
        until: the least moment, in seconds, at which the picture ends.
        between: more space below each bar, in pixels.

    >>> bars = [ChartBar("Ann", 1, 3, "a"), ChartBar("Bob", 2, None, "b")]
    >>> chart = draw_bars(bars, label="", in_seconds=False)
    >>> [place.top for place in chart.places]
    [11.0, 35.0]
    """
    scale = _in_time(bars, until) if in_seconds else _in_order(bars)
    names = list(dict.fromkeys(bar.row for bar in bars))
    left = (
        _MARGIN + _PADDING + CHARACTER * max((columns_of(_name(name)) for name in names), default=0)
    )
    top = _MARGIN + (_AXIS if scale.ticks else 0.0)
    extents = [_extent(bar, scale, left) for bar in bars]
    lanes = _lanes(bars, extents)
    height = _LANE + between
    first_lane: dict[str, int] = {}
    count = 0
    for name in names:
        first_lane[name] = count
        count += 1 + max(lane for bar, lane in zip(bars, lanes, strict=True) if bar.row == name)
    places = tuple(
        Rectangle(begin, top + height * (first_lane[bar.row] + lane) + 3, end - begin, _BAR)
        for bar, lane, (begin, end, _) in zip(bars, lanes, extents, strict=True)
    )
    ticks = [position + width_of(text) for position, text in scale.ticks]
    right = max([left + scale.end, *(whole for *_, whole in extents)])
    right = max([right, *(left + tick for tick in ticks)]) + _MARGIN
    bottom = top + height * count
    drawn = picture(right, bottom + _MARGIN, label)
    for position, text in scale.ticks:
        add(drawn, *_tick(left + position, top, bottom, text))
    for name in names:
        y = top + height * first_lane[name]
        add(drawn, element("line", "row", x1=_MARGIN, y1=y, x2=right - _MARGIN, y2=y))
        add(drawn, element("text", "name", _name(name), x=_MARGIN, y=y + 16))
    add(drawn, *(_drawn(bar, place) for bar, place in zip(bars, places, strict=True)))
    return Chart(drawn, places)


def _name(name: str) -> str:
    return cut(name, _NAME_COLUMNS)


def _text(bar: ChartBar) -> str:
    return cut(" ".join(bar.text.split()), _TEXT_COLUMNS)


def _width(bar: ChartBar) -> float:
    return width_of(_text(bar)) + 2 * _PADDING


def _extent(bar: ChartBar, scale: _Scale, left: float) -> tuple[float, float, float]:
    """Where a bar begins and ends, and where its text does if that is longer."""
    begin = left + scale.positions[bar.began]
    end = left + (scale.end if bar.ended is None else scale.positions[bar.ended])
    end = max(end, begin + _LEAST)
    return begin, end, end if _has_room(bar, end - begin) else end + _width(bar)


def _has_room(bar: ChartBar, width: float) -> bool:
    """Whether the text stands in the bar, not after it."""
    return _width(bar) <= width + 0.01


def _lanes(bars: Sequence[ChartBar], extents: Sequence[tuple[float, float, float]]) -> list[int]:
    """The lane of each bar in its row: the first one that is free."""
    ends: dict[str, list[float]] = {}
    lanes = [0] * len(bars)
    for number in sorted(range(len(bars)), key=lambda number: extents[number][0]):
        begin, _, whole = extents[number]
        own = ends.setdefault(bars[number].row, [])
        lane = next((lane for lane, end in enumerate(own) if end + 2 <= begin), len(own))
        own[lane : lane + 1] = [whole]
        lanes[number] = lane
    return lanes


def _in_order(bars: Sequence[ChartBar]) -> _Scale:
    """A scale in which each text has room in its bar."""
    both = [moment for bar in bars for moment in (bar.began, bar.ended)]
    moments = sorted({moment for moment in both if moment is not None})
    positions: dict[float, float] = {}
    x = 0.0
    for moment in moments:
        ending = [bar for bar in bars if bar.ended == moment and bar.began < moment]
        x = max([x, *(positions[bar.began] + _width(bar) for bar in ending)])
        positions[moment] = x
        x += _STEP
    open_ones = [positions[bar.began] + _width(bar) for bar in bars if bar.ended is None]
    return _Scale(positions, max([x, *open_ones]), ())


def _in_time(bars: Sequence[ChartBar], until: float) -> _Scale:
    both = [moment for bar in bars for moment in (bar.began, bar.ended)]
    moments = [moment for moment in both if moment is not None]
    # A timer may be set for a time that never comes, which is drawn at the end of the axis.
    finite = [moment for moment in (*moments, until) if math.isfinite(moment)]
    first, last = min(finite, default=0.0), max(finite, default=0.0)
    span = last - first if last - first >= _LEAST_SPAN else 1.0
    positions = {moment: min((moment - first) / span, 1.0) * _SPAN for moment in moments}
    return _Scale(positions, _SPAN, list(_ticks(span)))


def _ticks(span: float) -> Iterator[tuple[float, str]]:
    """Round numbers of seconds since the first moment."""
    power = 10.0 ** math.floor(math.log10(span / _MOST_TICKS))
    step = next(power * by for by in (1, 2, 5, 10, 20) if span / (power * by) <= _MOST_TICKS)
    for number in range(int(span / step + 1e-9) + 1):
        yield number * step / span * _SPAN, f"{number * step:.10g} s"


def _tick(x: float, top: float, bottom: float, text: str) -> Iterator[Element]:
    yield element("line", "tick", x1=x, y1=top, x2=x, y2=bottom)
    yield element("text", "tick", text, x=x, y=top - 6)


def _drawn(bar: ChartBar, place: Rectangle) -> Element:
    open_class = "unended" if bar.ended is None else ""
    group = element("g", " ".join(filter(None, ["bar", bar.classes, open_class])))
    group.append(element("title", text=bar.detail or bar.text))
    rect = element(
        "rect", x=place.left, y=place.top, width=place.width, height=place.height, rx=3.0
    )
    if bar.ended is None:
        # Open at the right.
        right, bottom = place.left + place.width, place.top + place.height
        begin = f"M {number(right)},{number(place.top)}"
        corners = f"H {number(place.left)} V {number(bottom)}"
        rect = element("path", d=f"{begin} {corners} H {number(right)}")
    x = place.left + _PADDING
    if not _has_room(bar, place.width):
        x += place.width
    text = element("text", text=_text(bar), x=x, y=place.top + 13)
    return add(group, rect, text)
