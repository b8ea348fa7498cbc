"""Which of the interpreter's own asyncio tests are not for one of aldente's loops, and why not."""

from __future__ import annotations

import fnmatch
import sys
from typing import NamedTuple


class Exclusion(NamedTuple):
    """Tests of the interpreter's that are not run on some of aldente's loops.

    Attributes:
        module: their module.
        tests: their names, with ``*`` for any characters.
        reason: why they are not.
        since: the first version of Python that has them.
        before: the first version that does not have them any more, or on which they pass.
        kinds: for which of aldente's loops: in stock order (``"virtual"``, ``"simulated"``) or in
            any (``"random"``).
    """

    module: str
    tests: str
    reason: str
    since: tuple[int, int] = (3, 11)
    before: tuple[int, int] = (4, 0)
    kinds: tuple[str, ...] = ("virtual",)

    @property
    def is_for_this_python(self) -> bool:
        return self.since <= sys.version_info[:2] < self.before

    def covers(self, name: str) -> bool:
        """Whether a test is one of them, by its name: ``LockTests.test_repr``."""
        return fnmatch.fnmatchcase(name, self.tests)


# The two reasons for which tests are excluded that do pass.
IS_SLOW = "takes real time: a second for each, to make a hundred objects and collect them"
IS_THE_SAME = (
    "it differs from SelectEventLoopTests by the loop's selector, and the simulated loop has none"
)
PASSING = (IS_SLOW, IS_THE_SAME)

_ALL = ("virtual", "simulated", "random")
_SIMULATED = ("simulated", "random")

# What a schedule may change, as asyncio does not promise it.
ORDER = (
    "it takes a task that was woken to have gone on after one sleep(0), tasks that are woken together "
    "to go on in that order, or two sleeps of which one is up to twice as long to end in that order"
)

# Simulated tasks are tasks of the class that asyncio has when aldente is imported.
IN_PYTHON = (
    "it puts asyncio's functions and classes in Python in the place of those in C, to which the tasks "
    "of the loop belong"
)

_STOCK = (
    *(
        Exclusion(module, f"{kind}EventLoopTests.*", IS_THE_SAME, kinds=("simulated",))
        for module in ("test_events", "test_sendfile", "test_sock_lowlevel")
        for kind in ("Poll", "EPoll")
    ),
    Exclusion("test_futures", "*.test_future_del_collect", IS_SLOW, kinds=_ALL),
    Exclusion("test_tasks", "*.test_task_del_collect", IS_SLOW, kinds=_ALL),
    Exclusion(
        "test_tasks",
        "*.test_stop_while_run_in_complete",
        "its script moves time on to a timer for which nothing waits, as the loop was stopped",
        kinds=_ALL,
    ),
    Exclusion(
        "test_runners",
        "RunnerTests.test_interrupt_call_soon",
        "it has a timer end a loop on which something is always ready, so that time never moves",
        kinds=_ALL,
    ),
    Exclusion(
        "test_runners",
        "RunTests.test_asyncio_run_without_uncancel",
        "its class of tasks has no set_name(), which those of task factories need since Python 3.13",
        before=(3, 13),
        kinds=_SIMULATED,
    ),
    Exclusion(
        "test_base_events",
        "BaseEventLoopWithSelectorTests.test_log_slow_callbacks",
        "it needs debug mode to see how long a callback takes, in which no loop time passes",
        kinds=("simulated",),
    ),
    *(
        Exclusion(
            "test_base_events",
            f"BaseEventLoopWithSelectorTests.{test}",
            "it replaces a function of the module socket that the simulated loop does not call",
            kinds=("simulated",),
        )
        for test in ("test_create_datagram_endpoint_no_addrinfo", "test_getnameinfo")
    ),
    Exclusion(
        "test_streams",
        "StreamTests.test_open_unix_connection*",
        "a thread is its peer, and in random order only the sockets of the loop are simulated",
        kinds=("random",),
    ),
    Exclusion(
        "test_events",
        "*.test_internal_fds",
        "it counts the sockets with which a loop wakes itself, and the simulated loop has none",
        kinds=("simulated",),
    ),
    Exclusion(
        "test_events",
        "*.test_get_event_loop_new_process",
        "it starts a process, and the socket that leads to it would be simulated",
        since=(3, 12),
        kinds=("simulated",),
    ),
    Exclusion(
        "test_selector_events",
        "BaseSelectorEventLoopTests.test_*_reader*",
        "it replaces the methods of a mock that it takes for the loop's own selector",
    ),
    Exclusion(
        "test_selector_events",
        "BaseSelectorEventLoopTests.test_*_writer*",
        "it replaces the methods of a mock that it takes for the loop's own selector",
    ),
    *(
        Exclusion(
            "test_events",
            tests,
            "it has another thread cancel what that has called in, by a private class of handles",
            since=(3, 14),
            kinds=("simulated",),
        )
        for tests in (
            "*.test_call_soon_threadsafe_handle_block_*",
            "*.test_call_soon_threadsafe_handle_cancel_other_thread",
        )
    ),
    Exclusion(
        "test_events",
        "HandleTests.test_handle_source_traceback",
        "in debug mode, what is called in on the loop's own thread is placed at the loop's line",
        kinds=("simulated",),
    ),
    Exclusion(
        "test_events", "TestPyGetEventLoop.*", IN_PYTHON, since=(3, 14), kinds=("simulated",)
    ),
    Exclusion("test_graph", "TestCallStackPy.*", IN_PYTHON, since=(3, 14), kinds=_SIMULATED),
    Exclusion(
        "test_free_threading",
        "Test*Py*.test_all_tasks_from_other_thread_includes_eager_tasks",
        IN_PYTHON,
        since=(3, 14),
        kinds=_SIMULATED,
    ),
)

# Those that fail by an order that asyncio does not promise, with the first version that has them.
_BY_ORDER = (
    ("test_tasks", "*.test_wait_really_done", (3, 11)),
    ("test_tasks", "*.test_wait_concurrent_complete", (3, 11)),
    ("test_locks", "BarrierTests.test_filling_tasks_cancel_one", (3, 11)),
    ("test_locks", "BarrierTests.test_repr", (3, 11)),
    ("test_locks", "ConditionTests.test_notify", (3, 11)),
    ("test_locks", "ConditionTests.test_notify_all", (3, 11)),
    ("test_locks", "ConditionTests.test_wait", (3, 11)),
    ("test_locks", "ConditionTests.test_wait_for", (3, 11)),
    ("test_locks", "ConditionTests.test_wait_cancel_after_notify", (3, 11)),
    ("test_locks", "EventTests.test_clear_with_waiters", (3, 11)),
    ("test_locks", "EventTests.test_wait", (3, 11)),
    ("test_locks", "LockTests.test_acquire", (3, 11)),
    ("test_locks", "LockTests.test_cancel_race", (3, 11)),
    ("test_locks", "LockTests.test_cancel_release_race", (3, 11)),
    ("test_locks", "LockTests.test_finished_waiter_cancelled", (3, 11)),
    ("test_locks", "SemaphoreTests.test_acquire", (3, 11)),
    ("test_locks", "SemaphoreTests.test_acquire_cancel_before_awoken", (3, 11)),
    ("test_locks", "SemaphoreTests.test_acquire_fifo_order_[234]", (3, 11)),
    ("test_locks", "SemaphoreTests.test_acquire_hang", (3, 11)),
    ("test_queues", "QueueBasicTests.test_maxsize", (3, 11)),
    ("test_queues", "QueueGetTests.test_get_cancelled_race", (3, 11)),
    ("test_queues", "QueuePutTests.test_put_cancelled_race", (3, 11)),
    ("test_queues", "*ShutdownTests.test_shutdown_empty", (3, 13)),
    ("test_queues", "*ShutdownTests.test_shutdown_nonempty", (3, 13)),
    ("test_queues", "*ShutdownTests.test_shutdown_immediate_with_unfinished", (3, 13)),
    ("test_staggered", "StaggeredTests.test_cancelled", (3, 14)),
    ("test_staggered", "StaggeredTests.test_multiple_winners", (3, 14)),
    ("test_taskgroups", "*.test_taskgroup_15", (3, 11)),
    ("test_taskgroups", "*.test_taskgroup_16", (3, 11)),
    ("test_taskgroups", "*.test_taskgroup_23", (3, 11)),
    ("test_taskgroups", "*.test_taskgroup_cancel_keeps_outer_cancellation", (3, 15)),
    ("test_taskgroups", "*.test_taskgroup_cancel_one_winner", (3, 15)),
)

EXCLUSIONS = tuple(
    exclusion
    for exclusion in (
        *_STOCK,
        *(
            Exclusion(module, tests, ORDER, since=since, kinds=("random",))
            for module, tests, since in _BY_ORDER
        ),
    )
    if exclusion.is_for_this_python
)


def find_exclusion(kind: str, module: str, name: str) -> Exclusion | None:
    """The exclusion of a test from running on a kind of loop; None if it is to be run."""
    for exclusion in EXCLUSIONS:
        if kind in exclusion.kinds and exclusion.module == module and exclusion.covers(name):
            return exclusion
    return None
