"""The findings of a whole run, reported at its end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aldente._diagnosis.finding_text import FOLDED, describe, more, shorten
from aldente._plugin.findings import baseline, for_machines
from aldente._plugin.findings.baseline import as_plain, from_plain
from aldente._records import FREED, Finding, Level
from aldente._rules import rule_named
from aldente._settings import DEFAULT_LEVELS

# The name of the plugin that knows which explored tests have failed, as its ``failures``.
EXPLORED = "aldente-exploration-summary"


class Summary:
    """The findings of a run, including those of pytest-xdist's workers.

    Args:
        config: pytest's configuration.

    Attributes:
        baseline: the known findings of the project.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._findings: list[dict[str, Any]] = []
        self.baseline = baseline.Baseline.of(config)
        for_machines.check_files(config)

    def without_known(self, test: str, findings: Sequence[Finding]) -> list[Finding]:
        """The findings of a test that the project's baseline does not name."""
        return [finding for finding in findings if not self.baseline.knows(test, finding)]

    def add(self, findings: Iterable[dict[str, Any]]) -> None:
        """Add the findings of a phase."""
        self._findings += findings

    def finish(self, session: pytest.Session, late: Sequence[tuple[Finding, Level]]) -> None:
        """Add the findings of tests that had ended, and write the requested files.

        An error among them fails the run.
        """
        new = [
            as_plain(finding, level, finding.made_by or "", None)
            for finding, level in late
            if not self.baseline.knows(finding.made_by or "", finding)
        ]
        worker_output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if any(finding["level"] == "error" for finding in new) and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if worker_output is not None:
            worker_output["aldente_findings"] = new
            worker_output["aldente_passed_over"] = self.baseline.passed_over
            return
        self._findings += new
        # With all of them: what is freed late is found again in later runs.
        found, self._findings = self._findings, _without_repeated_leaks(self._findings)
        errors = [finding for finding in self._findings if _is_late_error(finding)]
        if errors and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        reports = [self._late_report(finding) for finding in errors]
        if reporter is not None:
            self._count(reporter, reports)
        for_machines.write_files(session, self.found)
        if _is_whole(session):
            self.baseline.write(found)
        self._send(reports, (reporter, session))

    def _count(self, reporter: Any, late: Sequence[pytest.TestReport]) -> None:
        """Count the findings that fail nothing in the last line of the run."""
        if late:
            # The tests were reported already, so these are shown and counted as errors.
            reporter.stats.setdefault("error", []).extend(late)
        warned = [_Warned(finding) for finding in self._findings if finding["level"] != "error"]
        if warned:
            # pytest shows the name of any kind, as it is, with the number.
            reporter.stats["finding" if len(warned) == 1 else "findings"] = warned

    @property
    def found(self) -> list[dict[str, Any]]:
        """The findings, with what is known of those explored tests that failed."""
        plugin = self._config.pluginmanager.get_plugin(EXPLORED)
        failures: Mapping[str, Mapping[str, Any]] = getattr(plugin, "failures", {})
        return [
            {**finding, "explored": failures[finding["test"]]}
            if finding["test"] in failures
            else finding
            for finding in self._findings
        ]

    def _send(self, reports: Iterable[pytest.TestReport], besides: Iterable[object]) -> None:
        """Send late reports to all plugins that receive reports, such as the writer of JUnit XML.

        Args:
            reports: the reports.
            besides: plugins to leave out: the terminal and the session, which have them already.
        """
        hook = self._config.pluginmanager.subset_hook_caller(
            "pytest_runtest_logreport", [each for each in besides if each is not None]
        )
        for report in reports:
            hook(report=report)

    def _late_report(self, finding: Mapping[str, Any]) -> pytest.TestReport:
        folder = self._config.rootpath
        found = from_plain(finding)
        text = describe(found, rule_named(finding["rule"]), folder)
        test = finding["test"] or "?"
        return pytest.TestReport(
            nodeid=test,
            location=(test.partition("::")[0], None, test.rpartition("::")[2]),
            keywords={},
            outcome="failed",
            longrepr=f"{text}\naldente found it after the test had ended.",
            when="teardown",
            user_properties=[(f"aldente.{found.rule}", shorten(found, folder))],
        )

    def print(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print all findings by rule, worst first."""
        if not self._findings:
            self.baseline.print_nothing_new(terminalreporter)
            return
        terminalreporter.section("aldente findings", sep="=", yellow=True)
        rank = list(DEFAULT_LEVELS)
        ordered = sorted(
            self._findings,
            key=lambda finding: (finding["level"] != "error", rank.index(finding["rule"])),
        )
        for (level, rule), group in itertools.groupby(
            ordered, key=lambda finding: (finding["level"], finding["rule"])
        ):
            found = list(group)
            causes = for_machines.by_cause(found)
            number = f"{len(found)}{_of_causes(len(causes)) if len(causes) < len(found) else ''}"
            terminalreporter.write_line(f"{rule} [{level}]: {number}", bold=True)
            fix = None
            for same in causes[:FOLDED]:
                for line in _lines(same, self._config.rootpath):
                    terminalreporter.write_line(f"  {line}")
                if rule_named(rule).has_story:
                    for line in same[0]["details"]:
                        terminalreporter.write_line(f"    {line}" if line else "")
                if same[0]["fix"] != fix:
                    fix = same[0]["fix"]
                    terminalreporter.write_line(f"    {fix}")
            if len(causes) > FOLDED:
                terminalreporter.write_line(f"  {more(causes)}; --aldente-findings=FILE writes all")
        self.baseline.print(terminalreporter)
        if for_machines.is_github():
            folder = for_machines.base_of(self._config)
            for line in for_machines.github_commands(self.found, folder):
                terminalreporter.write_line(line)
        terminalreporter.write_line(
            "pytest --aldente-explain RULE explains a rule, and how to fix or allow its findings."
        )


class _Warned:
    """A finding that fails nothing, as plugins see it that go through all that pytest counts.

    They get pytest's own warnings there too, so it has the attributes of these.

    Args:
        finding: the finding.
    """

    def __init__(self, finding: Mapping[str, Any]) -> None:
        self.nodeid: str = finding["test"]
        self.message: str = f"{finding['rule']}: {finding['what']}"
        self.fslocation = None if finding["path"] is None else (finding["path"], finding["line"])


def _is_whole(session: pytest.Session) -> bool:
    """Whether a run is complete, so that its findings are those of all its tests."""
    return (
        session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        # Stopped by -x or --maxfail, which don't change the exit status.
        and not session.shouldfail
        and not session.shouldstop
        and not session.config.getoption("collectonly")
    )


def _without_repeated_leaks(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out repeats of a leak, which its loop's end shows, and each of its parts when freed."""
    late = {
        finding["test"]
        for finding in findings
        if _is_leak(finding) and (finding["phase"] is None or FREED in finding["what"])
    }
    of_tests: dict[str, list[dict[str, Any]]] = {}
    others: list[dict[str, Any]] = []
    for finding in findings:
        is_repeated = finding["test"] in late and _is_leak(finding)
        (of_tests.setdefault(finding["test"], []) if is_repeated else others).append(finding)
    return [*others, *itertools.chain.from_iterable(map(_one_for_each_line, of_tests.values()))]


def _is_leak(finding: Mapping[str, Any]) -> bool:
    return bool(finding["rule"] == "leaked-resource")


def _one_for_each_line(leaks: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Of each line of a test the first leak that is an error, or else the first.

    What has no line, such as a server's end of a connection, is a part of what has one; and sockets
    are parts of transports.
    """
    by_line: dict[tuple[str | None, int | None], dict[str, Any]] = {}
    for leak in sorted(leaks, key=lambda leak: (leak["level"] != "error", _SOCKET in leak["what"])):
        by_line.setdefault((leak["path"], leak["line"]), leak)
    part = by_line.pop((None, None), None)
    if part is not None and not by_line:
        return [part]
    found = list(by_line.values())
    if part is not None and part["level"] == "error" and found[0]["level"] != "error":
        found[0] = {**found[0], "level": "error", "phase": None}
    return found


_SOCKET = "unclosed <socket.socket"


def _is_late_error(finding: Mapping[str, Any]) -> bool:
    return finding["phase"] is None and finding["level"] == "error"


def _of_causes(number: int) -> str:
    return ", of one cause" if number == 1 else f", of {number} causes"


def _named(tests: Sequence[str]) -> str:
    """Tests in words: each of up to two, and of more the first two and how many others there are.

    >>> _named(["test_it.py::test_a"]), _named(list("abcd"))
    ('test_it.py::test_a', '4 tests: a, b and 2 more')
    """
    names = [test or "an unknown test" for test in tests]
    if len(names) < 3:
        return " and ".join(names)
    return f"{len(names)} tests: {names[0]}, {names[1]} and {len(names) - 2} more"


def _lines(same: Sequence[Mapping[str, Any]], folder: Path) -> Iterable[str]:
    """The lines about findings of one cause: the first one, and the tests."""
    finding = same[0]
    what: str = finding["what"]
    if finding["path"] is None:
        yield what
    else:
        path = Path(finding["path"])
        shown = path.relative_to(folder) if path.is_relative_to(folder) else path
        yield f"{shown}:{finding['line']}: {what}"
    found_late = ", found after it had ended" if finding["phase"] is None else ""
    yield f"    in {_named(list(dict.fromkeys(each['test'] for each in same)))}{found_late}"
    if finding["level"] == "warn" and rule_named(finding["rule"]).shows_details:
        # Of an error they are in the report of the failure.
        for line in finding["details"]:
            yield f"    {line.replace(f'{folder}{os.sep}', '')}"
