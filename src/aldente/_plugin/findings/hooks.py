"""The hooks that join the rules to the phases of every test.

A plugin object of its own, with what it needs at hand: its hooks are called for every test of every
suite, and nearly always find that there is nothing to do.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from aldente._own_errors import contained
from aldente._plugin import options, pytest_compat, rule_options
from aldente._plugin.findings.collector import Collector
from aldente._plugin.findings.own_errors import OwnErrors
from aldente._plugin.marks import rules_raised_by_marks
from aldente._python_compat import is_worker
from aldente._records import receivers
from aldente._rules import leaked_thread
from aldente._rules.never_awaited import Watch
from aldente._runner.bystanders import Bystanders
from aldente._stacks import frames_of_threads, with_callers

if TYPE_CHECKING:
    from aldente._plugin.findings.summary import Summary

NAME = "aldente-findings"


class FindingsHooks:
    """Collects findings while tests run, and has them told.

    Args:
        config: pytest's configuration.

    Attributes:
        collector: takes the findings.
        never_awaited: sees coroutines that are dropped; None when that rule is off.
        at_tear_down: what is called when a test has been torn down, before it is charged.
        at_session_end: what is called after the last test, before late findings are taken.
        at_thread_start: what is called with each thread before it is started.
        current_item: the test that has begun last.
        marks_before: the marks of its own that it had then.
        bystanders: identifiers of threads of pytest's plugins and of debuggers, which wake no test.
        marked_in_vain: what to warn of with tests, given by node id, whose marks do nothing.
        has_failed: whether the last phase of a test that was run has failed.
        interrupted_in: what the tasks of a loop were waiting for when Ctrl-C was pressed, in words.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._installed = contextlib.ExitStack()
        # Closed last: it hears of errors in what the other undoes.
        self._listening = contextlib.ExitStack()
        self._summary: Summary | None = None
        # That of the process, if it ends with this run.
        self._exit_status: int | None = None
        self._session: pytest.Session | None = None
        self.at_tear_down: list[Callable[[], None]] = []
        self.at_session_end: list[Callable[[], None]] = []
        self.at_thread_start: list[Callable[[threading.Thread], None]] = []
        self.has_failed = False
        self.interrupted_in: str | None = None
        self.marked_in_vain: dict[str, str] = {}
        self.current_item: pytest.Item | None = None
        self.marks_before: Collection[pytest.Mark] = ()
        self.bystanders: Collection[int] = ()
        settings = options.settings_of(config)
        self.collector = Collector(settings.levels, settings.set_rules)
        self._own_errors = OwnErrors(self._config, lambda: self.current_item)
        self.never_awaited: Watch | None = None
        if self.collector.levels["never-awaited"] != "off":
            self.never_awaited = Watch(self.collector.report)
        self._threads = leaked_thread.Watch(
            self.collector.report,
            self._current_test,
            _is_in_wide_fixture,
            self.at_thread_start,
        )
        if rule_options.wants_files(config):
            # Now, as a file that can't be read ends the run.
            self.summary  # noqa: B018

    @property
    def summary(self) -> Summary:
        """What the whole run has found."""
        if self._summary is None:
            from aldente._plugin.findings.summary import Summary

            self._summary = Summary(self._config)
        return self._summary

    def pytest_report_header(self) -> str | None:
        if self.never_awaited is None or self.never_awaited.knows_makers:
            return None
        return (
            "aldente: the garbage collector of this Python does not tell which test has made a "
            "coroutine: never-awaited fails the run, but no test"
        )

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        self.bystanders = _threads_of_tools(session.config)
        receivers.append(self.collector.report)
        self._installed.callback(receivers.remove, self.collector.report)
        self._listening.enter_context(self._own_errors.installed())
        if self.never_awaited is not None:
            self._installed.enter_context(self.never_awaited.installed())
        # Whatever the level: the process is to end all the same.
        self._installed.enter_context(self._threads.installed())
        self.at_tear_down.append(self._end_threads)
        self.at_session_end.append(self._threads.end_session)
        self._config.add_cleanup(self._let_threads_go)
        if self._config.pluginmanager.has_plugin("dsession"):
            # pytest-xdist's controller, which runs no test itself.
            self._config.pluginmanager.register(_FindingsOfWorkers(self), f"{NAME}-of-workers")
            from aldente._plugin.explore import report

            report.register(self._config)

    def pytest_collection_finish(self) -> None:
        if "asyncio" in sys.modules:
            # Sync tests run loops too, by themselves or through unittest.
            from aldente._plugin.first_loop import watch_from_first_loop

            watch_from_first_loop(self._config)

    def watch_also(self, tests: Sequence[pytest.Item]) -> None:
        """Watch the rules too that are off but for tests with a mark."""
        rules = rules_raised_by_marks(tests)
        self.collector.watched |= rules
        if "never-awaited" in rules and self.never_awaited is None:
            self.never_awaited = Watch(self.collector.report)
            self._installed.enter_context(self.never_awaited.installed())

    # Inside the hook of pytest that records the warnings of a test.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.current_item = item
        self.marks_before = tuple(item.own_markers)
        if self.never_awaited is not None:
            with contained("noting which test makes coroutines"):
                self.never_awaited.begin(item.nodeid)
        if self.marked_in_vain and item.nodeid in self.marked_in_vain:
            item.warn(pytest.PytestWarning(self.marked_in_vain[item.nodeid]))

    # Ahead of pytest's own, which makes a report of what it is given.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        caught = pytest_compat.failures_of_unittest(item)
        if caught:
            call.excinfo = caught[0]
        self.has_failed = call.excinfo is not None
        if call.when == "setup":
            # Maybe once more: plugins run tests again that have failed.
            self.collector.begin(item.nodeid)
            if self._summary is not None:
                self._summary.baseline.begin(item.nodeid)
        if self.at_tear_down and call.when == "teardown":
            for act in self.at_tear_down:
                with contained("looking at what a test has left"):
                    act()
        if not self.collector.found and (
            call.excinfo is None or isinstance(call.excinfo.value, pytest.skip.Exception)
        ):
            return None
        from aldente._plugin.findings import phase

        report = phase.report_phase(self, item, call)
        if report is not None and caught:
            # Else it is left to pytest, which takes it for this phase.
            del caught[0]
        return report

    def pytest_unconfigure(self) -> None:
        session = self._session
        if session is not None and _is_program(self._config):
            self._exit_status = int(session.exitstatus)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        is_waiting = self.never_awaited is not None and self.never_awaited.has_waiting()
        if is_waiting or _are_tasks_left():
            # Once a run, and only when there is something to find.
            gc.collect()
        for act in self.at_session_end:
            with contained("looking at what the tests have left"):
                act()
        late = self.collector.take_late(session)
        if late or self._summary is not None or rule_options.wants_files(self._config):
            self.summary.finish(session, late)
        with contained("undoing what has watched the tests"):
            self._installed.close()
        self._listening.close()
        self._own_errors.warn()

    def _current_test(self) -> str | None:
        return None if self.current_item is None else self.current_item.nodeid

    def _end_threads(self) -> None:
        if self.current_item is not None:
            self._threads.end_test(self.current_item.nodeid)

    def _let_threads_go(self) -> None:
        """The process is about to end: it does not wait for threads that tests have left."""
        lines = self._threads.let_go(self._exit_status)
        if lines and self._config.pluginmanager.has_plugin("terminalreporter"):
            inside = f"{self._config.rootpath}{os.sep}"
            writer = self._config.get_terminal_writer()
            writer.line("aldente: threads that tests have left running are not waited for:")
            for line in lines:
                writer.line(f"  {line.replace(inside, '')}")

    def pytest_keyboard_interrupt(self) -> None:
        if self.interrupted_in is not None:
            writer = self._config.get_terminal_writer()
            writer.line(f"\naldente: when Ctrl-C was pressed:\n{self.interrupted_in}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._summary is not None:
            self._summary.print(terminalreporter)


class _FindingsOfWorkers:
    """Takes what the workers of pytest-xdist have found."""

    def __init__(self, hooks: FindingsHooks) -> None:
        self._hooks = hooks

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        findings: list[dict[str, Any]] | None = getattr(report, "aldente_findings", None)
        if findings:
            self._hooks.summary.add(findings)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # Not there when the worker has crashed.
        output = getattr(node, "workeroutput", {})
        findings = output.get("aldente_findings")
        if findings:
            self._hooks.summary.add(findings)
        passed_over = output.get("aldente_passed_over")
        if passed_over:
            self._hooks.summary.baseline.pass_over(passed_over)


def _threads_of_tools(config: pytest.Config) -> Bystanders:
    """The threads that run code of a plugin of pytest's, or of a debugger, and wake no test.

    pytest-xdist and pytest-rerunfailures have some, for example. Others may wake one, such as a
    scheduler or the threads of an executor, which a conftest has started.
    """
    plugins = {
        plugin.__name__
        for plugin, _ in config.pluginmanager.list_plugin_distinfo()
        if isinstance(plugin, ModuleType)
    }

    def is_tools(frame: FrameType) -> bool:
        module = str(frame.f_globals.get("__name__", ""))
        # By their names also those of a run around this one, in the same process.
        return module in plugins or module.startswith("pytest_") or module.split(".")[0] in _TOOLS

    here = threading.get_ident()
    return Bystanders(
        thread
        for thread, frame in frames_of_threads().items()
        if thread != here
        and any(map(is_tools, frames := with_callers(frame)))
        and not any(is_worker(each.f_code) for each in frames)
    )


# Packages that have threads of their own, beside the modules that pytest knows as plugins.
_TOOLS = frozenset({"debugpy", "execnet", "pydevd", "_pydevd_bundle", "xdist"})


def _is_program(config: pytest.Config) -> bool:
    """Whether the process ends with a run, and with its status.

    It does not with a run that a test has started.
    """
    if hasattr(config, "workerinput"):
        # A worker of pytest-xdist, whose status nobody looks at.
        return True
    if (
        threading.current_thread() is not threading.main_thread()
        or pytest_compat.is_inside_another_run()
    ):
        return False
    main = sys.modules["__main__"]
    started = getattr(getattr(main, "__spec__", None), "name", None)
    name = os.path.basename(getattr(main, "__file__", None) or "")
    return started == "pytest.__main__" or name in ("pytest", "py.test")


def _is_in_wide_fixture(frame: FrameType | None) -> bool:
    fixturedef = pytest_compat.fixture_around(frame)
    return fixturedef is not None and fixturedef.scope != "function"


def _are_tasks_left() -> bool:
    """Whether tasks of asyncio are alive; one that has failed is told of when it is freed."""
    # Not imported here, as that is left to the first test that needs asyncio.
    compat: Any = sys.modules.get("aldente._asyncio_compat")
    return compat is not None and compat.may_have_tasks(None)


def hooks_of(config: pytest.Config) -> FindingsHooks:
    """The hooks of a run."""
    hooks = config.pluginmanager.get_plugin(NAME)
    assert isinstance(hooks, FindingsHooks)
    return hooks
