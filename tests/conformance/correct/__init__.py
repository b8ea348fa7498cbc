"""Correct programs: each relies on what asyncio documents, or on a convention, and on nothing else.

None of them may fail under any schedule. They assert for themselves.
"""

from tests.conformance.correct import (
    of_cancellation,
    of_faults,
    of_network,
    of_primitives,
    of_queues_and_streams,
    of_requests,
    of_sockets,
    of_tasks,
    of_the_loop,
    of_threads,
    of_time,
    of_transports,
)
from tests.conformance.correct.table import PROGRAMS, Program, programs_for_this_python

__all__ = [
    "PROGRAMS",
    "Program",
    "of_cancellation",
    "of_faults",
    "of_network",
    "of_primitives",
    "of_queues_and_streams",
    "of_requests",
    "of_sockets",
    "of_tasks",
    "of_the_loop",
    "of_threads",
    "of_time",
    "of_transports",
    "programs_for_this_python",
]
