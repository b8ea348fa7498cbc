"""The private state of tasks and of what they wait for, and what cancelled them."""

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

from aldente._checked_pythons import private

# The functions that suspend a task for ``asyncio.sleep``; the second, which is private, for 0
# seconds. Checked on CPython 3.11 to 3.15.
FUNCTIONS_OF_SLEEP: tuple[object, ...] = (asyncio.sleep, private(asyncio.tasks, "__sleep0"))


def is_awaited_by(future: asyncio.Future[Any], task: asyncio.Task[Any]) -> bool:
    """Whether a future is recorded as awaited by a task, now or from its next step on.

    asyncio and libraries record it by ``future_add_to_awaited_by``. The public way to read it,
    ``capture_call_graph``, also follows what awaits the task: it fails with a RecursionError where
    tasks await each other in a cycle. Before CPython 3.14 nothing is recorded.
    Checked on CPython 3.14 and 3.15.
    """
    return task in (getattr(future, "_asyncio_awaited_by", None) or ())


def is_cancelled_by_group(task: asyncio.Task[Any]) -> bool:
    """Whether ``TaskGroup.cancel()``, of CPython 3.15 and newer, cancelled the task around it.

    A cancellation doesn't show its origin, and a task does not refer to its groups. They refer to
    it as ``_parent_task`` while it is within them, and have ``_parent_cancel_requested`` once they
    have cancelled it; groups with a failed task have ``_errors`` too. Checked on
    CPython 3.15.
    """
    if not hasattr(asyncio.TaskGroup, "cancel"):
        return False
    # An object refers through its __dict__ once that was read.
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
    of all loops, so if they are empty there are none. That takes a tenth of the time of listing.
    Checked on CPython 3.11, 3.12 and 3.13; later ones keep their tasks elsewhere, so this lists
    them.
    """
    return any(_TASK_SETS) if _TASK_SETS else True


# The sets inside the weak ones, whose len() is ten times as fast.
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
    """The future that a suspended task waits for; None if it is ready, running or no task.

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
    """The future that ``asyncio.shield`` shields by the given one; None for any other future.

    Only the closure of the callback that ``shield`` leaves on its future knows the inner one; there
    is no public list of callbacks. Checked on CPython 3.11 to 3.15.
    """
    inner: asyncio.Future[Any] | None = _callback_variable(
        future, "shield.<locals>._outer_done_callback", "inner"
    )
    return inner


def task_that_awaits(future: asyncio.Future[Any]) -> asyncio.Task[Any] | None:
    """The first task that awaits a future itself; None if there is none.

    There is no public list of callbacks. Checked on CPython 3.11 to 3.15.
    """
    for callback, _ in getattr(future, "_callbacks", None) or ():
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, asyncio.Task):
            return owner
    return None


def is_executor_future(future: asyncio.Future[Any]) -> bool:
    """Whether a future stands for one of `concurrent.futures`, as ``run_in_executor`` makes it.

    ``asyncio.wrap_future`` leaves no public sign but a callback. Checked on CPython 3.11 to
    3.15.
    """
    function = "_chain_future.<locals>._call_check_cancel"
    return _callback_variable(future, function, "source") is not None


def _callback_variable(future: asyncio.Future[Any], function: str, variable: str) -> Any:
    """A variable in the closure of a future's callback; None if there is none."""
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
    """How many items of a queue still lack a ``task_done()``; None if it does not show it.

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
    """Whether a done task has an exception that was never retrieved.

    ``exception()`` would count as retrieval. ``_log_traceback`` is an attribute of futures and is
    true as long as asyncio would log the exception. Checked on CPython 3.11 to 3.15.
    """
    return bool(getattr(task, "_log_traceback", True))


def unseen_exception(task: asyncio.Future[Any]) -> BaseException | None:
    """The exception of a future that is done, read without counting as retrieval; None without one.

    ``exception()`` would count as it. ``_exception`` is an attribute of futures written in C and in
    Python. Checked on CPython 3.11 to 3.15.
    """
    error: BaseException | None = getattr(task, "_exception", None)
    return error


def pending_tasks(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """Like ``asyncio.all_tasks``, in a third of the time when there are few tasks.

    That iterates over a weak set, which is slow for a short run. The sets are those of
    `may_have_tasks`. Checked on CPython 3.11, 3.12 and 3.13; on later ones this calls
    ``all_tasks``.
    """
    if not _TASK_SETS:
        return asyncio.all_tasks(loop)
    return {task for task in _living_tasks() if task.get_loop() is loop and not task.done()}


# From Python 3.14 on asyncio shows only tasks that are not done, so tasks are recorded on creation,
# to find those that failed.
IS_RECORDING_TASKS = not _TASK_SETS


# A test may replace it for its own code.
_reference_to = weakref.ref


class TaskRecord:
    """The live tasks that were made, and the live futures that `shield` has reported."""

    __slots__ = ("_limit", "_references")

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []
        self._limit = _FIRST_LIMIT

    def add(self, task: Any) -> None:
        """Record a task or future while it is alive."""
        self._references.append(_reference_to(task))
        if len(self._references) > self._limit:
            self._forget_freed()

    def _forget_freed(self) -> None:
        # Another thread may append one meanwhile.
        count = len(self._references)
        self._references[:count] = [each for each in self._references[:count] if each() is not None]
        self._limit = max(_FIRST_LIMIT, 2 * len(self._references))

    def living(self) -> list[asyncio.Future[Any]]:
        """The live ones, except non-futures from a task factory."""
        # A task may be recorded twice, in a nested run of pytest.
        found = {id(task): task for each in tuple(self._references) if (task := each()) is not None}
        return [each for each in found.values() if isinstance(each, asyncio.Future)]


# From this many recorded tasks on, look for those that are gone.
_FIRST_LIMIT = 200

# The tasks of loops that have no record of their own.
_RECORD = TaskRecord()


@contextlib.contextmanager
def recording_tasks() -> Iterator[None]:
    """While entered, record the tasks that asyncio's own loops make by ``create_task``.

    Not needed before Python 3.14. It patches the method of the class, so that no loop gets a new
    attribute.
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
            # A weak reference, to not keep the loop alive.
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
            # In debug mode a task records where it was made; leave this function out.
            frames[:] = [frame for frame in frames if frame.filename != __file__]
        # A task factory may return anything.
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
    # tuple() copies a set atomically.
    found = [_task_of(item) for tasks in _TASK_SETS for item in tuple(tasks)]
    return [task for task in found if task is not None]


def _task_of(item: Any) -> asyncio.Task[Any] | None:
    return item() if type(item) is weakref.ref else item


def failed_and_unseen(
    loop: asyncio.AbstractEventLoop | None = None,
) -> list[asyncio.Future[Any]]:
    """The failed live tasks of a loop whose exception was never retrieved.

    They include futures that are no tasks if ``asyncio.shield`` has reported them.

    ``all_tasks`` leaves out tasks that are done. The sets of `may_have_tasks` have them until they
    are freed, except eager tasks that never waited. Checked on CPython 3.11, 3.12 and 3.13; on
    later ones these are the recorded tasks.

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
    """While entered, ``asyncio.shield`` does not count as having retrieved an exception.

    From Python 3.14 on, if the waiter of a shielded task was cancelled and the task fails later,
    ``shield`` calls the loop's exception handler at once, and retrieves the exception, so that
    asyncio does not log it again. But the task may still be awaited, after the cancellation. While
    this is entered, the loop logs like asyncio, and whether the exception was retrieved shows at
    the end of the task; a program's own exception handler is called once, as by asyncio.
    ``_log_on_exception`` is the callback by which ``shield`` does it, and ``_exception`` has the
    exception without retrieving it. Checked on CPython 3.14 and 3.15.
    """

    def __init__(self) -> None:
        self._original: Any = None

    def __enter__(self) -> None:
        module: Any = asyncio.tasks
        self._original = getattr(module, "_log_on_exception", None)
        if self._original is not None:
            module._log_on_exception = _report_shielded

    def __exit__(self, *exception: object) -> None:
        module: Any = asyncio.tasks
        if self._original is not None:
            module._log_on_exception = self._original


def _report_shielded(future: asyncio.Future[Any]) -> None:
    """Call a loop's exception handler for a shielded future that has failed."""
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
        # As asyncio retrieves it.
        future.exception()
        loop.call_exception_handler(context)
        return
    _record_of(loop).add(future)
    _reported_by_shield.append(context)
    try:
        loop.call_exception_handler(context)
    finally:
        _reported_by_shield.pop()
        setattr(future, _WAS_REPORTED, True)


# The contexts with which ``shield`` is calling exception handlers.
_reported_by_shield: list[dict[str, Any]] = []
# The attribute of a future that was logged already; set on the future itself.
_WAS_REPORTED = "aldente_was_reported"


def is_reported_by_shield(context: dict[str, Any]) -> bool:
    """Whether ``shield`` calls a handler for a future that may still be awaited."""
    return any(context is reported for reported in _reported_by_shield)


def was_reported_by_shield(context: dict[str, Any]) -> bool:
    """Whether a loop has already logged the exception of a future for ``shield``."""
    return hasattr(context.get("future"), _WAS_REPORTED)
