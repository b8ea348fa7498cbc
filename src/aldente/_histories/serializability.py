"""Looks for transactions that can't be put in any order: first each read, then cycles.

Each value was written once, so a read shows its writer. For lists, the reads also show the order of
all appends. For single values they show less; what follows from the rest is added until nothing
more does: if one transaction reads what a second one wrote, a third one that writes to the same key
comes before the second or after the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aldente._histories.accesses import KeyAccesses, Read, accesses_by_key, name_of
from aldente._histories.dependencies import KINDS, Edge, Graph, find_cycle
from aldente._histories.operations import Transaction, shown
from aldente._histories.timeline import bar_of, draw
from aldente.errors import NotJudged, NotSerializable

# A timeline has no use for the bars of more transactions.
_MOST_DRAWN = 30


def judge(transactions: Sequence[Transaction], initial: Mapping[Any, Any]) -> None:
    """Raise an error about transactions that can't be put in any order, if any are found.

    Args:
        transactions: all transactions, in the order of their beginnings.
        initial: the values before the first one.

    Raises:
        NotSerializable: some were found.
        NotJudged: none were found, but the reads and writes of a key are not enough to judge it.
    """
    names = {id(one): name_of(number, one) for number, one in enumerate(transactions, 1)}
    keys = accesses_by_key(transactions, initial, names)
    taken = _committed(transactions, keys)
    for accesses in keys:
        accesses.check_reads(taken)
    numbers = {id(one): number for number, one in enumerate(taken)}
    graph = Graph(len(taken))
    for accesses in keys:
        _add_edges(graph, accesses, numbers)
    _saturate(graph, keys, numbers)
    found = find_cycle(graph) if graph.closure() is None else None
    if found is not None:
        raise _error(*found, graph, taken, names)
    for accesses in keys:
        if accesses.unclear:
            raise NotJudged(
                "serializable",
                f"The reads and writes of the key {shown(accesses.key)} are not enough to judge "
                f"it: {accesses.unclear}. The other reads and writes allow an order of the "
                "transactions, but those of this key may allow none.",
                "Write each value once, for example a pair of the value and a running number, and "
                "pass the initial values: serializable(initial={...}).",
            )


def _committed(
    transactions: Sequence[Transaction], keys: Sequence[KeyAccesses]
) -> list[Transaction]:
    """Those that have ended well, and those of unknown outcome that one of them has read from."""
    taken = {id(one) for one in transactions if one.outcome == "returned"}
    writers: dict[int, set[int]] = {}
    for accesses in keys:
        for reader, writer in accesses.reads_from_unknown():
            writers.setdefault(id(reader), set()).add(id(writer))
    waiting = list(taken)
    while waiting:
        new = writers.get(waiting.pop(), set()) - taken
        taken |= new
        waiting += new
    return [one for one in transactions if id(one) in taken]


def _add_edges(graph: Graph, accesses: KeyAccesses, numbers: Mapping[int, int]) -> None:
    for before, after, kind, reason in accesses.edges(set(numbers)):
        graph.add(numbers[id(before)], numbers[id(after)], kind, reason)


def _saturate(graph: Graph, keys: Sequence[KeyAccesses], numbers: Mapping[int, int]) -> None:
    """Add what follows from the edges about single values, until there is a cycle or no more."""
    reads = list(_reads_between(keys, numbers))
    while reads:
        known = graph.count
        closure = graph.closure()
        if closure is None:
            return
        after, before = closure
        for read, writer, reader, others in reads:
            late = after[writer] & others & ~after[reader]
            for other in _first_ones(late, after):
                source = f"{read.text} of {read.writer_name}"
                reason = f"{{before}} read {source}, before {{after}} wrote to it"
                graph.add(reader, other, "inferred", reason, (writer, other))
            early = before[reader] & others & ~before[writer]
            for other in _last_ones(early, before):
                reason = f"{read.reader_name}, after {{before}}, read {read.text} of {{after}}"
                graph.add(other, writer, "inferred", reason, (other, reader))
        if graph.count == known:
            return


def _reads_between(
    keys: Sequence[KeyAccesses], numbers: Mapping[int, int]
) -> Iterator[tuple[Read, int, int, int]]:
    """The reads of single values: the writer, the reader, and the bits of the other writers."""
    for accesses in keys:
        if accesses.is_list or accesses.unclear:
            continue
        writers = [numbers[id(one)] for one in accesses.writers() if id(one) in numbers]
        all_writers = sum(1 << number for number in set(writers))
        for read in accesses.external_reads():
            if read.writer is None or id(read.reader) not in numbers:
                continue
            writer, reader = numbers[id(read.writer)], numbers[id(read.reader)]
            if writer != reader:
                yield read, writer, reader, all_writers & ~(1 << writer) & ~(1 << reader)


def _first_ones(bits: int, after: Sequence[int]) -> Iterator[int]:
    """Some of the transactions, such that all others of them come after one of these."""
    while bits:
        first = (bits & -bits).bit_length() - 1
        yield first
        bits &= ~(after[first] | 1 << first)


def _last_ones(bits: int, before: Sequence[int]) -> Iterator[int]:
    """Some of the transactions, such that all others of them come before one of these."""
    while bits:
        last = bits.bit_length() - 1
        yield last
        bits &= ~(before[last] | 1 << last)


def _error(
    name: str,
    words: str,
    cycle: Sequence[Edge],
    graph: Graph,
    taken: Sequence[Transaction],
    names: Mapping[int, str],
) -> NotSerializable:
    shown_names = [names[id(one)] for one in taken]
    if _is_lost_update(cycle, taken):
        name, words = "G-single", "a lost update"
    lines: list[str] = []
    described: set[tuple[int, int, str]] = set()
    nodes = [edge.before for edge in cycle]
    _explain(graph, cycle, shown_names, 0, lines, described, nodes)
    numbers = sorted(set(nodes))
    concerned = [taken[number] for number in numbers]
    bars = [
        bar_of(one, f"{names[id(one)]}: {one!r}" if one.accesses else names[id(one)])
        for one in concerned[:_MOST_DRAWN]
    ]
    places = {number: place for place, number in enumerate(numbers[:_MOST_DRAWN])}
    edges = [
        (places[edge.before], places[edge.after])
        for edge in cycle
        if edge.before in places and edge.after in places
    ]
    return NotSerializable(name, words, concerned, lines, "\n".join(draw(bars)), bars, edges)


def _explain(
    graph: Graph,
    path: Sequence[Edge],
    names: Sequence[str],
    depth: int,
    lines: list[str],
    described: set[tuple[int, int, str]],
    nodes: list[int],
) -> None:
    """A line for each edge, and below it the path from which it follows, if there is one."""
    for edge in path:
        if (edge.before, edge.after, edge.kind) in described:
            continue
        described.add((edge.before, edge.after, edge.kind))
        nodes += [edge.before, edge.after]
        before, after = names[edge.before], names[edge.after]
        reason = edge.reason.replace("{before}", before).replace("{after}", after)
        lines.append(f"{'  ' * depth}{before} before {after} ({edge.kind}): {reason}")
        if edge.because is not None:
            way = graph.path(*edge.because, KINDS, most=edge.number)
            _explain(graph, way or (), names, depth + 1, lines, described, nodes)


def _is_lost_update(cycle: Sequence[Edge], taken: Sequence[Transaction]) -> bool:
    """Whether two transactions have read the same value of a key and both overwritten it."""
    if len(cycle) != 2 or any(edge.kind not in ("rw", "inferred") for edge in cycle):
        return False
    first, second = (
        {
            (repr(one.key), repr(one.value))
            for one in taken[edge.before].accesses
            if one.kind == "reads"
        }
        for edge in cycle
    )
    written = [
        {repr(one.key) for one in taken[edge.before].accesses if one.kind != "reads"}
        for edge in cycle
    ]
    return any(key in written[0] and key in written[1] for key, _ in first & second)
