"""Runs of an explored test, and the rules' findings in them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from types import MethodType
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._explore.result import Failure
from aldente._explore.rules_in_runs import look_into_main
from aldente._explore.simulate import Main
from aldente._plugin import pytest_compat, runtime_compat
from aldente._plugin.explore.fixtures import Troubles, resolved
from aldente._plugin.explore.report import command
from aldente._plugin.explore.state import ExploredTest, explored_test
from aldente._plugin.refusals import refuse_result
from aldente._plugin.run.loops import registry_of
from aldente._plugin.run.outcomes import is_no_failure
from aldente._plugin.session import state_of
from aldente._records import Finding, SourcePlace
from aldente._rules.background_error import find, report_failed
from aldente._simulation.loop import SimulatedLoop
from aldente.errors import FixtureYieldError, FoundInRun

# By place, as other schedules change the names of tasks in a finding, and their number.
_ByPlace = dict[tuple[str, SourcePlace | None], list[Finding]]


class FoundInRuns:
    """Collects the findings of all runs, and reports them for the test at the end, once per place.

    Args:
        item: the test.
        is_search: whether there are many runs, rather than one schedule run again.

    Attributes:
        has_spared: whether a baseline kept an error from failing its run.
    """

    def __init__(self, item: pytest.Item, *, is_search: bool) -> None:
        self._item = item
        self._session = state_of(item.config)
        self._is_search = is_search
        # Both from the first run with a finding at a place.
        self._kept: _ByPlace = {}
        self._known: _ByPlace = {}
        # The deadlocks that runs failed with, which their exceptions report.
        self._deadlocks: _ByPlace = {}
        # Reported only when the test fails with the last run.
        self._of_last_run: Sequence[Finding] = ()
        self._has_main_ended = False
        self._is_aside = False
        self.has_spared = False

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While entered, what is found in runs is dropped."""
        self._is_aside = True
        try:
            yield
        finally:
            self._is_aside = False

    @property
    def looks_for_races(self) -> bool:
        """Whether the rule `race` is on in the test."""
        return self._session.collector.level_in(self._item, "race") != "off"

    def report_race(self, finding: Finding) -> bool:
        """Report a lost update; whether it fails the test."""
        collector = self._session.collector
        is_error = collector.level_of(self._item, finding) == "error"
        is_known = self._session.summary.baseline.names(self._item.nodeid, finding)
        explored = explored_test(self._item)
        # The outcome of a test without a mark is known; its tear-down fails with the finding.
        may_fail = explored is None or explored.is_marked
        if may_fail and is_error and not is_known and not self._is_for_baseline:
            return True
        self.has_spared = self.has_spared or is_error
        into = self._known if is_known else self._kept
        into.setdefault((finding.rule, finding.place), []).append(finding)
        return False

    def begin(self) -> None:
        """Begin a run."""
        self._of_last_run = ()
        self._has_main_ended = False

    def main_ended(self) -> None:
        """Record that the test itself has ended in the run, before any cut-off."""
        self._has_main_ended = True

    def take(self) -> Sequence[Finding]:
        """End the run, and return the findings that fail it."""
        collector = self._session.collector
        if not collector.found:
            return ()
        taken = collector.take(self._item)
        kept: _ByPlace = {}
        known: _ByPlace = {}
        failing: list[Finding] = []
        for finding in [] if self._is_aside else taken:
            is_error = collector.level_of(self._item, finding) == "error"
            is_known = self._session.summary.baseline.names(self._item.nodeid, finding)
            if is_error and not is_known and not self._is_for_baseline:
                failing.append(finding)
                continue
            self.has_spared = self.has_spared or is_error
            into = known if is_known else kept
            into.setdefault((finding.rule, finding.place), []).append(finding)
        self._of_last_run = failing
        if self._has_main_ended:
            _add(kept, self._kept)
            _add(known, self._known)
        else:
            # What is left when a run is cut off may be only a consequence of the cut-off.
            self._of_last_run = [*failing, *chain(*kept.values())]
        return failing

    @property
    def _is_for_baseline(self) -> bool:
        """Whether to find everything, as a new baseline will list it as known."""
        return self._is_search and self._session.summary.baseline.is_new

    @property
    def taken(self) -> tuple[Finding, ...]:
        """The findings so far that fail no run."""
        return tuple(chain(*self._kept.values()))

    def receive(self, findings: Sequence[Finding], has_spared: bool) -> None:
        """Keep what was found in runs of another process, and whether a baseline spared some."""
        self.has_spared = self.has_spared or has_spared
        for finding in findings:
            self._kept.setdefault((finding.rule, finding.place), [finding])

    def keep_last_run(self) -> None:
        """Keep the findings of a last run that did not pass, for example because of a skip."""
        found: _ByPlace = {}
        for finding in self._of_last_run:
            found.setdefault((finding.rule, finding.place), []).append(finding)
        _add(found, self._kept)
        self._of_last_run = ()

    def conclude(self, failure: Failure) -> None:
        """Conclude after the last run, whose failure is the one to report."""
        if not isinstance(failure.exception, FoundInRun):
            # Besides the exception that it raised.
            self.keep_last_run()
        if failure.waiting is not None:
            from aldente._plugin.findings.deadlock import deadlock_finding

            finding = deadlock_finding(failure.waiting, self._item.name)
            self._deadlocks.setdefault((finding.rule, finding.place), [finding])

    def report(self, error: BaseException | None = None) -> None:
        """Charge the findings of all runs to the test, after the last one.

        Args:
            error: the failure of the test; None if it passes.
        """
        collector, test = self._session.collector, self._item.nodeid
        collector.report_of_runs(test, chain(*self._kept.values()))
        reported = chain(_findings_of(error), *self._deadlocks.values())
        collector.report_of_runs(test, reported, is_reported=True)
        if self._known:
            self._session.summary.baseline.pass_over(sum(map(len, self._known.values())))


def _add(found: _ByPlace, into: _ByPlace) -> None:
    for place, findings in found.items():
        into.setdefault(place, findings)


def _findings_of(error: BaseException | None) -> Iterator[Finding]:
    """The findings that an exception, or one in a group, reports itself."""
    if isinstance(error, FoundInRun):
        yield from error.findings
    elif isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _findings_of(each)


# The ends of asyncio's messages for an object of another loop.
_OTHER_LOOP = ("is bound to a different event loop", "attached to a different loop")


class RunsOfTest:
    """A test as a program that can run many times; also collects the findings of each run.

    Args:
        item: the test.
        explored: its state.
        function: its function.
        args: the arguments of the function.
        kwargs: likewise, with stand-ins for the fixtures that are made again.
        found: collects the findings.

    Attributes:
        notes: the last run's reports to Hypothesis.
    """

    def __init__(
        self,
        item: pytest.Function,
        explored: ExploredTest,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        found: FoundInRuns,
    ) -> None:
        self._item = item
        self._explored = explored
        # The test may request its first one by its name.
        self._fixtures = explored.fixtures_of(item)
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._found = found
        self._session = state_of(item.config)
        self._loops = registry_of(item.session).watch
        self._properties = len(item.user_properties)
        self._stash = dict(pytest_compat.stashed(item))
        # How many runs began, and whether the first one failed.
        self._runs = 0
        self._has_first_failed = False
        self.notes: list[str] = []

    def program(self) -> Main:
        """The test as a coroutine function without arguments, called as the test is."""

        async def main() -> None:
            await self._run()

        main.__qualname__ = self._item.name
        return main

    async def _run(self) -> None:
        """Set the fixtures up, call the test, and tear them down."""
        troubles = Troubles()
        try:
            await self._fixtures.set_up()
            if self._explored.clock is not None:
                self._explored.clock.begin()
            result = await self._called()
            if result is not None:
                refuse_result(self._item, result)
            # Now, as the tear-down of fixtures may break what must hold in the test.
            self._end_test(in_step=True)
        except BaseException as error:
            self._end_test()
            self._session.has_failed = True
            await self._fixtures.tear_down(troubles)
            cause = self._cause_of(error, troubles)
            # A failure of the first run occurs again when that run is repeated to show it.
            self._has_first_failed = self._has_first_failed or self._runs == 1
            _note_other_loop(cause, is_older=self._has_first_failed)
            for name, trouble in troubles:
                if trouble is not cause:
                    cause.add_note(f"{_where(name)} also raised {trouble!r}.")
            if cause is not error:
                raise cause from None
            raise
        self._session.has_failed = False
        await self._fixtures.tear_down(troubles)
        if troubles:
            raise _together(troubles)

    def _end_test(self, *, in_step: bool = False) -> None:
        if self._explored.loop is not None:
            self._explored.loop.end_program(in_step=in_step)

    def _cause_of(self, error: BaseException, troubles: Troubles) -> BaseException:
        """The error of the fixture that cancelled the run; else the error itself."""
        if troubles.canceller is None or not isinstance(error, asyncio.CancelledError):
            return error
        stand_in, cause = troubles.canceller
        if cause.__traceback__ is None:
            # With the traceback of where the test was cancelled.
            cause.__traceback__ = error.__traceback__
        cause.add_note(
            f"Async fixture {stand_in.label} ended with this error while {self._item.name!r} was "
            "using it, so the test was cancelled."
        )
        return cause

    async def _called(self) -> Any:
        function, args, kwargs = self._function, self._args, resolved(self._kwargs)
        first = self._explored.instance
        if first is not None:
            # The method of this run's instance; Hypothesis calls the function with the first one.
            instance = getattr(self._item, "instance", first)
            if isinstance(function, MethodType) and function.__self__ is first:
                function = MethodType(function.__func__, instance)
            args = tuple(instance if value is first else value for value in args)
            kwargs = {name: instance if value is first else value for name, value in kwargs.items()}
        return await function(*args, **kwargs)

    # The observer of each run.

    def begin(self, loop: SimulatedLoop) -> None:
        """Begin a run, without leftovers of the one before."""
        self._runs += 1
        del self._item.user_properties[self._properties :]
        self.notes.clear()
        stash = pytest_compat.stashed(self._item)
        if stash != self._stash:
            stash.clear()
            stash.update(self._stash)
        self._explored.loop, self._explored.clock = loop, None
        loop.main_name = self._item.name
        pytest_compat.renew_instance(self._item)
        runtime_compat.forget_logs(self._item)
        if self._session.evidence is not None:
            self._session.evidence.begin_run()
        self._fixtures.begin()
        self._found.begin()

    @property
    def looks_for_races(self) -> bool:
        """Whether the rule `race` is on in the test."""
        return self._found.looks_for_races

    def report_race(self, finding: Finding) -> bool:
        """Report a lost update; whether it fails the test."""
        return self._found.report_race(finding)

    def again(self, token: str) -> str:
        """How to run a schedule again in which an update is lost, in words."""
        return f"Run it again: {command(self._item, token)}"

    def aside(self) -> AbstractContextManager[object]:
        """While entered, what is found in runs is dropped."""
        return self._found.aside()

    def failed(self, loop: SimulatedLoop, error: BaseException) -> None:
        """Keep what the page shows of a failure, if the run writes a page."""
        if self._session.evidence is not None:
            self._session.evidence.keep(error, loop)

    def main_ended(self, loop: SimulatedLoop) -> None:
        """Check the tasks and generators that are left."""
        self._found.main_ended()
        self._loops.leftovers.report_left_on(loop, _asyncio_compat.pending_tasks(loop))

    def take(self) -> Sequence[Finding]:
        """End the run, and return the findings that fail it."""
        troubles = Troubles()
        self._fixtures.end(troubles)
        if self._explored.loop is not None:
            report_failed(self._explored.loop)
            if self._session.never_awaited is not None:
                look_into_main(self._explored.loop, self._session.never_awaited)
        for name, error in troubles:
            finding = find({"exception": error, "message": f"{_where(name)} raised it"})
            if finding is not None:
                self._session.collector.report(finding)
        return self._found.take()


def _note_other_loop(error: BaseException, *, is_older: bool) -> None:
    """Explain why an object belongs to another loop: asyncio's message says only that it does.

    Args:
        error: the error, or a group that has it.
        is_older: whether no earlier run can have made the object.
    """
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            _note_other_loop(each, is_older=is_older)
    elif isinstance(error, RuntimeError) and str(error).endswith(_OTHER_LOOP):
        when = (
            "on another loop, before or during the first run" if is_older else ("in an earlier run")
        )
        error.add_note(
            "Every run of an explored test has an event loop of its own, and this object was made, "
            f"or first used, {when}.\n"
            "Fix: make a new one for every run, in the test or in a function-scoped fixture."
        )


def _where(name: str) -> str:
    return f"the tear-down of the fixture {name!r}" if name else "a finalizer of the test"


def _together(troubles: Troubles) -> BaseException:
    """The first error, with notes about the others."""
    (name, first), *others = troubles
    # An outcome, such as a skip, shows one line; a FixtureYieldError names its fixture already.
    if not is_no_failure(first) and not isinstance(first, FixtureYieldError):
        first.add_note(f"It was raised in {_where(name)}.")
    for name, other in others:
        first.add_note(f"{_where(name)} also raised {other!r}.")
    return first
