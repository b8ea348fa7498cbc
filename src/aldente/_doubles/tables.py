"""Small tables of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Row = Mapping[str, str]

# How many characters of a cell are shown, and how many rows of a table.
_WIDTH = 60
_HEIGHT = 30


def table(rows: Iterable[Row]) -> str:
    """Rows as lines with a heading; columns that are empty in all of them are left out.

    >>> print(table([{"#": "1", "call": "fetch('a')"}, {"#": "2", "call": "fetch('b')"}]))
    #  call
    1  fetch('a')
    2  fetch('b')
    """
    kept = list(rows)
    if not kept:
        return "(no calls)"
    hidden = len(kept) - _HEIGHT
    if hidden > 0:
        kept = kept[: _HEIGHT // 2] + kept[-_HEIGHT // 2 :]
    columns = {
        name: [_shortened(row.get(name, "")) for row in kept] for row in kept for name in row
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in filled.items()}
    lines = [_line({name: name for name in filled}, widths)]
    lines += [
        _line({name: cells[number] for name, cells in filled.items()}, widths)
        for number in range(len(kept))
    ]
    if hidden > 0:
        lines.insert(1 + _HEIGHT // 2, f"... {hidden} more ...")
    return "\n".join(lines)


def _line(cells: Row, widths: Mapping[str, int]) -> str:
    return "  ".join(cell.ljust(widths[name]) for name, cell in cells.items()).rstrip()


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
