"""Which tasks of an await graph can't go on, and which of them is to blame."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from aldente._diagnosis.waits import FREE_KINDS, AwaitGraph, Kind, Wait


def stuck_tasks(graph: AwaitGraph, free: Container[Kind] = FREE_KINDS) -> frozenset[int]:
    """Indices of the tasks whose waiting nothing in the graph is seen to end.

    A task goes on if it runs or waits for the world outside; if all tasks that it waits for go on,
    or one where one is enough; or if a task goes on that has the awaited thing in a variable.

    Args:
        graph: the tasks.
        free: what goes on, or is ended from outside, in addition to what has a time-out.
    """
    missing: dict[object, int] = {}
    followers: dict[object, list[object]] = {}
    for index, task in enumerate(graph.tasks):
        wait = task.wait
        needs: list[object] = [*wait.blockers]
        if not needs and wait.known_to:
            # One node for all who wait for the same thing, so that there are few edges.
            needs = [(wait.kind, wait.number)]
            if needs[0] not in missing:
                missing[needs[0]] = 1
                for link in wait.known_to:
                    followers.setdefault(link.task, []).append(needs[0])
        missing[index] = 1 if wait.is_any or not needs else len(needs)
        for need in needs:
            followers.setdefault(need, []).append(index)
    going: list[object] = [
        index
        for index, task in enumerate(graph.tasks)
        if task.wait.kind in free or task.wait.limited_by is not None
    ]
    goes = set(going)
    while going:
        for follower in followers.get(going.pop(), ()):
            missing[follower] -= 1
            if missing[follower] <= 0 and follower not in goes:
                goes.add(follower)
                going.append(follower)
    return frozenset(index for index in range(len(graph.tasks)) if index not in goes)


def cycles_among(graph: AwaitGraph, stuck: frozenset[int], main: int | None) -> list[list[int]]:
    """Circles of stuck tasks, each waiting for the next one and the last for the first.

    No task is in two of them, so their number is small; not every possible circle is given. Those
    that the main task leads to come first.
    """
    cycles: list[list[int]] = []
    in_cycle: set[int] = set()
    entered: set[int] = set()
    for start in _starting_with(main, sorted(stuck)):
        if start in entered:
            continue
        entered.add(start)
        path = [start]
        position = {start: 0}
        branches = [_stuck_blockers(graph.tasks[start].wait, stuck)]
        while path:
            following = next(branches[-1], None)
            if following is None:
                branches.pop()
                del position[path.pop()]
            elif following in position:
                cycle = path[position[following] :]
                if in_cycle.isdisjoint(cycle):
                    in_cycle.update(cycle)
                    cycles.append(_rotated(cycle, main))
            elif following not in entered:
                entered.add(following)
                position[following] = len(path)
                path.append(following)
                branches.append(_stuck_blockers(graph.tasks[following].wait, stuck))
    return cycles


def culprit_of(graph: AwaitGraph, stuck: frozenset[int], main: int | None) -> int | None:
    """The stuck task that holds up the others, as far as the graph tells, when there is no circle.

    It is one that waits for no stuck task, if possible one whose awaited thing no stuck task has in
    a variable, and that the main task waits for.
    """
    last_resort = None
    order = list(_reachable(graph, stuck, _starting_with(main, sorted(stuck))))
    for index in order:
        wait = graph.tasks[index].wait
        if any(True for _ in _stuck_blockers(wait, stuck)):
            continue
        if not any(link.task in stuck for link in wait.known_to):
            return index
        last_resort = index if last_resort is None else last_resort
    if last_resort is not None:
        return last_resort
    return order[0] if order else main


def _stuck_blockers(wait: Wait, stuck: frozenset[int]) -> Iterator[int]:
    return (blocker for blocker in wait.blockers if blocker in stuck)


def _reachable(graph: AwaitGraph, stuck: frozenset[int], starts: Iterable[int]) -> Iterator[int]:
    """Stuck tasks, in the order in which those that wait lead to those that are waited for."""
    seen: set[int] = set()
    things: set[tuple[Kind, int | None]] = set()
    for start in starts:
        left = [start]
        while left:
            index = left.pop()
            if index in seen or index not in stuck:
                continue
            seen.add(index)
            yield index
            wait = graph.tasks[index].wait
            following = list(wait.blockers)
            if not following and (wait.kind, wait.number) not in things:
                things.add((wait.kind, wait.number))
                following = [link.task for link in wait.known_to]
            left.extend(reversed(following))


def _starting_with(main: int | None, indices: list[int]) -> list[int]:
    if main is None or main not in indices:
        return indices
    return [main, *(index for index in indices if index != main)]


def _rotated(cycle: list[int], main: int | None) -> list[int]:
    first = cycle.index(main) if main in cycle else cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
