"""The rule ``leaked-task``: a task still pending at the end of the scope that made it."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._source import is_users

if TYPE_CHECKING:
    from aldente._rules.observation import Observation

RULE = Rule(
    "leaked-task",
    catches="a task still pending at the end of the scope that made it",
    why=(
        "aldente cancels it now, whatever it is doing; in a program it would run on, hold its "
        "resources, and fail unnoticed."
    ),
    explanation=(
        "Found at the end of a test, and of the scope of a wider event loop: tasks that are "
        "still pending after a few more iterations of the loop.\n\n"
        "Not a finding: tasks of fixtures while these live; tasks that libraries, or a server for "
        "its connections, start on a loop that is wider than the test; tasks whose coroutine's "
        "name matches a line of aldente_known_tasks (for example 'mylib.*'); what a test that has "
        "failed left behind."
    ),
    is_left_behind=True,
)

_FIX = (
    "Await it, or cancel it and await its end, before the test is over; asyncio.TaskGroup does "
    "both. List tasks that a library leaves running in aldente_known_tasks."
)

# Tasks that libraries leave running on purpose, and that end in order when the loop cancels them.
_LEFT_BY_LIBRARIES = ("anyio._backends._asyncio._shutdown_process_pool_on_exit",)


def find(
    tasks: Iterable[asyncio.Task[Any]], *, known: Sequence[str] = (), users_only: bool = False
) -> Iterator[Finding]:
    """Yield the findings for tasks that are left.

    Args:
        tasks: the tasks.
        known: patterns of coroutine names, with or without their module, whose tasks may be left.
        users_only: count only tasks whose coroutines the user's own code made, where that is
            known. A server's coroutines for its connections are not made by the user's code, though
            they run the user's functions.
    """
    for task in sorted(tasks, key=asyncio.Task.get_name):
        coroutine = task.get_coro()
        name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        if task.done() or any(
            fnmatch.fnmatchcase(candidate, pattern)
            for candidate in (name, f"{_module_of(coroutine)}.{name}")
            for pattern in (*_LEFT_BY_LIBRARIES, *known)
        ):
            continue
        origin = _origin_of(coroutine)
        if users_only and origin is None:
            continue
        if task.cancelling() and _waits_in_circle(task):
            # Part of a deadlock, which was reported.
            continue
        yield Finding(
            RULE.name,
            f"the task {task.get_name()!r} running {name!r} was left pending.",
            _FIX,
            origin or _definition_of(coroutine),
            details=tuple(_waiting_at(task)),
            subject=name,
        )


def _waits_in_circle(task: asyncio.Task[Any]) -> bool:
    """Whether a task waits, directly or not, for a cycle of waiting tasks."""
    seen: list[asyncio.Future[Any]] = []
    future: asyncio.Future[Any] | None = task
    while isinstance(future, asyncio.Task) and future not in seen:
        seen.append(future)
        future = _asyncio_compat.waited_future(future)
    return isinstance(future, asyncio.Task)


def _module_of(coroutine: Any) -> str:
    frame = getattr(coroutine, "cr_frame", None)
    module: str = frame.f_globals.get("__name__", "") if frame is not None else ""
    return module


def _definition_of(coroutine: Any) -> SourcePlace | None:
    code = getattr(coroutine, "cr_code", None)
    return None if code is None else SourcePlace(code.co_filename, code.co_firstlineno)


def _origin_of(coroutine: Any) -> SourcePlace | None:
    """Where the coroutine was made, which is nearly always where its task was made."""
    origin = getattr(coroutine, "cr_origin", None)
    if not origin or not is_users(origin[0][0]):
        return None
    return SourcePlace(origin[0][0], origin[0][1])


def _waiting_at(task: asyncio.Task[Any]) -> Iterator[str]:
    stack = task.get_stack(limit=1)
    if stack:
        yield f"it waits in {stack[-1].f_code.co_filename}:{stack[-1].f_lineno}"


def install(observation: Observation) -> None:
    """Report tasks that are left pending."""
    known = observation.settings.known_tasks

    @containing("looking for tasks that are left pending", None)
    def report(tasks: Collection[asyncio.Task[Any]], users_only: bool) -> None:
        for finding in find(tasks, known=known, users_only=users_only):
            observation.report(finding)

    observation.at_tasks_left.append(report)
