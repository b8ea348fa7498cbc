"""What rules find in the runs of an explored test: what fails a run, and what is told of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import pytest

from aldente._explore.failures import Failure
from aldente._plugin.findings.deadlocks import deadlock_finding
from aldente._plugin.findings.hooks import hooks_of
from aldente._records import Finding, SourcePlace
from aldente.errors import FoundInRun

# Under other schedules the same is found with other names of tasks, and more or less often.
_ByPlace = dict[tuple[str, SourcePlace | None], list[Finding]]


class FoundInRuns:
    """Takes what rules find in each run, and gives it to the test in the end, each place once.

    Args:
        item: the test.
        is_search: whether there are many runs; else one schedule is run again.

    Attributes:
        has_spared: whether a baseline has kept an error from failing its run.
    """

    def __init__(self, item: pytest.Item, *, is_search: bool) -> None:
        self._item = item
        self._hooks = hooks_of(item.config)
        self._is_search = is_search
        # Both as they were found by the first run that has found something at a place.
        self._kept: _ByPlace = {}
        self._known: _ByPlace = {}
        # The deadlocks that runs have failed with, which their exceptions tell.
        self._deadlocks: _ByPlace = {}
        # Told only when the test fails with the last run.
        self._of_last_run: Sequence[Finding] = ()
        self._has_main_ended = False
        self.has_spared = False

    def begin(self) -> None:
        """A run begins."""
        self._of_last_run = ()
        self._has_main_ended = False

    def main_ended(self) -> None:
        """The test itself has ended in the run, which was not cut off before."""
        self._has_main_ended = True

    def take(self) -> Sequence[Finding]:
        """The run is over; gives the findings that fail it."""
        collector = self._hooks.collector
        if not collector.found:
            return ()
        kept: _ByPlace = {}
        known: _ByPlace = {}
        failing: list[Finding] = []
        for finding in collector.take(self._item):
            is_error = collector.level_of(self._item, finding) == "error"
            is_known = self._hooks.summary.baseline.names(self._item.nodeid, finding)
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
            # What is left when a run is cut off may be nothing but the consequence of that.
            self._of_last_run = [*failing, *chain(*kept.values())]
        return failing

    @property
    def _is_for_baseline(self) -> bool:
        """Whether all that there is has to be found, as it is going to be taken for known."""
        return self._is_search and self._hooks.summary.baseline.is_new

    def keep_last_run(self) -> None:
        """The last run has ended as no run of a test that passes does, but by a skip for one."""
        found: _ByPlace = {}
        for finding in self._of_last_run:
            found.setdefault((finding.rule, finding.place), []).append(finding)
        _add(found, self._kept)
        self._of_last_run = ()

    def conclude(self, failure: Failure) -> None:
        """The last run has failed, and is the one that is told of."""
        if not isinstance(failure.exception, FoundInRun):
            # Beside the exception that it has raised.
            self.keep_last_run()
        if failure.waiting is not None:
            finding = deadlock_finding(failure.waiting, self._item.name)
            self._deadlocks.setdefault((finding.rule, finding.place), [finding])

    def report(self, error: BaseException | None = None) -> None:
        """All runs are over: charge what was found in them to the test.

        Args:
            error: what the test fails with; None if it does not.
        """
        collector, test = self._hooks.collector, self._item.nodeid
        collector.report_of_runs(test, chain(*self._kept.values()))
        told = chain(_told_by(error), *self._deadlocks.values())
        collector.report_of_runs(test, told, is_told=True)
        if self._known:
            self._hooks.summary.baseline.pass_over(sum(map(len, self._known.values())))


def _add(found: _ByPlace, into: _ByPlace) -> None:
    for place, findings in found.items():
        into.setdefault(place, findings)


def _told_by(error: BaseException | None) -> Iterator[Finding]:
    """The findings that an exception, or one in a group of them, tells by itself."""
    if isinstance(error, FoundInRun):
        yield from error.findings
    elif isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _told_by(each)
