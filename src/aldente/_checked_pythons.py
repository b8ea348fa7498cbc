"""What aldente relies on without a promise by Python, and on which Pythons that was checked.

This is the one table of it: each private name, with its use. A test checks every row on every
supported Python, and fails for a private name in the code without a row. On a Python that is newer
than the newest checked, features that could give wrong results call `is_checked` and switch
themselves off, and `doubts` reports that in one line.

Opcodes have a table of their own, ``aldente._strategies.opcodes``, for each version. pytest's
private names are those of ``aldente._plugin.pytest_compat``.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, NamedTuple

# To support a Python, see "A new Python" in CONTRIBUTING.md.
NEWEST_CHECKED = (3, 15)

# Tests replace it.
running: tuple[int, int] = sys.version_info[:2]

Use = Literal["simulation", "diagnosis", "rules", "runner", "doubles"]


class Reliance(NamedTuple):
    """Something that aldente relies on.

    Attributes:
        name: its place, for example ``"asyncio.tasks._GatheringFuture"``. After a class with
            ``()`` it is an attribute of an object of that class; after ``->`` a name inside of a
            function.
        use: what depends on it.
        since: the first version that has it.
        before: the first version without it again; None if none is known.
    """

    name: str
    use: Use
    since: tuple[int, int] = (3, 11)
    before: tuple[int, int] | None = None

    @property
    def is_expected(self) -> bool:
        """Whether the running Python has it."""
        return self.since <= running and (self.before is None or running < self.before)


def _rows(use: Use, names: str) -> tuple[Reliance, ...]:
    return tuple(Reliance(name, use) for name in names.split())


RELIANCES: tuple[Reliance, ...] = (
    # How a loop takes its next step, and what makes a step of a task.
    *_rows(
        "simulation",
        """
        asyncio.Handle._run
        asyncio.Handle._callback
        asyncio.Handle._args
        asyncio.Handle._context
        asyncio.Handle._cancelled
        asyncio.Handle._loop
        asyncio.Handle._repr
        asyncio.Handle._source_traceback
        asyncio.TimerHandle._when
        asyncio.TimerHandle._scheduled
        asyncio.BaseEventLoop._run_once
        asyncio.BaseEventLoop._timer_handle_cancelled
        asyncio.BaseEventLoop._check_thread
        asyncio.BaseEventLoop._check_default_executor
        asyncio.BaseEventLoop()._thread_id
        asyncio.BaseEventLoop()._stopping
        asyncio.BaseEventLoop()._executor_shutdown_called
        asyncio.BaseEventLoop()._default_executor
        asyncio.BaseEventLoop()._clock_resolution
        asyncio.SelectorEventLoop._add_reader
        asyncio.SelectorEventLoop._remove_reader
        asyncio.SelectorEventLoop._add_writer
        asyncio.SelectorEventLoop._remove_writer
        asyncio.SelectorEventLoop._start_serving
        asyncio.SelectorEventLoop._stop_serving
        asyncio.SelectorEventLoop._make_datagram_transport
        asyncio.SelectorEventLoop._sock_sendfile_native
        asyncio.SelectorEventLoop._sock_sendfile_fallback
        asyncio.SelectorEventLoop._close_self_pipe
        asyncio.selector_events._SelectorTransport()._sock
        asyncio.selector_events._SelectorTransport()._closing
        asyncio.selector_events._SelectorTransport()._conn_lost
        asyncio.selector_events.BaseSelectorEventLoop._accept_connection2
        asyncio.sslproto.SSLProtocol()._app_protocol
        asyncio.futures._chain_future->_call_set_state
        asyncio.Server._detach
        contextlib.ExitStack()._exit_callbacks
        asyncio.SelectorEventLoop()._selector
        asyncio.sslproto.SSLProtocol()._app_transport
        asyncio.sslproto._SSLProtocolTransport()._closed
        asyncio.futures._set_result_unless_cancelled
        asyncio.tasks._PyTask
        asyncio.tasks._PyTask._Task__step
        asyncio.tasks._PyTask._Task__wakeup
        asyncio.tasks._GatheringFuture
        asyncio.tasks._unregister_task
        asyncio.tasks._register_task
        asyncio.Task()._log_destroy_pending
        asyncio.Task()._source_traceback
        asyncio.base_events._run_until_complete_cb
        asyncio.gather->_done_callback
        asyncio.TaskGroup._on_task_done
        asyncio.mixins._LoopBoundMixin
        asyncio.mixins._LoopBoundMixin._get_loop
        asyncio.TaskGroup()._tasks
        asyncio.Timeout._on_timeout
        asyncio.Future()._exception
        sys._getframe
        random._urandom
        concurrent.futures.ThreadPoolExecutor()._max_workers
        concurrent.futures.ThreadPoolExecutor()._shutdown
        concurrent.futures.ThreadPoolExecutor()._threads
        threading._active
        """,
    ),
    Reliance("asyncio.tasks.__sleep0", "simulation"),
    Reliance("asyncio.tasks._discard_awaited_by", "simulation", since=(3, 14)),
    # Who waits for whom.
    *_rows(
        "diagnosis",
        """
        asyncio.BaseEventLoop()._exception_handler
        asyncio.BaseEventLoop()._task_factory
        asyncio.Task()._fut_waiter
        asyncio.Task()._must_cancel
        asyncio.Future()._callbacks
        asyncio.tasks._GatheringFuture()._children
        asyncio.Condition()._lock
        asyncio.Queue()._unfinished_tasks
        asyncio.shield->_outer_done_callback
        asyncio.futures._chain_future
        asyncio.futures._chain_future->_call_check_cancel
        asyncio.timeouts.Timeout()._task
        asyncio.TaskGroup()._parent_task
        asyncio.TaskGroup()._parent_cancel_requested
        asyncio.TaskGroup()._errors
        """,
    ),
    Reliance("abc.ABC._abc_impl", "diagnosis"),
    Reliance("asyncio.Future()._asyncio_awaited_by", "diagnosis", since=(3, 14)),
    Reliance("asyncio.tasks._AsCompletedIterator()._todo", "diagnosis", since=(3, 13)),
    Reliance("asyncio.as_completed->_on_completion", "diagnosis", before=(3, 13)),
    # What the rules look at.
    *_rows(
        "rules",
        """
        asyncio.Task()._log_traceback
        asyncio.BaseEventLoop._asyncgen_firstiter_hook
        asyncio.BaseEventLoop._check_running
        asyncio.BaseEventLoop()._asyncgens
        asyncio.SelectorEventLoop()._selector
        asyncio.SelectorEventLoop()._transports
        asyncio.SelectorEventLoop()._signal_handlers
        asyncio.selector_events._SelectorTransport()._loop
        asyncio.selector_events._SelectorTransport()._server
        asyncio.SelectorEventLoop()._ssock
        asyncio.Handle()._args
        asyncio.Server()._waiters
        atexit._run_exitfuncs
        os._exit
        asyncio.StreamReaderProtocol()._task
        sys._current_frames
        threading.Thread()._target
        threading.Thread()._args
        threading.Thread()._kwargs
        concurrent.futures.thread._threads_queues
        concurrent.futures.thread._worker
        multiprocessing.forkserver._forkserver
        multiprocessing.forkserver._forkserver._forkserver_pid
        multiprocessing.resource_tracker._resource_tracker
        multiprocessing.resource_tracker._resource_tracker._pid
        warnings._showwarnmsg_impl
        warnings._warn_unawaited_coroutine
        concurrent.futures.ProcessPoolExecutor()._pending_work_items
        """,
    ),
    Reliance("asyncio.BaseEventLoop()._old_agen_hooks", "simulation", since=(3, 13)),
    Reliance("threading._shutdown_locks", "rules", before=(3, 13)),
    Reliance("threading.Thread()._tstate_lock", "rules", before=(3, 13)),
    Reliance("threading._thread_shutdown", "rules", since=(3, 13)),
    Reliance("warnings._get_context", "rules", since=(3, 14)),
    Reliance("_py_warnings._GlobalContext._filters", "rules", since=(3, 14)),
    Reliance("asyncio.tasks._log_on_exception", "rules", since=(3, 14)),
    Reliance("asyncio.tasks._all_tasks", "rules", before=(3, 12)),
    Reliance("asyncio.tasks._scheduled_tasks", "rules", since=(3, 12)),
    Reliance("asyncio.tasks._eager_tasks", "rules", since=(3, 12)),
    # How tests are run.
    *_rows(
        "runner",
        """
        asyncio._get_running_loop
        asyncio._set_running_loop
        asyncio.tasks._enter_task
        asyncio.tasks._leave_task
        asyncio.BaseEventLoop()._ready
        asyncio.BaseEventLoop()._scheduled
        asyncio.events._event_loop_policy
        asyncio.DefaultEventLoopPolicy()._local
        """,
    ),
    Reliance(
        "asyncio.events.BaseDefaultEventLoopPolicy._Local._set_called", "runner", before=(3, 14)
    ),
)

# What is switched off on an unchecked Python, in words for the user.
_SWITCHED_OFF = (
    "aldente skips no schedule as equivalent and calls none the last one, uses no loop for two "
    "tests, and looks for no deadlock on loops of real time"
)


def private(owner: object, name: str) -> Any:
    """A private name that an aldente module needs on import; None where Python lacks it.

    A trial shows what works without it: see `aldente._explore.nondeterminism`.
    """
    return getattr(owner, name, None)


def is_checked() -> bool:
    """Whether aldente was checked on the running Python.

    >>> is_checked() == (sys.version_info[:2] <= NEWEST_CHECKED)
    True
    """
    return running <= NEWEST_CHECKED


def doubts() -> str:
    """What is switched off because the running Python was not checked; empty if nothing is."""
    if is_checked():
        return ""
    newest = ".".join(map(str, NEWEST_CHECKED))
    return (
        f"{_version(running)} is newer than {newest}, the newest on which this aldente was "
        f"checked: {_SWITCHED_OFF}."
    )


def unproved() -> str:
    """Why a search proves nothing on a Python that was not checked, as a sentence.

    >>> unproved().endswith("so there may be other schedules.")
    True
    """
    return f"aldente was not checked on {_version(running)}, so there may be other schedules."


def _version(version: tuple[int, int]) -> str:
    return f"Python {version[0]}.{version[1]}"
