"""Draws what happened at the same time: a row for each task, a bar for each operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aldente._histories.operations import Recorded

# The number of columns of a line.
WIDTH = 100

_MOST_ROWS = 24
_LONGEST_NAME = 24


class Bar(NamedTuple):
    """Something to draw.

    Attributes:
        who: the name of its row.
        began, ended: the numbers of its beginning and end; an end of 0 is that of the picture.
        text: what stands in it.
        is_marked: whether its row gets a mark.
        is_dotted: whether it is drawn as one that only came before the others.
    """

    who: str
    began: int
    ended: int
    text: str
    is_marked: bool = False
    is_dotted: bool = False


def bar_of(recorded: Recorded, text: str, is_marked: bool = False, is_dotted: bool = False) -> Bar:
    """The bar of an operation or a transaction."""
    ended = 0 if recorded.outcome == "unknown" else recorded.ended
    return Bar(recorded.who, recorded.began, ended, text, is_marked, is_dotted)


def fits(bars: Sequence[Bar], width: int = WIDTH) -> bool:
    """Whether there is room for all texts in the bars themselves."""
    indent = _indent(_names(bars))
    rows = {bar.who for bar in bars}
    is_narrow = _columns(bars, [bar.text for bar in bars])[-1] + indent < width
    return is_narrow and len(rows) <= _MOST_ROWS


def draw(all_bars: Sequence[Bar], width: int = WIDTH) -> list[str]:
    """Draw bars in the order of their beginnings and ends; the lengths mean nothing.

    Texts that make a line too long stand below the picture, with the number that is in the bar.

    >>> print("\\n".join(draw([Bar("Ann", 1, 3, "set(1)"), Bar("Bob", 2, 4, "get() = 1", True)])))
      Ann  |--set(1)--|
    > Bob    |--get() = 1--|
    """
    bars: Sequence[Bar] = sorted(all_bars, key=lambda bar: bar.began)
    names = _names(bars)
    indent = _indent(names)
    legend: list[str] = []
    columns = _columns(bars, [bar.text for bar in bars])
    texts: Sequence[str] = [bar.text for bar in bars]
    if columns[-1] + indent + 1 > width:
        texts = [str(number) for number in range(1, len(bars) + 1)]
        columns = _columns(bars, texts)
        legend = [
            _cut(f"  {text:>3}  {bar.who}: {bar.text}", width)
            for text, bar in zip(texts, bars, strict=True)
        ]
    left_out = ""
    if columns[-1] + indent + 1 > width or len(set(names)) > _MOST_ROWS:
        left_out, bars, texts, legend = _last_ones(bars, texts, legend, width - indent - 1)
        columns = _columns(bars, texts)
    lines = [left_out] if left_out else []
    lines += _rows(bars, texts, columns, names, indent)
    return lines + legend


def _names(bars: Sequence[Bar]) -> dict[str, str]:
    return {bar.who: _cut(bar.who, _LONGEST_NAME) for bar in bars}


def _indent(names: dict[str, str]) -> int:
    return max(map(len, names.values()), default=0) + 4


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _moments(bars: Iterable[Bar]) -> dict[int, int]:
    """The places of beginnings and ends among those of some bars."""
    numbers = sorted({number for bar in bars for number in (bar.began, bar.ended) if number})
    return {number: place for place, number in enumerate(numbers)}


def _columns(bars: Sequence[Bar], texts: Sequence[str]) -> list[int]:
    """A column for each beginning and end in turn, and one for the end of the picture."""
    places = _moments(bars)
    needs: dict[int, list[tuple[int, int]]] = {}
    for bar, text in zip(bars, texts, strict=True):
        end = places[bar.ended] if bar.ended else len(places)
        needs.setdefault(end, []).append((places[bar.began], len(text) + 5))
    columns: list[int] = []
    for place in range(len(places) + 1):
        least = [columns[begin] + length for begin, length in needs.get(place, ())]
        columns.append(max([columns[-1] + 2 if columns else 0, *least]))
    return columns


def _last_ones(
    bars: Sequence[Bar], texts: Sequence[str], legend: Sequence[str], width: int
) -> tuple[str, Sequence[Bar], Sequence[str], list[str]]:
    """As many of the last bars as there is room for."""
    kept = list(range(len(bars)))
    while len(kept) > 1:
        # The first one without a mark.
        kept.remove(next((place for place in kept if not bars[place].is_marked), kept[0]))
        some, their_texts = [bars[place] for place in kept], [texts[place] for place in kept]
        rows = {bar.who for bar in some}
        if _columns(some, their_texts)[-1] <= width and len(rows) <= _MOST_ROWS:
            break
    left_out = len(bars) - len(kept)
    words = f"  ... {left_out} that began earlier {'is' if left_out == 1 else 'are'} left out"
    lines = [legend[place] for place in kept] if legend else []
    return words, [bars[place] for place in kept], [texts[place] for place in kept], lines


def _rows(
    bars: Sequence[Bar],
    texts: Sequence[str],
    columns: Sequence[int],
    names: dict[str, str],
    indent: int,
) -> list[str]:
    places = _moments(bars)
    # Rows that have the same name, one below the other: bars of one row do not overlap.
    rows: dict[str, list[list[tuple[int, int, str, bool]]]] = {}
    for bar, text in zip(bars, texts, strict=True):
        begin = columns[places[bar.began]]
        end = columns[places[bar.ended]] if bar.ended else columns[-1]
        line, border = (".", ":") if bar.is_dotted else ("-", "|")
        inside = f"{line * 2}{text}".ljust(end - begin - 1, line)
        piece = f"{border}{inside}{border if bar.ended else '?'}"
        own = rows.setdefault(bar.who, [])
        row = next((row for row in own if row[-1][1] < begin), None)
        if row is None:
            row = []
            own.append(row)
        row.append((begin, end, piece, bar.is_marked))
    lines = []
    for who, own in rows.items():
        for number, row in enumerate(own):
            mark = ">" if any(is_marked for *_, is_marked in row) else " "
            line = f"{mark} {names[who] if number == 0 else ''}".ljust(indent)
            for begin, _, piece, _ in row:
                line = line.ljust(indent + begin) + piece
            lines.append(line)
    return lines
