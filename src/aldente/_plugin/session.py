"""`SessionState`: what the parts of the plugin share during a run of pytest."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import pytest

from aldente._plugin.findings.collector import Collector
from aldente._plugin.options import settings_of
from aldente._records import Finding, SourcePlace
from aldente._rules.never_awaited import CoroutineWatch
from aldente._runner.bystanders import Bystanders

if TYPE_CHECKING:
    from aldente._plugin.findings.summary import Summary
    from aldente._plugin.page.evidence import Evidence


class SessionState:
    """What the parts of the plugin share during a run of pytest.

    Args:
        config: pytest's configuration.

    Attributes:
        installed: what is undone after the last test.
        collector: takes the findings.
        report: the collector's function for that.
        never_awaited: sees coroutines that are dropped; None when that rule is off.
        at_tear_down: what is called when a test has been torn down, before it is charged.
        at_session_end: what is called after the last test, before late findings are taken.
        at_thread_start: what is called with each thread before it is started.
        current_item: the test that has begun last.
        marks_before: the marks of its own that it had then.
        bystanders: identifiers of threads of pytest's plugins and of debuggers, which wake no test.
        leave_thread: lets the process end without a thread, reported with a line and a test; None
            before the session.
        is_torn_down: whether that test is over, and pytest charges what is freed now to the next.
        has_failed: whether the last phase of a test that was run has failed.
        evidence: collects what the pictures of failures show; None without a page.
        interrupted_in: what the tasks of a loop were waiting for at Ctrl-C, in words.
    """

    def __init__(self, config: pytest.Config) -> None:
        settings = settings_of(config)
        self._config = config
        self.installed = contextlib.ExitStack()
        self._summary: Summary | None = None
        self.collector = Collector(settings.levels, settings.set_rules)
        self.report: Callable[[Finding], None] = self.collector.report
        self.never_awaited: CoroutineWatch | None = None
        if self.collector.levels["never-awaited"] != "off":
            self.never_awaited = CoroutineWatch(self.collector.report)
        self.at_tear_down: list[Callable[[], None]] = []
        self.at_session_end: list[Callable[[], None]] = []
        self.at_thread_start: list[Callable[[threading.Thread], None]] = []
        self.current_item: pytest.Item | None = None
        self.marks_before: Collection[pytest.Mark] = ()
        self.bystanders = Bystanders()
        self.leave_thread: Callable[[threading.Thread, SourcePlace, str], object] | None = None
        self.is_torn_down = False
        self.has_failed = False
        self.interrupted_in: str | None = None
        self.evidence: Evidence | None = None

    @property
    def summary(self) -> Summary:
        """The summary of the run's findings; created on first use."""
        if self._summary is None:
            from aldente._plugin.findings.summary import Summary

            self._summary = Summary(self._config)
        return self._summary

    @property
    def has_summary(self) -> bool:
        """Whether the summary was created."""
        return self._summary is not None

    @property
    def current_test(self) -> str | None:
        """The node id of the test that began last."""
        return None if self.current_item is None else self.current_item.nodeid

    def has_found(self, rule: str) -> bool:
        """Whether a rule has a finding that no phase of a test has taken yet."""
        return any(finding.rule == rule for finding in self.collector.found)


def state_of(config: pytest.Config) -> SessionState:
    """Return the state of a run."""
    return config.stash[_key]


def begin_session(config: pytest.Config) -> SessionState:
    """Create the state of a run."""
    state = config.stash[_key] = SessionState(config)
    return state


_key = pytest.StashKey[SessionState]()
