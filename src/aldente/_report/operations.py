"""The picture of a history: its operations or transactions as bars, in the order of their moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict
from xml.etree.ElementTree import Element

from aldente._histories.timeline import Bar
from aldente._report import bars, figure
from aldente._report.bars import Rectangle
from aldente._report.figure import add, element
from aldente.errors import NotAtomic, NotLinearizable, NotSerializable

Violation = NotAtomic | NotLinearizable | NotSerializable

_HEAD = 6.0


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


class Operations(TypedDict):
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


def collect(error: Violation) -> Operations:
    """What the picture of a violated history shows."""
    if isinstance(error, NotLinearizable):
        before = f"Those in dots took effect before; the state was {error.before} then."
        return _collected(error.sentence, error.bars, reasons=[before])
    if isinstance(error, NotSerializable):
        sentence = f"{error.anomaly}: {error.words}."
        return _collected(sentence, error.bars, error.edges, error.reasons)
    reasons = ["One at a time, in all orders, they give:", *map(str.strip, error.serial)]
    sentence = f"What {error.count} operations of {error.thing} gave, no order of them gives."
    return _collected(sentence, error.bars, reasons=[*map(str.strip, error.here), *reasons])


def _collected(
    summary: str,
    shown: Sequence[Bar],
    edges: Sequence[tuple[int, int]] = (),
    reasons: Sequence[str] = (),
) -> Operations:
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


def draw(data: Operations) -> Element:
    """Draw the operations of a history.

    Args:
        data: what `collect` has returned.
    """
    operations = data["operations"]
    chart = bars.draw(list(map(_bar, operations)), label=data["summary"], in_seconds=False)
    for number, (before, after) in enumerate(data["edges"], 1):
        chart.drawn.append(_edge(chart.places[before], chart.places[after], number))
    words = [figure.in_words(map(_sentence, operations))]
    if data["edges"]:
        words.append(figure.in_words(_edges_in_words(data)))
    if data["reasons"]:
        words.append(figure.in_words(data["reasons"]))
    return figure.figure("operations", chart.drawn, data["summary"], *words)


def _bar(operation: ShownOperation) -> bars.Bar:
    classes = {"marked": operation["is_marked"], "dotted": operation["is_dotted"]}
    return bars.Bar(
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


def _edges_in_words(data: Operations) -> Iterator[str]:
    texts = [operation["text"].partition(":")[0] for operation in data["operations"]]
    for number, (before, after) in enumerate(data["edges"], 1):
        yield f"Arrow {number}: {texts[before]} comes before {texts[after]}."


def _edge(before: Rectangle, after: Rectangle, number: int) -> Element:
    """An arrow from one bar to another, curved so that two in opposite directions differ."""
    start_x, end_x = before.left + before.width * 0.6, after.left + after.width * 0.4
    is_down = after.top > before.top
    start_y = before.top + before.height * is_down
    end_y = after.top + after.height * (not is_down)
    if after.top == before.top:
        # Over the bars of their row.
        start_y, end_y = before.top, after.top
    lift = _HEAD + 4
    turn = end_y - lift if is_down or after.top == before.top else end_y + lift
    leave = start_y + lift if is_down else start_y - lift
    x = [figure.number(each) for each in (start_x, end_x)]
    y = [figure.number(each) for each in (start_y, leave, turn, end_y)]
    line = element("path", d=f"M {x[0]},{y[0]} C {x[0]},{y[1]} {x[1]},{y[2]} {x[1]},{y[3]}")
    back = _HEAD if end_y < turn else -_HEAD
    tip = f"{x[1]},{y[3]}"
    base = figure.number(end_y + back)
    left, right = figure.number(end_x - _HEAD / 2), figure.number(end_x + _HEAD / 2)
    head = element("polygon", points=f"{tip} {left},{base} {right},{base}")
    label = element("text", text=str(number), x=start_x + 4, y=leave + (8 if is_down else 2))
    return add(element("g", "edge"), line, head, label)
