"""What tasks and what they wait for keep to themselves, and who has cancelled them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any


def is_awaited_by(future: asyncio.Future[Any], task: asyncio.Task[Any]) -> bool:
    """Whether a future is recorded as awaited by a task, now or from its next step on.

    asyncio and libraries tell it by ``future_add_to_awaited_by``. The public way to ask,
    ``capture_call_graph``, goes on to what awaits the task in turn: it fails with a
    RecursionError where tasks await each other in a circle. Before CPython 3.14 nothing is told.
    Checked on CPython 3.14 and 3.15.
    """
    return task in (getattr(future, "_asyncio_awaited_by", None) or ())


def is_cancelled_by_group(task: asyncio.Task[Any]) -> bool:
    """Whether ``TaskGroup.cancel()``, of CPython 3.15 and newer, has cancelled the task around it.

    A cancellation doesn't tell where it comes from, and a task knows nothing of its groups. They
    know it as ``_parent_task`` as long as it is within them, and have ``_parent_cancel_requested``
    once they have cancelled it; those of which a task has failed have ``_errors`` too. Checked on
    CPython 3.15.
    """
    if not hasattr(asyncio.TaskGroup, "cancel"):
        return False
    # An object refers by its dictionary once that was asked for.
    return any(
        isinstance(referrer, dict | asyncio.TaskGroup) and _has_cancelled(referrer, task)
        for referrer in gc.get_referrers(task)
    )


def _has_cancelled(group: asyncio.TaskGroup | dict[Any, Any], task: asyncio.Task[Any]) -> bool:
    attributes = group if isinstance(group, dict) else vars(group)
    return (
        attributes.get("_parent_task") is task
        and bool(attributes.get("_parent_cancel_requested"))
        and not attributes.get("_errors")
    )


def hide_task(task: asyncio.Task[Any]) -> None:
    """Take a task out of ``asyncio.all_tasks()`` until `show_task` puts it back.

    ``_unregister_task`` is documented under "Extending asyncio" for task implementations of third
    parties, but not exported by the stubs. Checked on CPython 3.11 to 3.15.
    """
    asyncio.tasks._unregister_task(task)


def show_task(task: asyncio.Task[Any]) -> None:
    """Put a task back into ``asyncio.all_tasks()``; the counterpart of `hide_task`."""
    asyncio.tasks._register_task(task)


def may_have_tasks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `asyncio.all_tasks` may have tasks of the loop; False only if it surely does not.

    ``_scheduled_tasks`` and ``_eager_tasks`` (3.12 and 3.13; ``_all_tasks`` on 3.11) hold the tasks
    of all loops, so when they are empty there are none. Asking costs a tenth of listing them.
    Checked on CPython 3.11, 3.12 and 3.13; later ones keep their tasks elsewhere and are asked for
    the list.
    """
    return any(_TASK_SETS) if _TASK_SETS else True


# The sets inside the weak ones, which are asked in a tenth of the time.
_TASK_SETS = [
    getattr(getattr(asyncio.tasks, name), "data", getattr(asyncio.tasks, name))
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
    if hasattr(asyncio.tasks, name) and sys.version_info < (3, 14)
]


def silence_destroyed_task(task: asyncio.Task[Any]) -> None:
    """Keep a task that was given up from logging "Task was destroyed but it is pending!".

    ``_log_destroy_pending`` is the switch asyncio uses itself in ``run_until_complete`` and
    ``gather`` for tasks it has already accounted for. Checked on CPython 3.11 to 3.15.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def waited_future(task: asyncio.Task[Any] | None) -> asyncio.Future[Any] | None:
    """The future that a suspended task waits for; None when it is to run, or runs, or is none.

    No public name gives it: ``Task.get_stack`` gives the outermost frame only, and awaitables
    written in C show no frames. ``_fut_waiter`` is what ``Task.cancel`` cancels. Checked on CPython
    3.11 to 3.15.
    """
    future: asyncio.Future[Any] | None = getattr(task, "_fut_waiter", None)
    return future


def is_to_be_cancelled(task: asyncio.Task[Any]) -> bool:
    """Whether a task that is ready gets a CancelledError in its next step.

    ``cancelling()`` counts requests, those that were dealt with included. ``_must_cancel`` is what
    the task's own step looks at. Checked on CPython 3.11 to 3.15.
    """
    return bool(getattr(task, "_must_cancel", False))


def gathered_futures(future: asyncio.Future[Any]) -> list[asyncio.Future[Any]] | None:
    """The futures that a future of ``asyncio.gather`` waits for; None for any other future.

    ``_GatheringFuture._children`` is the only way from the one to the others; callbacks lead the
    other way. Checked on CPython 3.11 to 3.15.
    """
    gathering = getattr(asyncio.tasks, "_GatheringFuture", None)
    if gathering is None or not isinstance(future, gathering):
        return None
    return list(getattr(future, "_children", ()))


def shielded_future(future: asyncio.Future[Any]) -> asyncio.Future[Any] | None:
    """The future that ``asyncio.shield`` shields by the given one; None when it is another's.

    Only the closure of the callback that ``shield`` leaves on its future knows the inner one; there
    is no public list of callbacks. Checked on CPython 3.11 to 3.15.
    """
    inner: asyncio.Future[Any] | None = _callback_variable(
        future, "shield.<locals>._outer_done_callback", "inner"
    )
    return inner


def is_executor_future(future: asyncio.Future[Any]) -> bool:
    """Whether a future stands for one of `concurrent.futures`, as ``run_in_executor`` makes it.

    ``asyncio.wrap_future`` leaves no public sign but a callback. Checked on CPython 3.11 to
    3.15.
    """
    function = "_chain_future.<locals>._call_check_cancel"
    return _callback_variable(future, function, "source") is not None


def _callback_variable(future: asyncio.Future[Any], function: str, variable: str) -> Any:
    """What a variable is in the closure of a future's callback; None if there is no such thing."""
    for callback, _ in getattr(future, "_callbacks", None) or ():
        if getattr(callback, "__qualname__", None) == function:
            return inspect.getclosurevars(callback).nonlocals.get(variable)
    return None


def task_group_tasks(group: asyncio.TaskGroup) -> list[asyncio.Task[Any]]:
    """The tasks of a task group that are not done.

    ``TaskGroup`` shows them in its ``repr`` only, as a count; ``_tasks`` is the set. Checked on
    CPython 3.11 to 3.15.
    """
    return list(getattr(group, "_tasks", ()))


def lock_of_condition(condition: asyncio.Condition) -> asyncio.Lock | None:
    """The lock that a condition locks.

    ``Condition`` offers the lock's methods, but not the lock, which several conditions may share.
    Checked on CPython 3.11 to 3.15.
    """
    lock: asyncio.Lock | None = getattr(condition, "_lock", None)
    return lock


def unfinished_count(queue: asyncio.Queue[Any]) -> int | None:
    """How many items of a queue still lack a ``task_done()``; None when it doesn't tell.

    Only ``repr`` shows ``_unfinished_tasks``, as text. Checked on CPython 3.11 to 3.15.
    """
    count = getattr(queue, "_unfinished_tasks", None)
    return count if isinstance(count, int) else None


def as_completed_futures(
    variables: dict[str, Any], loop: asyncio.AbstractEventLoop
) -> list[asyncio.Future[Any]]:
    """The futures of an ``asyncio.as_completed`` that are not done.

    There is no public way from what ``as_completed`` gives to the futures. From CPython 3.13 on an
    object keeps them in ``_todo``; before, only the callback of each future leads to the queue from
    which the next one is taken. Checked on CPython 3.11 to 3.15.

    Args:
        variables: those of the coroutine that waits for the next future.
        loop: the loop whose tasks are looked at; before CPython 3.13 bare futures are not found.
    """
    if "self" in variables:
        return list(getattr(variables["self"], "_todo", ()))
    queue = variables.get("done")
    function = "as_completed.<locals>._on_completion"
    return [
        task
        for task in asyncio.all_tasks(loop)
        if queue is not None and _callback_variable(task, function, "done") is queue
    ]


def has_unseen_exception(task: asyncio.Future[Any]) -> bool:
    """Whether a task that is done has an exception that nobody has asked for.

    ``exception()`` would count as asking. ``_log_traceback`` is an attribute of every future and is
    true as long as asyncio would log the exception. Checked on CPython 3.11 to 3.15.
    """
    return bool(getattr(task, "_log_traceback", True))


def pending_tasks(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """As ``asyncio.all_tasks``, in a third of the time when there are few tasks.

    That goes through a weak set step by step, which costs more than a short run has to spare. The
    sets are those of `may_have_tasks`. Checked on CPython 3.11, 3.12 and 3.13; later ones keep
    their tasks elsewhere and are asked for the list.
    """
    if not _TASK_SETS:
        return asyncio.all_tasks(loop)
    return {task for task in _living_tasks() if task.get_loop() is loop and not task.done()}


# From Python 3.14 on asyncio shows only tasks that are not done, so that those that may have failed
# are recorded when they are made.
IS_RECORDING_TASKS = not _TASK_SETS


class TaskRecord:
    """The tasks that were made, and the futures that `shield` has told of, while they are alive."""

    __slots__ = ("_limit", "_references")

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []
        self._limit = _FIRST_LIMIT

    def add(self, task: Any) -> None:
        """Have a task or future be among those that `living` gives, while it is alive."""
        self._references.append(weakref.ref(task))
        if len(self._references) > self._limit:
            self._forget_freed()

    def _forget_freed(self) -> None:
        # Another thread may add one meanwhile, which is behind these.
        count = len(self._references)
        self._references[:count] = [each for each in self._references[:count] if each() is not None]
        self._limit = max(_FIRST_LIMIT, 2 * len(self._references))

    def living(self) -> list[asyncio.Future[Any]]:
        """Those that are alive; what a task factory has given that is no future is left out."""
        # A task may be recorded twice, when one run of pytest goes on inside another.
        found = {id(task): task for each in tuple(self._references) if (task := each()) is not None}
        return [each for each in found.values() if isinstance(each, asyncio.Future)]


# How many tasks are recorded at least, until those that are gone are looked for.
_FIRST_LIMIT = 200

# The tasks of loops that have no record of their own.
_RECORD = TaskRecord()


@contextlib.contextmanager
def recording_tasks() -> Iterator[None]:
    """While entered, tasks are recorded that loops of asyncio's kind make with ``create_task``.

    Before Python 3.14 that is not needed. The method is that of the class, so that no loop has an
    attribute more.
    """
    if not IS_RECORDING_TASKS:
        yield
        return
    owner: Any = asyncio.BaseEventLoop
    original = owner.create_task
    owner.create_task = _recording(original)
    try:
        yield
    finally:
        owner.create_task = original


def record_tasks_of(loop: asyncio.AbstractEventLoop) -> None:
    """Record the tasks of a loop of another kind (uvloop), whose class can't be changed."""
    if IS_RECORDING_TASKS and not isinstance(loop, asyncio.BaseEventLoop):
        attributes: dict[str, Any] | None = getattr(loop, "__dict__", None)
        if attributes is not None and "create_task" not in attributes:
            method = type(loop).create_task
            # It must not keep the loop alive.
            reference = weakref.ref(loop)

            @functools.wraps(method)
            def create_task(*args: Any, **kwargs: Any) -> asyncio.Task[Any]:
                return method(reference(), *args, **kwargs)  # type: ignore[arg-type]

            attributes["create_task"] = _recording(create_task)


def _recording(original: Callable[..., asyncio.Task[Any]]) -> Callable[..., asyncio.Task[Any]]:
    @functools.wraps(original)
    def create_task(*args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = original(*args, **kwargs)
        frames = getattr(task, "_source_traceback", None)
        if frames:
            # In debug mode a task tells where it was made, which is not here.
            frames[:] = [frame for frame in frames if frame.filename != __file__]
        # A task factory may give anything.
        if isinstance(task, asyncio.Task):
            _RECORD.add(task)
        return task

    return create_task


def _record_of(loop: asyncio.AbstractEventLoop | None) -> TaskRecord:
    record: TaskRecord = getattr(loop, "tasks_made", _RECORD)
    return record


def _living_tasks(loop: asyncio.AbstractEventLoop | None = None) -> list[Any]:
    """The tasks of all loops, done or not; at least those of a loop, if one is given."""
    if IS_RECORDING_TASKS:
        return list(_record_of(loop).living())
    # A tuple is made of a set at once, whatever other threads do.
    found = [_task_of(item) for tasks in _TASK_SETS for item in tuple(tasks)]
    return [task for task in found if task is not None]


def _task_of(item: Any) -> asyncio.Task[Any] | None:
    return item() if type(item) is weakref.ref else item


def failed_and_unseen(
    loop: asyncio.AbstractEventLoop | None = None,
) -> list[asyncio.Future[Any]]:
    """The failed tasks of a loop, as far as they are alive, whose exception nothing has asked for.

    Futures that are no tasks are among them when ``asyncio.shield`` has told of them.

    ``all_tasks`` leaves out tasks that are done. The sets of `may_have_tasks` have them until they
    are freed, those apart that were eager and never waited. Checked on CPython 3.11, 3.12 and 3.13;
    on later ones they are those that were recorded.

    Args:
        loop: the loop; None for all loops.
    """
    failed = [
        task
        for task in _living_tasks(loop)
        if task.done()
        and not task.cancelled()
        and (loop is None or task.get_loop() is loop)
        and has_unseen_exception(task)
    ]
    return sorted(failed, key=lambda each: getattr(each, "get_name", str)())


class ShieldLeavesExceptions:
    """While entered, ``asyncio.shield`` does not count as having asked for an exception.

    From Python 3.14 on, when what waits for a shielded task was cancelled and the task fails later,
    ``shield`` tells the loop's exception handler at once, and asks for the exception, so that
    asyncio tells nothing more. But the task may be awaited all the same, after the cancellation.
    Meanwhile the loop logs as asyncio does, and it is left to the end of the task whether anything
    has asked for its exception; an exception handler of the program's own is told once, as by
    asyncio. ``_log_on_exception`` is the callback by which ``shield`` does it,
    and ``_exception`` has the exception without asking for it. Checked on CPython 3.14 and 3.15.
    """

    def __init__(self) -> None:
        self._original: Any = None

    def __enter__(self) -> None:
        module: Any = asyncio.tasks
        self._original = getattr(module, "_log_on_exception", None)
        if self._original is not None:
            module._log_on_exception = _tell_of_shielded

    def __exit__(self, *exception: object) -> None:
        module: Any = asyncio.tasks
        if self._original is not None:
            module._log_on_exception = self._original


def _tell_of_shielded(future: asyncio.Future[Any]) -> None:
    """Tell a loop's exception handler of a shielded future that has failed."""
    error = None if future.cancelled() else getattr(future, "_exception", None)
    if error is None:
        return
    loop = future.get_loop()
    context: dict[str, Any] = {
        "message": f"{type(error).__name__} exception in shielded future",
        "exception": error,
        "future": future,
    }
    frames = getattr(future, "_source_traceback", None)
    if frames:
        context["source_traceback"] = frames
    handler = loop.get_exception_handler()
    if handler is not None and not str(getattr(handler, "__module__", "")).startswith("aldente."):
        # As asyncio asks for it.
        future.exception()
        loop.call_exception_handler(context)
        return
    _record_of(loop).add(future)
    _told_by_shield.append(context)
    try:
        loop.call_exception_handler(context)
    finally:
        _told_by_shield.pop()
        setattr(future, _WAS_TOLD, True)


# What an exception handler is told by ``shield`` right now.
_told_by_shield: list[dict[str, Any]] = []
# The attribute of a future that was logged already.
_WAS_TOLD = "aldente_was_told"


def is_told_by_shield(context: dict[str, Any]) -> bool:
    """Whether ``shield`` tells a handler of a future that may be awaited all the same."""
    return any(context is told for told in _told_by_shield)


def was_told_by_shield(context: dict[str, Any]) -> bool:
    """Whether a loop has logged the exception of a future before, as ``shield`` told of it."""
    return hasattr(context.get("future"), _WAS_TOLD)
