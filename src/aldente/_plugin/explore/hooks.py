"""The hooks of exploration; a plugin of its own, registered when a suite has explored tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from aldente._plugin.explore.failure_cache import Remembered
from aldente._plugin.explore.report import add_to_report, note_in_report
from aldente._plugin.explore.report import register as register_report
from aldente._plugin.explore.state import Outcome, explored_test
from aldente._plugin.options import settings_of

_NAME = "aldente-exploring"


def register(config: pytest.Config) -> None:
    """Register the hooks for explored tests, once."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(ExploringHooks(), _NAME)
        register_report(config)


class ExploringHooks:
    """Checks explored tests before they are set up, and reports their outcome."""

    def __init__(self) -> None:
        # Why no test is run, for workers of pytest-xdist, which show no collection errors.
        self._refusal = ""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if settings_of(session.config).replay is None or not session.items:
            return
        explored = [item for item in session.items if explored_test(item) is not None]
        if len(explored) == 1:
            return
        names = "".join(f"\n  {item.nodeid}" for item in explored[:5])
        refusal = (
            f"--aldente-replay runs one explored test again, but {len(explored)} are selected"
            f"{':' if names else ', as none is marked with aldente.explore.'}{names}\n"
            "Fix: name the test, as in the report of its failure."
        )
        if not hasattr(session.config, "workerinput"):
            raise pytest.UsageError(refusal)
        self._refusal = refusal

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._refusal:
            item.session.shouldfail = "--aldente-replay runs one test only"
            pytest.fail(self._refusal, pytrace=False)
        if explored_test(item) is not None:
            # Imported here, as it imports asyncio.
            from aldente._plugin.explore.refusals import reason_against

            reason = reason_against(item)
            if reason is not None:
                pytest.fail(reason, pytrace=False)

    # Around Hypothesis's own hook, which checks the settings of the test.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        explored = explored_test(item)
        function = getattr(item, "obj", None)
        if explored is None or not hasattr(function, "hypothesis"):
            return (yield)
        from aldente._plugin.explore import hypothesis

        # Two more show whether the example depends on more than its schedule.
        runs = hypothesis.runs_for_example(explored.budget) + 2
        with hypothesis.many_runs_for_each_example(function, runs):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        explored = explored_test(item)
        if explored is None or report.when != "call" or explored.outcome is None:
            return report
        outcome = explored.outcome
        if report.failed:
            add_to_report(item, report, outcome)
        _remember(item, outcome, has_passed=report.passed)
        note_in_report(report, outcome)
        return report


def _remember(item: pytest.Item, outcome: Outcome, *, has_passed: bool) -> None:
    """Keep the schedule of a failure, or remove the one that passes now."""
    if outcome.budget.replay is not None:
        return
    failure = outcome.failure
    if failure is not None and any(failure.schedule.choices):
        Remembered(item).keep(failure.token)
    elif failure is not None or (has_passed and outcome.is_fixed):
        # The stock order is tried first anyway.
        Remembered(item).forget()
