"""Fails a test for its findings, or adds them to its report."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from aldente._diagnosis.finding_text import describe, fold, headline, shorten
from aldente._own_errors import contained, containing
from aldente._plugin import output_files, pytest_compat, refusals
from aldente._plugin.findings.baseline import as_plain
from aldente._plugin.options import settings_of
from aldente._plugin.ownership import IS_RUN_ON_LOOP
from aldente._plugin.pytest_asyncio import loop_fixtures
from aldente._plugin.run.outcomes import hide_frames
from aldente._plugin.session import SessionState
from aldente._records import Finding
from aldente._rules import RULES, module_of, rule_named
from aldente._rules.background_error import errors_within
from aldente.errors import AldenteError, DeadlockError, PhaseTimeout

# The title of the findings in the report of a test that does not fail for them.
SECTION = "aldente: found in this test"


def report_phase(
    session: SessionState, item: pytest.Item, call: pytest.CallInfo[None]
) -> pytest.TestReport | None:
    """Return the report of a phase with findings; None leaves it to pytest.

    An error fails the phase. If the phase failed by itself, or was skipped, its report lists the
    findings too.
    """
    if call.excinfo is not None:
        with contained("explaining a refusal of pytest's"):
            refusals.explain(item, call)
    if call.excinfo is not None:
        _look_into_failure(session, item, call.excinfo.value)
        _leave_out_own_lines(item, call)
        # The failure of an explored test may itself be findings of a run.
        if not session.collector.reported and not isinstance(
            call.excinfo.value, pytest.skip.Exception
        ):
            session.collector.note_failure(item.nodeid)
    reported_by_failure, session.collector.reported = session.collector.reported, set()
    findings = session.summary.without_known(item.nodeid, session.collector.take(item))
    if not findings:
        return _with_hint(item, call) or _of_own_error(item, call)
    level_of = session.collector.level_of
    folder = item.config.rootpath
    errors = [finding for finding in findings if level_of(item, finding) == "error"]
    for finding in findings:
        item.user_properties.append((f"aldente.{finding.rule}", shorten(finding, folder)))
    is_failed_already = call.excinfo is not None
    if errors and not is_failed_already:
        call.excinfo = pytest_compat.excinfo_of_failure(_text_of(errors, folder))
    report = _with_hint(item, call) or _of_own_error(item, call)
    if report is None:
        report = pytest.TestReport.from_item_and_call(item, call)
    failing = errors
    if call.excinfo is not None and is_failed_already:
        failing = _failing(call.excinfo.value, reported_by_failure, errors)
    if failing:
        pytest_compat.set_headline(report, headline(failing, folder))
    if not errors and not is_failed_already:
        # Where other tools than the terminal find them; that shows them at the end of the run.
        report.sections.append((SECTION, _text_of(findings, folder)))
    if is_failed_already:
        besides = [
            finding
            for finding in findings
            if finding not in reported_by_failure and _is_also_reported(finding, call, errors)
        ]
        if besides:
            report.sections.append((SECTION, _text_of(besides, folder)))
    # pytest-xdist sends reports between processes with all their attributes.
    reported = [
        as_plain(finding, level_of(item, finding), item.nodeid, report.when) for finding in findings
    ]
    vars(report)["aldente_findings"] = reported
    session.summary.add(reported)
    return report


def _failing(
    error: BaseException, reported: Collection[Finding], errors: Sequence[Finding]
) -> list[Finding]:
    """The findings that the error of a phase is about, such as those of an explored test's runs."""
    if isinstance(error, pytest_compat.Failure):
        return [finding for finding in errors if finding in reported]
    kinds = {finding: rule_named(finding.rule).reported_by for finding in errors}
    return [finding for finding, kind in kinds.items() if kind and isinstance(error, kind)]


def _of_own_error(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    """The report of a phase that one of aldente's errors has failed; None if none has.

    Its headline has no name of a module, which would leave no room for what has happened.
    """
    error = call.excinfo.value if call.excinfo is not None else None
    if not isinstance(error, AldenteError):
        return None
    if isinstance(error, (DeadlockError, PhaseTimeout)):
        output_files.offer(item.config)
    report = pytest.TestReport.from_item_and_call(item, call)
    first = next(iter(str(error).splitlines()), "")
    pytest_compat.set_headline(report, f"{type(error).__name__}: {first}")
    return report


def _with_hint(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    """The report of a set-up that lacks a fixture of older pytest-asyncio versions, or None."""
    if call.excinfo is None or not loop_fixtures.is_missing(call.excinfo.value):
        return None
    report = pytest.TestReport.from_item_and_call(item, call)
    loop_fixtures.explain_missing(report)
    return report


def _text_of(findings: Sequence[Finding], folder: Path) -> str:
    """The text about findings in the report of a test."""
    texts = fold(
        (finding.rule, describe(finding, rule_named(finding.rule), folder)) for finding in findings
    )
    return "\n\n".join(texts)


def _is_also_reported(
    finding: Finding, call: pytest.CallInfo[None], errors: Sequence[Finding]
) -> bool:
    """Whether the report of a phase that failed by itself lists a finding too.

    It lists errors that the exception itself does not report, and why a loop could not run.
    """
    rule = rule_named(finding.rule)
    error = call.excinfo.value if call.excinfo is not None else None
    if rule.reported_by is not None and isinstance(error, rule.reported_by):
        return False
    return finding in errors or rule.explains_failure


def _look_into_failure(session: SessionState, item: pytest.Item, error: BaseException) -> None:
    """Add the findings that the exception of a failed phase shows."""
    if session.never_awaited is not None:
        session.never_awaited.look_into(error)
    if isinstance(error, PhaseTimeout):
        _shorten_paths_in_notes(error, item)
    for row in RULES:
        kind = row.shown_by
        if (
            kind is None
            or session.collector.level_in(item, row.name) == "off"
            or (row.only_with is not None and row.only_with not in sys.modules)
            or not any(isinstance(inner, kind) for inner in errors_within(error))
        ):
            continue
        finding = module_of(row.name).find_in_failure(error)
        if finding is not None:
            if rule_named(row.name).reported_by is not None:
                _shorten_paths_in_notes(error, item)
            session.collector.report(finding)


@containing("leaving aldente's own lines out of a failure", None)
def _leave_out_own_lines(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remove asyncio's and aldente's frames from a failure that still has them.

    It may come from a part of the test, as with pytest's ``subtests``, and then has not passed
    through aldente's code that removes them.
    """
    error = call.excinfo.value if call.excinfo is not None else None
    if error is None:
        return
    if hasattr(getattr(item, "obj", None), "hypothesis"):
        from aldente._plugin.explore.hypothesis import forget_own_lines

        forget_own_lines(error)
    if item.stash.get(IS_RUN_ON_LOOP, False) and not settings_of(item.config).full_trace:
        whole = error.__traceback__
        hide_frames(error)
        if error.__traceback__ is not whole:
            call.excinfo = pytest.ExceptionInfo.from_exception(error)


@containing("shortening paths in the notes of a failure", None)
def _shorten_paths_in_notes(error: BaseException, item: pytest.Item) -> None:
    inside = f"{item.config.rootpath}{os.sep}"
    # Python shows notes of any type.
    notes: Sequence[Any] = getattr(error, "__notes__", ())
    error.__notes__ = [
        note.replace(inside, "") if isinstance(note, str) else note for note in notes
    ]
