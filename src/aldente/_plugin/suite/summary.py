"""What came of exploring all tests, at the end of the whole test run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

# The attribute of a report with what came of its test.
ATTRIBUTE = "aldente_explored_all"

_NAME = "aldente-exploring-all-summary"


def register_summary(config: pytest.Config) -> None:
    """Register the summary, once."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(SuiteSummary(config), _NAME)


class SuiteSummary:
    """Collects what came of all tests, from all processes, and prints it.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._told: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = vars(report).get(ATTRIBUTE)
        if told is not None:
            self._told[report.nodeid] = told

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._told:
            return
        terminalreporter.write_sep("-", "aldente: exploration of all tests")
        for line in _lines(self._told, is_verbose=self._config.get_verbosity() > 0):
            terminalreporter.write_line(line)


def _lines(told: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterator[str]:
    explored = {name: each for name, each in told.items() if each["reason"] is None}
    runs = sum(each["runs"] for each in explored.values())
    parts = [f"{_tests(len(explored))} explored in {runs:,} run{'s' * (runs != 1)}"]
    for key, words in (
        ("is_exhausted", "exhaustively"),
        ("is_late", "cut short as the time was over"),
    ):
        count = sum(bool(each[key]) for each in explored.values())
        if count:
            parts.append(f"{count:,} {words}")
    failing = sum(bool(each["fails"]) for each in explored.values())
    if explored:
        fails = "fails" if failing == 1 else "fail"
        parts.append(f"{failing or 'none'} {fails if failing else 'fails'} in another order")
    yield ", ".join(parts)
    yield from _left_alone(told, is_verbose=is_verbose)


def _left_alone(told: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterator[str]:
    """How many tests were left alone, by reason; the most frequent first."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for name, each in told.items():
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
