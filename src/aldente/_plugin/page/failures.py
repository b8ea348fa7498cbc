"""What is known of a failed phase of a test, and its pictures, as plain values for the page."""

from __future__ import annotations

import copy
import re
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from aldente._explore.result import Failure, text_of
from aldente._plugin.explore import report as explored_report
from aldente._plugin.explore.state import Outcome, explored_test
from aldente._plugin.page.evidence import panel
from aldente._plugin.run.outcomes import behind
from aldente._plugin.session import state_of
from aldente._report import operations, waits
from aldente._report.elements import without_sequences
from aldente._report.failures import Panel, ShownFailure
from aldente._report.lanes import lanes_of
from aldente.errors import NotAtomic, NotLinearizable, NotSerializable

_MOST_OF_ERROR = 200

# The lines of an exception, and those of a doctest, as pytest shows them.
_MARKED = re.compile(r"E   (?=\S)")
_EXAMPLE = re.compile(r"\d+ +(>>> .*)")


def shown_failure(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> ShownFailure:
    """What is known of a failed phase.

    Args:
        item: the test.
        call: what the phase has raised.
        report: its report.
    """
    shown = of_report(report)
    error = call.excinfo.value if call.excinfo is not None else None
    if error is not None:
        shown["panels"] = panels_of(item, error)
    explored = explored_test(item)
    outcome = None if explored is None else explored.outcome
    if report.when == "call" and outcome is not None and outcome.failure is not None:
        failure = outcome.failure
        shown["remarks"] = explored_report.remarks(item, outcome, failure)
        _add_run(shown, item, failure)
    return shown


def in_another_order(item: pytest.Item, outcome: Outcome, failure: Failure) -> ShownFailure:
    """The failed run of a test that passes in asyncio's own order.

    Args:
        item: the test.
        outcome: the outcome of its exploration.
        failure: the failure.
    """
    text = text_of(failure.exception)
    # As of other failures, the first line only.
    error, *_ = traceback.format_exception_only(failure.exception)[0].strip().splitlines()
    shown = _plain(item.nodeid, "another order", error, text)
    shown["panels"] = panels_of(item, failure.exception)
    shown["remarks"] = explored_report.remarks(item, outcome, failure)
    _add_run(shown, item, failure)
    return shown


def _add_run(shown: ShownFailure, item: pytest.Item, failure: Failure) -> None:
    """Add the run of an explored test that has failed."""
    folder = item.config.rootpath
    shown["story"] = "\n\n".join(failure.story(folder))
    shown["command"] = explored_report.command(item, failure.token)
    if failure.steps:
        shown["lanes"] = lanes_of(failure.steps)
    if failure.stock_order:
        shown["stock"] = lanes_of(failure.stock_order)


def of_report(report: pytest.TestReport | pytest.CollectReport) -> ShownFailure:
    """A failure of which only the report is known."""
    return _plain(report.nodeid, report.when or "call", _first_line(report), _text(report))


def with_subtest(shown: ShownFailure, report: pytest.TestReport) -> ShownFailure:
    """A failure whose error begins with the subtest in which it is, if it is in one."""
    subtest = (report.head_line or "").removeprefix(report.location[2]).strip()
    return {**shown, "error": _cut(f"{subtest} {shown['error']}")} if subtest else shown


def _plain(test: str, phase: str, error: str, text: str) -> ShownFailure:
    return {
        "test": test,
        "phase": phase,
        "error": _cut(without_sequences(error)),
        "text": without_sequences(text),
        "story": "",
        "remarks": [],
        "command": "",
        "lanes": None,
        "stock": None,
        "panels": [],
    }


def _first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    # Not its `longreprtext`, which begins with the worker of pytest-xdist.
    text = _describing(str(report.longrepr or "")) if crash is None else crash.message
    lines = text.strip().splitlines() or ["failed"]
    return lines[0]


def _describing(text: str) -> str:
    """Cut what precedes the line that says what has failed; all is kept if no line has its form."""
    lines = text.splitlines()
    # The exception of a file that can't be collected is in the last such lines.
    last = max((place for place, line in enumerate(lines) if _MARKED.match(line)), default=-1)
    while last > 0 and _MARKED.match(lines[last - 1]):
        last -= 1
    if last >= 0:
        return lines[last].removeprefix("E ")
    examples = [found[1] for line in lines if (found := _EXAMPLE.match(line))]
    return examples[-1] if examples else text


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_OF_ERROR else f"{line[: _MOST_OF_ERROR - 3]}..."


def _text(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The traceback and the output, without the story, which the page has elsewhere."""
    described: Any = report.longrepr
    sections = getattr(described, "sections", None)
    if sections:
        described = copy.copy(described)
        described.sections = [each for each in sections if each[0] != explored_report.TITLE]
    parts = [str(described) if described is not None else ""]
    parts += [f"--- {title} ---\n{text}" for title, text in report.sections]
    return "\n".join(parts)


def panels_of(item: pytest.Item, error: BaseException) -> list[Panel]:
    """The pictures of a failed phase of a test.

    Args:
        item: the test.
        error: what the phase has raised.
    """
    failure = _failure_of_run(item, error)
    if failure is None:
        return [*_operations(error), *_evidence(item, error)]
    # pytest has another exception if the run has raised none of its own.
    raised = failure.exception
    return [*_waits(item, failure), *_operations(raised), *_evidence(item, raised, is_run=True)]


def _failure_of_run(item: pytest.Item, error: BaseException) -> Failure | None:
    """The failure of a run of an explored test, if it is what the phase has raised."""
    explored = explored_test(item)
    outcome = None if explored is None else explored.outcome
    failure = None if outcome is None else outcome.failure
    if failure is None:
        return None
    is_reported = isinstance(error, pytest.fail.Exception) and str(failure.exception) in str(error)
    return failure if is_reported or failure.exception in behind(error) else None


def _waits(item: pytest.Item, failure: Failure) -> Iterator[Panel]:
    """The await graph of the deadlock of an explored test; that of others is kept as evidence."""
    if failure.waiting is not None:
        shown = waits.collect(failure.waiting, main=item.name, folder=item.config.rootpath)
        yield panel("waits", shown)


def _operations(error: BaseException) -> Iterator[Panel]:
    for each in behind(error):
        if isinstance(each, (NotAtomic, NotLinearizable, NotSerializable)) and each.bars:
            yield panel("operations", operations.collect(each))


def _evidence(item: pytest.Item, error: BaseException, *, is_run: bool = False) -> list[Panel]:
    """What was kept when the exception was raised, or else the calls of doubles so far."""
    evidence = state_of(item.config).evidence
    if evidence is None:
        return []
    kept = evidence.of(error)
    if kept is None:
        # The last calls need not be those of the run that is reported.
        return [] if is_run else evidence.calls()
    return kept
