"""Explains an await graph: the cycle, the lock that no task releases, the event that none sets.

It first works out which tasks can't go on, and which of them is the culprit.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from aldente._diagnosis.waits import (
    FREE_KINDS,
    AwaitGraph,
    Phrases,
    SuspendedFrame,
    Wait,
    WaitingTask,
    WaitKind,
    enumerate_names,
)
from aldente._records import SourcePlace


def stuck_tasks(graph: AwaitGraph, free: Container[WaitKind] = FREE_KINDS) -> frozenset[int]:
    """Indices of the tasks whose wait, as far as the graph shows, nothing ends.

    A task goes on if it runs or waits for the outside world; if all tasks that it waits for go on,
    or one where one is enough; or if a task that goes on has the awaited object in a variable.

    Args:
        graph: the tasks.
        free: the kinds of waits that end from outside; a wait with a time-out always does.
    """
    missing: dict[object, int] = {}
    followers: dict[object, list[object]] = {}
    for index, task in enumerate(graph.tasks):
        wait = task.wait
        needs: list[object] = [*wait.blockers]
        if not needs and wait.known_to:
            # One node for all tasks that wait for the same object, so that there are few edges.
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
    """Cycles of stuck tasks, each waiting for the next one and the last for the first.

    No task is in two of them, so their number is small; not every possible cycle is among them.
    Those that the main task leads to come first.
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
    """The stuck task that holds up the others, as far as the graph shows, if there is no cycle.

    It waits for no stuck task; if possible no stuck task has its awaited object in a variable, and
    the main task waits for it.
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
    """Stuck tasks, in the order in which waiting tasks lead to awaited ones."""
    seen: set[int] = set()
    things: set[tuple[WaitKind, int | None]] = set()
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


# How many cycles an explanation has, how many tasks of a long one, and how many callers of a
# function.
_MOST_CYCLES = 5
_MOST_IN_CYCLE = 8
_MOST_CALLERS = 5


def explain(graph: AwaitGraph, *, main: str | None, folder: Path) -> str:
    """Explain why tasks do not go on.

    Cycles come first: tasks that wait for one another. Then there is one paragraph for each task,
    or for equal tasks: its name and coroutine, what it waits for and which tasks could end that,
    the line where it waits, and the lines that called it.

    Args:
        graph: what the tasks wait for.
        main: the name of the task to begin with, for example that of the test; or None.
        folder: paths within it are shown relative to it.

    >>> explain(AwaitGraph(()), main=None, folder=Path.cwd())
    'No task is left.'
    """
    return _Explanation(graph, main, folder).text()


def summary(graph: AwaitGraph, *, main: str | None, is_brief: bool = False) -> str:
    """One line on which task holds up the others.

    Args:
        graph: what the tasks wait for.
        main: the name of the task that matters most, for example that of the test; or None.
        is_brief: whether to say only what one task waits for, without a full stop.

    >>> summary(AwaitGraph(()), main=None)
    'No task is left.'
    """
    explanation = _Explanation(graph, main, Path())
    return explanation.brief() if is_brief else explanation.summary()


def stories(graph: AwaitGraph, *, main: str | None) -> list[str]:
    """A sentence for each cycle of tasks that wait for each other.

    Args:
        graph: what the tasks wait for.
        main: the name of the task that matters most; or None.

    >>> stories(AwaitGraph(()), main=None)
    []
    """
    return _Explanation(graph, main, Path()).stories()


def culprit_place(graph: AwaitGraph, *, main: str | None) -> SourcePlace | None:
    """The place where the task that holds up the others waits, with its full path.

    If no code of the user's runs in it, the place of the nearest task that waits for it and has
    some.

    Args:
        graph: what the tasks wait for.
        main: the name of the task that matters most; or None.

    >>> culprit_place(AwaitGraph(()), main=None) is None
    True
    """
    return _Explanation(graph, main, Path()).culprit_place()


class _Explanation:
    def __init__(self, graph: AwaitGraph, main: str | None, folder: Path) -> None:
        self._tasks = graph.tasks
        self._graph = graph
        self._folder = folder
        names = [task.name for task in graph.tasks]
        self._main = names.index(main) if main in names else None
        self._stuck = stuck_tasks(graph)
        self._phrases = Phrases(graph, self._stuck, folder)

    @cached_property
    def _cycles(self) -> list[list[int]]:
        return cycles_among(self._graph, self._stuck, self._main)

    def text(self) -> str:
        if not self._tasks:
            return "No task is left."
        stories = [self._story(cycle) for cycle in self._cycles[:_MOST_CYCLES]]
        if len(self._cycles) > _MOST_CYCLES:
            stories.append(f"There are {len(self._cycles) - _MOST_CYCLES} more such cycles.")
        paragraphs = [self._paragraph(group) for group in self._groups()]
        return "\n\n".join([*stories, *paragraphs])

    def stories(self) -> list[str]:
        return [self._story(cycle) for cycle in self._cycles]

    def summary(self) -> str:
        if not self._tasks:
            return "No task is left."
        if self._cycles:
            return self._story(self._cycles[0])
        return f"{self._phrases.name(self._culprit)} {self._phrases.what(self._culprit)}."

    def brief(self) -> str:
        if not self._tasks:
            return ""
        culprit, wait = self._culprit, self._tasks[self._culprit].wait
        what = f"waits for {self._phrases.thing(wait)}" if wait.type_name else ""
        return f"{self._phrases.name(culprit)} {what or self._phrases.what(culprit)}"

    def culprit_place(self) -> SourcePlace | None:
        if not self._tasks:
            return None
        frame = self._users_frame() or self._tasks[self._culprit].frame
        return None if frame is None else frame.place

    def _users_frame(self) -> SuspendedFrame | None:
        """The waiting frame of the user's code: in the culprit, or the nearest task behind it."""
        waiting: dict[int, list[int]] = {}
        for index, task in enumerate(self._tasks):
            for blocker in task.wait.blockers:
                waiting.setdefault(blocker, []).append(index)
        nearest_first = [self._culprit]
        seen = set(nearest_first)
        for index in nearest_first:
            if self._tasks[index].own_frames:
                return self._tasks[index].frame
            following = [other for other in waiting.get(index, ()) if other not in seen]
            seen.update(following)
            nearest_first += following
        return None

    @property
    def _culprit(self) -> int:
        if self._cycles:
            return self._cycles[0][0]
        return culprit_of(self._graph, self._stuck, self._main) or 0

    def _story(self, cycle: Sequence[int]) -> str:
        """A cycle in one sentence."""
        phrases = self._phrases
        following = [*cycle[1:], cycle[0]]
        if len(cycle) == 1:
            return f"{phrases.name(cycle[0])} waits for {phrases.step(cycle[0], cycle[0])}."
        steps = [phrases.step(one, two) for one, two in zip(cycle, following, strict=True)]
        if len(steps) > _MOST_IN_CYCLE:
            left_out = len(steps) - _MOST_IN_CYCLE
            steps[_MOST_IN_CYCLE - 1 : -1] = [f"... ({left_out:,} more tasks) ..."]
        return f"{phrases.name(cycle[0])} waits for {', which waits for '.join(steps)}."

    def _groups(self) -> list[list[int]]:
        """Groups of equal tasks, the main task first, in the order of the graph."""
        alone = {index for cycle in self._cycles for index in cycle}
        groups: dict[object, list[int]] = {}
        for index in _main_first(self._main, range(len(self._tasks))):
            key = index if index in alone or index == self._main else self._likeness(index)
            groups.setdefault(key, []).append(index)
        return list(groups.values())

    def _likeness(self, index: int) -> object:
        """A key that equal tasks share."""
        task = self._tasks[index]
        wait = task.wait
        blockers = wait.blockers
        alike = [(self._tasks[b].coroutine, self._tasks[b].frame) for b in blockers[:3]]
        same_thing = (wait.number, wait.holders) if wait.holders else ()
        kind = (wait.kind, wait.type_name, wait.expression, wait.through, wait.detail)
        origin = (wait.made_at, task.maker)
        state = (wait.limited_by, bool(wait.known_to), index in self._stuck)
        return (
            task.coroutine,
            task.own_frames or task.frames,
            kind,
            origin,
            state,
            same_thing,
            tuple(alike),
            len(blockers),
        )

    def _paragraph(self, group: Sequence[int]) -> str:
        index = group[0]
        task = self._tasks[index]
        phrases = self._phrases
        first = f"{phrases.name(index)} ({task.coroutine}) {phrases.describe(index)}"
        lines = [first, *self._place_lines(task)]
        if len(group) > 1:
            others = enumerate_names(phrases.name(other) for other in group[1:])
            lines.append(f"    {len(group) - 1:,} more like this: {others}")
        return "\n".join(lines)

    def _place_lines(self, task: WaitingTask) -> Iterable[str]:
        frame = task.frame
        if frame is None:
            return
        yield f"    {self._line(frame)}"
        callers = task.own_frames[-2::-1]
        for caller in callers[:_MOST_CALLERS]:
            yield f"    from {self._line(caller)}"
        if len(callers) > _MOST_CALLERS:
            yield f"    from {len(callers) - _MOST_CALLERS} more callers"

    def _line(self, frame: SuspendedFrame) -> str:
        source = frame.source
        return f"{self._place(frame)}: {source}" if source else str(self._place(frame))

    def _place(self, frame: SuspendedFrame) -> SourcePlace:
        return SourcePlace.relative_to(frame.place.path, frame.place.line, self._folder)


def _main_first(main: int | None, indices: Iterable[int]) -> list[int]:
    return sorted(indices, key=lambda index: (index != main, index))
