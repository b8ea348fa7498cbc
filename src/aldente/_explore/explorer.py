"""`Explorer`: runs a program under many schedules, and shrinks a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from aldente._checked_pythons import is_checked, unproved
from aldente._explore.nondeterminism import (
    THREADS,
    check_python,
    hint_at_clocks,
    likely_cause,
    steps_in_stock_order,
)
from aldente._explore.result import Exploration, Failure, KeptFailure, Known
from aldente._explore.rules_in_runs import besides, found_in_run
from aldente._explore.runs import Run, RunWatch
from aldente._explore.serial_orders import SerialOrders
from aldente._explore.shrink import Shrinker, identity_of_kind, kind_of
from aldente._explore.simulate import Program
from aldente._records import Finding
from aldente._schedules import Schedule, Shrinking, Step
from aldente._simulation import tokens
from aldente._simulation.choices import Strategy
from aldente._strategies.auto import Auto
from aldente._strategies.fifo import Fifo
from aldente._strategies.replay import Leading, Replay, Watched
from aldente._system import monotonic
from aldente.errors import LivelockError, PhaseTimeout

if TYPE_CHECKING:
    from aldente._explore.race_search import Shown

# After a failed run: how long shrinking may take, in real seconds, and how many runs to try with
# the other order.
_SECONDS_OF_SHRINKING = 5.0
_RUNS_IN_OTHER_ORDER = 200
_SECONDS_IN_OTHER_ORDER = 2.0


# Of a search that passes: for how many runs there is one more that looks for lost updates; how many
# are led for each schedule but the first, where all were tried. And how many may look into one.
_RUNS_FOR_ONE_OF_RACES = 5
_LEADS_OF_SCHEDULE = 3
_RUNS_OF_RACE = 40


class FoundFailure(NamedTuple):
    """A run that failed.

    Attributes:
        program: the program, with the rules of the run.
        run: the run.
        error: what it raised.
        number: the number of the run, from 1.
        switches: how many context switches its schedule has, if an earlier search has shrunk it;
            else None.
    """

    program: Program
    run: Run
    error: BaseException
    number: int
    switches: int | None = None


# How long the first run may take at least, in seconds: the search needs the result of one run.
_FIRST_RUN = 1.0


@dataclass(slots=True)
class _Results:
    """The results of a search so far; its fields are those of `Exploration`."""

    number: int = 0
    is_exhausted: bool = False
    is_late: bool = False
    escaped: str = ""
    coverage: str = ""
    known: Known | None = None
    faults: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)
    _has_threads: bool = False
    _time_outs_set: int = 0
    _time_outs_fired: int = 0

    def count(self, run: Run) -> None:
        """Add a run that was not cut off."""
        self.number += 1
        self._has_threads = self._has_threads or run.depends_on_threads
        self._time_outs_set = max(self._time_outs_set, run.time_outs[0])
        self._time_outs_fired += run.time_outs[1]
        # Also those that may happen and have not, which `Counter.update` keeps as 0.
        self.faults.update(run.faults)
        if run.unjudged:
            self.unjudged[run.unjudged] += 1

    def end_early(self, is_exhausted: bool, coverage: str) -> None:
        """Note that the time was over, and what was covered by then."""
        self.is_late, self.is_exhausted, self.coverage = True, is_exhausted, coverage

    def exploration(self, schedules: int) -> Exploration:
        """The results, without a failure.

        Args:
            schedules: how many different schedules there were.
        """
        is_exhausted, coverage = self.is_exhausted, self.coverage
        if self._has_threads:
            is_exhausted, coverage = False, f"{coverage} {_OWN_THREADS}".lstrip()
        return Exploration(
            self.number,
            schedules,
            is_exhausted,
            None,
            self.escaped,
            coverage,
            self.known,
            self.is_late,
            unreached_time_outs=0 if self._time_outs_fired else self._time_outs_set,
            faults=dict(self.faults),
            unjudged=dict(self.unjudged),
        )


@dataclass(slots=True)
class Explorer:
    """Runs a program under many schedules, until one fails.

    Attributes:
        program: the program.
        end: when the search has to end, by `time.monotonic`; None for no limit.
        is_shrinking: whether to shrink a failure.
        known: a failure of an earlier search, to try first; None if there is none.
        on_replay: called before the last run of a failure, which is the one reported.
        is_continued: whether another part of the same search began with the order of stock asyncio,
            and looked at what the program depends on besides.
        is_beside_stock: whether a failure is to have the steps of the run in stock order too.
        seen: the hashes of the schedules of the runs.
    """

    program: Program
    end: float | None = None
    is_shrinking: bool = True
    known: KeptFailure | None = None
    on_replay: Callable[[], object] = lambda: None
    is_continued: bool = False
    is_beside_stock: bool = False
    seen: set[int] = field(default_factory=set)

    def explore(
        self,
        strategy: Strategy,
        limit: int,
        conclude: Callable[[FoundFailure], Failure | None] | None = None,
    ) -> Exploration:
        """Run the program until it fails, or the budget ends.

        Args:
            strategy: the strategy.
            limit: the greatest number of runs, the one of the known schedule included.
            conclude: the failure of a run that failed, or None if it counts for none; None for what
                `conclude` of this object returns.
        """
        exploration, found = self.search(strategy, limit)
        # A user who asks for the order of stock asyncio alone gets no other.
        if found is None and not isinstance(strategy, Fifo):
            exploration, found = self.look_for_races(exploration, limit)
        if found is None or exploration.failure is not None:
            return exploration
        failure = (conclude or self.conclude)(found)
        if failure is None:
            return exploration
        escaped = failure.inexact or exploration.escaped
        return replace(exploration, failure=failure, escaped=escaped)

    def search(self, strategy: Strategy, limit: int) -> tuple[Exploration, FoundFailure | None]:
        """As `explore`, but without the analysis of a failure.

        Returns:
            The results of the runs, without a failure; and the run that failed, or None.
        """
        try:
            return self._search(strategy, limit)
        finally:
            _release(strategy)

    def _search(self, strategy: Strategy, limit: int) -> tuple[Exploration, FoundFailure | None]:
        check_python()
        seen = self.seen = set()
        results = _Results()
        found = None if self.known is None else self._count_known(self.known, results)
        first = results.number
        covered = False, ""
        while results.number < limit and found is None:
            number = results.number
            remaining = None if self.end is None else self.end - monotonic()
            if remaining is not None and remaining <= 0 and number:
                results.end_early(*_covered(strategy))
                break
            # The order of stock asyncio first: a failure there does not depend on the schedule.
            begins_so = self.is_continued or getattr(strategy, "begins_in_stock_order", False)
            who = Fifo() if number == first and not begins_so else strategy
            if not who.start():
                results.is_exhausted = getattr(strategy, "is_exhaustive", True) and is_checked()
                break
            if remaining is not None and not number:
                remaining = max(remaining, _FIRST_RUN)
            if remaining is not None:
                # The coverage before a run that may be cut off.
                covered = _covered(strategy)
            is_compared = number == first and not self.is_continued
            run = self.program.run(who, is_compared=is_compared, real_seconds=remaining)
            if self._was_cut_off(run.error) and number:
                results.end_early(*covered)
                break
            results.count(run)
            seen.add(hash(tuple(run.choices)))
            if run.error is not None:
                found = FoundFailure(self.program, run, run.error, results.number)
            elif number == first and not self.is_continued:
                schedule = run.schedule(self.program.rules)
                results.escaped = likely_cause(self.program, schedule, run)
        if found is None and not results.is_late:
            is_complete, results.coverage = _covered(strategy)
            results.is_exhausted = results.is_exhausted or is_complete
        return results.exploration(len(seen)), found

    def _count_known(self, kept: KeptFailure, results: _Results) -> FoundFailure | None:
        """Try the known schedule first; its run, if that still fails."""
        found = self._try_known(kept)
        results.number = 1
        results.known = "passed" if found is None else "failed"
        results.faults.update({} if found is None else found.run.faults)
        return found

    def look_for_races(
        self, exploration: Exploration, limit: int
    ) -> tuple[Exploration, FoundFailure | None]:
        """Look for lost updates in a program that has passed.

        Args:
            exploration: the results of its runs.
            limit: how many these may have been at most.

        Returns:
            The results with the failure if a lost update is one; and a run that has failed, if one
            was found in looking for them.
        """
        watch = self.program.watch
        if watch is None or not watch.looks_for_races or exploration.escaped:
            return exploration, None
        # Imported here, and below: a program that fails by itself needs none of it.
        from aldente._explore.race_search import Failed, RaceSearch

        # Where all schedules were tried, no more races can be reached than these have.
        leads = _LEADS_OF_SCHEDULE * (exploration.runs - 1) if exploration.exhausted else None
        search = RaceSearch(self.program, limit // _RUNS_FOR_ONE_OF_RACES, self.end, leads)
        for each in search.look():
            number = exploration.runs + search.runs
            if isinstance(each, Failed):
                return exploration, FoundFailure(self.program, each.run, each.error, number)
            if watch.report_race(self._finding(each, watch)):
                return replace(exploration, failure=self._failure_of(each, number)), None
        return exploration, None

    def look_into(self, schedule: Schedule) -> Failure | None:
        """The failure of a schedule that passes, but for a lost update; None without one."""
        watch = self.program.watch
        if watch is not None and watch.looks_for_races:
            from aldente._explore.race_search import RaceSearch

            for each in RaceSearch(self.program, _RUNS_OF_RACE, self.end).look_into(schedule):
                if watch.report_race(self._finding(each, watch)):
                    return self._failure_of(each, 1)
        return None

    def _finding(self, shown: Shown, watch: RunWatch) -> Finding:
        """A finding with how to run it again."""
        token = tokens.encode(shown.run.schedule(self.program.rules))
        details = (*shown.finding.details, watch.again(token))
        return shown.finding._replace(details=details, token=token)

    def _failure_of(self, shown: Shown, number: int) -> Failure:
        """The failure by what a run shows."""
        program = self.program
        schedule = shown.run.schedule(program.rules)
        stock_order = self._stock_order(program, schedule)
        watched = Watched(Replay(Schedule(schedule.choices)))
        self.on_replay()
        last = program.run(watched, is_traced=True, choices=watched)
        return Failure(
            # Without how to run it again, which the report of a failure says.
            found_in_run((shown.finding,)),
            schedule,
            tokens.encode(schedule),
            number,
            steps=tuple(last.steps[: last.steps_until_end]),
            stock_order=stock_order,
        )

    def _stock_order(self, program: Program, schedule: Schedule) -> tuple[Step, ...]:
        return steps_in_stock_order(program, schedule) if self.is_beside_stock else ()

    def _try_known(self, kept: KeptFailure) -> FoundFailure | None:
        """The run of the known schedule, if it still fails."""
        schedule = kept.schedule
        rules = self.program.rules._replace(
            order=schedule.order, slack=schedule.slack, seed=schedule.seed
        )
        program = replace(self.program, rules=rules, serial_orders=SerialOrders())
        watched = Watched(Leading(schedule.choices))
        run = program.run(watched)
        if run.error is None:
            return None
        is_same = self.is_shrinking and identity_of_kind(run.error) == kept.kind
        return FoundFailure(program, run, run.error, 1, len(watched.switches) if is_same else None)

    def conclude(self, found: FoundFailure) -> Failure:
        """The failure of a run: shrunk, and with what may make a replay inexact."""
        program, run, error, number, switches = found
        schedule = run.schedule(program.rules)
        if isinstance(error, PhaseTimeout):
            token = tokens.encode(schedule)
            return Failure(error, schedule, token, number, waiting=run.waiting)
        # A livelock takes long to run, so it is run no more often than needed.
        inexact = "" if isinstance(error, LivelockError) else likely_cause(program, schedule)
        if not inexact and run.depends_on_threads:
            inexact = THREADS
        shrinking: Shrinking | None = None
        if switches is not None:
            shrinking = Shrinking(0, switches, switches, "kept")
        elif self.is_shrinking:
            end = self._end_within(_SECONDS_OF_SHRINKING)
            run, shrinking = Shrinker(program, end).shrink(run, error)
            error = run.error or error
        schedule = run.schedule(program.rules)
        # A failure in stock order does not depend on the order in which tasks go on.
        has_switches = switches is None and shrinking is not None and shrinking.after > 0
        reach = self._reach(program, error) if has_switches else ""
        # What fails in stock order, or otherwise each time, may have to do with real clocks.
        is_hint_due = bool(inexact) or not any(schedule.choices)
        hint = hint_at_clocks(program, schedule) if is_hint_due else ""
        stock_order = self._stock_order(program, schedule)
        watched = Watched(Replay(Schedule(schedule.choices)))
        self.on_replay()
        last = program.run(watched, is_traced=True, choices=watched)
        if last.error is not None and kind_of(last.error) == kind_of(error):
            error = last.error
        elif not inexact:
            outcome = "passed" if last.error is None else f"raised {last.error!r}"
            inexact = f"the last run of this schedule {outcome}, although an earlier one failed"
        return Failure(
            error,
            schedule,
            tokens.encode(schedule),
            number,
            inexact,
            shrinking,
            tuple(last.steps[: last.steps_until_end]),
            reach,
            run.waiting,
            tuple(besides(error, last.findings)),
            hint,
            stock_order,
        )

    def _was_cut_off(self, error: BaseException | None) -> bool:
        """Whether a run ended only because the time for all runs is over.

        A run that was interrupted in the middle of a step might never have ended.
        """
        return (
            isinstance(error, PhaseTimeout) and error.state != "blocked the loop" and self._is_over
        )

    @property
    def _is_over(self) -> bool:
        return self.end is not None and monotonic() >= self.end

    def _end_within(self, seconds: float) -> float:
        end = monotonic() + seconds
        return end if self.end is None else min(self.end, end)

    def _reach(self, program: Program, error: BaseException) -> str:
        """Whether a search with ``order="io"`` finds the failure too, in words."""
        if program.rules.order == "io":
            return ""
        kind, end = kind_of(error), self._end_within(_SECONDS_IN_OTHER_ORDER)
        rules = program.rules._replace(order="io")
        strategy = Auto(rules.seed)
        runs = 0
        while runs < _RUNS_IN_OTHER_ORDER and monotonic() < end and strategy.start():
            run = program.run(strategy, rules=rules, real_seconds=end - monotonic())
            runs += 1
            if run.error is not None and kind_of(run.error) == kind:
                strategy.release()
                return f'With order="io" the search finds it too, in run {runs:,}.'
        strategy.release()
        if strategy.is_exhaustive and is_checked():
            others = "its only schedule passes" if runs == 1 else f"all its {runs:,} schedules pass"
            return f'With order="io" it does not happen: {others}.'
        return f'With order="io" the search did not find it in {runs:,} runs.' if runs else ""


_OWN_THREADS = "The schedules did not choose when the program's own threads call into the loop."


def _release(strategy: Strategy) -> None:
    """Remove all hooks of a strategy in Python, as the search is over."""
    getattr(strategy, "release", bool)()


def _covered(strategy: Strategy) -> tuple[bool, str]:
    """Whether a strategy has tried all schedules, and which ones, in words."""
    if not is_checked():
        return False, unproved()
    return getattr(strategy, "is_exhaustive", False), getattr(strategy, "coverage", "")
