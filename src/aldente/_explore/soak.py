"""`soak`: a search that goes on for hours, in several processes, and continues after it was
stopped.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import connection
from typing import NamedTuple

from aldente._explore.batches import Batch, BatchResult, Bounds, FailedRun, run_batch
from aldente._explore.executors import ExecutorProcesses
from aldente._explore.explorer import Explorer
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.result import Exploration
from aldente._explore.rules_in_runs import RuleWatch, parse_levels_in_runs, texts_of
from aldente._explore.runs import RunSettings
from aldente._explore.sharded_search import (
    Explaining,
    SearchPlan,
    SearchProgress,
    ShardedSearch,
    Submit,
    conclude,
)
from aldente._explore.simulate import Main, Program
from aldente._explore.soak_state import KeptState, SoakState
from aldente._simulation.determinism import kept_randomness
from aldente._system import monotonic
from aldente.errors import UnusableState

# How often to save the progress, and how often to report it, in seconds.
_SAVE_EVERY, _REPORT_EVERY = 1.0, 60.0


class Soaked(NamedTuple):
    """The results of a long search.

    Attributes:
        exploration: the results of all its lives.
        before: how many of its runs there were in earlier ones.
        is_kept: whether the failure was found in an earlier one.
        is_anew: whether it began anew, as the failure of an earlier one passes now.
        unsaved: why the results could not be saved; None if they were.
    """

    exploration: Exploration
    before: int = 0
    is_kept: bool = False
    is_anew: bool = False
    unsaved: UnusableState | None = None


class SoakSettings(NamedTuple):
    """The settings of a long search.

    Attributes:
        rules: the settings of the runs.
        plan: how the runs are shared out.
        seconds: how long it may take, in real seconds; None for no limit.
        workers: the number of processes; 1 for this one alone.
    """

    rules: RunSettings
    plan: SearchPlan
    seconds: float | None
    workers: int


class Reports(NamedTuple):
    """What a long search reports while it runs.

    Attributes:
        progress: called every minute with the number of runs, and the seconds of this life.
        trouble: called with why the progress can't be saved, when saving begins to fail.
    """

    progress: Callable[[int, float], object]
    trouble: Callable[[UnusableState], object]


@dataclass(slots=True)
class _Saving:
    """Saves the progress of a search, now and then.

    Attributes:
        state: where; None for nowhere.
        search: the search.
        reports: called with the progress of the search.
        seconds: how long it took in earlier lives.
        unsaved: why it could not be saved last time; None if it was.
    """

    state: SoakState | None
    search: ShardedSearch
    reports: Reports
    seconds: float = 0.0
    unsaved: UnusableState | None = None
    _began: float = 0.0
    _saved: float = 0.0
    _reported: float = 0.0

    def __post_init__(self) -> None:
        self._began = self._reported = monotonic()

    def on_result(self) -> None:
        """A batch has ended."""
        now = monotonic()
        if now >= self._saved + _SAVE_EVERY:
            self._save_now_and_then()
            self._saved = monotonic()
        if now >= self._reported + _REPORT_EVERY:
            self._reported = now
            self.reports.progress(self.search.progress.runs, now - self._began)

    def _save_now_and_then(self) -> None:
        if not self._saved:
            # Otherwise the user would learn only after hours that nothing is kept.
            self.save()
            return
        before = self.unsaved
        self.try_to_save()
        if self.unsaved is not None and before is None:
            # Once: the disk may have room again before the search is over.
            self.reports.trouble(self.unsaved)

    def try_to_save(self) -> None:
        """Save it now, or note why that can't be done."""
        try:
            self.save()
        except UnusableState as error:
            self.unsaved = error
        else:
            self.unsaved = None

    def save(self) -> None:
        """Save it now.

        Raises:
            UnusableState: it can't be written.
        """
        if self.state is not None:
            seconds = self.seconds + monotonic() - self._began
            self.state.save(self.search.progress, seconds)


def soak(
    main: Main,
    settings: SoakSettings,
    state: SoakState | None,
    reports: Reports,
) -> Soaked:
    """Search in one or more processes, and go on where an earlier search was.

    Args:
        main: the program.
        settings: the settings.
        state: where the progress is saved; None for nowhere.
        reports: called while the search runs.

    Raises:
        UnusableState: the state is of another search.
        WorkersFailed: a worker process has died.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    end = None if settings.seconds is None else monotonic() + settings.seconds
    with kept_randomness(), noting_interrupts() as is_interrupted:
        watch = RuleWatch(parse_levels_in_runs(None))
        program = Program(main, settings.rules, is_interrupted, watch=watch)
        explorer = Explorer(program, end)
        kept = None if state is None else state.load()
        is_anew = False
        if kept is not None and kept.progress.failure is not None:
            found = _found_before(program, kept, *kept.progress.failure)
            if found is not None:
                return Soaked(found, found.runs, is_kept=True)
            kept, is_anew = None, True
        if kept is not None and not kept.is_same_source and state is not None:
            raise state.is_changed(kept.progress.runs)
        progress, seconds = (
            (SearchProgress(), 0.0) if kept is None else (kept.progress, kept.seconds)
        )
        before = progress.runs
        with _submitting(main, program, watch, settings) as (submit, explaining):
            search = ShardedSearch(
                settings.plan,
                submit,
                end,
                progress,
                is_soak=state is not None,
                is_local=True,
                explaining=explaining,
                folder=None if state is None else state.folder,
            )
            saving = _Saving(state, search, reports, seconds)
            search.on_result = saving.on_result
            exploration, failed, number = _searched(search, saving)
        if failed is not None:
            explorer.end = None
            exploration = conclude(explorer, exploration, failed, number)
        warnings = *watch.warnings, *search.progress.findings
        findings = {(each.rule, each.place): each for each in warnings}
        exploration = replace(exploration, findings=tuple(texts_of(findings.values())))
        return Soaked(exploration, before, is_anew=is_anew, unsaved=saving.unsaved)


def _found_before(
    program: Program, kept: KeptState, failed: FailedRun, number: int
) -> Exploration | None:
    """The results with a failure of an earlier life; None if it passes, as the program is fixed.

    However late it is: a failure is the result.
    """
    found = conclude(Explorer(program), kept.progress.exploration, failed, number)
    is_certain = failed.timed_out is None and not found.escaped
    return found if kept.is_same_source or is_certain else None


def _searched(search: ShardedSearch, saving: _Saving) -> tuple[Exploration, FailedRun | None, int]:
    try:
        exploration, failed, number = search.run()
    except UnusableState:
        raise
    except BaseException:
        saving.save()
        raise
    # If that fails, the results are reported all the same.
    saving.try_to_save()
    return exploration, failed, number


@contextlib.contextmanager
def _submitting(
    main: Main, program: Program, watch: RuleWatch, settings: SoakSettings
) -> Iterator[tuple[Submit, Explaining]]:
    """While entered, batches can be submitted; yields the functions for it."""
    if settings.workers == 1:
        yield functools.partial(_run_here, program, watch), contextlib.nullcontext
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(settings.workers, initializer=end_with_parent)
    try:
        workers = ExecutorProcesses(pool, main, settings.rules, parse_levels_in_runs(None))
        yield workers.submit, workers.explaining
    finally:
        # They have nothing left to do, and a run may never end.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        pool.shutdown(cancel_futures=True)


def _run_here(
    program: Program, watch: RuleWatch, batch: Batch, bounds: Bounds
) -> Future[BatchResult]:
    """Do a batch in this process, at once."""
    future: Future[BatchResult] = Future()
    result = run_batch(program, batch, bounds)
    future.set_result(replace(result, findings=tuple(watch.warnings)))
    return future


def end_with_parent() -> None:
    """Have this worker process end when the process that started it has died, and only then."""
    # Ctrl-C is for the process that started it, and so is a SIGTERM to all processes of a group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not SIG_IGN, with which programs that the searched one starts would begin as well.
    signal.signal(signal.SIGTERM, lambda *_: None)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def wait() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="aldente-parent", daemon=True).start()
