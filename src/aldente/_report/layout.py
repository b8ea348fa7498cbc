"""Places the boxes of a graph, and the lines between them.

Boxes stand in the cells of a grid: the boxes of a circle around its edge, those that lead to it in
the rows above. Lines run in the gaps between rows and columns only, so that none crosses a box,
and lines that have neither end in common do not lie on one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

# In pixels: the least width of a gap, the distance of lines in one, and the edge of the picture.
_GAP = 28.0
_ROW_GAP = 46.0
_COLUMN_TRACK = 10.0
_ROW_TRACK = 18.0
_MARGIN = 8.0

# How many boxes stand side by side.
_MOST_COLUMNS = 3

# Where lines leave and enter a box: parts of its width, which are all different, and distances
# from its top.
_DOWN, _UP = 0.12, 0.82
_PORTS = {"top": (0.66, 0.30, 0.42), "bottom": (0.60, 0.36, 0.48)}
_RIGHTWARD, _LEFTWARD, _LOOP = 16.0, 36.0, 50.0
_LOOP_SIZE = 14.0

# The least height of a box; of one with a line to itself.
LEAST_HEIGHT = 44.0
LEAST_HEIGHT_WITH_LOOP = 72.0


class Connector(NamedTuple):
    """A line from one box to another.

    Attributes:
        start, end: their numbers.
        label_width: the width of its label in pixels.
        is_cycle: whether it is drawn apart from the other lines to the same box.
        is_weak: whether its end need not be below its start.
    """

    start: int
    end: int
    label_width: float
    is_cycle: bool = False
    is_weak: bool = False


class Point(NamedTuple):
    """A point, in pixels from the left and from the top."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle, in pixels."""

    left: float
    top: float
    width: float
    height: float


class Route(NamedTuple):
    """Where a line runs.

    Attributes:
        points: its corners, from its beginning to its end.
        label: where the label stands: the left end of its base line.
    """

    points: tuple[Point, ...]
    label: Point


class Layout(NamedTuple):
    """Where everything is.

    Attributes:
        boxes: a rectangle for each box.
        routes: a way for each line.
        width, height: the size of the picture.
    """

    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


class _Cell(NamedTuple):
    row: int
    column: int


def lay_out(
    heights: Sequence[float],
    width: float,
    links: Sequence[Connector],
    circles: Sequence[Sequence[int]] = (),
) -> Layout:
    """Place boxes and lines.

    Args:
        heights: the height of each box.
        width: the width of all of them.
        links: the lines; no two have the same beginning and end.
        circles: boxes that stand in a circle, in this order, if lines join them in both
            directions.

    >>> lay_out([50, 50], 100, [Connector(0, 1, 0)]).boxes  # doctest: +NORMALIZE_WHITESPACE
    (Box(left=8.0, top=8.0, width=100, height=50), Box(left=8.0, top=104.0, width=100, height=50))
    """
    return _Grid(heights, width, links, _cells(len(heights), links, circles)).layout()


def _cells(count: int, links: Sequence[Connector], circles: Sequence[Sequence[int]]) -> list[_Cell]:
    """The cell of each box: parts that no line joins stand side by side, or below one another."""
    beside: list[set[int]] = [set() for _ in range(count)]
    for link in links:
        beside[link.start].add(link.end)
        beside[link.end].add(link.start)
    left = dict.fromkeys([*(box for circle in circles for box in circle), *range(count)])
    parts: list[dict[int, _Cell]] = []
    while left:
        part = _reached(next(iter(left)), beside)
        order = [box for box in left if box in part]
        parts.append(_packed(_levels(order, links)))
        left = {box: None for box in left if box not in part}
    cells = _side_by_side(parts)
    return [cells[box] for box in range(count)]


def _packed(levels: Iterable[list[list[int]]]) -> dict[int, _Cell]:
    """The cells of levels, each below the one before."""
    cells: dict[int, _Cell] = {}
    for level in levels:
        groups = [dict(zip(group, _ring(len(group)), strict=True)) for group in level]
        top = 1 + max((cell.row for cell in cells.values()), default=-1)
        placed = _side_by_side(groups)
        cells.update({box: _Cell(top + row, column) for box, (row, column) in placed.items()})
    return cells


def _side_by_side(blocks: Iterable[dict[int, _Cell]]) -> dict[int, _Cell]:
    """The cells of blocks that are placed side by side, as long as there is room."""
    cells: dict[int, _Cell] = {}
    top = left = height = 0
    for block in blocks:
        columns = 1 + max(cell.column for cell in block.values())
        if left and left + columns > _MOST_COLUMNS:
            top, left, height = top + height, 0, 0
        cells.update({box: _Cell(top + row, left + column) for box, (row, column) in block.items()})
        left += columns
        height = max(height, 1 + max(cell.row for cell in block.values()))
    return cells


def _levels(order: Sequence[int], links: Sequence[Connector]) -> list[list[list[int]]]:
    """Groups of boxes that lead to one another; each level leads to those after it only."""
    following: dict[int, set[int]] = {box: set() for box in order}
    for link in links:
        if link.start in following and not link.is_weak:
            following[link.start].add(link.end)
    reached = {box: _reached(box, following) for box in order}
    groups: list[list[int]] = []
    grouped: set[int] = set()
    for box in order:
        if box not in grouped:
            groups.append(
                [other for other in order if other in reached[box] and box in reached[other]]
            )
            grouped.update(groups[-1])
    levels: list[list[list[int]]] = []
    depth = dict.fromkeys(order, 0)
    # A group that leads to others reaches more boxes than any of those.
    for group in sorted(groups, key=lambda group: -len(reached[group[0]])):
        level = max(depth[box] for box in group)
        for box in group:
            for other in following[box].difference(group):
                depth[other] = max(depth[other], level + 1)
        levels.extend([] for _ in range(level + 1 - len(levels)))
        levels[level].append(group)
    return levels


def _reached(
    start: int, following: Sequence[Iterable[int]] | Mapping[int, Iterable[int]]
) -> set[int]:
    """All boxes to which lines lead from one, and that one."""
    seen = {start}
    left = [start]
    while left:
        for other in following[left.pop()]:
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen


def _ring(count: int) -> list[_Cell]:
    """Cells in a circle, clockwise from the upper left."""
    if count < 3:
        return [_Cell(0, column) for column in range(count)]
    columns = min(_MOST_COLUMNS, (count + 1) // 2)
    rows = 2 + max(0, (count - 2 * columns + 1) // 2)
    right, bottom = columns - 1, rows - 1
    cells = [_Cell(0, column) for column in range(columns)]
    cells += [_Cell(row, right) for row in range(1, bottom)]
    cells += [_Cell(bottom, column) for column in range(right, -1, -1)]
    cells += [_Cell(row, 0) for row in range(bottom - 1, 0, -1)]
    return cells[:count]


class _Way(NamedTuple):
    """The gaps through which a line runs: at its box, beside a column, and at its end."""

    leaves: int
    column: int | None
    enters: int
    side_left: str
    side_entered: str


# Whether its lines come from a box or lead to it, the box, and whether they are part of a circle.
_Bundle = tuple[bool, int, bool]


class _Grid:
    """Works out how wide each gap has to be, and then where everything is."""

    def __init__(
        self, heights: Sequence[float], width: float, links: Sequence[Connector], cells: list[_Cell]
    ) -> None:
        self._heights, self._width, self._links, self._cells = heights, width, links, cells
        self._rows = 1 + max((cell.row for cell in cells), default=-1)
        self._columns = 1 + max((cell.column for cell in cells), default=-1)
        self._starts = Counter(link.start for link in links)
        self._ends = Counter(link.end for link in links)
        # The lines that run along each gap: the number of each bundle in it.
        self._row_tracks: dict[int, dict[_Bundle, int]] = {}
        self._column_tracks: dict[int, dict[_Bundle, int]] = {}
        # The space for labels in each gap between columns.
        self._label_widths: dict[int, float] = {}
        for link in links:
            self._reserve(link)
        self._place_cells()

    def _reserve(self, link: Connector) -> None:
        """Make room for a line, and its label if it is straight."""
        start, end = self._cells[link.start], self._cells[link.end]
        if start.row == end.row and abs(start.column - end.column) < 2:
            gap = start.column + (start.column <= end.column)
            space = link.label_width + (_LOOP_SIZE + 8 if start == end else 0)
            self._label_widths[gap] = max(self._label_widths.get(gap, 0.0), space)
            return
        if self._is_straight_down(link):
            return
        way = self._way(link)
        key = self._bundle(link)
        for gap in (way.leaves, way.enters):
            tracks = self._row_tracks.setdefault(gap, {})
            tracks.setdefault(key, len(tracks))
        if way.column is not None:
            tracks = self._column_tracks.setdefault(way.column, {})
            tracks.setdefault(key, len(tracks))

    def _bundle(self, link: Connector) -> _Bundle:
        """The lines with which one runs together: all from its start, or all to its end."""
        is_from = self._starts[link.start] > self._ends[link.end] and not link.is_cycle
        return is_from, link.start if is_from else link.end, link.is_cycle

    def _is_straight_down(self, link: Connector) -> bool:
        start, end = self._cells[link.start], self._cells[link.end]
        return start.column == end.column and abs(start.row - end.row) == 1

    def _way(self, link: Connector) -> _Way:
        start, end = self._cells[link.start], self._cells[link.end]
        side_left = "top" if end.row < start.row else "bottom"
        side_entered = "top" if end.row > start.row else "bottom"
        leaves = start.row + (side_left == "bottom")
        enters = end.row + (side_entered == "bottom")
        column = None if leaves == enters else end.column + (end.column <= start.column)
        return _Way(leaves, column, enters, side_left, side_entered)

    def _place_cells(self) -> None:
        """The left edges of columns and the tops of rows, and where the next ones would be."""
        self._lefts: list[float] = []
        self._tops: list[float] = []
        x = y = _MARGIN
        for column in range(self._columns + 1):
            x += self._width_of_gap(column)
            self._lefts.append(x)
            x += self._width
        for row in range(self._rows + 1):
            y += self._height_of_gap(row)
            self._tops.append(y)
            cells = zip(self._heights, self._cells, strict=True)
            y += max((height for height, cell in cells if cell.row == row), default=0.0)

    def _width_of_gap(self, column: int) -> float:
        is_outside = column in (0, self._columns)
        tracks = self._width_of_tracks(column)
        label = self._label_widths.get(column)
        space = 0.0 if label is None else label + 16
        return max(tracks + space, 0.0 if is_outside else _GAP)

    def _width_of_tracks(self, column: int) -> float:
        tracks = self._column_tracks.get(column)
        return _COLUMN_TRACK * (len(tracks) + 1) if tracks else 0.0

    def _height_of_gap(self, row: int) -> float:
        is_outside = row in (0, self._rows)
        tracks = self._row_tracks.get(row)
        space = _ROW_TRACK * (len(tracks) + 1) if tracks else 0.0
        return max(space, 0.0 if is_outside else _ROW_GAP)

    def layout(self) -> Layout:
        """Where everything is."""
        boxes = tuple(map(self._box, range(len(self._cells))))
        width = self._lefts[-1] + _MARGIN
        routes = tuple(self._within(self._route(link, boxes), link, width) for link in self._links)
        return Layout(boxes, routes, width, self._tops[-1] + _MARGIN)

    def _box(self, box: int) -> Box:
        cell = self._cells[box]
        return Box(self._lefts[cell.column], self._tops[cell.row], self._width, self._heights[box])

    def _route(self, link: Connector, boxes: Sequence[Box]) -> Route:
        start, end = boxes[link.start], boxes[link.end]
        start_cell, end_cell = self._cells[link.start], self._cells[link.end]
        if start_cell == end_cell:
            return self._loop(start)
        if start_cell.row == end_cell.row and abs(start_cell.column - end_cell.column) == 1:
            return self._straight_across(link, start, end, max(start_cell.column, end_cell.column))
        if self._is_straight_down(link):
            return _straight_down(start, end)
        return self._around(link, start, end)

    def _loop(self, box: Box) -> Route:
        right, y = box.left + box.width, box.top + _LOOP
        out = right + _LOOP_SIZE
        below = y + _LOOP_SIZE
        points = (Point(right, y), Point(out, y), Point(out, below), Point(right, below))
        return Route(points, Point(out + 4, y + 11))

    def _straight_across(self, link: Connector, start: Box, end: Box, gap: int) -> Route:
        is_rightward = start.left < end.left
        y = start.top + (_RIGHTWARD if is_rightward else _LEFTWARD)
        ends = (
            (start.left + start.width, end.left)
            if is_rightward
            else (start.left, end.left + end.width)
        )
        after_tracks = self._left_of_gap(gap) + self._width_of_tracks(gap)
        middle = (after_tracks + self._lefts[gap]) / 2
        return Route(
            (Point(ends[0], y), Point(ends[1], y)), Point(middle - link.label_width / 2, y - 5)
        )

    def _around(self, link: Connector, start: Box, end: Box) -> Route:
        """Through the gaps."""
        way = self._way(link)
        out_port, in_port, in_port_of_cycle = (
            _PORTS[way.side_left][0],
            *_PORTS[way.side_entered][1:],
        )
        x_out = start.left + start.width * out_port
        x_in = end.left + end.width * (in_port_of_cycle if link.is_cycle else in_port)
        y_out = start.top + start.height * (way.side_left == "bottom")
        y_in = end.top + end.height * (way.side_entered == "bottom")
        y_first, y_last = self._row_track(way.leaves, link), self._row_track(way.enters, link)
        points = [Point(x_out, y_out), Point(x_out, y_first)]
        x_next = x_in
        if way.column is not None:
            x_next = self._column_track(way.column, link)
            points += [Point(x_next, y_first), Point(x_next, y_last)]
        points += [Point(x_in, y_last), Point(x_in, y_in)]
        label_x = x_out + 6 if x_next > x_out else x_out - 6 - link.label_width
        return Route(tuple(points), Point(label_x, y_first - 5))

    def _row_track(self, gap: int, link: Connector) -> float:
        number = self._row_tracks[gap][self._bundle(link)]
        return self._tops[gap] - self._height_of_gap(gap) + _ROW_TRACK * (number + 1)

    def _column_track(self, gap: int, link: Connector) -> float:
        number = self._column_tracks[gap][self._bundle(link)]
        return self._left_of_gap(gap) + _COLUMN_TRACK * (number + 1)

    def _left_of_gap(self, gap: int) -> float:
        return self._lefts[gap] - self._width_of_gap(gap)

    def _within(self, route: Route, link: Connector, width: float) -> Route:
        """A route whose label does not leave the picture."""
        most = width - link.label_width - 2
        x = max(min(route.label.x, most), 2.0)
        return route._replace(label=Point(x, route.label.y))


def _straight_down(start: Box, end: Box) -> Route:
    """Down at the left, up at the right; the label on the side of the middle."""
    if start.top < end.top:
        x, y = start.left + start.width * _DOWN, start.top + start.height
        return Route((Point(x, y), Point(x, end.top)), Point(x + 6, end.top - 12))
    x = start.left + start.width * _UP
    return Route(
        (Point(x, start.top), Point(x, end.top + end.height)), Point(x + 6, start.top - 26)
    )
