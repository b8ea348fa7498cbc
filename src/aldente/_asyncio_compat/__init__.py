"""The only package that touches private names of asyncio.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

from aldente._asyncio_compat.loops import (
    RUN_CHECK,
    STEP_CODE,
    current_event_loop,
    is_loop_running_here,
    is_policy_untouched,
    is_waiting_for_nothing,
    may_have_async_generators,
    may_have_default_executor,
    may_have_ready_callbacks,
    on_first_iteration,
    unfinished_async_generators,
)
from aldente._asyncio_compat.tasks import (
    as_completed_futures,
    gathered_futures,
    has_unseen_exception,
    hide_task,
    is_executor_future,
    lock_of_condition,
    may_have_tasks,
    shielded_future,
    show_task,
    silence_destroyed_task,
    task_group_tasks,
    tasks_with_unseen_exceptions,
    unfinished_count,
    waited_future,
)
from aldente._asyncio_compat.timers import (
    code_of_timer,
    forget_innermost_frame,
    handles_signals,
    next_timer,
    set_clock_resolution,
    task_of_timer,
    timers_of,
)
from aldente._asyncio_compat.transports import (
    acceptor_of,
    is_part_of_subprocess,
    loop_of,
    may_have_transports,
    servers_of,
    transports_of,
)

__all__ = [
    "RUN_CHECK",
    "STEP_CODE",
    "acceptor_of",
    "as_completed_futures",
    "code_of_timer",
    "current_event_loop",
    "forget_innermost_frame",
    "gathered_futures",
    "handles_signals",
    "has_unseen_exception",
    "hide_task",
    "is_executor_future",
    "is_loop_running_here",
    "is_part_of_subprocess",
    "is_policy_untouched",
    "is_waiting_for_nothing",
    "lock_of_condition",
    "loop_of",
    "may_have_async_generators",
    "may_have_default_executor",
    "may_have_ready_callbacks",
    "may_have_tasks",
    "may_have_transports",
    "next_timer",
    "on_first_iteration",
    "servers_of",
    "set_clock_resolution",
    "shielded_future",
    "show_task",
    "silence_destroyed_task",
    "task_group_tasks",
    "task_of_timer",
    "tasks_with_unseen_exceptions",
    "timers_of",
    "transports_of",
    "unfinished_async_generators",
    "unfinished_count",
    "waited_future",
]
