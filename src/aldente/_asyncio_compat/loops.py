"""The private state of loops: of the policies that make them, their clock, timers, callbacks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dis
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from aldente._checked_pythons import private
from aldente._system import ORIGINALS

_now = ORIGINALS["perf_counter_ns"]


@contextlib.contextmanager
def observing_callbacks(observe: Callable[[Any, int, int], object]) -> Iterator[None]:
    """While entered, pass each callback that a loop has run to a function.

    Args:
        observe: called with the callback, and the moments in nanoseconds when it began and ended.

    asyncio offers no hook around them: each is run by ``Handle._run``. Loops that are not written
    in Python (uvloop) and simulated loops run theirs in another way. Checked on CPython 3.11 to
    3.15; where it is missing nothing is observed.
    """
    original: Any = private(asyncio.Handle, "_run")
    if original is None:
        yield
        return

    def run(self: Any) -> Any:
        # It is None once the handle is cancelled, as the callback may do.
        callback = self._callback
        began = _now()
        try:
            return original(self)
        finally:
            observe(callback, began, _now())

    asyncio.Handle._run = run  # type: ignore[method-assign]
    try:
        yield
    finally:
        asyncio.Handle._run = original  # type: ignore[method-assign]


def loop_running_here() -> asyncio.AbstractEventLoop | None:
    """The event loop that is running in this thread; None if there is none.

    ``_get_running_loop`` is documented as the form of ``get_running_loop`` that does not raise; it
    is several times cheaper than catching an exception. Checked on CPython 3.11 to 3.15.
    """
    return asyncio._get_running_loop()


def is_loop_running_here() -> bool:
    """Whether an event loop is running in this thread."""
    return asyncio._get_running_loop() is not None


@contextlib.contextmanager
def no_running_loop() -> Iterator[None]:
    """While entered, no event loop is running in this thread, and no task is the current one.

    ``_set_running_loop`` is documented for those who write event loops, ``_leave_task`` and
    ``_enter_task`` for those who write tasks. From CPython 3.14 on a thread has one current task
    for all loops, so that the first task of another loop could not begin. Checked on CPython 3.11
    to 3.15.
    """
    tasks: Any = asyncio.tasks
    loop = asyncio._get_running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    if task is not None:
        tasks._leave_task(loop, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
        if task is not None:
            tasks._enter_task(loop, task)


@contextlib.contextmanager
def as_if_stopped(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """While entered, a loop that is running beneath can be run as if it were not.

    Use it within `no_running_loop`. A loop is running if it has the number of a thread; a run keeps
    the hooks of async generators to put back, in an attribute from CPython 3.13 on, and ends once
    the loop is to stop. Checked on CPython 3.11 to 3.15.
    """
    state = vars(loop)
    kept = {name: state[name] for name in _OF_A_RUN if name in state}
    hooks = sys.get_asyncgen_hooks()
    state["_thread_id"] = None
    try:
        yield
    finally:
        state.update(kept)
        sys.set_asyncgen_hooks(*hooks)


_OF_A_RUN = ("_thread_id", "_old_agen_hooks", "_stopping")


def is_loop_running_beneath() -> bool:
    """Whether a loop is running the calling code, and does not only count as running here.

    Playwright's sync API leaves its loop, in the middle of a callback, in another greenlet. It
    counts as running in the thread then, but has no frame on the stack, and neither has a task.
    """
    if not is_loop_running_here():
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_flags & _OF_TASKS or module in ("asyncio", "uvloop"):
            return True
        frame = frame.f_back
    return False


# uvloop's own functions have no frames, but what it runs is a coroutine, or was started by one.
_OF_TASKS = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def without_suspended_loop() -> contextlib.AbstractContextManager[None]:
    """While entered, a loop that is suspended in another greenlet does not count as running."""
    return no_running_loop() if is_loop_running_here() else contextlib.nullcontext()


def current_event_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that ``asyncio.set_event_loop`` made current in this thread, or None.

    The public ``get_event_loop`` makes a loop where there is none, or raises, and warns. ``_local``
    is where asyncio's own policy keeps it; for other policies this returns None. Checked on CPython
    3.11 to 3.15.
    """
    loop, _ = _state_of_current_loop()
    return loop


def make_current(loop: asyncio.AbstractEventLoop | None) -> None:
    """Make a loop current in this thread, or none, until `forget_current_loop`."""
    before = _state_of_current_loop()
    asyncio.events.set_event_loop(loop)
    local = _local_of_policy()
    if local is not None and not hasattr(local, _BEFORE):
        setattr(local, _BEFORE, before)


def forget_current_loop() -> None:
    """Put back what was current before `make_current` was first called, a loop or none.

    Up to CPython 3.13 ``get_event_loop`` makes a loop as long as none has ever been made current,
    which ``_set_called`` records; so this is put back as well. Other policies than asyncio's own
    are left without a current loop. Checked on CPython 3.11 to 3.15.
    """
    local = _local_of_policy()
    if local is None:
        asyncio.events.set_event_loop(None)
        return
    before: tuple[asyncio.AbstractEventLoop | None, bool] | None = getattr(local, _BEFORE, None)
    if before is None:
        # It was put back already.
        return
    delattr(local, _BEFORE)
    loop, is_set = before
    asyncio.events.set_event_loop(loop)
    if not is_set and hasattr(local, "_set_called"):
        local._set_called = False


# An attribute of the policy's own thread-local data: each policy has its own current loops.
_BEFORE = "aldente_before"


def _state_of_current_loop() -> tuple[asyncio.AbstractEventLoop | None, bool]:
    """The current loop of this thread, and whether any was ever made current."""
    local = _local_of_policy()
    return getattr(local, "_loop", None), getattr(local, "_set_called", False)


def _local_of_policy() -> Any:
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    return getattr(policy, "_local", None)


def may_have_ready_callbacks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether callbacks may be ready; False only if there surely are none.

    ``_ready`` is the queue of ``BaseEventLoop``. For loops that do not show it (uvloop) this is
    True, which costs one more iteration. Checked on CPython 3.11 to 3.15.
    """
    return bool(getattr(loop, "_ready", True))


def may_have_async_generators(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may know unfinished async generators; False only if it surely does not.

    ``_asyncgens`` is a weak set of ``BaseEventLoop``. For loops without it (uvloop) this is True,
    and so it is for loops whose ``shutdown_asyncgens`` other code has replaced.
    Checked on CPython 3.11 to 3.15.
    """
    return bool(getattr(loop, "_asyncgens", True)) or "shutdown_asyncgens" in getattr(
        loop, "__dict__", {}
    )


def may_have_default_executor(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may have started its default executor; False only if it surely did not.

    ``_default_executor`` is None on ``BaseEventLoop`` until ``run_in_executor(None, ...)`` is first
    called. True for loops without it (uvloop). Checked on CPython 3.11 to 3.15.
    """
    return getattr(loop, "_default_executor", True) is not None


def is_policy_untouched() -> bool:
    """Whether `asyncio.new_event_loop` makes asyncio's own kind of loop, as far as is known.

    ``_event_loop_policy`` is None or asyncio's own policy until a program sets another one. The
    public ``get_event_loop_policy`` warns since CPython 3.14. Checked on CPython 3.11 to
    3.15.
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
    """While entered, call a function with each async generator that starts on a loop.

    ``_asyncgen_firstiter_hook`` is what a loop passes to ``sys.set_asyncgen_hooks`` when it starts
    to run; a hook that is set from outside would be undone by that. Loops without it (uvloop)
    notice nothing. Checked on CPython 3.11 to 3.15.
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

    Empty for loops that do not show theirs (uvloop). Checked on CPython 3.11 to 3.15.
    """
    return list(getattr(loop, "_asyncgens", ()))


def is_waiting_for_nothing(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether only another thread of this process could make anything happen on a loop.

    No callback is ready, no timer is set, no signal is handled, and the selector watches nothing
    but the loop's self-pipe. It is called from another thread, so the result is only a first
    opinion. False for loops that do not show these (uvloop). Checked on CPython 3.11 to 3.15.
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


# Every way of running a loop calls ``BaseEventLoop._check_running``, which raises if the loop may
# not run now. Otherwise the public methods would have to be replaced one by one. Checked on CPython
# 3.11 to 3.15; where it is missing nothing is replaced.
RUN_CHECK = "_check_running"


# The code that runs each callback: a step of the loop is one run of it. Checked on CPython
# 3.11 to 3.15.
STEP_CODE: CodeType | None = getattr(private(asyncio.Handle, "_run"), "__code__", None)


_NEW_EVENT_LOOP = asyncio.events.new_event_loop


def attributes_of_program(loop: asyncio.AbstractEventLoop) -> list[object]:
    """The values of a loop's attributes that neither asyncio nor aldente gives it.

    A loop has a dict, in which programs keep things; the names of its own attributes are those that
    its methods assign. Of these, programs give it ``_exception_handler`` and ``_task_factory``, and
    an executor. Checked on CPython 3.11 to 3.15.
    """
    loop_class: Any = type(loop)
    own = _own_names(loop_class) - {"_exception_handler", "_task_factory", "_default_executor"}
    return [value for name, value in list(getattr(loop, "__dict__", {}).items()) if name not in own]


@functools.cache
def _own_names(loop_class: Any) -> frozenset[str]:
    codes = (
        code
        for kind in loop_class.__mro__
        if kind.__module__.partition(".")[0] in ("asyncio", "aldente")
        for value in vars(kind).values()
        if isinstance(code := getattr(value, "__code__", None), CodeType)
    )
    return frozenset(
        instruction.argval
        for code in codes
        for instruction in dis.get_instructions(code)
        if instruction.opname == "STORE_ATTR"
    )


@functools.cache
def _is_from_asyncio(policy_class: Any) -> bool:
    module: str = policy_class.__module__
    return module.startswith("asyncio.")


def set_clock_resolution(loop: asyncio.BaseEventLoop, seconds: float) -> None:
    """Set how far ahead of their time a loop may run its timers.

    The loop reads ``_clock_resolution`` on every turn, and sets it from the real clock on creation;
    no public setting says that another clock is finer. Checked on CPython 3.11 to
    3.15.
    """
    loop._clock_resolution = seconds  # type: ignore[attr-defined]


def next_timer(loop: asyncio.BaseEventLoop) -> float | None:
    """The time of the next timer, in seconds of loop time; None if there is none.

    The loop passes its selector how long it may sleep, which is not the exact time. ``_scheduled``
    is the heap of timers, without cancelled ones at its top while the selector is asked. Checked on
    CPython 3.11 to 3.15.
    """
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
    return scheduled[0].when() if scheduled else None


def timers_of(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """The timers of a loop that are not cancelled, the next first; see `next_timer`.

    Empty for loops that do not show theirs (uvloop).
    """
    scheduled = [handle for handle in getattr(loop, "_scheduled", ()) if not handle.cancelled()]
    return sorted(scheduled, key=asyncio.TimerHandle.when)


def task_of_timer(
    handle: asyncio.TimerHandle, waiting: dict[int, asyncio.Task[Any]]
) -> asyncio.Task[Any] | None:
    """The task that a timer wakes or limits; None if it calls a callback.

    A sleep's future is an argument of the callback, and ``asyncio.timeout`` is the object of its
    method, with the task as ``_task``. Checked on CPython 3.11 to 3.15.

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
    """The code that a timer runs; None if it is no Python code.

    ``_callback`` is the argument of ``call_at``. Checked on CPython 3.11 to 3.15.
    """
    callback = getattr(handle, "_callback", None)
    while isinstance(callback, functools.partial):
        callback = callback.func
    code: CodeType | None = getattr(callback, "__code__", None)
    return code


def context_of_callback(handle: asyncio.Handle) -> contextvars.Context:
    """The context in which a callback runs: a copy of that in which it was passed to the loop.

    ``_context`` is public only from CPython 3.12 on, by ``get_context()``. Checked on CPython 3.11
    to 3.15.
    """
    context: contextvars.Context = handle._context  # type: ignore[attr-defined]
    return context


def handles_signals(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop handles signals, which reach it through its self-pipe.

    ``_signal_handlers`` is what ``add_signal_handler`` fills. Checked on CPython 3.11 to
    3.15.
    """
    return bool(getattr(loop, "_signal_handlers", None))


def forget_innermost_frame(handle: asyncio.Handle | asyncio.Task[Any]) -> None:
    """Remove the innermost frame, a loop's method, from where a handle or task was made.

    ``_source_traceback`` exists in debug mode; asyncio drops the frame of its own method from it.
    Checked on CPython 3.11 to 3.15.
    """
    frames = getattr(handle, "_source_traceback", None)
    if frames:
        del frames[-1]


def expire(scope: asyncio.Timeout) -> None:
    """Expire an ``asyncio.timeout`` now, in this very step.

    ``reschedule()`` has the loop call the same method, ``_on_timeout``, some steps later.
    Checked on CPython 3.11 to 3.15.
    """
    scope._on_timeout()  # type: ignore[attr-defined]
