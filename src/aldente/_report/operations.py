"""The picture of a history: its operations or transactions as bars in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict
from xml.etree.ElementTree import Element

from aldente._histories.timeline import Bar
from aldente._report import figure
from aldente._report.figure import Rectangle, add, element
from aldente.errors import NotAtomic, NotLinearizable, NotSerializable

Violation = NotAtomic | NotLinearizable | NotSerializable

# The size of an arrow's head, and the space below bars for arrows.
_HEAD = 7.0
_BETWEEN = 30.0


class ShownOperation(TypedDict):
    """An operation or a transaction.

    Attributes:
        who: the task that did it.
        began, ended: the numbers of its beginning and end; 0 for an end that is not known.
        text: what it did, and what it returned.
        is_marked: whether it is the one that no order explains.
        is_dotted: whether it took effect before the others.
    """

    who: str
    began: int
    ended: int
    text: str
    is_marked: bool
    is_dotted: bool


class OperationsPicture(TypedDict):
    """What the picture shows.

    Attributes:
        summary: what is wrong, in a sentence.
        operations: the bars.
        edges: pairs of places of operations, of which the first comes before the second.
        reasons: a line for each edge, and those from which it follows; or other lines that explain.
    """

    summary: str
    operations: list[ShownOperation]
    edges: list[list[int]]
    reasons: list[str]


def collect(error: Violation) -> OperationsPicture:
    """What the picture of a violated history shows."""
    if isinstance(error, NotLinearizable):
        before = f"Operations in dots took effect before; the state was then {error.before}."
        return _collected(error.sentence, error.bars, reasons=[before])
    if isinstance(error, NotSerializable):
        sentence = f"{error.anomaly}: {error.words}."
        return _collected(sentence, error.bars, error.edges, error.reasons)
    reasons = ["One at a time, in all orders, they give:", *map(str.strip, error.serial)]
    sentence = f"The outcome of {error.count} operations of {error.thing} matches no serial order."
    return _collected(sentence, error.bars, reasons=[*map(str.strip, error.here), *reasons])


def _collected(
    summary: str,
    shown: Sequence[Bar],
    edges: Sequence[tuple[int, int]] = (),
    reasons: Sequence[str] = (),
) -> OperationsPicture:
    return {
        "summary": summary,
        "operations": [
            {
                "who": bar.who,
                "began": bar.began,
                "ended": bar.ended,
                "text": bar.text,
                "is_marked": bar.is_marked,
                "is_dotted": bar.is_dotted,
            }
            for bar in shown
        ],
        "edges": [list(edge) for edge in edges],
        "reasons": list(reasons),
    }


def draw(data: OperationsPicture) -> Element:
    """Draw the operations of a history.

    Args:
        data: what `collect` has returned.
    """
    operations = data["operations"]
    chart = figure.draw_bars(
        list(map(_bar, operations)),
        label=data["summary"],
        in_seconds=False,
        between=_BETWEEN if data["edges"] else 0.0,
    )
    for number, (before, after) in enumerate(data["edges"], 1):
        chart.drawn.append(_edge(chart.places[before], chart.places[after], number))
    words = [figure.in_words(map(_sentence, operations))]
    if data["edges"]:
        words.append(figure.in_words(_edges_in_words(data)))
    if data["reasons"]:
        words.append(figure.in_words(data["reasons"]))
    return figure.figure("operations", chart.drawn, data["summary"], *words)


def _bar(operation: ShownOperation) -> figure.ChartBar:
    classes = {"marked": operation["is_marked"], "dotted": operation["is_dotted"]}
    return figure.ChartBar(
        operation["who"],
        operation["began"],
        operation["ended"] or None,
        operation["text"],
        " ".join(name for name, is_so in classes.items() if is_so),
    )


def _sentence(operation: ShownOperation) -> str:
    end = operation["ended"] or "an unknown end"
    words = f"{operation['who']}, from {operation['began']} to {end}: {operation['text']}"
    if operation["is_marked"]:
        return f"{words} (no order explains this one)"
    return f"{words} (took effect before)" if operation["is_dotted"] else words


def _edges_in_words(data: OperationsPicture) -> Iterator[str]:
    texts = [operation["text"].partition(":")[0] for operation in data["operations"]]
    for number, (before, after) in enumerate(data["edges"], 1):
        yield f"Arrow {number}: {texts[before]} comes before {texts[after]}."


def _edge(before: Rectangle, after: Rectangle, number: int) -> Element:
    """An arrow from one bar to another: from its right part to the left part of the other.

    So the two arrows between a pair of bars do not lie on one another.
    """
    start_x, end_x = before.left + before.width * 0.7, after.left + after.width * 0.3
    if after.top == before.top:
        # Below both.
        start_y = end_y = before.top + before.height
        low = start_y + _BETWEEN * 0.7
        line = f"C {_point(start_x, low)} {_point(end_x, low)} {_point(end_x, end_y)}"
        label = start_x, low
    else:
        is_down = after.top > before.top
        start_y = before.top + before.height * is_down
        end_y = after.top + after.height * (not is_down)
        bend = _BETWEEN * 0.6 * (1 if is_down else -1)
        turns = f"{_point(start_x, start_y + bend)} {_point(end_x, end_y - bend)}"
        line = f"C {turns} {_point(end_x, end_y)}"
        label = start_x + (end_x - start_x) * 0.2, start_y + bend * 0.6
    back = _HEAD * (1 if after.top <= before.top else -1)
    corners = [
        _point(end_x, end_y),
        _point(end_x - _HEAD / 2, end_y + back),
        _point(end_x + _HEAD / 2, end_y + back),
    ]
    return add(
        element("g", "edge"),
        element("path", d=f"M {_point(start_x, start_y)} {line}"),
        element("polygon", points=" ".join(corners)),
        element("text", text=str(number), x=label[0] + 4, y=label[1] + 4),
    )


def _point(x: float, y: float) -> str:
    return f"{figure.number(x)},{figure.number(y)}"
