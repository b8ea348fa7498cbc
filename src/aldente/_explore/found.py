"""What rules have found in a run, as the exception with which the run fails, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from aldente._diagnosis.findings import describe, fold
from aldente._guards.rules import rule_named
from aldente._records import Finding
from aldente.errors import FoundInRun


def found_in_run(findings: Sequence[Finding]) -> FoundInRun:
    """The exception of a run that fails by nothing but what was found in it."""
    return FoundInRun(findings, texts_of(findings))


def texts_of(findings: Iterable[Finding]) -> list[str]:
    """All that a user is told of findings, those that are the same told once, and many folded.

    >>> texts_of([Finding("leaked-task", "a task was left.", "-")] * 2)[0].splitlines()[0]
    'leaked-task: a task was left.'
    """
    return fold((finding.rule, _text_of(finding)) for finding in findings)


def _text_of(finding: Finding) -> str:
    rule = finding.rule
    allow = (
        f'rules={{"{rule}": "off"}} in aldente.search; @aldente.allow("{rule}") on an explored test'
    )
    return describe(finding, rule_named(rule), Path.cwd(), allow=allow)


def besides(error: BaseException, findings: Sequence[Finding]) -> list[str]:
    """What is told of findings beside an exception that the program has raised itself."""
    return [] if isinstance(error, FoundInRun) else texts_of(findings)


def note_besides(error: BaseException, findings: Sequence[Finding]) -> None:
    """Have an exception tell what was found in its run besides."""
    for text in besides(error, findings):
        error.add_note(f"Found in the same run:\n{text}")
