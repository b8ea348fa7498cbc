"""`soak`: a search that goes on for hours, over several processes and several lives of its own."""

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

from aldente._clocks import monotonic
from aldente._explore.batches import Batch, BatchResult, Bounds, FailedRun, run_batch
from aldente._explore.executors import Workers
from aldente._explore.explorer import Explorer
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.result import Exploration
from aldente._explore.rules_in_runs import RuleWatch, parse_levels_in_runs, texts_of
from aldente._explore.runs import RunSettings
from aldente._explore.sharded_search import Plan, Progress, ShardedSearch, Submit, conclude
from aldente._explore.simulate import Main, Program
from aldente._explore.soak_state import SoakState
from aldente._simulation.determinism import kept_randomness

# How often to save how far it has come, and to tell it, in seconds.
_SAVE_EVERY, _TELL_EVERY = 1.0, 60.0


class Soaked(NamedTuple):
    """The results of a long search.

    Attributes:
        exploration: the results of all its lives.
        before: how many of its runs there were in earlier ones.
        is_kept: whether the failure was found in an earlier one.
        is_anew: whether it began anew, as the failure of an earlier one passes now.
    """

    exploration: Exploration
    before: int = 0
    is_kept: bool = False
    is_anew: bool = False


class Settings(NamedTuple):
    """The settings of a long search.

    Attributes:
        rules: the settings of the runs.
        plan: how the runs are shared out.
        seconds: how long it may take, in real seconds; None for no limit.
        workers: the number of processes; 1 for this one alone.
    """

    rules: RunSettings
    plan: Plan
    seconds: float | None
    workers: int


@dataclass(slots=True)
class _Saving:
    """Saves how far a search has come, now and then.

    Attributes:
        state: where; None for nowhere.
        search: the search.
        tell: called with how far it has come: its runs, and the seconds that it took.
        seconds: how long it took in earlier lives.
    """

    state: SoakState | None
    search: ShardedSearch
    tell: Callable[[int, float], object]
    seconds: float = 0.0
    _began: float = 0.0
    _saved: float = 0.0
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._began = self._told = monotonic()

    def on_result(self) -> None:
        """A batch has ended."""
        now = monotonic()
        if now >= self._saved + _SAVE_EVERY:
            self.save()
            self._saved = monotonic()
        if now >= self._told + _TELL_EVERY:
            self._told = now
            self.tell(self.search.progress.runs, now - self._began)

    def save(self, failed: FailedRun | None = None, number: int = 0) -> None:
        """Save it now."""
        if self.state is not None:
            seconds = self.seconds + monotonic() - self._began
            self.state.save(self.search.progress, failed, number, seconds)


def soak(
    main: Main,
    settings: Settings,
    state: SoakState | None,
    tell: Callable[[int, float], object],
) -> Soaked:
    """Search in one or more processes, and go on where an earlier search was.

    Args:
        main: the program.
        settings: the settings.
        state: where it is saved how far it has come; None for nowhere.
        tell: called every minute with the number of runs, and the seconds of this life.

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
        is_anew, progress, seconds = False, Progress(), 0.0
        if kept is not None:
            if kept.failed is not None:
                # However late it is: this is the result.
                results = kept.progress.exploration
                found = conclude(Explorer(program), results, kept.failed, kept.number)
                is_certain = kept.failed.timed_out is None and not found.escaped
                if kept.is_same_source or is_certain:
                    return Soaked(found, found.runs, is_kept=True)
                is_anew = True
            else:
                if not kept.is_same_source and state is not None:
                    raise state.is_changed(kept.progress.runs)
                progress, seconds = kept.progress, kept.seconds
        before = progress.runs
        with _submitting(main, program, watch, settings) as (submit, explaining):
            search = ShardedSearch(
                settings.plan, submit, end, progress, is_soak=state is not None, is_local=True
            )
            saving = _Saving(state, search, tell, seconds)
            search.on_result = saving.on_result
            with explaining():
                exploration, failed, number = _searched(search, saving)
        if failed is not None:
            explorer.end = None
            exploration = conclude(explorer, exploration, failed, number)
        findings = {(each.rule, each.place): each for each in (*watch.warnings, *progress.findings)}
        exploration = replace(exploration, findings=tuple(texts_of(findings.values())))
        return Soaked(exploration, before, is_anew=is_anew)


def _searched(search: ShardedSearch, saving: _Saving) -> tuple[Exploration, FailedRun | None, int]:
    try:
        exploration, failed, number = search.run()
    except BaseException:
        saving.save()
        raise
    saving.save(failed, number)
    return exploration, failed, number


Explaining = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def _submitting(
    main: Main, program: Program, watch: RuleWatch, settings: Settings
) -> Iterator[tuple[Submit, Explaining]]:
    """While entered, batches can be submitted; yields the functions for it."""
    if settings.workers == 1:
        yield functools.partial(_run_here, program, watch), contextlib.nullcontext
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(settings.workers, initializer=end_with_parent)
    try:
        workers = Workers(pool, main, settings.rules, parse_levels_in_runs(None))
        yield workers.submit, workers.explaining
    finally:
        # They have nothing left to do, and a run may never end.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
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
    # Ctrl-C is for the process that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def wait() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="aldente-parent", daemon=True).start()
