"""What rules have found in a run, as the exception with which the run fails, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from aldente._diagnosis.findings import describe
from aldente._guards.rules import rule_named
from aldente._records import Finding
from aldente.errors import FoundInRun


def found_in_run(findings: Sequence[Finding]) -> FoundInRun:
    """The exception of a run that fails by nothing but what was found in it."""
    return FoundInRun(findings, texts_of(findings))


def texts_of(findings: Iterable[Finding]) -> list[str]:
    """All that a user is told of each finding, those that are the same told once.

    >>> texts_of([Finding("leaked-task", "a task was left.", "-")] * 2)[0].splitlines()[0]
    'leaked-task: a task was left.'
    """
    folder = Path.cwd()
    texts = [describe(finding, rule_named(finding.rule), folder) for finding in findings]
    return list(dict.fromkeys(texts))
