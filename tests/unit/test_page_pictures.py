"""The still pictures of the page: their layout, what stands in them, and the same as text."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

import aldente
from aldente._diagnosis.waits import (
    AwaitGraph,
    SuspendedFrame,
    TaskLink,
    Wait,
    WaitingTask,
    WaitKind,
)
from aldente._doubles import state as doubles
from aldente._doubles.calls import Call
from aldente._records import SourcePlace
from aldente._report import calls, elements, failures, figure, layout, operations, timers, waits
from aldente._report.figure import ChartBar, columns_of, folded
from aldente._report.layout import Box, Connector, Layout, Point
from aldente._virtual_time.clock import Timer
from aldente.errors import NotAtomic, NotLinearizable, NotSerializable

HERE = Path(__file__)


def draw(kind: failures.PanelKind, data: Any) -> Element:
    """The figure of what has been sent between processes, which is a part of HTML."""
    sent = json.loads(json.dumps(data))
    return failures.draw({"kind": kind, "title": "The title", "data": sent})


def texts(figure: Element, path: str = ".//text") -> list[str]:
    """The texts of some elements."""
    return ["".join(each.itertext()) for each in figure.findall(path)]


def words(figure: Element) -> list[str]:
    """The lines, or rows, of the text version."""
    details = figure.find(".//details")
    assert details is not None
    rows = [[*each.itertext()] for each in details.findall(".//tr")]
    return [*texts(details, ".//li"), *(" | ".join(row) for row in rows)]


def with_class(figure: Element, *classes: str) -> list[Element]:
    """The elements with all of some classes."""
    return [
        each for each in figure.iter() if set(classes) <= set((each.get("class") or "").split())
    ]


def title_of(element: Element) -> str:
    """What shows when the mouse is over an element."""
    return element.findtext("title") or ""


# Layout.


def overlap(one: Box, other: Box) -> bool:
    """Whether two rectangles have a point inside both."""
    return (
        one.left < other.left + other.width
        and other.left < one.left + one.width
        and one.top < other.top + other.height
        and other.top < one.top + one.height
    )


def span(first: Point, second: Point) -> Box:
    """The rectangle of a line that goes straight across or down, which has no width or no height."""
    assert first.x == second.x or first.y == second.y
    left, top = min(first.x, second.x), min(first.y, second.y)
    return Box(left, top, abs(first.x - second.x), abs(first.y - second.y))


def crosses(line: Box, box: Box) -> bool:
    """Whether a line goes through the inside of a box; its ends touch the edges."""
    edge = 0.01
    inside = Box(box.left + edge, box.top + edge, box.width - 2 * edge, box.height - 2 * edge)
    return overlap(Box(line.left, line.top, line.width or 1e-9, line.height or 1e-9), inside)


def check(placed: Layout, links: Sequence[Connector]) -> None:
    """What holds of every layout."""
    for one, other in itertools.combinations(placed.boxes, 2):
        assert not overlap(one, other)
    # A wider picture would not fit on a page.
    assert len({box.left for box in placed.boxes}) <= 3
    for box in placed.boxes:
        assert box.left >= 0
        assert box.top >= 0
        assert box.left + box.width <= placed.width
        assert box.top + box.height <= placed.height
    for link, route in zip(links, placed.routes, strict=True):
        for first, second in itertools.pairwise(route.points):
            assert not any(crosses(span(first, second), box) for box in placed.boxes)
        for point, number in ((route.points[0], link.start), (route.points[-1], link.end)):
            box = placed.boxes[number]
            assert box.left <= point.x <= box.left + box.width
            assert box.top <= point.y <= box.top + box.height
            assert point.x in (box.left, box.left + box.width) or point.y in (
                box.top,
                box.top + box.height,
            )
        for point in route.points:
            assert 0 <= point.x <= placed.width
            assert 0 <= point.y <= placed.height
        assert route.label.x >= 0
        assert route.label.x + link.label_width <= placed.width


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 30])
def test_no_line_crosses_a_box(count: int) -> None:
    """Boxes do not overlap, and no line goes through one, in graphs with and without circles."""
    for seed in range(25):
        choose = random.Random(1000 * count + seed)
        size = choose.randint(0, min(count, choose.choice([2, 3, 4, 9, 30])))
        circle = choose.sample(range(count), size)
        pairs = dict.fromkeys(zip(circle, [*circle[1:], *circle[:1]], strict=True), True)
        for _ in range(choose.randint(0, 2 * count)):
            pair = choose.randrange(count), choose.randrange(count)
            pairs.setdefault(pair, False)
        links = [
            Connector(
                *pair, choose.uniform(0, 160), is_cycle, not is_cycle and choose.random() < 0.2
            )
            for pair, is_cycle in pairs.items()
        ]
        heights = [choose.uniform(layout.LEAST_HEIGHT_WITH_LOOP, 140) for _ in range(count)]
        check(layout.lay_out(heights, 250, links, [circle] if circle else []), links)


def test_lines_to_different_boxes_are_apart() -> None:
    """Lines that have neither end in common do not lie on one another."""
    for seed in range(30):
        choose = random.Random(seed)
        pairs = {(choose.randrange(9), choose.randrange(9)) for _ in range(14)}
        links = [Connector(*pair, 40) for pair in sorted(pairs)]
        placed = layout.lay_out([80] * 9, 200, links)
        for (one, first), (other, second) in itertools.combinations(
            zip(links, placed.routes, strict=True), 2
        ):
            if {one.start, one.end} & {other.start, other.end}:
                continue
            spans = itertools.product(
                itertools.starmap(span, itertools.pairwise(first.points)),
                itertools.starmap(span, itertools.pairwise(second.points)),
            )
            assert not any(lie_on_one_another(*pair) for pair in spans)


def lie_on_one_another(one: Box, other: Box) -> bool:
    """Whether two straight lines have more in common than a point."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return (wide > 0.01 and high == 0) or (high > 0.01 and wide == 0)


def test_a_circle_is_one() -> None:
    """Boxes that lead to each other stand around the edge of a rectangle, each beside the next."""
    links = [Connector(number, (number + 1) % 4, 30, is_cycle=True) for number in range(4)]
    boxes = layout.lay_out([80] * 4, 200, links, [[0, 1, 2, 3]]).boxes
    places = [(box.left > 100, box.top > 100) for box in boxes]
    assert places == [(False, False), (True, False), (True, True), (False, True)]


def test_what_waits_stands_above() -> None:
    """A box stands above those that it leads to, if these do not lead back."""
    boxes = layout.lay_out([80] * 3, 200, [Connector(0, 2, 0), Connector(2, 1, 0)]).boxes
    assert boxes[0].top < boxes[2].top < boxes[1].top


def test_no_box() -> None:
    """A graph without boxes has a picture too."""
    assert layout.lay_out([], 200, []).boxes == ()


# The await graph.


def task(name: str, wait: Wait, line: int = 1) -> WaitingTask:
    """A task that waits in a line of this file."""
    frame = SuspendedFrame(SourcePlace(str(HERE), line), f"run_{name}")
    return WaitingTask(name, f"run_{name}", (frame,), (frame,), wait)


def waits_of(*tasks: WaitingTask, main: str | None = None) -> Element:
    """The picture of some tasks."""
    return draw("waits", waits.collect(AwaitGraph(tasks), main=main, folder=HERE.parent))


def lock(number: int, holder: int, name: str = "lock") -> Wait:
    """A wait for a lock that a task holds."""
    return Wait(WaitKind.LOCK, "Lock", f"self.{name}", number, holders=(TaskLink(holder),))


def test_two_locks() -> None:
    """Each task of a deadlock has a box and a line to the one that holds its lock, and the text says that."""
    figure = waits_of(
        task("test_it", Wait(WaitKind.TASKS, tasks=(1, 2), through="asyncio.gather")),
        task("one", lock(1, 2, "first")),
        task("two", lock(2, 1, "second"), line=3),
        main="test_it",
    )
    cycle = [title_of(each) for each in with_class(figure, "node", "cycle")]
    assert [each.split()[0] for each in cycle] == ["'one'", "'two'"]
    arrows = [title_of(each) for each in with_class(figure, "edge", "cycle")]
    assert arrows == ["self.first, held by", "self.second, held by"]
    assert len(with_class(figure, "edge")) == 4
    shown = texts(figure)
    assert "test_page_pictures.py:3" in shown
    assert "from __future__ import annotations" in shown
    assert [title_of(each) for each in with_class(figure, "going")] == []
    svg = figure.find(".//svg")
    assert svg is not None
    assert svg.get("role") == "img"
    story = "'one' waits for self.first, held by 'two', which waits for self.second, held by 'one'."
    assert svg.get("aria-label") == story
    assert words(figure) == [
        story,
        "'test_it' (run_test_it) waits for 'one' and 'two' (asyncio.gather). At test_page_pictures.py:1: "
        + HERE.read_text().splitlines()[0],
        "'one' (run_one) waits for self.first (a Lock), held by 'two'. At test_page_pictures.py:1: "
        + HERE.read_text().splitlines()[0],
        "'two' (run_two) waits for self.second (a Lock), held by 'one'. At test_page_pictures.py:3: "
        "from __future__ import annotations",
    ]


def test_a_task_that_waits_for_itself() -> None:
    """A task that acquires its own lock again has a line to itself."""
    figure = waits_of(task("only", lock(1, 0)))
    (arrow,) = with_class(figure, "edge", "cycle")
    assert title_of(arrow) == "self.lock, held by"
    assert words(figure)[0] == "'only' waits for self.lock, which it holds itself."


def test_things_that_tasks_wait_for() -> None:
    """What no task holds has a box of its own, once for all that wait for it, and lines to who could help."""
    event = Wait(WaitKind.EVENT, "Event", "ready", 7, known_to=(TaskLink(2),))
    figure = waits_of(
        task("a", event),
        task("b", event),
        task("helper", Wait(WaitKind.TIMER)),
        task("c", Wait(WaitKind.LOCK, "Lock", "door", 8)),
    )
    things = [title_of(each) for each in with_class(figure, "thing")]
    assert things == [
        "ready (an Event)  has to be set",
        "door (a Lock)  no known task holds it",
    ]
    (possible,) = with_class(figure, "possible")
    assert title_of(possible) == "could set it"
    assert len(with_class(figure, "edge")) == 4
    assert [title_of(each).split()[0] for each in with_class(figure, "going")] == [
        "'a'",
        "'b'",
        "'helper'",
    ]


@pytest.mark.parametrize("count", [0, 1, 30])
def test_every_task_has_a_box(count: int) -> None:
    """Up to thirty tasks have a box each."""
    figure = waits_of(*(task(f"t{number}", Wait(WaitKind.TIMER)) for number in range(count)))
    assert len(with_class(figure, "node")) == count
    assert len(words(figure)) == count


def test_many_tasks() -> None:
    """Of many tasks those of the circle and those near it have boxes; the others are counted and named."""
    idle = [task(f"idle {number}", Wait(WaitKind.TIMER)) for number in range(70)]
    figure = waits_of(
        *idle[:35],
        task("one", lock(1, 36)),
        task("two", lock(2, 35)),
        task("near", Wait(WaitKind.TASKS, tasks=(35,))),
        *idle[35:],
    )
    names = [title_of(each).split("  ")[0] for each in with_class(figure, "node")]
    assert len(names) == 30
    assert {"'one'", "'two'", "'near'"} <= set(names)
    (caption,) = texts(figure, ".//figcaption/p")
    assert (
        "43 other tasks are not drawn: 'idle 27', 'idle 28', 'idle 29', 'idle 30' and 39 more."
        in (caption)
    )


def test_many_alike() -> None:
    """Many tasks that wait for the same at the same line share a box, with one line; the text names them."""
    alike = [WaitingTask(f"w{n}", "work", (), (), lock(1, 0)) for n in range(50)]
    figure = waits_of(
        task("holder", Wait(WaitKind.TIMER)),
        *alike,
        task("all", Wait(WaitKind.TASKS, tasks=tuple(range(51)))),
    )
    names = [title_of(each).split("  ")[0] for each in with_class(figure, "node")]
    assert names == ["'holder'", "'w0' and 49 more like it", "'all'"]
    assert len(with_class(figure, "edge")) == 3
    assert words(figure)[1].endswith("The box stands for 'w0', 'w1', 'w2', 'w3' and 46 more.")
    (caption,) = texts(figure, ".//figcaption/p")
    assert "not drawn" not in caption


def test_names_are_no_markup() -> None:
    """Names with markup, control characters and halves of characters are shown, not obeyed."""
    name = "<b>&\x1b[1m\ud800"
    html = elements.rendered(waits_of(task(name, Wait(WaitKind.TIMER))))
    html.encode()
    assert "<b>" not in html
    assert "\x1b" not in html
    assert "'&lt;b&gt;&amp;\\x1b[1m\\ud800'" in html


def test_wide_characters_have_room() -> None:
    """A text of wide characters is cut where its box ends."""
    figure = waits_of(task("語" * 60, Wait(WaitKind.TIMER)))
    assert texts(figure)[0] == f"'{'語' * 16}…"


@pytest.mark.parametrize(
    "word", ["held by " + "n" * 90, "n" * 90 + " holds", "名前" * 40 + " holds it"]
)
def test_lines_have_their_length(word: str) -> None:
    """No line of a folded text is longer than it may be, however long its words are."""
    for text in (word, f"waits for {word}", f"waits for {word} and {word}"):
        lines = folded(text, 30, 3)
        assert 1 < len(lines) <= 3
        assert max(map(columns_of, lines)) <= 30


def test_no_colours_but_by_class() -> None:
    """No element of a figure has a style or a colour, and every class of a picture is in the style sheet."""
    css = (Path(failures.__file__).parent / "assets" / "pictures.css").read_text(encoding="utf-8")
    figures = [
        waits_of(task("one", lock(1, 1)), task("two", lock(2, 0)), task("t", Wait(WaitKind.TIMER))),
        draw("operations", operations.collect(lost_update())),
        draw("timers", timers.collect(0.0, [Timer(1.0, None, None, "")], folder=HERE)),
    ]
    for each in itertools.chain.from_iterable(each.iter() for each in figures):
        assert not {"style", "fill", "stroke", "color"} & set(each.attrib)
    assert not re.search(
        r"#[0-9a-f]{3}|rgb\(|var\(--(?!paper|ink|muted|line|accent|bad|good|warn|soft)", css
    )
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: *([\d.]+)px", css)]
    assert sizes
    assert min(sizes) >= 11


# Bars.


def test_bars_do_not_overlap() -> None:
    """Bars of one row that overlap, or whose texts would, are below one another."""
    for seed in range(40):
        choose = random.Random(seed)
        in_seconds = choose.random() < 0.5
        made = []
        for _ in range(choose.randint(0, 25)):
            began = choose.randint(1, 30)
            ended = None if choose.random() < 0.2 else began + choose.randint(1, 9)
            made.append(ChartBar(choose.choice("abc"), began, ended, "x" * choose.randint(0, 30)))
        chart = figure.draw_bars(made, label="", in_seconds=in_seconds)
        places = [Box(*place) for place in chart.places]
        assert not any(overlap(*pair) for pair in itertools.combinations(places, 2))
        width = float(chart.drawn.get("width") or 0)
        assert all(place.left + place.width <= width for place in places)


def test_order_is_kept() -> None:
    """Without a scale, what ended before another began is left of it, and what overlapped overlaps."""
    made = [
        ChartBar("a", 1, 4, "first"),
        ChartBar("b", 2, 3, "second, longer"),
        ChartBar("c", 5, None, "third"),
    ]
    first, second, third = figure.draw_bars(made, label="", in_seconds=False).places
    assert first.left < second.left
    assert second.left + second.width < first.left + first.width
    assert first.left + first.width < third.left


def test_time_has_a_scale() -> None:
    """Over time, the length of a bar is in proportion to its duration, up to the moment of the failure."""
    made = [
        ChartBar("a", 10.0, 12.0, ""),
        ChartBar("b", 10.0, 14.0, ""),
        ChartBar("c", 12.0, None, ""),
    ]
    chart = figure.draw_bars(made, label="", in_seconds=True, until=20.0)
    two, four, eight = (place.width for place in chart.places)
    assert (four / two, eight / two) == pytest.approx((2, 4))
    ticks = [each.text for each in with_class(chart.drawn, "tick") if each.tag == "text"]
    assert ticks == ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]


# Calls of doubles.


async def buy() -> list[Call]:
    """Calls that end in every way, and what is noted of them before the last ones end."""
    noted: list[Call] = []
    doubles.listeners.append(noted.append)
    try:
        price = aldente.Double(name="price").returns(12)
        order = aldente.Double(name="order")
        order.side_effect = ValueError("<sold>")
        gate = aldente.Double(name="gate")
        gate.hold()
        await price("tea", count=2)
        with pytest.raises(ValueError, match="sold"):
            await order("jam")
        held = asyncio.create_task(gate("x"), name="customer")
        never = aldente.Double(name="slow").never_returns()
        cut = asyncio.create_task(never())
        waiting = asyncio.create_task(never())
        await asyncio.sleep(0)
        cut.cancel()
        await asyncio.wait([cut])
        price("forgotten").close()
        shown = calls.collect(noted, folder=HERE.parent, others=5)
        for each in (held, waiting):
            each.cancel()
        await asyncio.wait([held, waiting])
    finally:
        doubles.listeners.remove(noted.append)
    _shown.append(shown)
    return noted


_shown: list[calls.CallsPicture] = []


def test_calls() -> None:
    """A call has a bar with its arguments and how it ended, and a row that says the same."""
    _shown.clear()
    asyncio.run(buy())
    figure = draw("calls", _shown[0])
    drawn = {title_of(each).split("(")[0]: each for each in with_class(figure, "bar")}
    assert [*drawn] == ["price", "order", "gate", "slow"]
    assert texts(figure, ".//g/text") == [
        "('tea', count=2) = 12",
        "('jam') raised ValueError('<sold>')",
        "('x') held at a gate",
        "() cancelled",
        "() still open",
    ]
    assert title_of(drawn["gate"]) == "gate('x') is held at a gate, by 'customer'"
    assert "open" in (drawn["gate"].get("class") or "")
    rows = words(figure)[1:]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["price('tea', count=2)", "returned 12"],
        ["order('jam')", "raised ValueError('<sold>')"],
        ["gate('x')", "is held at a gate"],
        ["slow()", "was cancelled"],
        ["slow()", "is still open"],
        ["price('forgotten')", "was never awaited"],
    ]
    assert "test_page_pictures.py:" in rows[0]
    (caption,) = texts(figure, ".//figcaption/p")
    assert "Up to 3 were open at the same time." in caption
    assert "1 was never awaited, and was not drawn." in caption
    assert "5 earlier calls are not shown." in caption


def call(began: int, ended: int, start: float | None, end: float | None) -> calls.ShownCall:
    """A call of which only the moments matter."""
    return {
        "double": "f",
        "call": "f()",
        "outcome": "returned" if ended else "pending",
        "said": "None" if ended else "",
        "began": began,
        "ended": ended,
        "start": start,
        "end": end,
        "task": "",
        "place": "",
    }


@pytest.mark.parametrize(
    ("shown", "has_scale"),
    [
        ([call(1, 2, 10.0, 11.0), call(3, 4, 11.0, 12.0)], True),
        # Of two loops, of which each begins its time anew.
        ([call(1, 2, 10.0, 11.0), call(3, 4, 10.0, 12.0)], False),
        ([call(1, 2, 10.0, 10.0000001)], False),
        ([call(1, 0, 10.0, None), call(2, 3, 12.0, 12.0)], True),
        ([], False),
    ],
)
def test_calls_have_a_scale_on_one_loop(shown: list[calls.ShownCall], has_scale: bool) -> None:
    """The axis is time if the calls have one clock and time has passed; else only their order."""
    figure = draw("calls", {"calls": shown, "now": 15.0, "others": 0})
    assert bool(with_class(figure, "tick")) is has_scale


def test_many_calls() -> None:
    """Of many calls the last ones are drawn, and those that are open still."""
    made = [Call("f", (number,), {}, None) for number in range(200)]
    for number, each in enumerate(made):
        each.outcome = "pending" if number == 3 else "returned"
        each.start_moment, each.end_moment = 2 * number + 1, 0 if number == 3 else 2 * number + 2
    shown = calls.collect(made, folder=HERE, others=1)
    assert len(shown["calls"]) == calls.MOST_CALLS
    assert [each["call"] for each in shown["calls"][:2]] == ["f(3)", "f(141)"]
    assert shown["others"] == 141


# Timers.


def test_timers() -> None:
    """Each timer has a bar as long as the time until it, and a row with its task and line."""
    place = SourcePlace(str(HERE), 3)
    ahead = [
        Timer(100002.0, "heart <beat>", place, "await asyncio.sleep(2)"),
        Timer(100008.5, None, None, ""),
    ]
    figure = draw("timers", timers.collect(100000.0, ahead, folder=HERE.parent))
    where = "test_page_pictures.py:3: await asyncio.sleep(2)"
    assert texts(figure, ".//g/text") == [f"in 2 s, {where}", "in 8.5 s"]
    assert words(figure)[1:] == [
        f"'heart <beat>' | in 2 s (at 100002) | {where}",
        "a callback | in 8.5 s (at 100008.5)",
    ]
    (caption,) = texts(figure, ".//figcaption/p")
    assert caption == "At the failure the loop time was 100000 s, and 2 timers were pending."


@pytest.mark.parametrize(
    "distances", [(1.0, float("inf")), (float("inf"),), (0.0, 1e-300), (1e308,)]
)
def test_timers_at_any_time(distances: Sequence[float]) -> None:
    """A timer may be set for a time that never comes, or for one that is hardly later."""
    set_for = [Timer(5.0 + distance, None, None, "") for distance in distances]
    drawn = draw("timers", timers.collect(5.0, set_for, folder=HERE.parent))
    assert "nan" not in elements.rendered(drawn)
    widths = [float(each.attrib["width"]) for each in drawn.iter("rect")]
    assert len(widths) == len(distances)
    assert widths == sorted(widths)


def test_many_timers() -> None:
    """Only the next ones of many timers are drawn; the others are counted."""
    ahead = [Timer(float(number), "t", None, "") for number in range(40)]
    figure = draw("timers", timers.collect(0.0, ahead, folder=HERE))
    assert len(with_class(figure, "bar")) == 30
    (caption,) = texts(figure, ".//figcaption/p")
    assert caption.endswith("40 timers were pending. The last 10 of them are not shown.")


# Histories.


class Register:
    def __init__(self) -> None:
        self.value = 0

    def set(self, value: int) -> None:
        self.value = value

    def get(self) -> int:
        return self.value


def test_a_history() -> None:
    """The operation that no order explains is marked, and what came before is dotted."""
    history = aldente.history()
    with history.operation("set", 1):
        pass
    with history.operation("get") as operation:
        operation.returns(3)
    with pytest.raises(NotLinearizable) as caught:
        history.linearizable(Register())
    figure = draw("operations", operations.collect(caught.value))
    assert [title_of(each) for each in with_class(figure, "marked")] == ["get() = 3"]
    assert [title_of(each) for each in with_class(figure, "dotted")] == ["set(1)"]
    assert words(figure)[:2] == [
        "MainThread, from 1 to 2: set(1) (took effect before)",
        "MainThread, from 3 to 4: get() = 3 (no order explains this one)",
    ]


def lost_update() -> NotSerializable:
    """The error of two transactions of which one overwrites what the other has set."""
    history = aldente.history()
    with history.transaction("one") as one, history.transaction("two") as two:
        one.reads("Ann", 0)
        two.reads("Ann", 0)
        one.writes("Ann", 1)
        two.writes("Ann", 2)
    with pytest.raises(NotSerializable) as caught:
        history.serializable(initial={"Ann": 0})
    return caught.value


def test_transactions() -> None:
    """The transactions of a circle have arrows, with the reason of each in the text."""
    error = lost_update()
    assert error.edges == ((0, 1), (1, 0))
    figure = draw("operations", operations.collect(error))
    assert len(with_class(figure, "bar")) == 2
    assert [each.findtext("text") for each in with_class(figure, "edge")] == ["1", "2"]
    said = words(figure)
    assert "Arrow 1: T1 'one' comes before T2 'two'." in said
    assert set(error.reasons) <= set(said)


def test_operations_of_an_object() -> None:
    """What operations gave that no order of them gives has their bars, and both in words."""

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        async def add(self, number: int) -> int:
            count = self.count
            await asyncio.sleep(0)
            self.count = count + number
            return self.count

    async def main() -> None:
        counter = aldente.serializable(Counter())
        await asyncio.gather(counter.add(1), counter.add(2))

    failure = aldente.search(main, runs=1).failure
    assert failure is not None
    error = failure.exception
    assert isinstance(error, NotAtomic)
    figure = draw("operations", operations.collect(error))
    assert texts(figure, ".//g/text") == ["add(1) returned 1", "add(2) returned 2"]
    said = words(figure)
    assert {line.strip() for line in (*error.here, *error.serial)} <= set(said)
