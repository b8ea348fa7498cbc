"""A pytest plugin that writes what becomes of every test to a file, one JSON object a line.

It is loaded with ``-p compat_recorder`` into the runs that are compared. It is alone in its folder,
because that folder stands on the import path of the suites.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

# Named by the environment, as suites may refuse options that they do not know.
FILE_VARIABLE = "COMPAT_RECORDER_FILE"

# A longer message, such as the output of a whole pytest run, helps nobody in a table.
_MESSAGE_LENGTH = 4_000


def pytest_configure(config: pytest.Config) -> None:
    """Start the record, unless this is a pytest that a test runs in a process of its own."""
    name = os.environ.pop(FILE_VARIABLE, None)
    if name is not None:
        config.pluginmanager.register(Recorder(Path(name)), "compat_recorder_file")


class Recorder:
    """Appends to the record as tests go on, so that a run that hangs leaves what it has done.

    Args:
        file: the record.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record modules that cannot be imported, and those that are skipped as a whole."""
        if report.outcome != "passed":
            self._write(report.nodeid, "collect", report.outcome, _message(report))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record that a test starts."""
        self._write(nodeid, "start", "", "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record what became of one phase of a test."""
        outcome: str = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        self._write(report.nodeid, report.when, outcome, _message(report))

    def _write(self, nodeid: str, phase: str, outcome: str, message: str) -> None:
        record = {"nodeid": nodeid, "phase": phase, "outcome": outcome, "message": message}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _message(report: pytest.CollectReport | pytest.TestReport) -> str:
    """What a failed report says, without the traceback or source that it shows."""
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        message: str = crash.message
    else:
        lines = report.longreprtext.splitlines()
        errors = [line.removeprefix("E") for line in lines if line.startswith("E ")]
        message = "\n".join(errors) or report.longreprtext
    return message[-_MESSAGE_LENGTH:]
