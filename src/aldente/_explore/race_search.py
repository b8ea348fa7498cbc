"""`RaceSearch`: looks for lost updates in a program that passes, and for what is never put back.

That one task reads a value, another changes it, and the first then changes it according to what it
read, means nothing by itself. It is a finding when something is lost: when the result is none that
the same two parts of tasks give one after the other, in either order. Such races are predicted from
one run; then a run is steered into each, and both parts are run one after the other.

What a task takes and puts back when it returns is a finding when it is cancelled or raises in
between, and does not put it back: runs are steered into that as well.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aldente._explore.kept_values import Ending
from aldente._explore.predicted_races import Race, UsesOfRun, observed, predicted
from aldente._explore.race_findings import (
    NeverPutBack,
    borrowings,
    lost_update,
    never_put_back,
    not_put_back,
)
from aldente._explore.races import SharedAccess
from aldente._explore.runs import Run
from aldente._explore.simulate import Program
from aldente._records import Finding, SourcePlace
from aldente._schedules import Schedule
from aldente._simulation.choices import Strategy
from aldente._simulation.values import UNKNOWN, without_times
from aldente._strategies.fifo import Fifo
from aldente._strategies.replay import Replay
from aldente._strategies.steered import Apart, Interrupted, Overlapping, Section
from aldente._system import monotonic
from aldente.errors import PhaseTimeout

# How many races at the same lines are tried: these may be of other tasks, or in other steps.
_MOST_AT_LINES = 3

# How many steps a run for comparison may take, besides ten times those of other runs.
_STEPS_OF_COMPARISON = 1_000


class Shown(NamedTuple):
    """A run that shows a finding.

    Attributes:
        run: the run.
        finding: the finding, without how to run it again.
    """

    run: Run
    finding: Finding


class Failed(NamedTuple):
    """A run that was steered into a race, and failed.

    Attributes:
        run: the run.
        error: what it raised.
        number: the number of the run among those of this search, from 1.
    """

    run: Run
    error: BaseException
    number: int


# Makes a strategy that leads a run.
Lead = Callable[[], Strategy]


class _NoMoreRuns(Exception):
    """The budget of runs or of time has ended."""


@dataclass(slots=True)
class RaceSearch:
    """Looks for lost updates of a program, and for what its tasks never put back.

    Attributes:
        program: the program.
        limit: the greatest number of runs.
        end: when the search has to end, by `time.monotonic`; None for no limit.
        leads: how many runs to steer into a race or the like at most; None for no limit.
        runs: how many runs there were.
    """

    program: Program
    limit: int
    end: float | None = None
    leads: int | None = None
    runs: int = 0
    _steps: int = 0
    _found: set[Hashable] = field(default_factory=set)
    _tried: Counter[Hashable] = field(default_factory=Counter)
    _judged: Counter[Hashable] = field(default_factory=Counter)
    # By the line on which tasks take something: the change that puts it back.
    _borrowed: dict[SourcePlace, SharedAccess] = field(default_factory=dict)

    def look(self) -> Iterator[Shown | Failed]:
        """What is found, once for each place; and a run that fails, which ends the search."""
        try:
            yield from self._look()
        except _NoMoreRuns:
            return

    def _look(self) -> Iterator[Shown | Failed]:
        first = self._run(Fifo())
        if first.error is not None:
            return
        uses = UsesOfRun(first)
        yield from self._found_in(first, uses, Fifo)
        for lead in itertools.islice(self._leads(first, uses), self.leads):
            run = self._run(lead())
            if isinstance(run.error, PhaseTimeout):
                # The time is over for all runs, or for this one, as to follow its lines takes long.
                return
            if run.error is not None:
                yield Failed(run, run.error, self.runs)
                return
            yield from self._found_in(run, UsesOfRun(run), lead)

    def _leads(self, run: Run, uses: UsesOfRun) -> Iterator[Lead]:
        """The runs to try after the first one: into races, and into what a task has borrowed."""
        for race in predicted(uses, _MOST_AT_LINES):
            if race.places not in self._found:
                yield functools.partial(Overlapping, race.around, race.inside)
        for borrowing in borrowings(uses, _ends_of(run)):
            section, line = borrowing.section, borrowing.take.use.at
            if section.first < section.last and line not in self._found:
                self._tried[line] += 1
                if self._tried[line] <= _MOST_AT_LINES:
                    yield functools.partial(Interrupted, section)

    def look_into(self, schedule: Schedule) -> Iterator[Shown]:
        """What is found in one schedule."""
        try:
            first = self._run(Fifo())
            if first.error is None:
                self._learn(UsesOfRun(first), first)
            run = self._run(Replay(schedule))
            if run.error is None:
                lead = functools.partial(Replay, schedule)
                yield from self._found_in(run, UsesOfRun(run), lead)
        except _NoMoreRuns:
            return

    def _found_in(self, run: Run, uses: UsesOfRun, lead: Lead) -> Iterator[Shown]:
        """What is found in a run.

        Args:
            run: the run, which has passed.
            uses: what its tasks have used.
            lead: makes the strategy of the run again.
        """
        if run.depends_on_threads:
            return
        self._learn(uses, run)
        for race in observed(uses):
            if race.places in self._found or self._judged[race.places] >= _MOST_AT_LINES:
                continue
            self._judged[race.places] += 1
            serial = self._serial_of(race, run, uses)
            if serial is not None and self._is_repeatable(race, lead):
                self._found.add(race.places)
                yield Shown(run, lost_update(race, serial))
        for found in never_put_back(uses, run.kept, self._borrowed):
            line = found.take.use.at
            if line not in self._found and self._is_kept_again(found, lead):
                self._found.add(line)
                yield Shown(run, not_put_back(found))

    def _learn(self, uses: UsesOfRun, run: Run) -> None:
        """Note what tasks that return put back."""
        for borrowing in borrowings(uses, _ends_of(run)):
            self._borrowed.setdefault(borrowing.take.use.at, borrowing.put)

    def _is_kept_again(self, found: NeverPutBack, lead: Lead) -> bool:
        """Whether the same is found when the run is repeated."""
        again = self._run(lead(), is_aside=True)
        same = never_put_back(UsesOfRun(again), again.kept, self._borrowed)
        return again.error is None and any(
            each.take.use.at == found.take.use.at and each.take.task == found.take.task
            for each in same
        )

    def _serial_of(
        self, race: Race, run: Run, uses: UsesOfRun
    ) -> tuple[SharedAccess, SharedAccess] | None:
        """The last changes in both orders, if something is lost in the race; else None."""
        outer = self._apart(race, race.around, race.inside, run)
        if outer is None or outer.act is None:
            return None
        inner = self._apart(race, race.inside, race.around, run)
        if inner is None or inner.change is None:
            return None
        is_timed = run.kept is None or run.kept.reads_clock or self.program.rules.wall is not None
        reads = uses.count_of_reads(race.read, race.act, race.around)
        is_lost = _is_lost(race, reads, outer, inner, is_timed=is_timed)
        return (outer.last, inner.last) if is_lost else None

    def _apart(self, race: Race, first: Section, second: Section, run: Run) -> _Serial | None:
        """What both parts do one after the other; None if they can't be run so."""
        renamed = {} if run.kept is None else run.kept.renamed
        found = self._run(Apart(first, second, renamed), is_aside=True)
        # Time-outs that fire only because one waits for the other would be something else.
        if found.error is not None or found.time_outs[1] != run.time_outs[1]:
            return None
        uses = UsesOfRun(found)
        act = uses.change_like(race.act, race.around)
        change = uses.change_like(race.change, race.inside)
        reads = 0 if act is None else uses.count_of_reads(race.read, act, race.around)
        return _Serial(act, change, reads)

    def _is_repeatable(self, race: Race, lead: Lead) -> bool:
        """Whether the values are the same again, and so depend on the schedule alone."""
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
        if not is_aside:
            run = program.run(strategy, is_traced=True, keeps_values=True, real_seconds=left)
            self._steps = max(self._steps, len(run.steps))
            return run
        # A task may look again and again for what the one that waits would do.
        most = min(program.rules.max_steps, _STEPS_OF_COMPARISON + 10 * self._steps)
        rules = program.rules._replace(max_steps=most)
        return program.run_aside(strategy, rules, keeps_values=True)


def _ends_of(run: Run) -> Mapping[str, Ending]:
    return {} if run.kept is None else run.kept.ends


class _Serial(NamedTuple):
    """What two parts of tasks do one after the other.

    Attributes:
        act: the change of the task that acts by what it has read; None if it makes none.
        change: the change of the other task; None if it makes none.
        reads: how often the first one has read the thing on its line, before its change.
    """

    act: SharedAccess | None
    change: SharedAccess | None
    reads: int

    @property
    def last(self) -> SharedAccess:
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
    is_of_another = race.read.key != race.act.key
    if race.act.changes_nothing or (is_of_another and act == change):
        # What the other has set is there after the act as well.
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
