"""`RaceSearch`: looks for lost updates of a program that passes.

That one task reads a value, another changes it, and the first then changes it by what it has read,
means nothing by itself. It is a finding when something is lost: when what comes out is nothing that
the same two parts of tasks give one after the other, in either order. Such races are predicted from
one run; then a run is led into each, and both parts are run one after the other.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from aldente._clocks import monotonic
from aldente._explore.predicted_races import Race, UsesOfRun, observed, predicted
from aldente._explore.races import Access
from aldente._explore.runs import Run
from aldente._explore.simulate import Program
from aldente._schedules import Schedule
from aldente._simulation.choices import Strategy
from aldente._simulation.values import UNKNOWN, without_times
from aldente._strategies.fifo import Fifo
from aldente._strategies.replay import Replay
from aldente._strategies.steered import Apart, Overlapping, Section

# How many races at the same lines are tried: these may be of other tasks, or in other steps.
_MOST_AT_LINES = 3


class LostUpdate(NamedTuple):
    """A race in which something is lost.

    Attributes:
        race: the race, as it goes in the run.
        run: the run.
        serial: the last change in each order of the two tasks, one after the other.
    """

    race: Race
    run: Run
    serial: tuple[Access, Access]


class Failed(NamedTuple):
    """A run that was led into a race, and failed.

    Attributes:
        run: the run.
        error: what it raised.
        number: the number of the run among those of this search, from 1.
    """

    run: Run
    error: BaseException
    number: int


class _NoMoreRuns(Exception):
    """The budget of runs or of time has ended."""


@dataclass(slots=True)
class RaceSearch:
    """Looks for lost updates of a program.

    Attributes:
        program: the program.
        limit: the greatest number of runs.
        end: when the search has to end, by `time.monotonic`; None for no limit.
        runs: how many runs there were.
    """

    program: Program
    limit: int
    end: float | None = None
    runs: int = 0
    _lost: set[Hashable] = field(default_factory=set)
    _tried: Counter[Hashable] = field(default_factory=Counter)
    _judged: Counter[Hashable] = field(default_factory=Counter)

    def look(self) -> Iterator[LostUpdate | Failed]:
        """The lost updates that are found, once for each three lines; and a run that fails."""
        try:
            yield from self._look()
        except _NoMoreRuns:
            return

    def _look(self) -> Iterator[LostUpdate | Failed]:
        first = self._run(Fifo())
        if first.error is not None:
            return
        uses = UsesOfRun(first)
        yield from self._lost_in(first, uses, Fifo)
        for race in predicted(uses):
            if race.places in self._lost or self._tried[race.places] >= _MOST_AT_LINES:
                continue
            self._tried[race.places] += 1
            lead = functools.partial(Overlapping, race.around, race.inside)
            run = self._run(lead())
            if run.error is not None:
                yield Failed(run, run.error, self.runs)
                return
            yield from self._lost_in(run, UsesOfRun(run), lead)

    def look_into(self, schedule: Schedule) -> Iterator[LostUpdate]:
        """The lost updates of one schedule."""
        lead = functools.partial(Replay, schedule)
        try:
            run = self._run(lead())
            if run.error is None:
                yield from self._lost_in(run, UsesOfRun(run), lead)
        except _NoMoreRuns:
            return

    def _lost_in(
        self, run: Run, uses: UsesOfRun, lead: Callable[[], Strategy]
    ) -> Iterator[LostUpdate]:
        """The races of a run in which something is lost.

        Args:
            run: the run, which has passed.
            uses: what its tasks have used.
            lead: makes the strategy of the run anew.
        """
        if run.depends_on_threads:
            return
        for race in observed(uses):
            if race.places in self._lost or self._judged[race.places] >= _MOST_AT_LINES:
                continue
            self._judged[race.places] += 1
            serial = self._serial_of(race, run, uses)
            if serial is not None and self._is_repeatable(race, lead):
                self._lost.add(race.places)
                yield LostUpdate(race, run, serial)

    def _serial_of(self, race: Race, run: Run, uses: UsesOfRun) -> tuple[Access, Access] | None:
        """The last changes in both orders, if something is lost in the race; else None."""
        outer = self._apart(race, race.around, race.inside, run)
        if outer is None or outer.act is None:
            return None
        inner = self._apart(race, race.inside, race.around, run)
        if inner is None or inner.change is None:
            return None
        is_timed = run.reads_clock or self.program.rules.wall is not None
        reads = uses.count_of_reads(race.read, race.act, race.around)
        is_lost = _is_lost(race, reads, outer, inner, is_timed=is_timed)
        return (outer.last, inner.last) if is_lost else None

    def _apart(self, race: Race, first: Section, second: Section, run: Run) -> _Serial | None:
        """What both parts do one after the other; None if they can't be run so."""
        found = self._run(Apart(first, second), is_aside=True)
        # Time-outs that fire only because one waits for the other would be something else.
        if found.error is not None or found.time_outs[1] != run.time_outs[1]:
            return None
        uses = UsesOfRun(found)
        act = uses.change_like(race.act, race.around)
        change = uses.change_like(race.change, race.inside)
        reads = 0 if act is None else uses.count_of_reads(race.read, act, race.around)
        return _Serial(act, change, reads)

    def _is_repeatable(self, race: Race, lead: Callable[[], Strategy]) -> bool:
        """Whether the same values come out again: they depend on the schedule alone."""
        again = self._run(lead(), is_aside=True)
        values = race.change.value, race.act.value
        found = [(each.change.value, each.act.value) for each in observed(UsesOfRun(again))]
        return again.error is None and values in found

    def _run(self, strategy: Strategy, *, is_aside: bool = False) -> Run:
        """A run whose uses of shared things are followed.

        Args:
            strategy: decides its schedule.
            is_aside: whether it is only for comparison.

        Raises:
            _NoMoreRuns: there is no run or no time left.
        """
        left = None if self.end is None else self.end - monotonic()
        if self.runs >= self.limit or (left is not None and left <= 0):
            raise _NoMoreRuns
        self.runs += 1
        strategy.start()
        program = self.program
        if is_aside:
            return program.run_aside(strategy, program.rules, keeps_values=True)
        return program.run(strategy, is_traced=True, keeps_values=True, real_seconds=left)


class _Serial(NamedTuple):
    """What two parts of tasks do one after the other.

    Attributes:
        act: the change of the task that acts by what it has read; None if it makes none.
        change: the change of the other task; None if it makes none.
        reads: how often the first one has read the thing on its line, before its change.
    """

    act: Access | None
    change: Access | None
    reads: int

    @property
    def last(self) -> Access:
        """The later one of those that there are."""
        both = [each for each in self[:2] if each is not None]
        return max(both, key=lambda access: access.place)


def _is_lost(race: Race, reads: int, outer: _Serial, inner: _Serial, *, is_timed: bool) -> bool:
    """Whether a race loses something that is not lost one after the other.

    Args:
        race: the race.
        reads: how often the task has read what it acts by, on its line, before it acts.
        outer: with the task first that acts by what it has read.
        inner: with the other task first.
        is_timed: whether values may depend on when they are made.
    """
    act, change = race.act.value, race.change.value
    last = outer.last.value, inner.last.value
    if UNKNOWN in (act, change, *last):
        return False
    if not race.is_computed and inner.act is not None and inner.reads <= reads:
        # The check holds after the other's change as well. If it has read more often, it waited
        # until the check held again.
        return False
    if is_timed:
        act, change = without_times(act), without_times(change)
        last = without_times(last[0]), without_times(last[1])
    if act not in last:
        return True
    is_done_once = outer.change is None and inner.act is None
    return is_done_once and (act != change or race.act.resource != race.change.resource)
