"""Which of the interpreter's own asyncio tests are not for a virtual-time loop, and why not."""

from __future__ import annotations

import fnmatch
import sys
from typing import NamedTuple


class Exclusion(NamedTuple):
    """Tests of the interpreter's that are not run on virtual time.

    Attributes:
        module: their module.
        tests: their names, with ``*`` for any characters.
        reason: why they are not.
        since: the first version of Python that has them.
        before: the first version that does not have them any more, or on which they pass.
    """

    module: str
    tests: str
    reason: str
    since: tuple[int, int] = (3, 11)
    before: tuple[int, int] = (4, 0)

    @property
    def is_for_this_python(self) -> bool:
        return self.since <= sys.version_info[:2] < self.before

    def covers(self, name: str) -> bool:
        """Whether a test is one of them, by its name: ``LockTests.test_repr``."""
        return fnmatch.fnmatchcase(name, self.tests)


# The one reason for which tests are excluded that do pass.
IS_SLOW = "takes real time: a second for each, to make a hundred objects and collect them"

EXCLUSIONS = tuple(
    exclusion
    for exclusion in (
        Exclusion("test_futures", "*.test_future_del_collect", IS_SLOW),
        Exclusion("test_tasks", "*.test_task_del_collect", IS_SLOW),
        Exclusion(
            "test_tasks",
            "*.test_stop_while_run_in_complete",
            "its script moves time on to a timer for which nothing waits, as the loop was stopped",
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
    )
    if exclusion.is_for_this_python
)


def find_exclusion(module: str, name: str) -> Exclusion | None:
    """The exclusion of a test from running on this version of Python; None if it is to be run."""
    for exclusion in EXCLUSIONS:
        if exclusion.module == module and exclusion.covers(name):
            return exclusion
    return None
