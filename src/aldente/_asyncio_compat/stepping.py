"""The point at which asyncio's loop takes its next step, under public names.

A step of a task reaches its loop as a call of ``call_soon``: with a wrapper of asyncio's when the
task begins or goes on by itself, with the method ``task_wakeup`` when a future has woken it. Both
are recognised by what they are. Checked on CPython 3.11 to 3.15.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import sys
import weakref
from asyncio import mixins
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextvars import Context
from types import BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any

from aldente._checked_pythons import private


def _inner_code(function: Any, name: str) -> CodeType | None:
    """The code of a function inside another one; None if this Python has no such thing."""
    for constant in function.__code__.co_consts:
        if inspect.iscode(constant) and constant.co_name == name:
            return constant
    return None


# For a callback that does not act on the last task either.
ALWAYS_MORE = sys.maxsize

_CALLBACK_OF_GATHER = _inner_code(asyncio.gather, "_done_callback")
# Clears the notes of which task awaits the children of a `gather`; absent before Python 3.14.
_NOTES_OF_GATHER: Any = getattr(asyncio.tasks, "_discard_awaited_by", None)
_CALLBACK_OF_GROUP: Any = getattr(asyncio.TaskGroup, "_on_task_done", None)
_END_OF_RUN: Any = getattr(asyncio.base_events, "_run_until_complete_cb", None)


def count_left(callback: object, arguments: tuple[Any, ...] | None) -> int:
    """How many unfinished tasks a callback still counts; 0 if it does more than count.

    ``asyncio.gather`` and ``TaskGroup`` count the tasks that have ended well; after the last one
    they wake the task that waits for all. From CPython 3.14 on they also clear the note in each
    task of which task awaits it, and the future of ``gather`` has a callback that does nothing
    else. Only ``_asyncio_awaited_by`` shows those notes. Nothing public distinguishes these
    callbacks from others. Checked on CPython 3.11 to 3.15.

    Args:
        callback: the callback.
        arguments: its arguments; None if it was cancelled.
    """
    if arguments is None or len(arguments) != 1 or not asyncio.isfuture(arguments[0]):
        return 0
    if isinstance(callback, functools.partial) and callback.func is _NOTES_OF_GATHER:
        return ALWAYS_MORE
    if not has_ended_well(arguments[0]):
        return 0
    if isinstance(callback, FunctionType) and callback.__code__ is _CALLBACK_OF_GATHER:
        names = callback.__code__.co_freevars
        cells = callback.__closure__ or ()
        return _undone(cells[names.index("children")].cell_contents) if "children" in names else 0
    if isinstance(callback, MethodType) and callback.__func__ is _CALLBACK_OF_GROUP:
        return _undone(getattr(callback.__self__, "_tasks", ()))
    return 0


def has_ended_well(future: asyncio.Future[Any]) -> bool:
    """Whether a future has a result; asking leaves no trace, unlike ``exception()``.

    After that asyncio takes an exception for handled. Checked on CPython 3.11 to 3.15.
    """
    is_failed = getattr(future, "_exception", None) is not None
    return future.done() and not future.cancelled() and not is_failed


def _undone(futures: Iterable[asyncio.Future[Any]]) -> int:
    return len({id(future) for future in futures if not future.done()})


def ends_run(callback: object) -> bool:
    """Whether a callback is the one with which ``run_until_complete`` ends.

    Checked on CPython 3.11 to 3.15.
    """
    return callback is _END_OF_RUN


class StepHandle(asyncio.Handle):
    """A handle that is cheap to make, and shows what it calls.

    The attributes are those of `asyncio.Handle`, whose slots have private names.
    """

    __slots__ = ()

    callback = private(asyncio.Handle, "_callback")
    args = private(asyncio.Handle, "_args")
    context = private(asyncio.Handle, "_context")
    is_cancelled = private(asyncio.Handle, "_cancelled")
    run = private(asyncio.Handle, "_run")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        # What asyncio's does without debug mode, in one call instead of two.
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class StepTimer(asyncio.TimerHandle):
    """A timer that is cheap to make and to cancel, and shows what it calls."""

    __slots__ = ()

    callback = private(asyncio.Handle, "_callback")
    args = private(asyncio.Handle, "_args")
    context = private(asyncio.Handle, "_context")
    is_cancelled = private(asyncio.Handle, "_cancelled")
    run = private(asyncio.Handle, "_run")
    # Whether it is still among the timers; asyncio's own mark.
    is_scheduled = private(asyncio.TimerHandle, "_scheduled")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        """Like asyncio's."""
        if not self._cancelled:
            if self._source_traceback is not None:
                # Like asyncio in debug mode, for later messages.
                self._repr = repr(self)
            self._cancelled = True
            self._callback = None  # type: ignore[assignment]
            self._args = None  # type: ignore[assignment]
            if self._scheduled:
                self._loop._timer_handle_cancelled(self)  # type: ignore[attr-defined]


def check_callback(callback: object) -> None:
    """Reject what a loop can't call, like asyncio in debug mode.

    Raises:
        TypeError: it can't be called, or is a coroutine function.
    """
    if asyncio.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
        raise TypeError("coroutines cannot be used with call_soon(), call_at() and their like")
    if not callable(callback):
        raise TypeError(f"a callable object was expected, got {callback!r}")


def note_maker(handle: asyncio.Handle) -> None:
    """Record where a handle was made, like asyncio in debug mode."""
    # Without the method of the loop.
    frames = asyncio.format_helpers.extract_stack(sys._getframe(2))  # type: ignore[attr-defined]
    handle._source_traceback = frames  # type: ignore[attr-defined]


# The callback of `asyncio.sleep`'s timer, and of no other timer of asyncio's.
WAKE_SLEEPER: Callable[..., object] = private(asyncio.futures, "_set_result_unless_cancelled")


# The callback of `asyncio.timeout`'s timer, as a function of its class.
ON_TIMEOUT: Any = vars(asyncio.Timeout).get("_on_timeout")


# Binds a primitive of asyncio to the running loop, unless it is bound. Checked on CPython 3.11 to
# 3.15.
BIND_TO_LOOP: Any = private(private(mixins, "_LoopBoundMixin"), "_get_loop")


class SteppingLoop(asyncio.BaseEventLoop):
    """asyncio's base of event loops, with public names for turns, ready callbacks and timers."""

    def __init__(self) -> None:
        super().__init__()
        self._asyncgens: Any = GeneratorsInOrder()
        self.generators: GeneratorsInOrder = self._asyncgens

    def ready(self) -> list[Any]:
        """The ready callbacks."""
        raise NotImplementedError

    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are not cancelled, the next first."""
        raise NotImplementedError

    # Other code inspects these, for example to see whether they are empty. What `BaseEventLoop`
    # does with them has no effect.

    @property
    def _ready(self) -> list[Any]:
        return self.ready()

    @_ready.setter
    def _ready(self, value: object) -> None:
        pass

    @property
    def _scheduled(self) -> list[asyncio.TimerHandle]:
        return self.timers()

    @_scheduled.setter
    def _scheduled(self, value: object) -> None:
        pass

    def run_turns(self) -> None:
        """Take turns until the loop is to stop; asyncio's takes one at a time."""
        raise NotImplementedError

    def on_timer_cancelled(self) -> None:
        """Called when a pending timer is cancelled."""

    def _run_once(self) -> None:
        self.run_turns()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.on_timer_cancelled()

    def check_debug(self, callback: object) -> None:
        """Check in debug mode the calling thread and the callback of a method of the loop."""
        self._check_thread()  # type: ignore[attr-defined]
        check_callback(callback)

    @property
    def identifier_of_thread(self) -> int | None:
        """The thread that runs the loop; None while it does not run."""
        number: int | None = self._thread_id  # type: ignore[attr-defined]
        return number


class GeneratorsInOrder:
    """The async generators that have started and not ended, in the order of their start.

    It replaces the weak set of ``BaseEventLoop``, which is ordered by address.

    Attributes:
        on_begin: called with each that begins; None without a listener.
    """

    def __init__(self) -> None:
        self.on_begin: Callable[[AsyncGenerator[Any, Any]], object] | None = None
        self._references: dict[int, weakref.ref[AsyncGenerator[Any, Any]]] = {}

    def add(self, generator: AsyncGenerator[Any, Any]) -> None:
        """One begins."""
        key = id(generator)
        self._references[key] = weakref.ref(
            generator, lambda reference: self._references.pop(key, None)
        )
        if self.on_begin is not None:
            self.on_begin(generator)

    def discard(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Remove one that has ended."""
        self._references.pop(id(generator), None)

    def clear(self) -> None:
        """Remove all."""
        self._references.clear()

    def __len__(self) -> int:
        return len(self._references)

    def __iter__(self) -> Iterator[AsyncGenerator[Any, Any]]:
        for reference in list(self._references.values()):
            generator = reference()
            if generator is not None:
                yield generator


class _Catcher:
    """A fake loop that catches the first callback of a task."""

    step: Any = None

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> None:
        self.step = callback

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return False


def _step_type() -> type:
    """The type of the wrapper with which a task begins, and goes on after a bare ``yield``."""
    catcher: Any = _Catcher()

    async def nothing() -> None:
        pass

    coroutine = nothing()
    # With a name, as asyncio numbers tasks without one.
    task = asyncio.Task(coroutine, loop=catcher, name="step")
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    asyncio.tasks._unregister_task(task)
    coroutine.close()
    return type(catcher.step)


# The type of the wrapper of steps of tasks written in C; that of those written in Python is one of
# all bound methods.
STEP_TYPE: Any = _step_type()
WAKE_UP_TYPE = BuiltinMethodType
WAKE_UP_NAME = "task_wakeup"

_PYTHON_TASK: Any = private(asyncio.tasks, "_PyTask")
_PYTHON_STEPS = tuple(
    getattr(_PYTHON_TASK, name)
    for name in ("_Task__step", "_Task__wakeup")
    if hasattr(_PYTHON_TASK, name)
)


def task_of_step(callback: object) -> asyncio.Task[Any] | None:
    """The task whose step a callback is; None for other callbacks."""
    kind = type(callback)
    owner: Any = getattr(callback, "__self__", None)
    if kind is MethodType:
        function = callback.__func__  # type: ignore[attr-defined]
        return owner if function in _PYTHON_STEPS else None
    if kind is STEP_TYPE:
        return owner  # type: ignore[no-any-return]
    if kind is WAKE_UP_TYPE and callback.__name__ == WAKE_UP_NAME:  # type: ignore[attr-defined]
        return owner if isinstance(owner, asyncio.Task) else None
    return None


# By which it is known that `asyncio.sleep` calls, and what finds the frame of a caller; both as
# they are, because they are used for every sleep.
SLEEP_CODE = asyncio.sleep.__code__
GLOBALS_OF_SLEEP = asyncio.sleep.__globals__
frame_at = sys._getframe


def report_failed_step(
    loop: asyncio.BaseEventLoop,
    callback: Callable[..., object],
    args: tuple[Any, ...],
    context: Context,
    error: BaseException,
) -> None:
    """Pass a callback's exception to the loop's exception handler, as ``Handle._run`` does."""
    handle = StepHandle(callback, args, loop, context)
    shown = repr(handle).removeprefix("<StepHandle ").removesuffix(">")
    loop.call_exception_handler(
        {"message": f"Exception in callback {shown}", "exception": error, "handle": handle}
    )


def set_default_executor_silently(loop: asyncio.BaseEventLoop, executor: Any) -> None:
    """Set the default executor of a loop, without the checks of the public method."""
    loop._default_executor = executor  # type: ignore[attr-defined]


def forbid_default_executor(loop: asyncio.BaseEventLoop) -> Any:
    """Have a loop refuse further jobs, as ``shutdown_default_executor`` does; return the executor.

    The public method waits for the executor in a thread of its own.
    """
    loop._executor_shutdown_called = True  # type: ignore[attr-defined]
    return loop._default_executor  # type: ignore[attr-defined]


def default_executor_of(loop: asyncio.BaseEventLoop) -> Any:
    """The default executor of a loop; None if there is none yet.

    Raises:
        RuntimeError: it was shut down.
    """
    loop._check_default_executor()  # type: ignore[attr-defined]
    return loop._default_executor  # type: ignore[attr-defined]


_GATHERING: Any = private(asyncio.tasks, "_GatheringFuture") or asyncio.Future


class NumberedGathering(_GATHERING):  # type: ignore[misc]
    """A future of ``asyncio.gather`` that hashes by a number from its loop, if that has numbers.

    ``gather`` makes its future by itself and does not ask the loop for one, so that it would hash
    by its address. ``__new__`` numbers it, as nothing else leaves no frame behind in debug mode.
    Checked on CPython 3.11 to 3.15.
    """

    _number: int

    def __new__(cls, *args: Any, loop: Any = None, **kwargs: Any) -> NumberedGathering:
        """Number a new future."""
        future: NumberedGathering = super().__new__(cls)
        number_of = getattr(loop, "next_future_number", None)
        future._number = object.__hash__(future) if number_of is None else number_of()
        return future

    def __hash__(self) -> int:
        return self._number


NumberedGathering.__name__ = NumberedGathering.__qualname__ = "_GatheringFuture"


class SetsInOrder:
    """While entered, asyncio iterates over no set in the order of addresses.

    ``asyncio.as_completed`` begins its coroutines in the order they were given: it goes through a
    set of them, which it makes by the name ``set``. That is another function in its module
    meanwhile; sets of futures, which ``asyncio.wait`` makes by the same name, stay sets. And
    ``asyncio.gather`` makes futures that hash by number. Checked on CPython 3.11 to 3.15.

    A class, because a generator takes longer to enter and every run does.
    """

    def __enter__(self) -> None:
        module: Any = asyncio.tasks
        module.set = _set_in_order
        module._GatheringFuture = NumberedGathering

    def __exit__(self, *exception: object) -> None:
        module: Any = asyncio.tasks
        module._GatheringFuture = _GATHERING
        vars(module).pop("set", None)


def _set_in_order(*iterables: Any) -> Any:
    if not iterables:
        return set()
    items = dict.fromkeys(*iterables)
    return items if any(map(asyncio.iscoroutine, items)) else set(items)
