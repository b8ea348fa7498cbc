"""The outcome of an explored test, in its own report and at the end of the whole test run."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable
from typing import Any

import pytest

from aldente._explore.result import Failure
from aldente._plugin.explore.state import Budget, Outcome

_TITLE = "aldente: what happened"


def add_to_report(item: pytest.Item, report: pytest.TestReport, outcome: Outcome) -> None:
    """Add the story of the failed run to the report of a failed test."""
    failure = outcome.failure
    if failure is None:
        return
    text = "\n\n".join(_paragraphs(item, outcome, failure))
    add_section = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section(_TITLE, text)
    else:
        # The report of a failure without a traceback is a string.
        report.longrepr = f"{report.longrepr}\n\n{text}"


def _paragraphs(item: pytest.Item, outcome: Outcome, failure: Failure) -> list[str]:
    found = [*failure.story(item.config.rootpath)]
    inside = f"{item.config.rootpath}{os.sep}"
    remarks = (line.replace(inside, "") for line in failure.remarks())
    found.append("\n".join([_how(outcome, failure), *remarks]))
    found.append(f"Run it again: pytest {_argument(item)} --aldente-replay={failure.token}")
    return found


def _argument(item: pytest.Item) -> str:
    """A test as an argument of pytest, where it was started."""
    path, separator, name = item.nodeid.partition("::")
    folder = item.config.invocation_params.dir
    with contextlib.suppress(ValueError):
        # A path on another drive, on Windows.
        path = os.path.relpath(item.config.rootpath / path, folder)
    return shlex.quote(f"{path}{separator}{name}")


def _how(outcome: Outcome, failure: Failure) -> str:
    """Which run failed, and what was tried."""
    exploration, budget = outcome.exploration, outcome.budget
    if exploration is None:
        return "This is the schedule of --aldente-replay."
    used = f"strategy {strategy_name(budget)}, seed {failure.schedule.seed}"
    if exploration.known == "failed":
        return f"The schedule that failed last time fails still ({used})."
    limit = f" of at most {budget.runs:,}"
    if outcome.share is not None:
        limit = f" of at most {outcome.share:,} for each example"
    if budget.max_seconds is not None:
        limit += f" in {budget.max_seconds:g} s"
    return f"Run {failure.run:,}{limit} failed, after {outcome.seconds:.2g} s in all ({used})."


def strategy_name(budget: Budget) -> str:
    """The name of the strategy."""
    strategy = budget.strategy
    name: str = (
        strategy if isinstance(strategy, str) else getattr(strategy, "__qualname__", repr(strategy))
    )
    return name


_NAME = "aldente-exploration-summary"
_ATTRIBUTE = "aldente_explored"


def note_in_report(item: pytest.Item, report: pytest.TestReport, outcome: Outcome) -> None:
    """Store the outcome of a test in its report, which pytest-xdist sends between processes."""
    exploration = outcome.exploration
    if exploration is None:
        return
    vars(report)[_ATTRIBUTE] = {
        "runs": outcome.runs,
        # A test that depends on more than its schedule may fail under one that passed.
        "is_exhausted": exploration.exhausted and not exploration.escaped,
        # With a slack of 0 sleeps take as long as they say, so time-outs come when they always do.
        "has_durations": outcome.budget.rules.get("slack", 1.0) > 0,
        "coverage": "" if exploration.escaped else exploration.coverage,
        "is_late": exploration.is_late,
        "is_fixed": outcome.is_fixed,
        "escaped": exploration.escaped if outcome.failure is None else "",
        "seconds": outcome.budget.max_seconds,
        # Hypothesis examples have a limit each, and their number is unknown.
        "limit": outcome.budget.runs if outcome.share is None else 0,
    }
    properties: dict[str, object] = {"aldente.runs": outcome.runs}
    failure = outcome.failure
    if failure is not None:
        properties["aldente.seed"] = failure.schedule.seed
        properties["aldente.token"] = failure.token
        properties["aldente.story"] = "\n\n".join([*failure.story(), *failure.remarks()])
    # Of the item, as pytest writes those of the tear-down's report; and a test may be run again.
    kept = [each for each in item.user_properties if each[0] not in properties]
    item.user_properties[:] = [*kept, *properties.items()]
    report.user_properties = list(item.user_properties)


def register(config: pytest.Config) -> None:
    """Register the summary, once."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(ExplorationSummary(config), _NAME)


class ExplorationSummary:
    """Collects the outcomes of explored tests, from all processes, and prints them.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._told: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = vars(report).get(_ATTRIBUTE)
        if told is not None:
            self._told[report.nodeid] = told

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._told:
            return
        is_verbose = self._config.get_verbosity() > 0
        inside = f"{self._config.rootpath}{os.sep}"
        lines = [line.replace(inside, "") for line in _lines(self._told, is_verbose=is_verbose)]
        if self._config.get_verbosity() < 0 and len(lines) == 1:
            # Quiet, and only the numbers would be printed.
            return
        terminalreporter.section("aldente: exploration", sep="-")
        for line in lines:
            terminalreporter.write_line(line)


def _lines(told: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterable[str]:
    runs = sum(each["runs"] for each in told.values())
    exhausted = [each for each in told.values() if each["is_exhausted"]]
    complete = sum(bool(each["has_durations"]) for each in exhausted)
    of_orders = len(exhausted) - complete
    tests = f"{len(told):,} test{'s' * (len(told) != 1)}"
    parts = [f"{tests} explored in {runs:,} run{'s' * (runs != 1)}"]
    if complete:
        parts.append(f"{complete:,} exhaustively")
    if of_orders:
        parts.append(f"{of_orders:,} in all orders (slack=0: sleeps and time-outs were not varied)")
    yield ", ".join(parts)
    for name, each in told.items():
        if each["is_fixed"]:
            yield f"fixed: {name} passes under the schedule that failed before, which is forgotten"
        if each["escaped"]:
            yield f"not exact: {name}: {each['escaped']}"
        if each["is_late"]:
            limit = f" of {each['limit']:,}" if each["limit"] else ""
            yield (
                f"cut short: {name}: {each['runs']:,}{limit} runs in "
                f"max_seconds={each['seconds']:g}"
            )
        if is_verbose:
            coverage = f" {each['coverage']}" if each["coverage"] else ""
            yield f"{name}: {each['runs']:,} run{'s' * (each['runs'] != 1)}.{coverage}"
