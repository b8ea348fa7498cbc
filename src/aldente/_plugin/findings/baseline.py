"""The baseline of a project: a file of findings that are known."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aldente import _stored_json
from aldente._plugin import output_files
from aldente._records import Finding, Level, SourcePlace
from aldente._rules import rule_named
from aldente._settings import DEFAULT_LEVELS
from aldente._source import source_line

# A finding without its line numbers, which change when code above it changes.
Fingerprint = tuple[str, str, str, str]

_VERSION = 1


class Baseline:
    """The known findings of a project, so that only new ones are reported.

    Args:
        path: its file; None when there is no baseline.
        root: the project's root, from which paths are written.

    Attributes:
        is_new: whether to write the file, as there was none when the run began.
        passed_over: how many findings were not reported because they are known.
    """

    def __init__(self, path: Path | None, root: Path) -> None:
        self._path = path
        self._root = root
        self.is_new = path is not None and not path.exists()
        self._known: collections.Counter[Fingerprint] = collections.Counter()
        # The test that began last, and which known findings it has used up.
        self._test = ""
        self._used: list[Fingerprint] = []
        self._is_written = False
        self.passed_over = 0
        if path is not None and not self.is_new:
            self._known.update(map(_identity, _read(path)))

    @classmethod
    def of(cls, config: pytest.Config) -> Baseline:
        """The baseline that ``--aldente-baseline`` names."""
        file = config.getoption("aldente_baseline")
        path = config.invocation_params.dir / file if file is not None else None
        if file is not None and "\0" in file:
            raise pytest.UsageError(f"--aldente-baseline: {file!r} is no path of a file.")
        found = cls(path, config.rootpath)
        if path is not None and found.is_new and not hasattr(config, "workerinput"):
            output_files.reject_unwritable("--aldente-baseline", path)
        return found

    def begin(self, test: str) -> None:
        """Begin a test; if it is a rerun, what it used up before is known again."""
        if test == self._test:
            self._known.update(self._used)
        self._test = test
        self._used.clear()

    def knows(self, test: str, finding: Finding) -> bool:
        """Whether a finding is known; each known one stands for one finding of a run."""
        fingerprint = _identity(self._fingerprint_of(test, finding))
        if self._known[fingerprint] <= 0:
            return False
        if not rule_named(finding.rule).is_sampled:
            self._known[fingerprint] -= 1
            if test == self._test:
                self._used.append(fingerprint)
        self.pass_over(1)
        return True

    def names(self, test: str, finding: Finding) -> bool:
        """Whether there is a known finding like this one, without using it up.

        An explored test has more of them in some of its runs than in others.
        """
        return bool(self._known) and _identity(self._fingerprint_of(test, finding)) in self._known

    def pass_over(self, count: int) -> None:
        """Count findings that are not reported because they are known."""
        self.passed_over += count

    def write(self, findings: Iterable[Mapping[str, Any]]) -> None:
        """Write the baseline, if there was none."""
        if self._path is None or not self.is_new:
            return
        known = sorted(
            self._fingerprint(finding["test"], finding["rule"], finding["path"], finding["source"])
            for finding in findings
        )
        entries = [
            {"test": test, "rule": rule, "path": path, "source": source}
            for test, rule, path, source in known
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": _VERSION, "findings": entries}, indent=1)
        self._path.write_text(text + "\n", encoding="utf-8")
        self._is_written = True

    def print(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what the baseline did."""
        if self._path is None:
            return
        if self._is_written:
            terminalreporter.write_line(
                f"These findings are written to {self._path.name}; later runs with it report only "
                "new ones."
            )
        elif self.is_new:
            terminalreporter.write_line(
                f"The run has not come to its end, so {self._path.name} is not written."
            )
        elif self.passed_over:
            are = "is" if self.passed_over == 1 else "are"
            terminalreporter.write_line(
                f"{self.passed_over} more {are} in the baseline {self._path.name}."
            )

    def print_nothing_new(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print that all findings are known, as a reminder."""
        if self._path is not None and self.passed_over:
            found = "1 finding is" if self.passed_over == 1 else f"{self.passed_over} findings are"
            terminalreporter.write_line(
                f"aldente: {found} in the baseline {self._path.name}; there is nothing new."
            )

    def _fingerprint_of(self, test: str, finding: Finding) -> Fingerprint:
        place = finding.place
        path, source = (place.path, source_line(place)) if place is not None else (None, None)
        return self._fingerprint(test, finding.rule, path, source)

    def _fingerprint(
        self, test: str, rule: str, path: str | None, source: str | None
    ) -> Fingerprint:
        shown = Path(path) if path is not None else None
        if shown is not None and shown.is_relative_to(self._root):
            shown = shown.relative_to(self._root)
        return (test, rule, shown.as_posix() if shown is not None else "", source or "")


def _identity(fingerprint: Fingerprint) -> Fingerprint:
    """The part of a fingerprint that identifies a finding, however often it is seen."""
    test, rule, _, _ = fingerprint
    return (test, rule, "", "") if _is_sampled(rule) else fingerprint


def _is_sampled(rule: str) -> bool:
    # The baseline may be of another version, with other rules.
    return rule in DEFAULT_LEVELS and rule_named(rule).is_sampled


def _read(path: Path) -> Iterable[Fingerprint]:
    try:
        text = path.read_text(encoding="utf-8")
        content = _stored_json.record(_stored_json.parsed(text), "version", "findings")
        if content["version"] != _VERSION:
            version = _stored_json.shown(content["version"])
            raise _stored_json.Malformed(f"its version is {version}")
        return [_fingerprint_in(entry) for entry in _stored_json.array(content["findings"])]
    except (ValueError, OSError) as error:
        raise pytest.UsageError(
            f"--aldente-baseline: {path} is not a baseline that aldente has written: {error}.\n"
            "Fix: delete it, and the next run writes a new one."
        ) from None


def _fingerprint_in(entry: object) -> Fingerprint:
    known = _stored_json.record(entry, "test", "rule", "path", "source")
    test, rule, path, source = (
        _stored_json.string(known[name]) for name in ("test", "rule", "path", "source")
    )
    return test, rule, path, source


def as_plain(finding: Finding, level: Level, test: str, phase: str | None) -> dict[str, Any]:
    """A finding in types that can be sent to another process or written as JSON."""
    plain = {
        "rule": finding.rule,
        "level": level,
        "test": test,
        "phase": phase,
        "what": finding.what,
        "fix": finding.fix,
        "path": finding.place.path if finding.place else None,
        "line": finding.place.line if finding.place else None,
        "source": source_line(finding.place) if finding.place else None,
        "details": list(finding.details),
    }
    return {**plain, "token": finding.token} if finding.token else plain


def from_plain(plain: Mapping[str, Any]) -> Finding:
    """The finding that `as_plain` wrote."""
    place = SourcePlace(plain["path"], plain["line"]) if plain["path"] is not None else None
    return Finding(plain["rule"], plain["what"], plain["fix"], place, tuple(plain["details"]))
