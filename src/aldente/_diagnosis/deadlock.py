"""Explains an await graph: the circle, the lock nobody releases, the event nobody sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from aldente._diagnosis.phrases import Phrases, enumerate_names
from aldente._diagnosis.stuck import culprit_of, cycles_among, stuck_tasks
from aldente._diagnosis.waits import AwaitGraph, SuspendedFrame, WaitingTask
from aldente._records import SourcePlace

# How many circles are told, how many tasks of a long one, and how many callers of a function.
_MOST_CYCLES = 5
_MOST_IN_CYCLE = 8
_MOST_CALLERS = 5


def explain(graph: AwaitGraph, *, main: str | None, folder: Path) -> str:
    """Say in words why tasks do not go on.

    Circles come first: tasks that wait for one another. Then there is one paragraph for each task,
    or for tasks that are alike: its name and coroutine, what it waits for and who could end that,
    the line where it waits, and the lines that called it.

    Args:
        graph: what the tasks wait for.
        main: the name of the task to begin with, for example that of the test; or None.
        folder: paths within it are given from it.

    >>> explain(AwaitGraph(()), main=None, folder=Path.cwd())
    'No task is left.'
    """
    return _Explanation(graph, main, folder).text()


def summary(graph: AwaitGraph, *, main: str | None) -> str:
    """Say in one line which task holds up the others.

    Args:
        graph: what the tasks wait for.
        main: the name of the task that matters most, for example that of the test; or None.

    >>> summary(AwaitGraph(()), main=None)
    'No task is left.'
    """
    return _Explanation(graph, main, Path()).summary()


def culprit_place(graph: AwaitGraph, *, main: str | None) -> SourcePlace | None:
    """Where the task waits that holds up the others, with its full path.

    When it runs nothing of the user's, it is where the nearest task waits for it that does.

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
        self._phrases = Phrases(graph, self._stuck)

    @cached_property
    def _cycles(self) -> list[list[int]]:
        return cycles_among(self._graph, self._stuck, self._main)

    def text(self) -> str:
        if not self._tasks:
            return "No task is left."
        stories = [self._story(cycle) for cycle in self._cycles[:_MOST_CYCLES]]
        if len(self._cycles) > _MOST_CYCLES:
            stories.append(f"There are {len(self._cycles) - _MOST_CYCLES} more such circles.")
        paragraphs = [self._paragraph(group) for group in self._groups()]
        return "\n\n".join([*stories, *paragraphs])

    def summary(self) -> str:
        if not self._tasks:
            return "No task is left."
        if self._cycles:
            return self._story(self._cycles[0])
        return f"{self._phrases.name(self._culprit)} {self._phrases.what(self._culprit)}."

    def culprit_place(self) -> SourcePlace | None:
        if not self._tasks:
            return None
        frame = self._users_frame() or self._tasks[self._culprit].frame
        return None if frame is None else frame.place

    def _users_frame(self) -> SuspendedFrame | None:
        """Where the user's code waits: the culprit, or the nearest task that waits for it."""
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
        """A circle in one sentence."""
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
        """Tasks that are alike, the main task first, in the order of the graph."""
        alone = {index for cycle in self._cycles for index in cycle}
        groups: dict[object, list[int]] = {}
        for index in _main_first(self._main, range(len(self._tasks))):
            key = index if index in alone or index == self._main else self._likeness(index)
            groups.setdefault(key, []).append(index)
        return list(groups.values())

    def _likeness(self, index: int) -> object:
        """What is the same for tasks that are told as one."""
        task = self._tasks[index]
        wait = task.wait
        blockers = wait.blockers
        alike = [(self._tasks[b].coroutine, self._tasks[b].frame) for b in blockers[:3]]
        same_thing = (wait.number, wait.holders) if wait.holders else ()
        kind = (wait.kind, wait.type_name, wait.expression, wait.through, wait.detail)
        state = (wait.limited_by, bool(wait.known_to), index in self._stuck)
        return (
            task.coroutine,
            task.own_frames or task.frames,
            kind,
            state,
            same_thing,
            tuple(alike),
            len(blockers),
        )

    def _paragraph(self, group: Sequence[int]) -> str:
        index = group[0]
        task = self._tasks[index]
        phrases = self._phrases
        first = f"{phrases.name(index)} ({task.coroutine}) {phrases.told(index)}"
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
