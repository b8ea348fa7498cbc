"""The only module that touches private names of asyncio.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from types import CodeType
from typing import Any


def hide_task(task: asyncio.Task[Any]) -> None:
    """Take a task out of ``asyncio.all_tasks()`` until `show_task` puts it back.

    ``_unregister_task`` is documented under "Extending asyncio" for task implementations of third
    parties, but not exported by the stubs. Checked on CPython 3.11, 3.12 and 3.13.
    """
    asyncio.tasks._unregister_task(task)


def show_task(task: asyncio.Task[Any]) -> None:
    """Put a task back into ``asyncio.all_tasks()``; the counterpart of `hide_task`."""
    asyncio.tasks._register_task(task)


def is_loop_running_here() -> bool:
    """Whether an event loop is running in this thread.

    ``_get_running_loop`` is documented as the form of ``get_running_loop`` that does not raise; it
    is several times cheaper than catching an exception. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return asyncio._get_running_loop() is not None


def current_event_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that ``asyncio.set_event_loop`` made current in this thread, or None.

    The public ``get_event_loop`` makes a loop where there is none, or raises, and warns. ``_local``
    is where asyncio's own policy keeps it; other policies answer None. Checked on CPython 3.11,
    3.12 and 3.13.
    """
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    return getattr(getattr(policy, "_local", None), "_loop", None)


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


def may_have_ready_callbacks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether callbacks may be waiting for their turn; False only if there surely are none.

    ``_ready`` is the queue of ``BaseEventLoop``. Loops that do not show it (uvloop) answer True,
    and go round once more. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(loop, "_ready", True))


def may_have_async_generators(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may know unfinished async generators; False only if it surely does not.

    ``_asyncgens`` is a weak set of ``BaseEventLoop``. Loops without it (uvloop) answer True, and
    are asked to shut down whatever they have, as are those whose method somebody has replaced.
    Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(loop, "_asyncgens", True)) or "shutdown_asyncgens" in getattr(
        loop, "__dict__", {}
    )


def may_have_default_executor(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may have started its default executor; False only if it surely did not.

    ``_default_executor`` is None on ``BaseEventLoop`` until ``run_in_executor(None, ...)`` is first
    called. Loops without it (uvloop) answer True. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return getattr(loop, "_default_executor", True) is not None


def silence_destroyed_task(task: asyncio.Task[Any]) -> None:
    """Keep a task that was given up from logging "Task was destroyed but it is pending!".

    ``_log_destroy_pending`` is the switch asyncio uses itself in ``run_until_complete`` and
    ``gather`` for tasks it has already accounted for. Checked on CPython 3.11, 3.12 and 3.13.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def is_policy_untouched() -> bool:
    """Whether `asyncio.new_event_loop` makes asyncio's own kind of loop, as far as is known.

    ``_event_loop_policy`` is None or asyncio's own policy until somebody sets another one. The
    public ``get_event_loop_policy`` warns since CPython 3.14. Checked on CPython 3.11, 3.12 and
    3.13.
    """
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    if asyncio.events.new_event_loop is not _NEW_EVENT_LOOP:
        return False
    policy_class: Any = type(policy)
    return policy is None or (
        _is_from_asyncio(policy_class) and "new_event_loop" not in vars(policy)
    )


@contextlib.contextmanager
def on_first_iteration(notice: Callable[[AsyncGenerator[Any, Any]], object]) -> Iterator[None]:
    """While entered, a function is called with each async generator that starts on a loop.

    ``_asyncgen_firstiter_hook`` is what a loop gives to ``sys.set_asyncgen_hooks`` when it starts
    to run; a hook that is set from outside would be undone by that. Loops without it (uvloop)
    notice nothing. Checked on CPython 3.11, 3.12 and 3.13.
    """
    owner: Any = asyncio.BaseEventLoop
    original = owner._asyncgen_firstiter_hook

    def hook(loop: Any, generator: AsyncGenerator[Any, Any]) -> None:
        notice(generator)
        original(loop, generator)

    owner._asyncgen_firstiter_hook = hook
    try:
        yield
    finally:
        owner._asyncgen_firstiter_hook = original


def unfinished_async_generators(
    loop: asyncio.AbstractEventLoop,
) -> list[AsyncGenerator[Any, Any]]:
    """The async generators that were started on a loop and have not ended.

    Loops that do not show theirs (uvloop) give none. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return list(getattr(loop, "_asyncgens", ()))


def is_waiting_for_nothing(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether nothing in this process but another thread can make anything happen on a loop.

    No callback is ready, no timer is set, no signal is handled, and the selector watches nothing
    but the loop's own wake-up. Asked from another thread, hence only a first opinion. Loops that do
    not show these (uvloop) answer False. Checked on CPython 3.11, 3.12 and 3.13.
    """
    selector = getattr(loop, "_selector", None)
    if selector is None or not hasattr(loop, "_scheduled"):
        return False
    return (
        not loop._ready  # type: ignore[attr-defined]
        and not getattr(loop, "_signal_handlers", None)
        and len(selector.get_map() or ()) <= 1
        and all(handle.cancelled() for handle in list(getattr(loop, "_scheduled", ())))
    )


# ``BaseEventLoop._check_running`` is where every way of running a loop asks whether one may run
# now, and raises if not. The public methods would have to be replaced one by one, and run for every
# test; this one is called as often but has one place. Checked on CPython 3.11, 3.12 and 3.13; where
# it is missing nothing is replaced.
RUN_CHECK = "_check_running"

# What runs each callback of a loop: a step of the loop is one run of this code. Checked on CPython
# 3.11, 3.12 and 3.13.
STEP_CODE: CodeType = asyncio.Handle._run.__code__


_NEW_EVENT_LOOP = asyncio.events.new_event_loop


@functools.cache
def _is_from_asyncio(policy_class: Any) -> bool:
    module: str = policy_class.__module__
    return module.startswith("asyncio.")


# What the await graph (aldente._diagnosis) asks of tasks and of what they wait for.


def waited_future(task: asyncio.Task[Any]) -> asyncio.Future[Any] | None:
    """The future that a suspended task waits for; None when it is to run, or runs.

    No public name gives it: ``Task.get_stack`` gives the outermost frame only, and awaitables
    written in C show no frames. ``_fut_waiter`` is what ``Task.cancel`` cancels. Checked on CPython
    3.11, 3.12 and 3.13.
    """
    future: asyncio.Future[Any] | None = getattr(task, "_fut_waiter", None)
    return future


def gathered_futures(future: asyncio.Future[Any]) -> list[asyncio.Future[Any]] | None:
    """The futures that a future of ``asyncio.gather`` waits for; None for any other future.

    ``_GatheringFuture._children`` is the only way from the one to the others; callbacks lead the
    other way. Checked on CPython 3.11, 3.12 and 3.13.
    """
    gathering = getattr(asyncio.tasks, "_GatheringFuture", None)
    if gathering is None or not isinstance(future, gathering):
        return None
    return list(getattr(future, "_children", ()))


def shielded_future(future: asyncio.Future[Any]) -> asyncio.Future[Any] | None:
    """The future that ``asyncio.shield`` shields by the given one; None when it is another's.

    Only the closure of the callback that ``shield`` leaves on its future knows the inner one; there
    is no public list of callbacks. Checked on CPython 3.11, 3.12 and 3.13.
    """
    inner: asyncio.Future[Any] | None = _callback_variable(
        future, "shield.<locals>._outer_done_callback", "inner"
    )
    return inner


def is_executor_future(future: asyncio.Future[Any]) -> bool:
    """Whether a future stands for one of `concurrent.futures`, as ``run_in_executor`` makes it.

    ``asyncio.wrap_future`` leaves no public sign but a callback. Checked on CPython 3.11, 3.12 and
    3.13.
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
    CPython 3.11, 3.12 and 3.13.
    """
    return list(getattr(group, "_tasks", ()))


def lock_of_condition(condition: asyncio.Condition) -> asyncio.Lock | None:
    """The lock that a condition locks.

    ``Condition`` offers the lock's methods, but not the lock, which several conditions may share.
    Checked on CPython 3.11, 3.12 and 3.13.
    """
    lock: asyncio.Lock | None = getattr(condition, "_lock", None)
    return lock


def unfinished_count(queue: asyncio.Queue[Any]) -> int | None:
    """How many items of a queue still lack a ``task_done()``; None when it doesn't tell.

    Only ``repr`` shows ``_unfinished_tasks``, as text. Checked on CPython 3.11, 3.12 and 3.13.
    """
    count = getattr(queue, "_unfinished_tasks", None)
    return count if isinstance(count, int) else None


def as_completed_futures(
    variables: dict[str, Any], loop: asyncio.AbstractEventLoop
) -> list[asyncio.Future[Any]]:
    """The futures of an ``asyncio.as_completed`` that are not done.

    There is no public way from what ``as_completed`` gives to the futures. From CPython 3.13 on an
    object keeps them in ``_todo``; before, only the callback of each future leads to the queue from
    which the next one is taken. Checked on CPython 3.11, 3.12 and 3.13.

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


def may_have_transports(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop may watch more than its own self-pipe; False only if it surely does not.

    ``_selector`` is how ``BaseSelectorEventLoop`` waits; asyncio has no public list of what it
    waits for. Loops without it (uvloop, the proactor's) show nothing, so they answer False. Checked
    on CPython 3.11, 3.12 and 3.13.
    """
    registrations = _registrations(loop)
    return len(registrations) > 1 or bool(getattr(loop, "_transports", None))


def transports_of(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.BaseTransport]:
    """The transports that a loop knows: those of its sockets, and those whose pipes it watches.

    ``_transports`` holds the sockets', weakly, by descriptor; what is watched is found by the
    method that ``_selector`` will have called. There is no public list. Checked on CPython 3.11,
    3.12 and 3.13.
    """
    known: Any = getattr(loop, "_transports", {})
    yield from list(known.values())
    for handle in _handles(loop):
        owner = getattr(getattr(handle, "_callback", None), "__self__", None)
        if isinstance(owner, asyncio.BaseTransport):
            yield owner


def servers_of(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.Server]:
    """The servers whose listening sockets a loop watches.

    They are among the arguments of the callback that accepts connections; there is no public list.
    Checked on CPython 3.11, 3.12 and 3.13.
    """
    for handle in _handles(loop):
        for argument in getattr(handle, "_args", None) or ():
            if isinstance(argument, asyncio.Server):
                yield argument


def loop_of(transport: asyncio.BaseTransport) -> asyncio.AbstractEventLoop | None:
    """The loop of a transport; None once it is closed.

    ``_loop`` is an attribute of each of asyncio's transports; there is no public one. Checked on
    CPython 3.11, 3.12 and 3.13.
    """
    return getattr(transport, "_loop", None)


def acceptor_of(transport: asyncio.BaseTransport) -> asyncio.Server | None:
    """The server that has accepted a transport's connection; None for all others.

    ``_server`` is an attribute of asyncio's socket transports; there is no public one. Checked on
    CPython 3.11, 3.12 and 3.13.
    """
    return getattr(transport, "_server", None)


def is_part_of_subprocess(transport: asyncio.BaseTransport) -> bool:
    """Whether a transport is a pipe to or from a subprocess, which is closed with that.

    The protocol of such a pipe, of a class without a public name, has the subprocess's transport as
    its ``proc``. Checked on CPython 3.11, 3.12 and 3.13.
    """
    protocol = transport.get_protocol()
    return isinstance(getattr(protocol, "proc", None), asyncio.SubprocessTransport)


def _registrations(loop: asyncio.AbstractEventLoop) -> Any:
    get_map = getattr(getattr(loop, "_selector", None), "get_map", None)
    # None once the selector is closed.
    return (get_map() if get_map is not None else None) or {}


def _handles(loop: asyncio.AbstractEventLoop) -> Iterator[object]:
    for key in list(_registrations(loop).values()):
        # The callbacks for reading and for writing; other users of the selector keep other data.
        if isinstance(key.data, tuple):
            yield from key.data


def has_unseen_exception(task: asyncio.Task[Any]) -> bool:
    """Whether a task that is done has an exception that nobody has asked for.

    ``exception()`` would count as asking. ``_log_traceback`` is an attribute of every future and is
    true as long as asyncio would log the exception. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(task, "_log_traceback", True))


def tasks_with_unseen_exceptions(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """The failed tasks of a loop, as far as they are alive, whose exception nobody has asked for.

    ``all_tasks`` leaves out tasks that are done. ``_scheduled_tasks`` (``_all_tasks`` on 3.11) has
    them until they are freed, those apart that were eager and never waited. Checked on CPython
    3.11, 3.12 and 3.13; later ones keep their tasks elsewhere and give none.
    """
    tasks: Any = getattr(asyncio.tasks, "_scheduled_tasks", None)
    if tasks is None:
        tasks = getattr(asyncio.tasks, "_all_tasks", ())
    for _ in range(1000):
        try:
            found: list[asyncio.Task[Any]] = list(tasks)
            break
        except RuntimeError:
            # Another thread has made a task meanwhile; asyncio itself tries as often.
            continue
    else:
        return []
    failed = [
        task
        for task in found
        if task.done()
        and not task.cancelled()
        and task.get_loop() is loop
        and has_unseen_exception(task)
    ]
    return sorted(failed, key=asyncio.Task.get_name)


# What virtual time (aldente._loops.virtual) asks of asyncio's own kind of loop.


def set_clock_resolution(loop: asyncio.BaseEventLoop, seconds: float) -> None:
    """Say how much ahead of their time a loop may run its timers.

    ``_clock_resolution`` is read on every turn, and set from the real clock when a loop is made;
    there is no public way to say that another clock is finer. Checked on CPython 3.11, 3.12 and
    3.13.
    """
    loop._clock_resolution = seconds  # type: ignore[attr-defined]


def next_timer(loop: asyncio.BaseEventLoop) -> float | None:
    """The time of the next timer, in seconds of loop time; None when there is none.

    The loop tells its selector how long it may sleep, from which the time can't be had exactly.
    ``_scheduled`` is the heap of timers, without cancelled ones at its top while the selector is
    asked. Checked on CPython 3.11, 3.12 and 3.13.
    """
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
    return scheduled[0].when() if scheduled else None


def timers_of(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """The timers of a loop that are not cancelled, the next first; see `next_timer`.

    Loops that do not show theirs (uvloop) give none.
    """
    scheduled = [handle for handle in getattr(loop, "_scheduled", ()) if not handle.cancelled()]
    return sorted(scheduled, key=asyncio.TimerHandle.when)


def task_of_timer(
    handle: asyncio.TimerHandle, waiting: dict[int, asyncio.Task[Any]]
) -> asyncio.Task[Any] | None:
    """The task that a timer wakes or limits; None when it calls a callback.

    A sleep's future is an argument of the callback, and ``asyncio.timeout`` is the object of its
    method, with the task as ``_task``. Checked on CPython 3.11, 3.12 and 3.13.

    Args:
        handle: the timer.
        waiting: the tasks by the `id` of the future that each waits for.
    """
    for argument in getattr(handle, "_args", None) or ():
        if id(argument) in waiting:
            return waiting[id(argument)]
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    task = getattr(owner, "_task", None)
    return task if isinstance(task, asyncio.Task) else None


def code_of_timer(handle: asyncio.TimerHandle) -> CodeType | None:
    """The code that a timer runs; None when it isn't Python's.

    ``_callback`` is what ``call_at`` was given. Checked on CPython 3.11, 3.12 and 3.13.
    """
    callback = getattr(handle, "_callback", None)
    while isinstance(callback, functools.partial):
        callback = callback.func
    code: CodeType | None = getattr(callback, "__code__", None)
    return code


def handles_signals(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop handles signals, of which only its self-pipe tells.

    ``_signal_handlers`` is what ``add_signal_handler`` fills. Checked on CPython 3.11, 3.12 and
    3.13.
    """
    return bool(getattr(loop, "_signal_handlers", None))
