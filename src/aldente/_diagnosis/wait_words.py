"""The words for what one task waits for, when no other task is looked at."""

from __future__ import annotations

from collections.abc import Iterable

from aldente._diagnosis.await_graph import natural_key
from aldente._diagnosis.waiting import AnyTask, LiveTask, tasks_behind
from aldente._diagnosis.waits import AwaitGraph, Kind, Phrases, TaskLink, Wait, WaitingTask


def wait_in_words(live: LiveTask, name: str | None = None, holders: Iterable[AnyTask] = ()) -> str:
    """What a task waits for, such as ``waits for an Event to be set``; empty if that is not known.

    Args:
        live: the task.
        name: the name of what it waits for in the user's code; None for its type.
        holders: the tasks that hold it.
    """
    wait = live.wait
    if wait.kind is Kind.READY:
        return "lets others go on"
    if wait.kind is Kind.TIMER:
        return f"waits for {wait.detail.removeprefix('asyncio.') or 'a timer'}"
    if wait.kind in (Kind.RUNNING, Kind.NOT_STARTED, Kind.UNKNOWN):
        return ""
    others = sorted(
        (task for task in tasks_behind(wait.futures) if task is not live.task),
        key=lambda task: natural_key(task.get_name()),
    )
    # This task is the first one of the graph.
    waited = tuple(range(1, len(others) + 1))
    links: list[TaskLink] = []
    for holder in holders:
        is_itself = holder is live.task
        links.append(TaskLink(0 if is_itself else len(others) + 1, name))
        others += [] if is_itself else [holder]
    told = Wait(
        wait.kind,
        "" if wait.subject is None else type(wait.subject).__name__,
        name,
        through=wait.through,
        detail=wait.detail,
        is_any=wait.is_any,
        tasks=waited,
        holders=tuple(links),
        limited_by=wait.limited_by,
    )
    graph = AwaitGraph(
        (_task(live.task.get_name(), told), *(_task(other.get_name()) for other in others))
    )
    return Phrases(graph, frozenset()).what(0)


def _task(name: str, wait: Wait | None = None) -> WaitingTask:
    return WaitingTask(name, "", (), (), wait or Wait(Kind.READY))
