"""Runs a test that has passed under many schedules, as if it were marked with `aldente.explore`.

It runs when the test's own fixtures are torn down and what is wider than the test is still set up.
At any other moment two sets of its fixtures would be alive at once, and collide on things that
exist only once, such as a file or a patched attribute; or wide fixtures would be set up a second
time. pytest gets no report of it: the test's outcome, output, logs and warnings are those of its
own run.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from aldente._explore.explorer import Explorer, FoundFailure
from aldente._explore.result import Failure
from aldente._explore.shrink import kind_of
from aldente._own_errors import contained
from aldente._plugin import ownership, pytest_compat, runtime_compat
from aldente._plugin.explore.hooks import remember
from aldente._plugin.explore.report import command
from aldente._plugin.explore.state import (
    Budget,
    ExploredTest,
    explored_test,
    forget_explored,
    make_explored,
)
from aldente._plugin.options import settings_of
from aldente._plugin.session import SessionState, state_of
from aldente._plugin.suite.reasons import INEXACT, Reason, reason_after
from aldente._records import Finding, LoopScope, SourcePlace
from aldente._rules import schedule_dependent
from aldente._settings import Settings
from aldente._system import monotonic
from aldente.errors import (
    AldenteError,
    EndlessTimeError,
    FoundInRun,
    LivelockError,
    OutsideSimulation,
    PhaseTimeout,
    ReplayMismatch,
)

if TYPE_CHECKING:
    from aldente._plugin.explore.state import Outcome


# How long the analysis of a failure may take, in real seconds, besides the time for finding it.
_SECONDS_OF_ANALYSIS = 3.0

# What a run ends with that says nothing about the order of tasks.
_NOT_ABOUT_ORDER = (
    EndlessTimeError,
    LivelockError,
    OutsideSimulation,
    PhaseTimeout,
    ReplayMismatch,
)


class UnmarkedTest(ExploredTest):
    """The state of a test without a mark while it is explored.

    Args:
        item: the test.
        max_seconds: the time limit for all its runs, in real seconds; None for no limit.
        is_alone: whether no other test is explored, so that the user looks for what breaks this.

    Attributes:
        error: what it fails with in asyncio's own order; None if it does not.
    """

    is_marked = False

    def __init__(
        self, item: pytest.Item, max_seconds: float | None, *, is_alone: bool = False
    ) -> None:
        settings = settings_of(item.config)
        budget = Budget(
            runs=settings.forced_runs or settings.explore or settings.runs,
            strategy="auto",
            seed=settings.forced_seed or 0,
            max_seconds=max_seconds,
            # In a whole suite sleeps take as long as they say: tests rely on which of two is the
            # longer one, and that is a fault of few of them.
            rules={"slack": 1.0 if is_alone else 0.0},
            replay=settings.replay,
        )
        super().__init__(budget, made_anew(item))
        self.error: BaseException | None = None

    def conclude(self, explorer: Explorer, found: FoundFailure) -> Failure | None:
        """Like the base class's; None if the test, which has passed, fails in stock order."""
        if not any(found.run.choices) or isinstance(found.error, _NOT_ABOUT_ORDER):
            self.error = found.error
            return None
        if explorer.end is not None:
            explorer.end = max(explorer.end, monotonic() + _SECONDS_OF_ANALYSIS)
        return explorer.conclude(found)


def explore_if_alone(tests: Sequence[pytest.Item]) -> None:
    """Explore the only async test under the schedule to run again, if none is marked."""
    if any(explored_test(test) is not None for test in tests):
        return
    own = [test for test in tests if ownership.is_own_async_test(test)]
    if len(own) == 1:
        make_explored(own[0], UnmarkedTest(own[0], None))


def seconds_for(item: pytest.Item) -> float:
    """How long the runs of a test may take, in real seconds."""
    settings = settings_of(item.config)
    runs = settings.forced_runs or settings.explore or settings.runs
    return settings.explore_test_seconds * max(1.0, runs / Settings().runs)


class Result:
    """The result of exploring a test.

    Args:
        runs: how many runs there were.
        is_exhausted: whether there are no other schedules.
        is_late: whether the time was over before all runs.
        finding: what was found; None for nothing.
        reason: why the test was left alone; None if it was not.
    """

    def __init__(
        self,
        runs: int = 0,
        *,
        is_exhausted: bool = False,
        is_late: bool = False,
        finding: Finding | None = None,
        reason: Reason | None = None,
    ) -> None:
        self.runs = runs
        self.is_exhausted = is_exhausted
        self.is_late = is_late
        self.finding = finding
        self.reason = reason


def explore(item: pytest.Function, explored: UnmarkedTest, stash: dict[Any, Any]) -> Result:
    """Run a test under many schedules.

    Args:
        item: the test, which is torn down.
        explored: its state.
        stash: what the stash of the test held before it was torn down.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C.
        pytest.exit.Exception: the test ends the whole run.
    """
    make_explored(item, explored)
    try:
        with _unnoticed(item):
            result = _explore(item, explored, stash)
            if result.finding is not None or result.reason is not None:
                # What runs that were cut off have left is reported when it is freed: now.
                explored.error = explored.outcome = None
                gc.collect()
            return result
    finally:
        forget_explored(item)


def _explore(item: pytest.Function, explored: UnmarkedTest, stash: dict[Any, Any]) -> Result:
    raised: BaseException | None = None
    try:
        with runtime_compat.set_up_again(item, explored.anew, stash):
            item.runtest()
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:
        raised = error
    outcome = explored.outcome
    if outcome is not None:
        remember(item, outcome, has_passed=outcome.failure is None and explored.error is None)
    failure = None if outcome is None else outcome.failure
    in_order = explored.error or (raised if failure is None else None)
    if in_order is not None:
        return Result(reason=reason_after(in_order))
    assert outcome is not None
    if failure is not None:
        return _result_of(item, outcome, failure)
    exploration = outcome.exploration
    return Result(
        outcome.runs,
        is_exhausted=exploration is not None and exploration.exhausted and not exploration.escaped,
        is_late=exploration is not None and exploration.is_late,
    )


def _result_of(item: pytest.Function, outcome: Outcome, failure: Failure) -> Result:
    """The result of a test that fails in some order."""
    if not any(failure.schedule.choices):
        # After shrinking.
        return Result(reason=reason_after(failure.exception))
    shrinking = failure.shrinking
    is_unrepeatable = shrinking is not None and shrinking.outcome == "unrepeatable"
    if failure.inexact or is_unrepeatable:
        return Result(reason=Reason(INEXACT, failure.inexact))
    folder = item.config.rootpath
    story = failure.story(folder, is_whole=item.config.get_verbosity() > 0)
    lines = [line for paragraph in story for line in paragraph.splitlines()]
    lines += [f"Found in the same run: {text}" for text in failure.findings]
    lines += failure.remarks()
    lines.append(f"Run it again: {command(item, failure.token)}")
    finding = schedule_dependent.found(
        failure.exception, _place(item, failure.exception), lines, item.function
    )
    page: Any = item.config.pluginmanager.get_plugin("aldente-page")
    if page is not None:
        from aldente._plugin.page.failures import in_another_order

        page.add_in_another_order(in_another_order(item, outcome, failure))
    return Result(outcome.runs, finding=finding._replace(token=failure.token))


def _place(item: pytest.Function, error: BaseException) -> SourcePlace:
    """Where a test fails; the line of the test itself if it fails nowhere, as in a deadlock."""
    if isinstance(error, BaseExceptionGroup):
        return _place(item, error.exceptions[0])
    if isinstance(error, FoundInRun):
        places: list[SourcePlace] = [
            finding.place for finding in error.findings if finding.place is not None
        ]
        if places:
            return places[0]
    elif not isinstance(error, AldenteError):
        place = kind_of(error)[-1]
        if place is not None:
            return SourcePlace(*place)
    return _line_of(item)


def _line_of(item: pytest.Item) -> SourcePlace:
    path, line, _ = item.reportinfo()
    return SourcePlace(str(path), (line or 0) + 1)


@contextlib.contextmanager
def _unnoticed(item: pytest.Item) -> Iterator[None]:
    """While entered, what a test writes, logs, warns of and is found to do is dropped."""
    session, config = state_of(item.config), item.config
    collector, has_failed = session.collector, session.has_failed
    # What the test's own run has left counts; what these runs leave does not. So what is only freed
    # by the garbage collector is freed now, and not during these runs.
    gc.collect()
    _look_at_leftovers(session)
    threads = set(threading.enumerate())
    found = len(collector.found)
    written = runtime_compat.take_output(config)
    phase = os.environ.get("PYTEST_CURRENT_TEST")
    os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)"
    properties = list(item.user_properties)
    try:
        with _writing_nothing(config), warnings.catch_warnings():
            warnings.showwarning = _show_nothing
            yield
    finally:
        runtime_compat.take_output(config)
        for text, stream in zip(written, (sys.stdout, sys.stderr), strict=True):
            stream.write(text)
        runtime_compat.forget_logs(item)
        if phase is not None:
            os.environ["PYTEST_CURRENT_TEST"] = phase
        item.user_properties[:] = properties
        _look_at_leftovers(session)
        # An interrupted run may leave some, and their loop is closed: they wake no other test.
        left = set(threading.enumerate()) - threads
        session.bystanders.add(thread.ident for thread in left if thread.ident is not None)
        for thread in left:
            if session.leave_thread is not None:
                session.leave_thread(thread, _line_of(item), item.nodeid)
        # Lost updates are looked for in these runs only.
        collector.found[found:] = [each for each in collector.found[found:] if each.rule == "race"]
        collector.reported = set()
        session.has_failed = has_failed


def _look_at_leftovers(session: SessionState) -> None:
    for act in session.at_tear_down:
        with contained("looking at what a test left behind"):
            act()


@contextlib.contextmanager
def _writing_nothing(config: pytest.Config) -> Iterator[None]:
    """While entered, nothing is written, if pytest does not capture it."""
    if config.getoption("capture", "fd") != "no":
        yield
        return
    with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()):
        yield


def _show_nothing(*_arguments: object, **_more: object) -> None:
    pass


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


FixtureDef = pytest.FixtureDef[Any]


def made_anew(item: pytest.Item) -> frozenset[FixtureDef]:
    """The fixtures wider than a test that need the loop of the run."""
    needing: dict[FixtureDef, bool] = {}

    def needs_loop(definition: FixtureDef) -> bool:
        if definition not in needing:
            # Against circles, which pytest refuses later.
            needing[definition] = False
            needing[definition] = ownership.is_own_fixture_definition(definition, item) or any(
                map(needs_loop, pytest_compat.dependencies(item, definition))
            )
        return needing[definition]

    return frozenset(
        definition
        for definition in pytest_compat.closure(item)
        if pytest_compat.caching_scope(definition, item) is not LoopScope.FUNCTION
        and needs_loop(definition)
    )
