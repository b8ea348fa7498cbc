"""The hooks that collect failures and write the page; registered with ``--aldente-html``."""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aldente._diagnosis import finding_text
from aldente._own_errors import contained
from aldente._plugin import output_files
from aldente._plugin.findings import for_machines
from aldente._plugin.options import settings_of
from aldente._plugin.output_files import print_link
from aldente._plugin.page.evidence import Evidence
from aldente._plugin.page.failures import of_report, shown_failure, with_subtest
from aldente._plugin.session import SessionState
from aldente._report.failures import ShownFailure
from aldente._report.findings import Explanation
from aldente._report.page import Content, page_of
from aldente._rules import rule_named
from aldente._settings import DEFAULT_LEVELS
from aldente._version import __version__

# The attribute of a report, and of a worker's output, with what the page shows of it.
_ATTRIBUTE = "aldente_page"

NAME = "aldente-page"

_OPTION = "--aldente-html"

# How a run ends in which nothing keeps a test from running.
_WHOLE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)

# The phase of a failure of a test that has passed.
_OTHER_ORDER = "another order"


def file_of(config: pytest.Config) -> Path:
    """The file of the page: of the command line, or of the configuration file, beside that."""
    given = config.getoption("aldente_html")
    folder = config.rootpath if given is None else config.invocation_params.dir
    return folder / settings_of(config).page


class PageHooks:
    """Collects the failures of a run, and writes the page.

    Args:
        config: pytest's configuration.
        state: the state of the run.

    Raises:
        pytest.UsageError: the file can't be written.

    Attributes:
        path: the file.
    """

    def __init__(self, config: pytest.Config, state: SessionState) -> None:
        self._config = config
        self._state = state
        self._is_worker = hasattr(config, "workerinput")
        self._failures: list[ShownFailure] = []
        self._tests: set[str] = set()
        self._evidence = state.evidence = Evidence(config.rootpath)
        state.installed.enter_context(self._evidence.installed())
        self.path = file_of(config)
        if not self._is_worker:
            output_files.reject_unwritable(_OPTION, self.path)

    # A plugin may run a test again, without a new start in the log.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._evidence.begin(item.nodeid)

    def pytest_runtest_logfinish(self) -> None:
        self._evidence.begin()

    # Outside of those that add to the report.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            with contained("collecting a failure for the page"):
                # As text: reports go from worker to worker, and so can't have each value or
                # character that a test can.
                vars(report)[_ATTRIBUTE] = json.dumps(shown_failure(item, call, report))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._tests.add(report.nodeid)
        # A worker's is sent on. Plugins that write down all of a report must not find it.
        known = None if self._is_worker else vars(report).pop(_ATTRIBUTE, None)
        if report.failed and not self._is_worker:
            # A finding of a test that had ended has a report that was made elsewhere.
            shown: ShownFailure = of_report(report) if known is None else json.loads(known)
            self._failures.append(with_subtest(shown, report))

    def add_in_another_order(self, shown: ShownFailure) -> None:
        """Add the failed run of a test that passes in asyncio's own order."""
        self._failures.append(shown)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # Missing if the worker crashed.
        self._failures += json.loads(getattr(node, "workeroutput", {}).get(_ATTRIBUTE, "[]"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failures.append(of_report(report))

    # Around all others: the findings are known when these have ended.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        if self._is_worker:
            # Now, as it is sent by one of those. Failed tests are in their reports.
            others = [shown for shown in self._failures if shown["phase"] == _OTHER_ORDER]
            self._config.workeroutput[_ATTRIBUTE] = json.dumps(others)  # type: ignore[attr-defined]
            return (yield)
        # Before files that can't be written change the exit status.
        is_whole = session.exitstatus in _WHOLE and not (session.shouldfail or session.shouldstop)
        try:
            return (yield)
        finally:
            # Also if another plugin fails at the end of the run.
            if not self._config.option.collectonly:
                self._write(session, is_whole=is_whole)

    def _write(self, session: pytest.Session, *, is_whole: bool) -> None:
        title = self._title() if is_whole else f"{self._title()}; the run ended early"
        if output_files.write(session, _OPTION, self.path, page_of(self._content(title))):
            print_link(self._config, self.path)

    def _content(self, title: str) -> Content:
        version = ".".join(map(str, sys.version_info[:3]))
        return Content(
            title,
            f"{self._config.rootpath.name}, Python {version} on {platform.system()}, "
            f"aldente {__version__}, pytest {pytest.__version__}",
            self._config.rootpath,
            self._failures,
            self._causes(),
            self._explain,
        )

    def _title(self) -> str:
        total = len(self._tests)
        tests = f"{total:,} test{'s' * (total != 1)}"
        phases = Counter(shown["phase"] for shown in self._failures)
        besides = {"collect", _OTHER_ORDER}
        failed = {shown["test"] for shown in self._failures if shown["phase"] not in besides}
        title = f"{len(failed):,} of {tests} failed" if failed else f"None of {tests} failed"
        others, broken = phases[_OTHER_ORDER], phases["collect"]
        if others:
            title += f", {others:,} in another order"
        if broken:
            title += f", and {broken:,} error{'s' * (broken != 1)} in collection"
        return title

    def _causes(self) -> list[Sequence[Any]]:
        if not self._state.has_summary:
            return []
        rank = list(DEFAULT_LEVELS)

        def order(same: Sequence[Any]) -> tuple[bool, int]:
            return all(each["level"] != "error" for each in same), rank.index(same[0]["rule"])

        return sorted(for_machines.by_cause(self._state.summary.found), key=order)

    def _explain(self, name: str) -> Explanation:
        rule = rule_named(name)
        text = finding_text.explain(rule, self._state.collector.levels[name])
        return Explanation(rule.why, text, finding_text.address_of(name))
