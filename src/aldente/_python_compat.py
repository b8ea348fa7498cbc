"""The only module that touches private names of Python's standard library, except asyncio's.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import _thread
import abc
import atexit
import contextlib
import os
import random
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import (
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    MethodType,
)
from typing import TYPE_CHECKING, Any, TypeGuard

from aldente import _system
from aldente._checked_pythons import private
from aldente._system import monotonic

if TYPE_CHECKING:
    import concurrent.futures

    OnUnawaited = Callable[[CoroutineType[Any, Any, Any]], None]


# The identity of an object. Not id(), which raises an audit event, and audit hooks run Python code.
identity_of = object.__hash__


def receiver() -> object:
    """The object that receives warnings now; another one while code records them.

    ``catch_warnings(record=True)``, and so ``pytest.warns``, replace it by the list that they fill;
    or set a context variable where Python's option ``context_aware_warnings`` is on (from
    CPython 3.14 on, by default without the GIL). Checked on CPython 3.11 to 3.15.
    """
    context = _warnings_context()
    if context is not None and context.log is not None:
        return context.log
    return warnings._showwarnmsg_impl  # type: ignore[attr-defined]


def warning_filters() -> Sequence[tuple[Any, ...]]:
    """The warning filters that apply now.

    They are public as ``warnings.filters``, except in a context variable; see `receiver`.
    """
    context = _warnings_context()
    return warnings.filters if context is None else context._filters


def _warnings_context() -> Any:
    if not getattr(sys.flags, "context_aware_warnings", False):
        return None
    get_context = private(warnings, "_get_context")
    return None if get_context is None else get_context()


def replace_on_unawaited(function: OnUnawaited) -> OnUnawaited:
    """Have Python call a function when a coroutine is freed that was never awaited.

    Python's own function gives a warning that names the coroutine only in its text. Python looks it
    up by its name for each call. Checked on CPython 3.11 to 3.15.

    Returns:
        The function that was called before.
    """
    before: OnUnawaited = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    warnings._warn_unawaited_coroutine = function  # type: ignore[attr-defined]
    return before


# Returns the frame that each thread is running now, by the thread's identifier.
#
# ``sys._current_frames`` is documented; its name says that it is for debuggers. The name here is
# the function itself, as `atomic_list` must call it. Checked on CPython 3.11 to 3.15.
get_frames_of_threads: Callable[[], dict[int, FrameType]] = private(sys, "_current_frames") or dict


def thread_with(identifier: int) -> threading.Thread | None:
    """The thread that runs and has an identifier; None if `threading` does not know it.

    See `newest_thread`.
    """
    return _ACTIVE_THREADS.get(identifier)


def newest_thread() -> threading.Thread | None:
    """The thread that was started last, of those that run.

    ``threading.enumerate`` makes a list of all under a lock, too slow for each time that time
    passes. ``_active`` is its source, in the order of their start. Checked on CPython
    3.11 to 3.15.
    """
    while True:
        try:
            return next(reversed(_ACTIVE_THREADS.values()), None)
        except RuntimeError:
            # A thread has started or ended in between; so look again.
            continue


_ACTIVE_THREADS: dict[int, threading.Thread] = private(threading, "_active") or {}


def call_of_thread(
    code: CodeType, variables: Mapping[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """What a thread's ``run`` calls now, or that of a job of an executor, with its arguments.

    A function in C has no frame of its own. ``Thread`` keeps what it calls as ``_target``,
    ``_args`` and ``_kwargs``; a job, whose class has no public name, as ``fn``, ``args`` and
    ``kwargs``, from CPython 3.14 on in variables of these names. Checked on CPython 3.11 to 3.15.

    Args:
        code: that of the innermost frame of the thread.
        variables: those of that frame.

    Returns:
        The function, its positional arguments and those by name; None in any other frame.
    """
    if code.co_name != "run":
        return None
    owner = variables.get("self")
    if code.co_filename == threading.__file__:
        names = ("_target", "_args", "_kwargs")
        function, args, keywords = (getattr(owner, name, None) for name in names)
    elif code.co_filename.endswith(_THREAD_POOLS):
        names = ("fn", "args", "kwargs")
        function, args, keywords = (
            variables.get(name, getattr(owner, name, None)) for name in names
        )
    else:
        return None
    return function, tuple(args or ()), dict(keywords or {})


def is_worker(code: CodeType) -> bool:
    """Whether code is the worker function of an executor's threads.

    Executors give it to their threads as ``_worker``, a function of their module. Checked on
    CPython 3.11 to 3.15.
    """
    return code.co_name == "_worker" and code.co_filename.endswith(_THREAD_POOLS)


def has_returned(code: CodeType, variables: Mapping[str, Any]) -> bool:
    """Whether a frame runs a job of an executor whose function has returned or raised.

    The job, whose class has no public name, then has what it got as ``result`` or ``exc``, and
    drops itself after an exception. Checked on CPython 3.11 to 3.15.

    Args:
        code: that of the frame.
        variables: those of the frame.
    """
    if code.co_name != "run" or not code.co_filename.endswith(_THREAD_POOLS):
        return False
    return "result" in variables or "exc" in variables or variables.get("self") is None


# A path, to not import it, as few tests need it.
_THREAD_POOLS = os.path.join("concurrent", "futures", "thread.py")


def let_process_end_without(threads: Sequence[threading.Thread], status: int | None) -> bool:
    """Have Python not wait for threads when the process ends, as if they were daemons.

    A running thread can't become a daemon. Up to CPython 3.12 ``_shutdown_locks`` has the locks
    that Python waits for; from 3.13 on ``_thread_shutdown`` waits for all threads. The executors'
    module also waits for its threads, in ``_threads_queues``. From 3.15 on the interpreter itself
    also waits, after the functions registered with `atexit`; so `_end_process` ends the process
    right before that, and calls ``_run_exitfuncs`` for what is still registered. Checked on
    CPython 3.11 to 3.15.

    Args:
        threads: the threads.
        status: the exit status of the process; None if it isn't known, and then Python 3.15 waits.

    Returns:
        Whether the process ends without them.
    """
    pools = sys.modules.get("concurrent.futures.thread")
    queues = getattr(pools, "_threads_queues", None)
    locks = private(threading, "_shutdown_locks")
    for thread in threads:
        if queues is not None:
            queues.pop(thread, None)
        if locks is not None:
            locks.discard(getattr(thread, "_tstate_lock", None))
    if threads and private(threading, "_thread_shutdown") is not None:
        _not_waited_for.extend(threads)
        threading._thread_shutdown = _wait_for_others  # type: ignore[attr-defined]
    if sys.version_info < (3, 15):
        return True
    if threads and status is not None:
        # Another run in this process may have registered it with another status.
        atexit.unregister(_end_process)
        atexit.register(_end_process, status, os.getpid())
    return status is not None


def _end_process(status: int, process: int) -> None:
    """End the process, after the other exit functions."""
    atexit.unregister(_end_process)
    # A fork of the process has no such threads.
    if os.getpid() != process or not any(thread.is_alive() for thread in _not_waited_for):
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            # None, broken or closed.
            stream.flush()
    os._exit(status)


_not_waited_for: list[threading.Thread] = []


def _wait_for_others() -> None:
    """Wait at the end of the process for non-daemon threads, except the given ones."""
    here = threading.current_thread()
    while left := [
        thread
        for thread in threading.enumerate()
        if not (
            thread.daemon
            or thread is here
            or thread is threading.main_thread()
            or thread in _not_waited_for
        )
    ]:
        for thread in left:
            thread.join()


# The identifiers of the running threads of `HiddenThread`.
hidden_threads: set[int] = set()

if hasattr(os, "register_at_fork"):
    # A forked child has none of them.
    os.register_at_fork(after_in_child=hidden_threads.clear)


def hide_this_thread() -> None:
    """Have `threading` list the calling thread no more, a thread of `HiddenThread`.

    The garbage collector may run any code in it, such as a finalizer that logs: ``logging`` asks
    for the current thread, and ``threading`` lists a thread for ever that it is asked for, before
    CPython 3.13. See `newest_thread`.
    """
    _ACTIVE_THREADS.pop(_thread.get_ident(), None)


class HiddenThread:
    """A thread that `threading` does not know, but that can be joined.

    It is in `hidden_threads`: it touches no loop by itself.

    Python and Linux count a thread for a moment after the last it has done in Python. From CPython
    3.13 on ``start_joinable_thread``, on which ``threading.Thread`` is built, gives a handle by
    which the end of the system's own thread is waited for; before, there is only a lock that is
    released by the thread's last word. Checked on CPython 3.11 to 3.15.

    Args:
        function: what it runs; the thread begins at once.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._identifier: int | None = None
        self._ended = _system.allocate_lock()
        self._ended.acquire()
        self._handle: Any = None
        if sys.version_info >= (3, 13):
            self._handle = _system.start_joinable_thread(self._run, daemon=True)
        else:
            _system.start_new_thread(self._run, ())

    def _run(self) -> None:
        self._identifier = _thread.get_native_id()
        hidden_threads.add(_system.get_ident())
        try:
            self._function()
        finally:
            hidden_threads.discard(_system.get_ident())
            hide_this_thread()
            self._ended.release()

    def join(self, seconds: float) -> bool:
        """Wait until it has ended, and on Linux until the system counts it no more.

        Elsewhere, before CPython 3.13, it may still exist for a moment.

        Args:
            seconds: the longest wait.

        Returns:
            Whether it has ended.
        """
        end = monotonic() + seconds
        if not self._ended.acquire(timeout=seconds):
            return False
        self._ended.release()
        if self._handle is not None:
            self._handle.join(max(end - monotonic(), 0.0))
        while self._is_counted():
            if monotonic() > end:
                return False
            # Not time.sleep(), which tests replace and the rule blocking-call watches.
            _NEVER_RELEASED.acquire(timeout=0.0001)
        return True

    def _is_counted(self) -> bool:
        """Whether Linux has it among the threads of this process; False on other systems."""
        try:
            _STATUS_OF_FILE(f"/proc/self/task/{self._identifier}")
        except OSError:
            return False
        return True


_STATUS_OF_FILE = os.stat
_NEVER_RELEASED = _system.allocate_lock()
_NEVER_RELEASED.acquire()


def replace_random_bytes(function: Callable[[int], bytes]) -> Callable[[], None]:
    """Replace the system's source of random bytes, for `secrets`, `uuid.uuid4` and others.

    `random` has imported ``os.urandom`` by name. Checked on CPython 3.11 to 3.15.

    Returns:
        A function that restores the system's.
    """
    before = os.urandom, random._urandom  # type: ignore[attr-defined]
    os.urandom = random._urandom = function  # type: ignore[attr-defined]

    def restore() -> None:
        os.urandom, random._urandom = before  # type: ignore[attr-defined]

    return restore


def helper_processes() -> set[int]:
    """The processes that `multiprocessing` starts for itself and keeps until this one ends.

    They are those that start others (``forkserver``, the default on Linux from CPython 3.14 on) and
    free what others have left (``resource_tracker``); ``active_children`` leaves them out. Checked
    on CPython 3.11 to 3.15.
    """
    found = (
        getattr(getattr(sys.modules.get(f"multiprocessing.{module}"), owner, None), number, None)
        for module, owner, number in (
            ("forkserver", "_forkserver", "_forkserver_pid"),
            ("resource_tracker", "_resource_tracker", "_pid"),
        )
    )
    return {process for process in found if process is not None}


# The type of ``_abc_impl``, where an abstract class keeps weak references to all classes that it
# has been asked about. Programs do not get them there, but a search along references does, and
# reaches most classes of the process through ``Iterable``. Checked on CPython 3.11 to 3.15.
CLASSES_OF_ABSTRACT_CLASS: type = type(private(abc.ABC, "_abc_impl"))


def forgets_class(callback: object) -> bool:
    """Whether a weak reference's callback removes a class from those that an abstract class knows.

    It is a function in C, and the object whose method it seems to be is a weak reference to the set
    of all of them. Checked on CPython 3.11 to 3.15.
    """
    return (
        type(callback) is BuiltinFunctionType
        and type(callback.__self__) is weakref.ref
        and type(callback.__self__()) is set
    )


def can_be_set_again(function: object) -> bool:
    """Whether `sys.settrace` and `sys.setprofile` can set a trace or profile function again.

    Not one in C, such as cProfile's before Python 3.12: `sys.getprofile` returns an object that is
    no function.
    """
    return isinstance(function, (FunctionType, MethodType))


def has_threads_of_this_interpreter(
    executor: concurrent.futures.Executor,
) -> TypeGuard[concurrent.futures.ThreadPoolExecutor]:
    """Whether an executor runs its jobs in threads that share objects with the loop.

    Python 3.14 and newer have a thread pool whose jobs run in other interpreters.
    """
    # Only code that has an executor has imported this.
    from concurrent.futures import ThreadPoolExecutor

    # The first such pool imports its module.
    module = sys.modules.get("concurrent.futures.interpreter")
    elsewhere: Any = getattr(module, "InterpreterPoolExecutor", ())
    return isinstance(executor, ThreadPoolExecutor) and not isinstance(executor, elsewhere)


def workers_of(executor: object) -> int:
    """How many threads a thread pool may have.

    No public attribute has it. Checked on CPython 3.11 to 3.15.
    """
    return getattr(executor, "_max_workers", 1)


def give_up_thread(executor: object, thread: threading.Thread) -> None:
    """Have a thread pool start another thread in place of one that may never be done.

    The pool may be one of the whole process. ``_threads`` is a set of all its threads; there is no
    public way. Checked on CPython 3.11 to 3.15.
    """
    getattr(executor, "_threads", set()).discard(thread)


# The attribute of a process pool with what was submitted and is not done; otherwise only the
# futures know. Checked on CPython 3.11 to 3.15.
WORK_OF_POOL = "_pending_work_items"


def check_not_shut_down(executor: object) -> None:
    """Raise the error of a thread pool's ``submit`` if the pool was shut down.

    ``_shutdown`` is the only sign of it before something is submitted. Checked on CPython 3.11 to
    3.15.

    Raises:
        RuntimeError: it was shut down.
    """
    if getattr(executor, "_shutdown", False):
        raise RuntimeError("cannot schedule new futures after shutdown")
