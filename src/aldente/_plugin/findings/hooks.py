"""The hooks that connect the rules to the phases of every test.

A plugin object of its own, with its state in attributes: pytest calls the hooks for every test of
every suite, and usually they have nothing to do.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest

from aldente._own_errors import OwnError, contained, listeners
from aldente._plugin import options, pytest_compat
from aldente._plugin.collection import ASYNC_CALLS
from aldente._plugin.session import SessionState, begin_session
from aldente._python_compat import is_worker
from aldente._records import receivers
from aldente._rules import leaked_thread
from aldente._runner.bystanders import Bystanders
from aldente._stacks import frames_of_threads, with_callers

NAME = "aldente-findings"


class FindingsHooks:
    """Collects findings while tests run, and reports them.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._state = begin_session(config)
        # The process's exit status, if the process ends with this run.
        self._exit_status: int | None = None
        self._session: pytest.Session | None = None
        # Closed last: it collects errors in the rest of the clean-up.
        self._listening = contextlib.ExitStack()
        self._own_errors = OwnErrors(config, lambda: self._state.current_item)
        self._threads = leaked_thread.ThreadWatch(
            self._state.collector.report,
            lambda: self._state.current_test,
            _is_in_wide_fixture,
            self._state.at_thread_start,
        )
        if options.wants_files(config):
            # Now, as a file that can't be read ends the run.
            self._state.summary  # noqa: B018

    def pytest_report_header(self) -> str | None:
        if self._state.never_awaited is None or self._state.never_awaited.knows_makers:
            return None
        return (
            "aldente: the garbage collector of this Python does not show which test made a "
            "coroutine: never-awaited fails the run, but no test"
        )

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        self._state.bystanders = _threads_of_tools(session.config)
        receivers.append(self._state.collector.report)
        self._state.installed.callback(receivers.remove, self._state.collector.report)
        self._listening.enter_context(self._own_errors.installed())
        if self._state.never_awaited is not None:
            self._state.installed.enter_context(self._state.never_awaited.installed())
        if self._config.getoption("aldente_trace") is not None:
            from aldente._plugin import tracing

            tracing.register(self._config, self._state)
        if options.settings_of(self._config).page:
            from aldente._plugin.page import hooks as page

            hooks = page.PageHooks(self._config, self._state)
            self._config.pluginmanager.register(hooks, page.NAME)
        # At any level of the rule: the process must not wait for threads.
        self._state.installed.enter_context(self._threads.installed())
        self._state.at_tear_down.append(self._end_threads)
        self._state.leave_thread = self._threads.leave
        self._state.at_session_end.append(self._threads.end_session)
        self._config.add_cleanup(self._let_threads_go)
        if self._config.pluginmanager.has_plugin("dsession"):
            # pytest-xdist's controller, which runs no test itself.
            of_workers = _OfWorkers(self._config, self._state)
            self._config.pluginmanager.register(of_workers, f"{NAME}-of-workers")
            from aldente._plugin.explore import summary

            summary.register(self._config)
            if options.settings_of(self._config).explore is not None:
                from aldente._plugin.suite.hooks import register_summary

                register_summary(self._config)

    def pytest_collection_finish(self) -> None:
        is_watched = self._config.pluginmanager.has_plugin(ASYNC_CALLS)
        if not is_watched and "asyncio" in sys.modules:
            # Sync tests run loops too, by themselves or through unittest.
            from aldente._plugin.first_loop import watch_from_first_loop

            watch_from_first_loop(self._config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        state = self._state
        state.current_item = item
        state.is_torn_down = False
        state.marks_before = tuple(item.own_markers)
        if state.never_awaited is not None:
            with contained("recording which test makes coroutines"):
                state.never_awaited.begin(item.nodeid)

    # Before pytest's own, which makes the report.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        caught = pytest_compat.failures_of_unittest(item)
        if caught:
            call.excinfo = caught[0]
        self._state.has_failed = call.excinfo is not None
        self._state.is_torn_down = call.when == "teardown"
        if call.when == "setup":
            # Maybe once more: plugins run tests again that have failed.
            self._state.collector.begin(item.nodeid)
            if self._state.has_summary:
                self._state.summary.baseline.begin(item.nodeid)
        if self._state.at_tear_down and call.when == "teardown":
            for act in self._state.at_tear_down:
                with contained("looking at what a test left behind"):
                    act()
        if not self._state.collector.found and (
            call.excinfo is None or isinstance(call.excinfo.value, pytest.skip.Exception)
        ):
            return None
        from aldente._plugin.findings import phase

        report = phase.report_phase(self._state, item, call)
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
        never_awaited = self._state.never_awaited
        is_waiting = never_awaited is not None and never_awaited.has_waiting()
        if is_waiting or _are_tasks_left():
            # Once a run, and only when there is something to find.
            gc.collect()
        for act in self._state.at_session_end:
            with contained("looking at what the tests left behind"):
                act()
        late = self._state.collector.take_late(session)
        if late or self._state.has_summary or options.wants_files(self._config):
            self._state.summary.finish(session, late)
        with contained("removing the hooks that watch tests"):
            self._state.installed.close()
        self._listening.close()
        self._own_errors.warn()

    def _end_threads(self) -> None:
        if self._state.current_item is not None:
            self._threads.end_test(self._state.current_item.nodeid)

    def _let_threads_go(self) -> None:
        """Let the process, which is about to end, not wait for threads that tests left."""
        lines = self._threads.let_go(self._exit_status)
        if lines and self._config.pluginmanager.has_plugin("terminalreporter"):
            inside = f"{self._config.rootpath}{os.sep}"
            writer = self._config.get_terminal_writer()
            writer.line("aldente: the process does not wait for threads that tests left running:")
            for line in lines:
                writer.line(f"  {line.replace(inside, '')}")

    def pytest_keyboard_interrupt(self) -> None:
        if self._state.interrupted_in is not None:
            from aldente._plugin.run.messages import print_message

            with contained("printing what tasks were waiting for at Ctrl-C"):
                text = f"aldente: at Ctrl-C:\n{self._state.interrupted_in}"
                print_message(self._config, text)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._state.has_summary:
            self._state.summary.print(terminalreporter)


class OwnErrors:
    """Collects the errors in aldente's own code during a run.

    Args:
        config: pytest's configuration.
        current_item: returns the test that began last, or None.
    """

    def __init__(
        self, config: pytest.Config, current_item: Callable[[], pytest.Item | None]
    ) -> None:
        self._config = config
        self._current_item = current_item
        # By activity and type of error: the first of each, and their number.
        self._reported: dict[tuple[str, str], _ReportedError] = {}

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, collect errors."""
        listeners.append(self._take)
        try:
            yield
        finally:
            listeners.remove(self._take)

    def _take(self, error: OwnError) -> None:
        kind = (error.doing, error.summary.partition(":")[0])
        reported = self._reported.get(kind)
        if reported is None:
            item = self._current_item()
            reported = self._reported[kind] = _ReportedError(
                error, item.nodeid if item is not None else ""
            )
        reported.count += 1

    def warn(self) -> None:
        """Have pytest show one warning for each kind of error.

        Not by `warnings.warn`, which raises where warnings are errors.
        """
        for reported in self._reported.values():
            message = warnings.WarningMessage(
                pytest.PytestWarning(reported.describe()),
                pytest.PytestWarning,
                reported.first.path,
                reported.first.line,
                # The traceback shows the line already.
                line="",
            )
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": message,
                    "when": "config",
                    "nodeid": "",
                    "location": None,
                }
            )
        self._reported.clear()


class _ReportedError:
    """The first error of a kind, and their number."""

    def __init__(self, first: OwnError, test: str) -> None:
        self.first = first
        self._test = test
        self.count = 0

    def describe(self) -> str:
        where = f"in or after {self._test}" if self._test else "before the first test"
        more = f", and {self.count - 1} more like it" if self.count > 1 else ""
        return (
            f"aldente: an error in aldente itself, {where}, while {self.first.doing}{more}.\n"
            "It has changed no test's outcome, but aldente may have missed what it was looking "
            "for. Please report it with this traceback:\n\n"
            f"{self.first.traceback}"
        )


class _OfWorkers:
    """Receives the findings and messages of pytest-xdist's workers."""

    def __init__(self, config: pytest.Config, state: SessionState) -> None:
        self._config = config
        self._state = state

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        from aldente._plugin.run.messages import receive_messages

        with contained("listening to a worker"):
            receive_messages(self._config, node)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        findings: list[dict[str, Any]] | None = getattr(report, "aldente_findings", None)
        if findings:
            self._state.summary.add(findings)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # Missing if the worker crashed.
        output = getattr(node, "workeroutput", {})
        findings = output.get("aldente_findings")
        if findings:
            self._state.summary.add(findings)
        passed_over = output.get("aldente_passed_over")
        if passed_over:
            self._state.summary.baseline.pass_over(passed_over)


def _threads_of_tools(config: pytest.Config) -> Bystanders:
    """The threads that run code of a pytest plugin or of a debugger, and wake no test.

    pytest-xdist and pytest-rerunfailures have some, for example. Other threads may wake a test,
    such as a scheduler or the threads of an executor that a conftest started.
    """
    plugins = {
        plugin.__name__
        for plugin, _ in config.pluginmanager.list_plugin_distinfo()
        if isinstance(plugin, ModuleType)
    }

    def is_tools(frame: FrameType) -> bool:
        module = str(frame.f_globals.get("__name__", ""))
        # By name, to include plugins of an outer run in the same process.
        return module in plugins or module.startswith("pytest_") or module.split(".")[0] in _TOOLS

    here = threading.get_ident()
    return Bystanders(
        thread
        for thread, frame in frames_of_threads().items()
        if thread != here
        and any(map(is_tools, frames := with_callers(frame)))
        and not any(is_worker(each.f_code) for each in frames)
    )


# Packages with threads of their own, besides the modules that pytest knows as plugins.
_TOOLS = frozenset({"debugpy", "execnet", "pydevd", "_pydevd_bundle", "xdist"})


def _is_program(config: pytest.Config) -> bool:
    """Whether the process ends with a run, and with its status.

    It does not if a test started the run.
    """
    if hasattr(config, "workerinput"):
        # A worker of pytest-xdist, whose status is not used.
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
    """Whether asyncio tasks are alive; a failed one is reported when it is freed."""
    # Without importing it, which is left to the first test that needs asyncio.
    compat: Any = sys.modules.get("aldente._asyncio_compat")
    return compat is not None and compat.may_have_tasks(None)
