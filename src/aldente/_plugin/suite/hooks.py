"""The hooks that explore all async tests after their own run, and report the results.

A plugin of its own, registered with ``--aldente-explore``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeGuard

import pytest

from aldente._plugin import ownership, pytest_compat, runtime_compat
from aldente._plugin.explore.state import explored_test
from aldente._plugin.options import settings_of
from aldente._plugin.session import state_of
from aldente._plugin.suite import reasons
from aldente._plugin.suite.again import Result, UnmarkedTest, explore, seconds_for
from aldente._system import monotonic

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
        # The test that has run last, whether it passed, and the result of exploring it.
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
            vars(report)[ATTRIBUTE] = _described(self._result)
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
        with runtime_compat.after_tear_down_of_test(item, lambda: self._explore(item, stash)):
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
    """Stop pytest-timeout, whose limit is meant for one run, from ending the test meanwhile."""
    cancel = getattr(item.config.hook, "pytest_timeout_cancel_timer", None)
    if cancel is not None:
        cancel(item=item)


def _described(result: Result) -> dict[str, Any]:
    """A result in types that can be sent to another process."""
    reason = result.reason
    return {
        "runs": result.runs,
        "is_exhausted": result.is_exhausted,
        "is_late": result.is_late,
        "fails": result.finding is not None,
        "reason": None if reason is None else list(reason),
    }


# The attribute of a report with the result of its test.
ATTRIBUTE = "aldente_explored_all"

_SUMMARY = "aldente-exploring-all-summary"


def register_summary(config: pytest.Config) -> None:
    """Register the summary, once."""
    if not config.pluginmanager.has_plugin(_SUMMARY):
        config.pluginmanager.register(SuiteSummary(config), _SUMMARY)


class SuiteSummary:
    """Collects the results of all tests, from all processes, and prints them.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._described: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        described = vars(report).get(ATTRIBUTE)
        if described is not None:
            self._described[report.nodeid] = described

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._described:
            return
        terminalreporter.write_sep("-", "aldente: exploration of all tests")
        for line in _lines(self._described, is_verbose=self._config.get_verbosity() > 0):
            terminalreporter.write_line(line)


def _lines(described: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterator[str]:
    explored = {name: each for name, each in described.items() if each["reason"] is None}
    runs = sum(each["runs"] for each in explored.values())
    parts = [f"{_tests(len(explored))} explored in {runs:,} run{'s' * (runs != 1)}"]
    for key, words in (
        ("is_exhausted", "exhaustively"),
        ("is_late", "cut short by the time limit"),
    ):
        count = sum(bool(each[key]) for each in explored.values())
        if count:
            parts.append(f"{count:,} {words}")
    failing = sum(bool(each["fails"]) for each in explored.values())
    if explored:
        fails = "fails" if failing == 1 else "fail"
        parts.append(f"{failing or 'none'} {fails if failing else 'fails'} in another order")
    yield ", ".join(parts)
    yield from _left_alone(described, is_verbose=is_verbose)


def _left_alone(described: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterator[str]:
    """How many tests were left alone, by reason; the most frequent first."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for name, each in described.items():
        if each["reason"] is not None:
            kind, details = each["reason"]
            by_reason.setdefault(kind, []).append((name, details))
    if not by_reason:
        return
    count = sum(map(len, by_reason.values()))
    yield f"{_tests(count)} left alone{'' if is_verbose else ' (-v lists them)'}:"
    for kind, tests in sorted(by_reason.items(), key=lambda each: -len(each[1])):
        yield f"  {len(tests):,}: {kind}"
        if is_verbose:
            for name, details in tests:
                yield f"      {name}{f': {details}' if details else ''}"


def _tests(count: int) -> str:
    return f"{count:,} test{'s' * (count != 1)}"
