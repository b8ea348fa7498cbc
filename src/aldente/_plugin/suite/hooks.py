"""The hooks that have all async tests explored after their own run.

A plugin of its own, registered with ``--aldente-explore``.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeGuard

import pytest

from aldente._clocks import monotonic
from aldente._plugin import ownership, pytest_compat, set_up_compat
from aldente._plugin.explore.state import explored_test
from aldente._plugin.options import settings_of
from aldente._plugin.session import state_of
from aldente._plugin.suite import reasons
from aldente._plugin.suite.again import Result, UnmarkedTest, explore, seconds_for
from aldente._plugin.suite.summary import ATTRIBUTE, register_summary

_NAME = "aldente-exploring-all"


def register(config: pytest.Config) -> None:
    """Register the hooks for exploring all tests, once."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(ExploringAllHooks(config), _NAME)
        register_summary(config)


class ExploringAllHooks:
    """Explores each test that has passed, after its tear-down.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        # How long the tests that are left may take; None for any time.
        self._seconds_left = settings_of(config).explore_seconds
        # The test that has run last, whether it passed, and what came of exploring it.
        self._last: pytest.Item | None = None
        self._has_passed = False
        self._result: Result | None = None
        # Whether there is one test function only; None until that is known.
        self._is_alone: bool | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call":
            self._last = item
            self._has_passed = report.passed and not hasattr(report, "wasxfail")
        elif report.when == "teardown" and self._result is not None:
            vars(report)[ATTRIBUTE] = _told(self._result)
            self._result = None
        return report

    # Within the hooks that capture what a phase writes and logs.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        if not _is_unmarked(item) or self._last is not item:
            return (yield)
        # The tear-down of fixtures may remove what their set-up needs.
        stash = dict(pytest_compat.stashed(item))
        with set_up_compat.after_tear_down_of_test(item, lambda: self._explore(item, stash)):
            return (yield)

    def _explore(self, item: pytest.Function, stash: dict[Any, Any]) -> None:
        reason = reasons.NOT_PASSED if not self._has_passed else reasons.reason_before(item)
        seconds = seconds_for(item)
        if self._seconds_left is not None:
            seconds = min(seconds, self._seconds_left)
            if seconds <= 0:
                reason = reason or reasons.TIME_IS_OVER
        if reason is not None:
            self._result = Result(reason=reason)
            return
        _cancel_timer(item)
        if self._is_alone is None:
            functions = {
                (each.parent, each.originalname)
                for each in item.session.items
                if _is_unmarked(each)
            }
            self._is_alone = len(functions) == 1
        explored = UnmarkedTest(item, seconds, is_alone=self._is_alone)
        began = monotonic()
        self._result = result = explore(item, explored, stash)
        if self._seconds_left is not None:
            self._seconds_left -= monotonic() - began
        if result.finding is not None:
            state_of(item.config).collector.report(result.finding)


def _is_unmarked(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Whether a test is async and may be explored without a mark."""
    return (
        isinstance(item, pytest.Function)
        and ownership.is_async_function(item.obj)
        and explored_test(item) is None
        and not reasons.is_switched_off(item)
    )


def _cancel_timer(item: pytest.Item) -> None:
    """Have pytest-timeout, whose limit is meant for one run, not end the test meanwhile."""
    cancel = getattr(item.config.hook, "pytest_timeout_cancel_timer", None)
    if cancel is not None:
        cancel(item=item)


def _told(result: Result) -> dict[str, Any]:
    """A result in types that can be sent to another process."""
    reason = result.reason
    return {
        "runs": result.runs,
        "is_exhausted": result.is_exhausted,
        "is_late": result.is_late,
        "fails": result.finding is not None,
        "reason": None if reason is None else list(reason),
    }
