"""`ShardedSearch`: a search whose runs are split into batches, and whose results are merged.

Its result depends on the seed, the number of runs and the number of shards alone, whatever runs the
batches, in whatever order they end. Each round has a batch of each shard. A batch begins with what
all batches two rounds before it, or earlier, have covered: so no shard waits for the others at the
end of a round, but only where it is a whole round ahead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from aldente._explore.batches import (
    Batch,
    BatchResult,
    Bounds,
    FailedRun,
    StopFile,
    merged,
    seed_of,
    this_machine,
)
from aldente._explore.explorer import Explorer, FoundFailure
from aldente._explore.result import Exploration, Failure
from aldente._records import Finding
from aldente._settings import Shard
from aldente._simulation import tokens
from aldente._strategies.replay import Leading
from aldente._strategies.shared_coverage import Covered, Shared
from aldente._system import monotonic
from aldente.errors import FailedElsewhere, PhaseTimeout

# How many runs the first batch of a shard has; each later one has four times as many, up to the
# most. A batch is what is lost when a process dies. When it ends, a strategy forgets which lines do
# not distinguish runs, and its next runs take longer.
_FIRST_RUNS, _GROWTH, _MOST_RUNS = 16, 4, 1024

# For how many rounds a shard may be ahead of what it knows of others.
AHEAD = 2

# As after a search of so many runs at most, to look for lost updates.
_MOST_FOR_RACES = 10_000

# The place of the batch that looks for lost updates: no failure of others ends it.
_RACES = -1, 0

# How long after its end to wait for the results of what is under way, in seconds.
_ANSWER_WITHIN = 10.0

# How often to look whether time is over, in seconds; results are taken when they come.
_LOOK = 0.5

# The strategies that have another run after any number of runs, and another seed for each batch.
IN_ROUNDS = ("auto", "pct", "pos", "random")
# Those that do not depend on the seed, so that all shards would do the same.
SEEDLESS = ("dfs", "fifo")

Submit = Callable[[Batch, Bounds], "Future[BatchResult]"]
Explaining = Callable[[], contextlib.AbstractContextManager[None]]


class SearchPlan(NamedTuple):
    """How the runs of a search are split.

    Attributes:
        shards: the number of shards.
        runs: the greatest number of all runs; None for no limit.
        strategy: the strategy: a name, or a function that makes one from a seed.
        seed: the seed of the search.
        looks_for_races: whether to look for lost updates, if no run fails.
    """

    shards: int
    runs: int | None
    strategy: Any
    seed: int
    looks_for_races: bool

    @property
    def parts(self) -> int:
        """How many parts the runs are done in; in one if the strategy has no seed."""
        return 1 if self.strategy in SEEDLESS else self.shards

    def runs_of(self, number: int, shard: int) -> int:
        """How many runs a shard has in a round.

        >>> plan = SearchPlan(2, 201, "random", 0, False)
        >>> [plan.runs_of(number, 0) for number in range(4)]
        [16, 64, 21, 0]
        """
        if self.strategy not in IN_ROUNDS:
            return Shard(shard, self.parts).part_of(self.runs or _MOST_RUNS) if number == 0 else 0
        done = _runs_before(number)
        size = _runs_before(number + 1) - done
        if self.runs is None:
            return size
        return max(0, min(size, Shard(shard, self.parts).part_of(self.runs) - done))

    def batch(self, number: int, shard: int, shared: Shared) -> Batch:
        """A batch of a round, which begins with what others have covered."""
        seed = seed_of(self.seed, shard, number)
        return Batch(number, shard, self.runs_of(number, shard), seed, self.strategy, shared)

    @property
    def races(self) -> Batch:
        """The batch that looks for lost updates: some runs for so many of a search."""
        runs = min(self.runs or _MOST_FOR_RACES, _MOST_FOR_RACES)
        return Batch(*_RACES, runs, self.seed, self.strategy, looks_for_races=True)


def _runs_before(number: int) -> int:
    """How many runs a shard has before a round, if they do not end before.

    >>> [_runs_before(number) for number in range(6)]
    [0, 16, 80, 336, 1360, 2384]
    """
    runs, size = 0, _FIRST_RUNS
    for done in range(number):
        if size == _MOST_RUNS:
            return runs + (number - done) * size
        runs += size
        size = min(size * _GROWTH, _MOST_RUNS)
    return runs


@dataclass(slots=True)
class SearchProgress:
    """The progress of a search: all that it needs to go on.

    Attributes:
        next: the place of the first batch whose results are not in the others.
        exploration: the results of all batches before it.
        shared: what was covered in all rounds before some round: before that of `next`, and one
            round earlier.
        covered: what was covered by all batches before `next`.
        waiting: the results of later batches.
        findings: what rules have found in runs that passed, once for each rule and place.
        races: the results of looking for lost updates; None before that.
        failure: the run that failed first in the order of the batches, and its number among all
            runs; None if none has failed.
    """

    next: tuple[int, int] = (0, 0)
    exploration: Exploration = field(default_factory=lambda: Exploration(0, 0, exhausted=False))
    shared: dict[int, Shared] = field(default_factory=dict)
    covered: Covered = field(default_factory=Covered)
    waiting: dict[tuple[int, int], BatchResult] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    races: BatchResult | None = None
    failure: tuple[FailedRun, int] | None = None

    def copy(self) -> SearchProgress:
        """A copy that can be changed without changing this one."""
        return replace(
            self,
            shared=dict(self.shared),
            covered=Covered(self.covered.shared()),
            waiting=dict(self.waiting),
            findings=list(self.findings),
        )

    def shared_before(self, number: int) -> Shared | None:
        """What a batch of a round begins with; None if that is not known yet."""
        if number < AHEAD:
            return Shared()
        return self.shared.get(number - AHEAD)

    def note(self, findings: Iterable[Finding]) -> None:
        """Note what rules have found."""
        known = {(each.rule, each.place) for each in self.findings}
        for finding in findings:
            if (finding.rule, finding.place) not in known:
                known.add((finding.rule, finding.place))
                self.findings.append(finding)

    @property
    def runs(self) -> int:
        """How many runs there were in all."""
        return self.exploration.runs + sum(each.runs for each in self.waiting.values())


@dataclass(slots=True)
class ShardedSearch:
    """Splits a search, and merges the results.

    Attributes:
        plan: how the runs are split.
        submit: submits a batch, to be done somewhere else.
        end: when the search has to end, by `time.monotonic`; None for no limit.
        progress: the progress of the search.
        on_result: called after each batch.
        is_local: whether all batches are done on this machine, as far as known: so they end by a
            file. If they were cancelled as well, pools of Python 3.11 and dask would report errors.
        is_soak: whether another search may go on with its progress: it takes no part of a batch,
            and does not remember all schedules to count the different ones.
        explaining: entered while `submit` is called, and while the result of a batch is taken:
            explains their errors.
        folder: the folder for the file by which batches end; None for that of temporary files.
    """

    plan: SearchPlan
    submit: Submit
    end: float | None = None
    progress: SearchProgress = field(default_factory=SearchProgress)
    on_result: Callable[[], object] = lambda: None
    is_soak: bool = False
    is_local: bool = False
    explaining: Explaining = contextlib.nullcontext
    folder: Path | None = None
    # The batches that are being done, and the place of the first that ends the search.
    _running: dict[Future[BatchResult], Batch] = field(default_factory=dict)
    _submitted: set[tuple[int, int]] = field(default_factory=set)
    _unbounded: set[tuple[int, int]] = field(default_factory=set)
    _last: tuple[int, int] | None = None
    _seen: set[int] = field(default_factory=set)

    def run(self) -> tuple[Exploration, FailedRun | None, int]:
        """Search, until a run fails or the budget ends.

        Returns:
            The results, without a failure; the run that failed first in the order of the batches,
            or None; and its number among all runs.
        """
        with StopFile(self.folder) as stop_file:
            try:
                self._run(stop_file)
            finally:
                if not self.is_local:
                    for future in self._running:
                        future.cancel()
        is_cut_off = self.progress.failure is None and not self._is_complete
        if is_cut_off and not self.is_soak:
            # Whatever there is.
            self._merge(is_whole=False)
        progress = self.progress
        exploration = progress.exploration
        if is_cut_off and progress.failure is None:
            exploration = replace(exploration, runs=progress.runs, is_late=True)
        races = progress.races
        if progress.failure is None and races is not None and not exploration.escaped:
            progress.note(races.findings)
            if races.failed is not None:
                progress.failure = races.failed, exploration.runs + races.failed.number
        failed, number = progress.failure or (None, 0)
        return exploration, failed, number

    def _run(self, stop_file: StopFile) -> None:
        if self.progress.exploration.exhausted:
            # An earlier search with this progress has tried all schedules.
            self._last = _RACES
        for place, result in sorted(self.progress.waiting.items()):
            self._note_end(place, result, stop_file)
        self._merge()
        while not self._is_done():
            for batch in self._due():
                self._submitted.add(batch.place)
                with self.explaining():
                    future = self.submit(batch, self._bounds(batch, stop_file))
                self._running[future] = batch
                if future.done():
                    # Done in this process: the next one may not be needed.
                    break
            if not self._running:
                return
            done, _ = wait(self._running, _LOOK, FIRST_COMPLETED)
            # In the order of the batches, so that one error is the same every time.
            for future in sorted(done, key=lambda each: self._running[each].place):
                with self.explaining():
                    result = future.result()
                self._receive(self._running.pop(future), result, stop_file)
            if done:
                self._merge()
                self.on_result()

    def _bounds(self, batch: Batch, stop_file: StopFile) -> Bounds:
        seconds = None if self.end is None else self.end - monotonic()
        file = "" if batch.place in self._unbounded else str(stop_file.path)
        return Bounds(seconds, self.end, this_machine(), file)

    def _is_done(self) -> bool:
        """Whether all batches are done that are needed."""
        progress = self.progress
        if progress.failure is not None:
            return True
        needs_races = self.plan.looks_for_races and not progress.exploration.escaped
        if needs_races and progress.races is None and not self._is_late:
            return False
        if self._is_complete or (self._is_late and not self._running):
            return True
        # A worker that does not answer, as its machine is gone.
        return self.end is not None and monotonic() >= self.end + _ANSWER_WITHIN

    @property
    def _is_complete(self) -> bool:
        """Whether the results of all batches have arrived, up to the one that ends the search."""
        if self._last is not None:
            return self.progress.next > self._last
        return not any(self._is_left(number) for number in self._ahead())

    @property
    def _is_late(self) -> bool:
        return self.end is not None and monotonic() >= self.end

    def _ahead(self) -> range:
        first = self.progress.next[0]
        return range(first, first + AHEAD)

    def _is_left(self, number: int) -> bool:
        return any(self.plan.runs_of(number, shard) for shard in range(self.plan.parts))

    def _due(self) -> Iterator[Batch]:
        """The batches that can be begun."""
        progress, plan = self.progress, self.plan
        # One after the other, as the time for all may end in between.
        for number in self._ahead():
            shared = progress.shared_before(number)
            if shared is None:
                return
            for shard in range(plan.parts):
                place = number, shard
                is_known = place in self._submitted or place in progress.waiting
                is_beyond = self._last is not None and place > self._last
                if place < progress.next or is_known or is_beyond or self._is_late:
                    continue
                if plan.runs_of(number, shard):
                    yield plan.batch(number, shard, shared)
            is_due = plan.looks_for_races and progress.races is None
            if is_due and _RACES not in self._submitted and not self._is_late:
                yield plan.races

    def _receive(self, batch: Batch, result: BatchResult, stop_file: StopFile) -> None:
        is_first = len(self._submitted) == len(self._running) + 1
        is_here = result.machine == this_machine()
        self.is_local = is_here and (self.is_local or is_first)
        if result.is_stopped:
            if self._last is None or batch.place < self._last:
                # A machine of the same name, which does not have the file.
                self._unbounded.add(batch.place)
                self._submitted.discard(batch.place)
            return
        if self.is_soak and result.exploration.is_late and result.failed is None:
            return
        if batch.place == _RACES:
            self.progress.races = result
            return
        self.progress.waiting[batch.place] = result
        self._note_end(batch.place, result, stop_file)

    def _note_end(self, place: tuple[int, int], result: BatchResult, stop_file: StopFile) -> None:
        """End later batches, if the results of one end the search."""
        is_last = result.failed is not None or result.exploration.exhausted
        if is_last and (self._last is None or place < self._last):
            self._last = place
            stop_file.note(place)

    def _merge(self, *, is_whole: bool = True) -> None:
        """Add the results of the next batches, in their order.

        Args:
            is_whole: whether to stop at the first one that is missing.
        """
        # Replaced as a whole: Ctrl-C may come between any two lines, and then it is saved.
        progress = self.progress.copy()
        if is_whole:
            self._merge_next(progress)
        else:
            for place in sorted(progress.waiting):
                self._add(progress, progress.waiting.pop(place))
                if progress.failure is not None:
                    break
        self.progress = progress

    def _merge_next(self, progress: SearchProgress) -> None:
        plan = self.plan
        while progress.failure is None and (self._last is None or progress.next <= self._last):
            number, shard = progress.next
            if shard >= plan.parts:
                progress.shared[number] = progress.covered.shared()
                progress.shared.pop(number - AHEAD, None)
                progress.next = number + 1, 0
            elif not plan.runs_of(number, shard):
                if not self._is_left(number):
                    return
                progress.next = number, shard + 1
            elif progress.next in progress.waiting:
                self._add(progress, progress.waiting.pop(progress.next))
                progress.next = number, shard + 1
            else:
                return

    def _add(self, progress: SearchProgress, result: BatchResult) -> None:
        before = progress.exploration
        if not self.is_soak:
            self._seen.update(result.schedules)
        progress.exploration = merged(before, result.exploration, len(self._seen))
        progress.note(result.findings)
        progress.covered.add(result.news)
        if result.failed is not None:
            progress.failure = result.failed, before.runs + result.failed.number


def conclude(
    explorer: Explorer, exploration: Exploration, failed: FailedRun, number: int
) -> Exploration:
    """The results with the failure of a run in another process, which is run again in this one.

    Args:
        explorer: shrinks the failure.
        exploration: the results.
        failed: the run.
        number: its number among all runs.
    """
    failure = _conclude(explorer, failed, number)
    return replace(exploration, failure=failure, escaped=failure.inexact or exploration.escaped)


def _conclude(explorer: Explorer, failed: FailedRun, number: int) -> Failure:
    schedule, program = failed.schedule, explorer.program
    token = tokens.encode(schedule)
    if failed.timed_out is not None:
        return Failure(PhaseTimeout(*failed.timed_out), schedule, token, number)
    if failed.is_lost_update:
        lost = explorer.look_into(schedule)
        if lost is not None:
            return replace(lost, run=number)
    else:
        leading = Leading(schedule.choices)
        leading.start()
        run = program.run(leading)
        if run.error is not None:
            return explorer.conclude(FoundFailure(program, run, run.error, number))
    inexact = "it failed in another process, and its schedule passes in this one"
    return Failure(FailedElsewhere(failed.text), schedule, token, number, inexact)
