"""What a task waits for, found from its suspended functions.

At the end of the block of a library's task group, such as anyio's, it waits for the group's tasks.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._diagnosis import inspection
from aldente._diagnosis.inspection import (
    EnteredFunction,
    is_not_started,
    is_running,
    links_of,
    running_links,
)
from aldente._diagnosis.waits import WaitKind
from aldente._source import is_users
from aldente._stacks import variables_of

_PLAIN_CONTAINERS = (dict, list, set, frozenset, tuple, deque)


class LibraryGroup(NamedTuple):
    """A task group at the end of its block.

    Attributes:
        name: its class, for example ``"anyio.TaskGroup"``.
        tasks: its tasks that are not done.
    """

    name: str
    tasks: list[asyncio.Task[Any]]


def group_being_left(
    task: asyncio.Task[Any], links: Sequence[EnteredFunction]
) -> LibraryGroup | None:
    """The library's task group at whose end a task waits for a bare future; None without one.

    The group has its tasks in an attribute, and from CPython 3.14 on they record their awaiter.
    Neither is enough by itself: a group may keep other tasks, and its tasks have their awaiter from
    their beginning, even if that still waits for something else.

    Args:
        task: the task.
        links: its suspended functions.
    """
    frame = links[-1].frame if links else None
    if frame is None or frame.f_code.co_name != "__aexit__" or is_users(frame.f_code.co_filename):
        return None
    group = variables_of(frame).get("self")
    tasks = [
        each
        for each in dict.fromkeys(_tasks_in_attributes(group))
        if not each.done() and _asyncio_compat.is_awaited_by(each, task)
    ]
    if not tasks:
        return None
    package = type(group).__module__.partition(".")[0]
    return LibraryGroup(f"{package}.{type(group).__qualname__}", tasks)


def _tasks_in_attributes(thing: object) -> Iterator[asyncio.Task[Any]]:
    for referent in gc.get_referents(thing):
        for each in [referent, *_contents(referent)]:
            if issubclass(type(each), asyncio.Task):
                yield each
            # Attributes are in a dictionary: always before CPython 3.13, sometimes later.
            for content in _contents(each):
                if issubclass(type(content), asyncio.Task):
                    yield content


def _contents(thing: object) -> list[Any]:
    return gc.get_referents(thing) if type(thing) in _PLAIN_CONTAINERS else []


AnyTask = asyncio.Task[Any]
AnyFuture = asyncio.Future[Any]

_ASYNCIO_FOLDER = os.path.join(os.path.dirname(asyncio.__file__), "")


@dataclass(slots=True)
class LiveWait:
    """What a task waits for, while nothing runs; `Wait` has the facts to keep.

    Attributes:
        subject: the lock, event, queue, future ... itself; None when there is none.
        futures: the awaited futures and tasks.

    The other attributes are those of `Wait`.
    """

    kind: WaitKind
    subject: Any = None
    through: str = ""
    detail: str = ""
    is_any: bool = False
    futures: list[AnyFuture] = field(default_factory=list)
    limited_by: str | None = None


@dataclass(slots=True)
class LiveTask:
    """A task that is not done, with its suspended functions."""

    task: AnyTask
    links: list[EnteredFunction]
    wait: LiveWait


def look_at(task: AnyTask) -> LiveTask:
    """Find out what a task waits for; if that fails, the result says why."""
    coroutine = task.get_coro()
    # An eager task begins while the task that creates it runs.
    if task is asyncio.current_task(task.get_loop()) or is_running(coroutine):
        others = [
            each.get_coro() for each in asyncio.all_tasks(task.get_loop()) if each is not task
        ]
        return LiveTask(task, running_links(coroutine, others), LiveWait(WaitKind.RUNNING))
    links = links_of(coroutine)
    try:
        wait = _wait_of(task, coroutine, links)
    except Exception as error:  # a custom queue or barrier that fails
        problem = f"its state can't be read: {type(error).__name__}"
        wait = LiveWait(WaitKind.UNKNOWN, detail=problem)
    return LiveTask(task, links, wait)


def _wait_of(task: AnyTask, coroutine: object, links: Sequence[EnteredFunction]) -> LiveWait:
    if is_not_started(coroutine):
        return LiveWait(WaitKind.NOT_STARTED)
    future = _asyncio_compat.waited_future(task)
    if future is None or future.done():
        return LiveWait(WaitKind.READY)
    wait = _recognise(links, future)
    if wait.kind is WaitKind.FUTURE:
        group = group_being_left(task, links)
        if group is not None:
            wait = LiveWait(WaitKind.TASKS, through=group.name, futures=[*group.tasks])
    if wait.limited_by is None and inspection.time_out_around(links) is not None:
        wait = replace(wait, limited_by="asyncio.timeout")
    return wait


def tasks_behind(futures: Iterable[AnyFuture]) -> list[AnyTask]:
    """The unfinished tasks among futures, and those behind ``gather`` and ``shield``."""
    found: list[AnyTask] = []
    seen: set[int] = set()
    left = list(futures)[::-1]
    while left:
        future = left.pop()
        if id(future) in seen or future.done():
            continue
        seen.add(id(future))
        if isinstance(future, asyncio.Task):
            found.append(future)
            continue
        shielded = _asyncio_compat.shielded_future(future)
        left.extend((_asyncio_compat.gathered_futures(future) or [])[::-1])
        left.extend([] if shielded is None else [shielded])
    return found


def _recognise(links: Sequence[EnteredFunction], future: AnyFuture) -> LiveWait:
    """The wait of the outermost function of asyncio that awaits the future.

    The outermost, because ``Queue.join`` waits by an event and ``Barrier.wait`` by a condition.
    """
    wait: LiveWait | None = None
    for link in reversed(links):
        code = link.frame.f_code
        if not code.co_filename.startswith(_ASYNCIO_FOLDER):
            break
        recogniser = _RECOGNISERS.get(code)
        if recogniser is not None:
            wait = recogniser(variables_of(link.frame), future, wait)
        else:
            wait = _recognise_by_module(link, future, wait)
    return wait or _wait_for_future(future)


Recogniser = Callable[[dict[str, Any], AnyFuture, "LiveWait | None"], "LiveWait"]


def _of_primitive(kind: WaitKind) -> Recogniser:
    """A recogniser for a method of a lock, queue or the like."""

    def recognise(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
        subject = variables.get("self")
        return LiveWait(kind, subject, detail=_detail(kind, subject))

    return recognise


def _detail(kind: WaitKind, subject: Any) -> str:
    if kind is WaitKind.BARRIER:
        return f"{subject.n_waiting} of {subject.parties} have arrived"
    if kind is WaitKind.QUEUE_PUT:
        return f"maxsize={subject.maxsize}"
    if kind is WaitKind.QUEUE_JOIN:
        count = _asyncio_compat.unfinished_count(subject)
        if count is not None:
            return f"{count} task_done() missing, {subject.qsize()} still in the queue"
    return ""


def _condition(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
    """``Condition.wait`` waits for a notification first, and then for its lock again."""
    if inner is not None and inner.kind is WaitKind.LOCK:
        return replace(inner, detail="to go on after being notified")
    return LiveWait(WaitKind.CONDITION, variables.get("self"))


def _condition_predicate(
    variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None
) -> LiveWait:
    return inner or LiveWait(WaitKind.CONDITION, variables.get("self"))


def _task_group(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
    tasks = _asyncio_compat.task_group_tasks(variables["self"])
    return LiveWait(WaitKind.TASKS, through="asyncio.TaskGroup", futures=[*tasks])


def _wait(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
    limit = variables.get("timeout")
    awaited = [*variables.get("fs", ())]
    # asyncio.wait() takes a Mock too, which never calls back.
    others = dict.fromkeys(type(each).__name__ for each in awaited if not asyncio.isfuture(each))
    return LiveWait(
        WaitKind.TASKS,
        through="asyncio.wait",
        detail=" and ".join(f"a {name}, which is not a future" for name in others),
        is_any=variables.get("return_when") != asyncio.ALL_COMPLETED,
        futures=[each for each in awaited if asyncio.isfuture(each)],
        limited_by=None if limit is None else f"asyncio.wait(timeout={limit:g})",
    )


def _wait_for(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
    """The wait inside a ``wait_for``; up to Python 3.11 that runs its awaitable in a task."""
    if inner is None:
        inner = replace(_wait_for_future(variables.get("fut", future)), through="asyncio.wait_for")
    limit = variables.get("timeout")
    if limit is not None:
        inner = replace(inner, limited_by=f"asyncio.wait_for(timeout={limit:g})")
    return inner


def _sleep(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
    return LiveWait(WaitKind.TIMER, detail=f"asyncio.sleep({variables.get('delay')!r:.40})")


def _to_thread(variables: dict[str, Any], future: AnyFuture, inner: LiveWait | None) -> LiveWait:
    function = variables.get("func")
    name = getattr(function, "__qualname__", type(function).__name__)
    return LiveWait(WaitKind.EXECUTOR, through="asyncio.to_thread", detail=str(name))


def _wait_for_future(future: AnyFuture) -> LiveWait:
    if isinstance(future, asyncio.Task):
        return LiveWait(WaitKind.TASKS, futures=[future])
    describe = getattr(future, "aldente_waits_for", None)
    if describe is not None:
        return LiveWait(WaitKind.DOUBLE, detail=describe())
    if _asyncio_compat.gathered_futures(future) is not None:
        through = "asyncio.gather"
    elif _asyncio_compat.shielded_future(future) is not None:
        through = "asyncio.shield"
    elif _asyncio_compat.is_executor_future(future):
        return LiveWait(WaitKind.EXECUTOR)
    else:
        return LiveWait(WaitKind.FUTURE, future)
    return LiveWait(WaitKind.TASKS, future, through=through, futures=[future])


# Modules of asyncio whose functions do I/O.
_WORLD = frozenset(
    {
        "base_events.py",
        "base_subprocess.py",
        "proactor_events.py",
        "selector_events.py",
        "sslproto.py",
        "streams.py",
        "subprocess.py",
        "unix_events.py",
        "windows_events.py",
    }
)


def _recognise_by_module(
    link: EnteredFunction, future: AnyFuture, inner: LiveWait | None
) -> LiveWait | None:
    module = link.frame.f_code.co_filename.removeprefix(_ASYNCIO_FOLDER)
    if module in _WORLD and (inner is None or inner.kind is WaitKind.INPUT_OUTPUT):
        return LiveWait(WaitKind.INPUT_OUTPUT, detail=link.function)
    if link.function.endswith("_wait_for_one"):
        # No public name: asyncio.as_completed makes it.
        variables = variables_of(link.frame)
        futures = _asyncio_compat.as_completed_futures(variables, future.get_loop())
        return LiveWait(
            WaitKind.TASKS, through="asyncio.as_completed", is_any=True, futures=futures
        )
    return inner


def _code_of(function: Any) -> CodeType:
    code: CodeType = function.__code__
    return code


_RECOGNISERS: dict[CodeType, Recogniser] = {
    _code_of(asyncio.Lock.acquire): _of_primitive(WaitKind.LOCK),
    _code_of(asyncio.Semaphore.acquire): _of_primitive(WaitKind.SEMAPHORE),
    _code_of(asyncio.Event.wait): _of_primitive(WaitKind.EVENT),
    _code_of(asyncio.Queue.get): _of_primitive(WaitKind.QUEUE_GET),
    _code_of(asyncio.Queue.put): _of_primitive(WaitKind.QUEUE_PUT),
    _code_of(asyncio.Queue.join): _of_primitive(WaitKind.QUEUE_JOIN),
    _code_of(asyncio.Barrier.wait): _of_primitive(WaitKind.BARRIER),
    _code_of(asyncio.Condition.wait): _condition,
    _code_of(asyncio.Condition.wait_for): _condition_predicate,
    _code_of(asyncio.TaskGroup.__aexit__): _task_group,
    _code_of(asyncio.wait): _wait,
    _code_of(asyncio.wait_for): _wait_for,
    _code_of(asyncio.sleep): _sleep,
    _code_of(asyncio.to_thread): _to_thread,
}
