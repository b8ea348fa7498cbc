"""The text of a finding."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence, Sized
from pathlib import Path

from aldente import _version
from aldente._records import Finding, Level, Rule, SourcePlace
from aldente._source import source_line

WIDTH = 100

# How many findings of one rule to show; of the others only the number.
FOLDED = 5


def describe(finding: Finding, rule: Rule, folder: Path, *, allow: str | None = None) -> str:
    """The full text of a finding: what, where, why, and what to do.

    Args:
        finding: the finding.
        rule: its rule.
        folder: paths inside this folder are shown relative to it.
        allow: how to allow it, in words; None for how to do that in a test.
    """
    # The first line is not filled, because pytest's short summary shows it alone.
    lines = [f"{finding.rule}: {finding.what}", *_where(finding, folder)]
    lines += _filled(f"Why: {rule.why}")
    lines += _filled(f"Fix: {finding.fix}")
    if allow is None:
        around = f", or 'with aldente.allow(\"{rule.name}\"):' around the code"
        allow = f'@aldente.allow("{rule.name}") on the test' + around * rule.is_seen_at_once
    lines.append(f"Allow: {allow}.")
    return "\n".join(lines)


def fold(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Texts of findings, each once; of each rule the first five, and how many more there are.

    Args:
        texts: the name of the rule and the text of each finding.

    >>> fold([("slow-step", f"step {number}") for number in range(51)])[-2:]
    ['step 4', 'slow-step: and 46 more like it.']
    """
    by_rule: dict[str, list[str]] = {}
    for rule, text in dict.fromkeys(texts):
        by_rule.setdefault(rule, []).append(text)
    folded = []
    for rule, found in by_rule.items():
        folded += found[:FOLDED]
        if len(found) > FOLDED:
            folded.append(f"{rule}: {more(found)}.")
    return folded


def more(found: Sized) -> str:
    """How many of some findings are not shown, in words.

    >>> more("abcdef")
    'and 1 more like it'
    """
    return f"and {len(found) - FOLDED} more like it"


def shorten(finding: Finding, folder: Path) -> str:
    """One line that says what and where.

    >>> shorten(Finding("slow-step", "a step took 2 s.", "-"), Path("/"))
    'a step took 2 s.'
    """
    if finding.place is None:
        return finding.what
    return f"{place_in(finding.place, folder)}: {finding.what}"


def headline(findings: Sequence[Finding], folder: Path) -> str:
    """The findings that fail a test, in the few words that a line of a summary has room for.

    >>> slow = Finding("slow-step", "a step took 2 s.", "-", SourcePlace("/a.py", 3), subject="2 s")
    >>> headline([slow], Path("/"))
    'slow-step: 2 s at a.py:3'
    >>> headline([Finding("slow-step", "a step took 2 s.", "-"), slow], Path("/"))
    'slow-step: a step took 2 s. (and 1 more finding)'
    """
    first = findings[0]
    about = f": {first.subject}" if first.subject else ""
    if first.place is not None:
        text = f"{first.rule}{about} at {place_in(first.place, folder)}"
    else:
        text = f"{first.rule}{about or f': {first.what}'}"
    others = len(findings) - 1
    more_findings = "finding" if others == 1 else "findings"
    return f"{text} (and {others} more {more_findings})" if others else text


def explain(rule: Rule, level: Level) -> str:
    """What a rule catches, why, and how to fix its findings.

    Args:
        rule: the rule.
        level: the level in force.
    """
    paragraphs = [
        f"{rule.name} [{level}]: {rule.catches}",
        *rule.explanation.split("\n\n"),
        f"Why: {rule.why}",
    ]
    if address := address_of(rule.name):
        paragraphs.append(f"See {address}")
    return "\n\n".join(
        "\n".join(_filled(" ".join(paragraph.split()), indent="  " if number else ""))
        for number, paragraph in enumerate(paragraphs)
    )


def address_of(rule: str) -> str:
    """The address of the page about a rule; empty while the documentation has no site."""
    address = _version.documentation
    return f"{address}rules/{rule}.html" if address else ""


def place_in(place: SourcePlace, folder: Path) -> SourcePlace:
    """A place with its path relative to a folder if it lies within that."""
    return SourcePlace.relative_to(place.path, place.line, folder)


def _where(finding: Finding, folder: Path) -> list[str]:
    lines = []
    if finding.place is not None:
        lines.append(f"  {place_in(finding.place, folder)}")
        source = source_line(finding.place)
        if source:
            lines.append(f"    {source}")
    inside = f"{folder}{os.sep}"
    return lines + [f"  {line.replace(inside, '')}" if line else "" for line in finding.details]


def _filled(text: str, indent: str = "") -> list[str]:
    return [
        filled
        for line in text.splitlines()
        for filled in textwrap.wrap(
            line,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
