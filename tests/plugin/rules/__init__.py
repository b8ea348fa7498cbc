"""What the tests of the rules share: what a run has found, and what it says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import RunProject


def run_with_findings(
    run_project: RunProject, pytester: pytest.Pytester, *arguments: str, **options: Any
) -> tuple[pytest.RunResult, list[dict[str, Any]]]:
    """Run pytest on a project, and return its result and its findings."""
    file = pytester.path / "findings.json"
    result = run_project(f"--aldente-findings={file}", *arguments, **options)
    return result, read_findings(file)


def read_findings(file: Path) -> list[dict[str, Any]]:
    """The findings that a run has written as JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def in_short(findings: list[dict[str, Any]]) -> list[str]:
    """Each finding in a line: its rule, test, phase and line, without the name of the file."""
    return [
        f"{finding['rule']} {finding['test'].partition('::')[2]} {finding['phase']} {finding['line']}"
        for finding in findings
    ]


def part_of(result: pytest.RunResult, title: str) -> str:
    """What the output says under a title, up to the next."""
    lines = [line.rstrip() for line in result.stdout.lines]
    (start,) = (
        number
        for number, line in enumerate(lines)
        if re.fullmatch(rf"[_=-]+ {re.escape(title)} [_=-]+", line)
    )
    ends = (
        number
        for number, line in enumerate(lines[start + 1 :], start + 1)
        if re.fullmatch(r"([_=-])\1* .+ \1+", line)
    )
    return "\n".join(lines[start + 1 : next(ends, len(lines))])


def line_of(project: str, code: str) -> int:
    """The number of the first line with some code in a module, as it is written to its file."""
    return next(
        number for number, line in enumerate(project.strip().splitlines(), 1) if code in line
    )
