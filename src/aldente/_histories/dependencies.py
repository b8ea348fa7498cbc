"""The graph of transactions: which must come before which, and why; and cycles in it.

The kinds of dependencies are Adya's: "ww", the later one overwrites what the earlier one wrote;
"wr", it reads that; "rw", it overwrites what the earlier one has read. An edge stands for what
holds in every order that explains the reads; it is "inferred" if they do not show its kind. Atul
Adya: Weak Consistency, 1999. Kyle Kingsbury, Peter Alvaro: Elle, 2020.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

DependencyKind = Literal["ww", "wr", "rw", "inferred"]


class Edge(NamedTuple):
    """That one transaction comes before another.

    Attributes:
        before, after: the numbers of the transactions.
        kind: the kind of the dependency.
        reason: why, as a clause.
        because: two transactions whose order is part of the reason, if any.
        number: how many edges were known before.
    """

    before: int
    after: int
    kind: DependencyKind
    reason: str
    because: tuple[int, int] | None
    number: int


class Closure(NamedTuple):
    """For each transaction all that come after it, and before it, as bits."""

    after: list[int]
    before: list[int]


KINDS: tuple[DependencyKind, ...] = ("ww", "wr", "rw", "inferred")


@dataclasses.dataclass(slots=True)
class Graph:
    """Which transactions come before which.

    Attributes:
        size: the number of transactions.
        edges: by the transaction before, then by the one after, by kind.
    """

    size: int
    edges: list[dict[int, dict[DependencyKind, Edge]]] = dataclasses.field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.edges = [{} for _ in range(self.size)]

    def add(
        self,
        before: int,
        after: int,
        kind: DependencyKind,
        reason: str,
        because: tuple[int, int] | None = None,
    ) -> None:
        """Add an edge, unless one of the kind is there, or it leads nowhere."""
        kinds = self.edges[before].setdefault(after, {}) if before != after else None
        if kinds is not None and kind not in kinds:
            kinds[kind] = Edge(before, after, kind, reason, because, self.count)
            self.count += 1

    def closure(self, kinds: Collection[DependencyKind] = KINDS) -> Closure | None:
        """What follows from all edges of some kinds; None if there is a cycle."""
        afters = [
            [after for after in self.edges[node] if self._edge(node, after, kinds, None)]
            for node in range(self.size)
        ]
        order = _order(afters)
        if order is None:
            return None
        after, before = [0] * self.size, [0] * self.size
        for node in reversed(order):
            for following in afters[node]:
                after[node] |= after[following] | 1 << following
        for node in order:
            for following in afters[node]:
                before[following] |= before[node] | 1 << node
        return Closure(after, before)

    def path(
        self, start: int, end: int, kinds: Collection[DependencyKind], most: int | None = None
    ) -> list[Edge] | None:
        """The fewest edges that lead from one transaction to another.

        Args:
            start: the first transaction.
            end: the last transaction.
            kinds: the kinds of edges to take, the preferred ones first.
            most: only edges with numbers below this one.
        """
        came: dict[int, Edge] = {}
        waiting = deque([start])
        while waiting:
            node = waiting.popleft()
            for after in self.edges[node]:
                edge = self._edge(node, after, kinds, most)
                if edge is None or after in came:
                    continue
                came[after] = edge
                if after == end:
                    return list(_back(came, start, end))
                waiting.append(after)
        return None

    def _edge(
        self, before: int, after: int, kinds: Collection[DependencyKind], most: int | None
    ) -> Edge | None:
        there = self.edges[before][after]
        for kind in kinds:
            if kind in there and (most is None or there[kind].number < most):
                return there[kind]
        return None

    def all_of(self, kind: DependencyKind) -> Iterator[Edge]:
        """All edges of a kind."""
        for afters in self.edges:
            for kinds in afters.values():
                if kind in kinds:
                    yield kinds[kind]


def _back(came: dict[int, Edge], start: int, end: int) -> Sequence[Edge]:
    path = [came[end]]
    while path[-1].before != start:
        path.append(came[path[-1].before])
    return path[::-1]


def _order(afters: Sequence[Sequence[int]]) -> list[int] | None:
    """The transactions in an order that all edges allow; None if there is none."""
    missing = [0] * len(afters)
    for those in afters:
        for after in those:
            missing[after] += 1
    order = [node for node in range(len(afters)) if not missing[node]]
    for node in order:  # it grows meanwhile
        for after in afters[node]:
            missing[after] -= 1
            if not missing[after]:
                order.append(after)
    return order if len(order) == len(afters) else None


# The cycles in the order in which they are looked for: the kind of an edge that is in them, the
# kinds of the others, their name and what it means.
_CYCLES: tuple[tuple[DependencyKind, tuple[DependencyKind, ...], str, str], ...] = (
    ("ww", ("ww",), "G0", "a cycle of writes"),
    ("wr", ("ww", "wr"), "G1c", "a circular flow of information"),
    ("rw", ("ww", "wr"), "G-single", "a cycle with one read that was overwritten (read skew)"),
    ("rw", ("ww", "wr", "rw"), "G2", "a cycle with reads that were overwritten (write skew)"),
    ("inferred", KINDS, "cycle", "each of these transactions must come before the next"),
)

# How many edges are tried for a shorter cycle.
_MOST_TRIED = 200


def find_cycle(graph: Graph) -> tuple[str, str, list[Edge]] | None:
    """A cycle of the worst kind, with its name and what that means; None without any.

    >>> graph = Graph(2)
    >>> graph.add(0, 1, "ww", "...")
    >>> find_cycle(graph) is None
    True
    >>> graph.add(1, 0, "wr", "...")
    >>> find_cycle(graph)[0]
    'G1c'
    """
    for first, kinds, name, words in _CYCLES:
        best = _shortest(graph, first, kinds)
        if best is not None:
            return name, words, best
    return None


def _shortest(
    graph: Graph, first: DependencyKind, kinds: tuple[DependencyKind, ...]
) -> list[Edge] | None:
    """The shortest cycle of an edge of one kind and others of some kinds, among some of them."""
    known = graph.closure(kinds)
    if known is not None:
        edges = [edge for edge in graph.all_of(first) if known.after[edge.after] >> edge.before & 1]
    else:
        # There is a cycle of these kinds, which a path of them closes.
        edges = list(graph.all_of(first))
    best: list[Edge] | None = None
    for tried, edge in enumerate(edges, 1):
        path = graph.path(edge.after, edge.before, kinds)
        if path is not None and (best is None or len(path) + 1 < len(best)):
            best = [edge, *path]
        if best is not None and (len(best) == 2 or tried >= _MOST_TRIED):
            break
    return best
