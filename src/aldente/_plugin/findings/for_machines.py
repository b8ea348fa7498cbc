"""Findings in the forms that other programs read: JSON lines, SARIF, and GitHub's annotations."""

from __future__ import annotations

import collections
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aldente._plugin import output_files
from aldente._rules import RULES, rule_named
from aldente._version import __version__

# A finding as `aldente._plugin.findings.baseline.as_plain` makes it.
Plain = Mapping[str, Any]

# The options that name a file, and what writes the findings into it, given the folder that paths
# are relative to.
_WRITERS: Mapping[str, Callable[[Sequence[Plain], Path], str]] = {
    "--aldente-findings": lambda findings, folder: json_lines(findings, folder),
    "--aldente-sarif": lambda findings, folder: json.dumps(sarif_log(findings, folder), indent=1),
}


def write_files(session: pytest.Session, findings: Sequence[Plain]) -> None:
    """Write the findings of a run into each file that an option names."""
    config = session.config
    for option, path in _files(config):
        output_files.write(session, option, path, _WRITERS[option](findings, base_of(config)))


def check_files(config: pytest.Config) -> None:
    """Reject files that can't be written, before the run.

    Raises:
        pytest.UsageError: with the reason.
    """
    if hasattr(config, "workerinput"):
        return
    for option, path in _files(config):
        output_files.reject_unwritable(option, path)


def _files(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    for option in _WRITERS:
        name = config.getoption(option.removeprefix("--").replace("-", "_"))
        if name is not None:
            yield option, config.invocation_params.dir / name


def base_of(config: pytest.Config) -> Path:
    """The folder that paths are relative to: a GitHub action's checkout, or else the rootdir."""
    checkout = os.environ.get("GITHUB_WORKSPACE")
    if checkout and is_github() and config.rootpath.is_relative_to(checkout):
        return Path(checkout)
    return config.rootpath


def is_github() -> bool:
    """Whether this process runs in a GitHub action."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def json_lines(findings: Iterable[Plain], folder: Path) -> str:
    """Findings as JSON, one object a line (docs/findings.schema.json).

    Args:
        findings: the findings.
        folder: what paths inside it are relative to.
    """
    return "".join(
        json.dumps(
            {
                **finding,
                "path": _path_in(folder, finding["path"]),
                "details": _texts_in(folder, finding["details"]),
            }
        )
        + "\n"
        for finding in findings
    )


def sarif_log(findings: Iterable[Plain], folder: Path) -> dict[str, Any]:
    """Findings as a log of the Static Analysis Results Interchange Format, version 2.1.0.

    Findings of one rule at one line are one result, with all the tests that have them.

    Args:
        findings: the findings.
        folder: what paths inside it are relative to.
    """
    driver = {
        "name": "aldente",
        "semanticVersion": __version__,
        "rules": [_sarif_rule(row.name) for row in RULES],
    }
    results = []
    alike: collections.Counter[str] = collections.Counter()
    for same in by_cause(findings):
        fingerprint = _fingerprint(same[0], folder)
        alike[fingerprint] += 1
        results.append(_sarif_result(same, folder, f"{fingerprint}:{alike[fingerprint]}"))
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
        ],
    }


def _sarif_rule(name: str) -> dict[str, Any]:
    rule = rule_named(name)
    return {
        "id": name,
        "shortDescription": {"text": rule.catches},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.explanation},
    }


def _sarif_result(same: Sequence[Plain], folder: Path, fingerprint: str) -> dict[str, Any]:
    first = same[0]
    names = [row.name for row in RULES]
    properties: dict[str, Any] = {
        "tests": list(dict.fromkeys(each["test"] for each in same)),
        "details": _texts_in(folder, first["details"]),
    }
    tokens = _tokens_of(same)
    if tokens:
        properties["tokens"] = tokens
    result = {
        "ruleId": first["rule"],
        "ruleIndex": names.index(first["rule"]),
        "level": "error" if _has_error(same) else "warning",
        "message": {"text": f"{first['what']}\n{first['fix']}"},
        "occurrenceCount": len(same),
        "partialFingerprints": {"aldente/v1": fingerprint},
        "properties": properties,
    }
    if first["path"] is not None:
        region = {"startLine": first["line"]}
        if first["source"]:
            region["snippet"] = {"text": first["source"]}
        path = _path_in(folder, first["path"])
        result["locations"] = [
            {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}, "region": region}}
        ]
    return result


def _uri(path: str) -> str:
    from urllib.parse import quote

    return Path(path).as_uri() if os.path.isabs(path) else quote(path)


def _fingerprint(finding: Plain, folder: Path) -> str:
    # Without the line's number, which changes when code above it does. Findings without a place are
    # distinguished by their texts.
    parts = (finding["rule"], _path_in(folder, finding["path"]), finding["source"])
    text = json.dumps(parts if finding["path"] is not None else (*parts, finding["what"]))
    return hashlib.sha256(text.encode()).hexdigest()


def github_commands(findings: Iterable[Plain], folder: Path) -> Iterator[str]:
    """The workflow commands by which a GitHub action shows findings at their lines.

    Args:
        findings: the findings.
        folder: what paths inside it are relative to.
    """
    # GitHub shows only the first ten of a step.
    for same in sorted(by_cause(findings), key=lambda same: not _has_error(same)):
        first = same[0]
        command = "error" if _has_error(same) else "warning"
        properties = {"title": f"aldente: {first['rule']}"}
        if first["path"] is not None:
            properties |= {"file": _path_in(folder, first["path"]), "line": str(first["line"])}
        tests = list(dict.fromkeys(each["test"] or "an unknown test" for each in same))
        others = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        lines = [first["what"], first["fix"], f"In {tests[0]}{others}."]
        lines += [f"Run it again: --aldente-replay={token}" for token in _tokens_of(same)[:1]]
        shown = ",".join(f"{name}={_escaped(text, ':,')}" for name, text in properties.items())
        message = _escaped("\n".join(lines))
        yield f"::{command} {shown}::{message}"


def _escaped(text: str, besides: str = "") -> str:
    """Replace the characters of a text that would end it in a workflow command."""
    for character in f"%\r\n{besides}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def by_cause(findings: Iterable[Plain]) -> list[list[Plain]]:
    """Findings by rule and place, across tests.

    >>> finding = {"rule": "slow-step", "path": None, "line": None, "what": "a step took 2 s."}
    >>> [len(same) for same in by_cause([finding, finding, {**finding, "what": "another"}])]
    [2, 1]
    """
    causes: dict[object, list[Plain]] = {}
    for finding in findings:
        place = finding["path"], finding["line"]
        # Without a place only the text shows that two are the same.
        cause = place if finding["path"] is not None else finding["what"]
        causes.setdefault((finding["rule"], cause), []).append(finding)
    return list(causes.values())


def _has_error(same: Iterable[Plain]) -> bool:
    return any(finding["level"] == "error" for finding in same)


def _tokens_of(same: Iterable[Plain]) -> list[str]:
    """The tokens of the explored tests that failed, and of findings in schedules of others."""
    found = (finding.get("token") or finding.get("explored", {}).get("token") for finding in same)
    return list(dict.fromkeys(filter(None, found)))


def _path_in(folder: Path, path: str | None) -> Any:
    if path is None or not Path(path).is_relative_to(folder):
        return path
    return Path(path).relative_to(folder).as_posix()


def _texts_in(folder: Path, texts: Iterable[str]) -> list[str]:
    return [text.replace(f"{folder}{os.sep}", "") for text in texts]
