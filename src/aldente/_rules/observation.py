"""`Observation`: what the module of a rule gets to observe the loops of tests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

from aldente._records import Finding
from aldente._rules.loop_owners import LoopMakers
from aldente._rules.watchdog import Watcher
from aldente._runner.running import Run
from aldente._settings import Settings

T = TypeVar("T")

AnyLoop = asyncio.AbstractEventLoop
AnyTask = asyncio.Task[Any]


class Session(Protocol):
    """What the session of a test runner calls, whether its tests run loops or not.

    Attributes:
        at_thread_start: what is called with each thread before it is started.
        at_tear_down: what is called when a test has been torn down, before it is charged.
        at_session_end: what is called after the last test, before late findings are taken.
        report: takes a finding.
        is_torn_down: whether the test that began last is over.
    """

    is_torn_down: bool
    at_thread_start: list[Callable[[threading.Thread], None]]
    at_tear_down: list[Callable[[], None]]
    at_session_end: list[Callable[[], None]]
    report: Callable[[Finding], None]

    @property
    def current_test(self) -> str | None:
        """The node id of the test that began last."""

    def has_found(self, rule: str) -> bool:
        """Whether a rule has a finding in the running test."""
        ...


class Observation:
    """Where rules report, and what they have called while the loops of tests are observed.

    The function ``install`` in the module of a rule gets it, once a session and before the first
    loop runs. It enters context managers, and appends to the lists of what is called when. The
    functions in these lists contain their own errors (`aldente._own_errors`), except those of
    ``at_loop_start``, ``at_leftovers``, ``excused_finders`` and ``message_readers``, whose callers
    do it.

    Args:
        session: the session, which takes the findings.
        settings: all settings.
        is_allowed: whether the running code allows findings of a rule, on any thread.

    Attributes:
        session: as given.
        settings: as given.
        is_allowed: as given.
        report: takes a finding, on any thread.
        makers: which test each loop and task belongs to.
        wide_loops: loops that outlive a test, and may have objects of many tests.
        installed: what is undone after the last test.
        watchers: what the watchdog's thread calls to look at a running loop.
        at_loop_start: what is called with the run of a loop that is about to be observed, once.
        at_run_end: what is called with a run each time that it has ended, on its thread.
        at_leftovers: what is called with a run before its remaining tasks are cancelled.
        at_tasks_left: what is called with tasks that are left pending, and whether only those of
            the user's own code count.
        at_loop_end: what is called with a loop that has ended, after the former.
        at_drained: what is called with a run when no task is left to close anything.
        at_test_end: what is called with a loop that outlives a test, and with the test.
        at_closed_loop: what is called when a test or fixture has closed its loop.
        excused_finders: give the tasks of a loop that end with something that is reported itself.
        message_readers: give the finding for what an exception handler received that is no
            exception, if it is one.
    """

    def __init__(
        self, session: Session, settings: Settings, is_allowed: Callable[[str], bool]
    ) -> None:
        self.session = session
        self.report = session.report
        self.settings = settings
        self.is_allowed = is_allowed
        self.makers = LoopMakers(self.current_test)
        self.wide_loops: weakref.WeakSet[AnyLoop] = weakref.WeakSet()
        self.installed = contextlib.ExitStack()
        self.watchers: list[Watcher] = []
        self.at_loop_start: list[Callable[[Run], None]] = []
        self.at_run_end: list[Callable[[Run], None]] = []
        self.at_leftovers: list[Callable[[Run], None]] = []
        self.at_tasks_left: list[Callable[[Collection[AnyTask], bool], None]] = []
        self.at_loop_end: list[Callable[[AnyLoop], None]] = []
        self.at_drained: list[Callable[[Run], None]] = []
        self.at_test_end: list[Callable[[AnyLoop, str], None]] = []
        self.at_closed_loop: list[Callable[[], None]] = []
        self.excused_finders: list[Callable[[AnyLoop], Collection[object]]] = []
        self.message_readers: list[Callable[[AnyLoop, dict[str, Any]], Finding | None]] = []
        self._shared: dict[Callable[[Observation], Any], Any] = {}

    def current_test(self) -> str | None:
        """The node id of the test that began last."""
        return self.session.current_test

    def enter(self, manager: contextlib.AbstractContextManager[T]) -> T:
        """Enter a context manager, to be left after the last test."""
        return self.installed.enter_context(manager)

    def share(self, make: Callable[[Observation], T]) -> T:
        """What a function makes of this observation, once for all rules that need it."""
        if make not in self._shared:
            self._shared[make] = make(self)
        made: T = self._shared[make]
        return made
