"""The hooks of exploration, and the messages for tests that can't be explored.

A plugin of its own, registered when a suite has explored tests.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import pytest

from aldente._plugin import pytest_compat
from aldente._plugin.explore.failure_cache import Remembered
from aldente._plugin.explore.report import add_to_report, note_in_report
from aldente._plugin.explore.state import Outcome, explored_test
from aldente._plugin.explore.summary import register as register_summary
from aldente._plugin.loop_factories import maker_of_other_loop
from aldente._plugin.loop_scopes import home_of_test, wide_async_fixtures
from aldente._plugin.marks import MARK
from aldente._plugin.options import settings_of
from aldente._plugin.pytest_asyncio import loop_fixtures
from aldente._plugin.test_time import reason_against_wall, time_of_runs
from aldente._records import LoopScope

_NAME = "aldente-exploring"


def register(config: pytest.Config) -> None:
    """Register the hooks for explored tests, once."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(ExploringHooks(), _NAME)
        register_summary(config)


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
            f"{':' if names else '. Of several tests it takes only one that is marked.'}{names}\n"
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
        explored = explored_test(item)
        if explored is not None and explored.is_marked:
            reason = _reason_against(item)
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

        # One more shows whether the example depends on more than its schedule; one is to spare.
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
        remember(item, outcome, has_passed=report.passed)
        note_in_report(item, report, outcome)
        return report


def remember(item: pytest.Item, outcome: Outcome, *, has_passed: bool) -> None:
    """Keep the schedule of a failure, or remove the one that passes now."""
    if outcome.budget.replay is not None:
        return
    failure = outcome.failure
    if failure is not None and any(failure.schedule.choices):
        Remembered(item).keep(failure.token, outcome.kind)
    elif failure is not None or (has_passed and outcome.is_fixed):
        # The stock order is tried first anyway.
        Remembered(item).forget()


class _MeantForOneRun(NamedTuple):
    """A fixture of another plugin that assumes that a test runs once, and the fix."""

    fixture: str
    reason: str
    fix: str


_SUBTESTS = _MeantForOneRun(
    "subtests",
    "reports failures itself, once for every run, instead of making the run fail.",
    "assert in the test itself, or parametrize it.",
)

# By the module that defines them.
_MEANT_FOR_ONE_RUN = {
    "_pytest.subtests": _SUBTESTS,
    "pytest_subtests.plugin": _SUBTESTS,
    "pytest_benchmark.plugin": _MeantForOneRun(
        "benchmark",
        "measures how long one run takes.",
        "measure in a separate test.",
    ),
}


def meant_for_one_run(definition: pytest.FixtureDef[object]) -> _MeantForOneRun | None:
    """Why a fixture of another plugin assumes that a test runs once; None if it does not."""
    why = _MEANT_FOR_ONE_RUN.get(getattr(definition.func, "__module__", ""))
    return why if why is not None and definition.argname == why.fixture else None


def _reason_against(item: pytest.Item) -> str | None:
    """Why a test can't be explored, and how to fix it; None if it can."""
    wide = wide_async_fixtures(item)
    if wide:
        return _refusal(
            item,
            f"the async fixture{'s' * (len(wide) > 1)} {', '.join(wide)} outlive"
            f"{'s' * (len(wide) == 1)} the test, and every run has an event loop of its own.",
            "make it function-scoped, so that each run sets it up again; or move the code that "
            "uses it to a separate test.",
        )
    for definition in pytest_compat.closure(item):
        why = meant_for_one_run(definition)
        if why is not None:
            return _refusal(item, f"the fixture {why.fixture!r} {why.reason}", why.fix)
    named = maker_of_other_loop(item)
    if named is not None:
        return _refusal(
            item,
            f"its event loop is made by {named}, which can't follow schedules.",
            "run it on asyncio's own loop, or remove the mark.",
        )
    if loop_fixtures.is_overridden(item):
        return _refusal(
            item,
            "the fixture event_loop_policy decides how its event loop is made.",
            "use that fixture in other tests only, or remove the mark.",
        )
    home = home_of_test(item, {})
    if home.scope is not LoopScope.FUNCTION:
        return _refusal(
            item,
            f"it runs on a loop of {home.scope.value} scope, because of its mark or the "
            "configuration, and every run has an event loop of its own.",
            "mark it with @pytest.mark.asyncio(loop_scope='function'), or remove the mark "
            "aldente.explore.",
        )
    if any(mark.name == MARK and mark.kwargs.get("clock") == "real" for mark in item.own_markers):
        return _refusal(
            item,
            "it is also marked with aldente.real_time, and simulated runs use virtual time.",
            "remove one of the two marks.",
        )
    return reason_against_wall(time_of_runs(item))


def _refusal(item: pytest.Item, reason: str, fix: str) -> str:
    return f"{item.name!r} can't be explored: {reason}\nFix: {fix}"
