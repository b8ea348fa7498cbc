"""The picture of an await graph: a box for each task, and lines to what each waits for."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict
from xml.etree.ElementTree import Element

from aldente._diagnosis import deadlock
from aldente._diagnosis.waits import AwaitGraph, Phrases, Wait, WaitKind, enumerate_names
from aldente._records import SourcePlace
from aldente._report import figure, layout
from aldente._report.figure import add, element
from aldente._report.layout import Box, Connector, Point, Route

# How many boxes of tasks there are, and from how many on equal tasks share one.
MOST_BOXES = 30
_MANY_ALIKE = 4

# How many of the tasks that could end a wait get a line.
_MOST_HELPERS = 3

_COLUMNS = 34
_LABEL_COLUMNS = 24
_PADDING = 9.0
_WIDTH = _COLUMNS * figure.CHARACTER + 2 * _PADDING
_ARROW = 7.0
_CORNER = 5.0

# The texts of boxes for things that no known task holds, or for which something has to happen.
_MISSING = {
    WaitKind.LOCK: "no known task holds it",
    WaitKind.SEMAPHORE: "no known task holds it",
    WaitKind.CONDITION: "has to be notified",
    WaitKind.EVENT: "has to be set",
    WaitKind.QUEUE_GET: "is empty",
    WaitKind.QUEUE_PUT: "is full",
    WaitKind.QUEUE_JOIN: "has unfinished items",
    WaitKind.BARRIER: "more tasks have to arrive",
    WaitKind.FUTURE: "has to be completed",
}


class Node(TypedDict):
    """A box.

    Attributes:
        name: the task's name, quoted; or what a thing is called.
        alike: the names of all tasks that share the box, in words; else empty.
        is_thing: whether it is something that tasks wait for.
        is_cycle: whether it is in a circle of tasks that wait for each other.
        is_stuck: whether nothing ends its wait.
        coroutine: the qualified name of a task's coroutine; else empty.
        place, source: where it waits, and that line; may be empty.
        waits: what it waits for, in a few words; of a thing, what it lacks.
        says: all that is known of its wait, in sentences.
    """

    name: str
    alike: str
    is_thing: bool
    is_cycle: bool
    is_stuck: bool
    coroutine: str
    place: str
    source: str
    waits: str
    says: str


class Arrow(TypedDict):
    """A line.

    Attributes:
        start, end: the numbers of two boxes.
        label: what the line means.
        is_cycle: whether it is part of a circle.
        is_possible: whether its end only could end the wait.
    """

    start: int
    end: int
    label: str
    is_cycle: bool
    is_possible: bool


class Waits(TypedDict):
    """What the picture shows.

    Attributes:
        summary: which task holds up the others, in a sentence.
        stories: a sentence for each circle.
        circles: the boxes of each.
        nodes: the boxes.
        arrows: the lines.
        others: how many tasks have no box.
        other_names: their names, in words.
    """

    summary: str
    stories: list[str]
    circles: list[list[int]]
    nodes: list[Node]
    arrows: list[Arrow]
    others: int
    other_names: str


def collect(graph: AwaitGraph, *, main: str | None, folder: Path) -> Waits:
    """What the picture of an await graph shows.

    Args:
        graph: which tasks wait for what.
        main: the name of the task that matters most, for example that of the test; or None.
        folder: paths within it are shown relative to it.
    """
    return _Collector(graph, main, folder).collect()


class _Collector:
    def __init__(self, graph: AwaitGraph, main: str | None, folder: Path) -> None:
        self._graph, self._main, self._folder = graph, main, folder
        self._stuck = deadlock.stuck_tasks(graph)
        self._phrases = Phrases(graph, self._stuck)
        names = [task.name for task in graph.tasks]
        self._main_index = names.index(main) if main in names else None
        self._cycles = deadlock.cycles_among(graph, self._stuck, self._main_index)
        alone = {self._main_index, *(index for cycle in self._cycles for index in cycle)}
        self._shown = _chosen(_groups(graph, alone), graph, self._cycles, self._main_index)
        # The box of each task.
        self._numbers = {
            index: number for number, group in enumerate(self._shown) for index in group
        }
        # The boxes of things, by what identifies each.
        self._things: dict[object, int] = {}

    def collect(self) -> Waits:
        nodes = [self._node(group) for group in self._shown]
        arrows: dict[tuple[int, int], Arrow] = {}
        for index, *_ in self._shown:
            for arrow in self._arrows(index, nodes):
                arrows.setdefault((arrow["start"], arrow["end"]), arrow)
        others = [index for index in range(len(self._graph.tasks)) if index not in self._numbers]
        return {
            "summary": deadlock.summary(self._graph, main=self._main),
            "stories": deadlock.stories(self._graph, main=self._main),
            "circles": [
                [self._numbers[index] for index in cycle if index in self._numbers]
                for cycle in self._cycles
            ],
            "nodes": nodes,
            "arrows": list(arrows.values()),
            "others": len(others),
            "other_names": enumerate_names(map(self._phrases.name, others)),
        }

    def _node(self, group: Sequence[int]) -> Node:
        index = group[0]
        task = self._graph.tasks[index]
        frame = task.frame
        more = len(group) - 1
        name = self._phrases.name(index)
        return {
            "name": f"{name} and {more:,} more like it" if more else name,
            "alike": enumerate_names(map(self._phrases.name, group)) if more else "",
            "is_thing": False,
            "is_cycle": any(index in cycle for cycle in self._cycles),
            "is_stuck": index in self._stuck,
            "coroutine": task.coroutine,
            "place": "" if frame is None else str(self._relative(frame.place)),
            "source": "" if frame is None else frame.source,
            "waits": self._phrases.what(index),
            "says": self._phrases.describe(index),
        }

    def _relative(self, place: SourcePlace) -> SourcePlace:
        return SourcePlace.relative_to(place.path, place.line, self._folder)

    def _arrows(self, index: int, nodes: list[Node]) -> Iterator[Arrow]:
        """The lines from a task, and from what it waits for; appends the boxes of things."""
        wait, start = self._graph.tasks[index].wait, self._numbers[index]
        for blocker in wait.blockers:
            if blocker in self._numbers:
                yield {
                    "start": start,
                    "end": self._numbers[blocker],
                    "label": self._label(wait, blocker),
                    "is_cycle": self._is_in_cycle(index, blocker),
                    "is_possible": False,
                }
        if wait.blockers or wait.kind not in _MISSING:
            return
        key = (wait.kind, index if wait.number is None else wait.number)
        thing = self._things.get(key)
        if thing is None:
            thing = self._things[key] = len(nodes)
            nodes.append(self._thing(wait))
            yield from self._possible(wait, thing)
        yield _plain_arrow(start, thing, "waits for")

    def _possible(self, wait: Wait, thing: int) -> Iterator[Arrow]:
        is_lock = wait.kind in (WaitKind.LOCK, WaitKind.SEMAPHORE)
        label = "may be held by" if is_lock else f"could {self._phrases.remedy(wait)}"
        for link in wait.known_to[:_MOST_HELPERS]:
            if link.task in self._numbers:
                arrow = _plain_arrow(thing, self._numbers[link.task], label)
                arrow["is_possible"] = True
                yield arrow

    def _thing(self, wait: Wait) -> Node:
        return {
            "name": self._phrases.described(wait),
            "alike": "",
            "is_thing": True,
            "is_cycle": False,
            "is_stuck": True,
            "coroutine": "",
            "place": "",
            "source": "",
            "waits": _MISSING[wait.kind],
            "says": "",
        }

    def _label(self, wait: Wait, blocker: int) -> str:
        if any(holder.task == blocker for holder in wait.holders):
            return f"{self._phrases.thing(wait)}, held by"
        return "waits for one of" if wait.is_any and len(wait.tasks) > 1 else "waits for"

    def _is_in_cycle(self, index: int, blocker: int) -> bool:
        return any(
            (one, two) == (index, blocker)
            for cycle in self._cycles
            for one, two in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        )


def _plain_arrow(start: int, end: int, label: str) -> Arrow:
    return {"start": start, "end": end, "label": label, "is_cycle": False, "is_possible": False}


def _groups(graph: AwaitGraph, alone: Container[int | None]) -> list[list[int]]:
    """The tasks in groups: many that wait for the same at the same line are one group.

    Args:
        graph: the tasks.
        alone: those that are a group of their own.
    """
    alike: dict[object, list[int]] = {}
    for index, task in enumerate(graph.tasks):
        key = (task.coroutine, task.own_frames or task.frames, task.wait)
        alike.setdefault(index if index in alone else key, []).append(index)
    groups: list[list[int]] = []
    for group in alike.values():
        groups += [group] if len(group) >= _MANY_ALIKE else [[index] for index in group]
    return sorted(groups)


def _chosen(
    groups: list[list[int]], graph: AwaitGraph, cycles: Sequence[Sequence[int]], main: int | None
) -> list[list[int]]:
    """The groups that get a box: all, or those of circles and of the main task, and those near."""
    if len(groups) <= MOST_BOXES:
        return groups
    group_of = {index: number for number, group in enumerate(groups) for index in group}
    beside: list[set[int]] = [set() for _ in groups]
    for index, task in enumerate(graph.tasks):
        for other in (*task.wait.blockers, *(link.task for link in task.wait.known_to)):
            beside[group_of[index]].add(group_of[other])
            beside[group_of[other]].add(group_of[index])
    first = [index for cycle in cycles for index in cycle]
    starts = [group_of[index] for index in (first if main is None else [*first, main])]
    # Those of circles before those beside them; at the end any.
    chosen = dict.fromkeys(starts)
    for start in range(len(groups)):
        for number in list(chosen):
            chosen.update(dict.fromkeys(sorted(beside[number])))
        if len(chosen) >= MOST_BOXES:
            break
        chosen[start] = None
    return sorted(groups[number] for number in list(chosen)[:MOST_BOXES])


def draw(data: Waits) -> Element:
    """Draw an await graph.

    Args:
        data: what `collect` has returned.
    """
    texts = [_lines(node) for node in data["nodes"]]
    labels = [figure.cut(arrow["label"], _LABEL_COLUMNS) for arrow in data["arrows"]]
    links = [
        Connector(
            arrow["start"],
            arrow["end"],
            figure.width_of(label),
            arrow["is_cycle"],
            arrow["is_possible"],
        )
        for arrow, label in zip(data["arrows"], labels, strict=True)
    ]
    heights = [_height(lines) for lines in texts]
    placed = layout.lay_out(heights, _WIDTH, links, data["circles"])
    drawn = figure.picture(placed.width, placed.height, data["summary"])
    # Lines that leave a box together have one label.
    labelled: set[tuple[str, Point]] = set()
    for arrow, label, route in zip(data["arrows"], labels, placed.routes, strict=True):
        drawn.append(_arrow(arrow, "" if (label, route.label) in labelled else label, route))
        labelled.add((label, route.label))
    for node, lines, box in zip(data["nodes"], texts, placed.boxes, strict=True):
        drawn.append(_box(node, lines, box))
    return figure.figure("waits", drawn, _caption(data), *_words(data))


def _caption(data: Waits) -> str:
    if not data["others"]:
        return data["summary"]
    others = data["others"]
    left_out = f"{others:,} other task{'s are' if others > 1 else ' is'} not drawn"
    return f"{data['summary']} {left_out}: {data['other_names']}."


def _lines(node: Node) -> list[tuple[str, str]]:
    """The lines in a box, each with its class."""
    lines = [("name", figure.cut(node["name"], _COLUMNS))]
    for name in ("coroutine", "place", "source"):
        text = node[name]
        if text:
            lines.append((name, _cut_left(text) if name == "place" else figure.cut(text, _COLUMNS)))
    lines += [("waits", line) for line in figure.folded(node["waits"], _COLUMNS, 3)]
    return lines


def _cut_left(text: str) -> str:
    """The end of a path is what matters."""
    text = figure.printable(text)
    while figure.columns_of(text) > _COLUMNS:
        text = f"…{text.removeprefix('…')[1:]}"
    return text


def _height(lines: Sequence[tuple[str, str]]) -> float:
    height = len(lines) * figure.LINE + 2 * _PADDING
    return max(height, layout.LEAST_HEIGHT)


def _box(node: Node, lines: Sequence[tuple[str, str]], box: Box) -> Element:
    kinds = {"thing": node["is_thing"], "cycle": node["is_cycle"], "going": not node["is_stuck"]}
    classes = " ".join(["node", *(name for name, is_so in kinds.items() if is_so)])
    group = element("g", classes)
    full = [node["name"], node["coroutine"], node["place"], node["source"], node["waits"]]
    group.append(element("title", text="  ".join(filter(None, full))))
    corner = box.height / 2 if node["is_thing"] else 4.0
    rect = element("rect", x=box.left, y=box.top, width=box.width, height=box.height, rx=corner)
    group.append(rect)
    middle = box.left + box.width / 2
    for number, (kind, text) in enumerate(lines):
        x = middle if node["is_thing"] else box.left + _PADDING
        y = box.top + _PADDING + figure.LINE * (number + 0.75)
        group.append(element("text", kind, text, x=x, y=y))
    return group


def _arrow(arrow: Arrow, label: str, route: Route) -> Element:
    kinds = {"cycle": arrow["is_cycle"], "possible": arrow["is_possible"]}
    classes = " ".join(["edge", *(name for name, is_so in kinds.items() if is_so)])
    group = element("g", classes)
    line = element("path", d=_path(route.points))
    head = element("polygon", points=" ".join(_words_of(_head(*route.points[-2:]))))
    add(group, element("title", text=arrow["label"]), line, head)
    if label:
        group.append(element("text", text=label, x=route.label.x, y=route.label.y))
    return group


def _path(points: Sequence[Point]) -> str:
    """A line with round corners, so that a corner does not look like a crossing."""
    words = ["M", *_words_of(points[:1])]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        ends = (_toward(corner, before), corner, _toward(corner, after))
        come, turn, go = _words_of(ends)
        words += ["L", come, "Q", turn, go]
    return " ".join([*words, "L", *_words_of(points[-1:])])


def _toward(start: Point, end: Point) -> Point:
    """A point near another one, on the way to a third; at most half of the way."""
    length = abs(end.x - start.x) + abs(end.y - start.y)
    part = min(_CORNER, length / 2) / length if length else 0.0
    return Point(start.x + (end.x - start.x) * part, start.y + (end.y - start.y) * part)


def _head(before: Point, end: Point) -> tuple[Point, Point, Point]:
    length = abs(end.x - before.x) + abs(end.y - before.y) or 1.0
    x, y = (end.x - before.x) / length * _ARROW, (end.y - before.y) / length * _ARROW
    back = Point(end.x - x, end.y - y)
    return end, Point(back.x - y / 2, back.y + x / 2), Point(back.x + y / 2, back.y - x / 2)


def _words_of(points: Iterable[Point]) -> list[str]:
    return [f"{figure.number(point.x)},{figure.number(point.y)}" for point in points]


def _words(data: Waits) -> Iterator[Element]:
    if data["stories"]:
        yield figure.in_words(data["stories"])
    yield figure.in_words(_sentence(node) for node in data["nodes"] if not node["is_thing"])


def _sentence(node: Node) -> str:
    at = f" At {node['place']}" if node["place"] else ""
    source = f": {node['source']}" if node["source"] else ""
    alike = f" The box stands for {node['alike']}." if node["alike"] else ""
    return f"{node['name']} ({node['coroutine']}) {node['says']}{at}{source}{alike}"
