"""Turns an explored test into a function that pytest can call."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from aldente import _asyncio_compat
from aldente._diagnosis.finding_text import describe, fold
from aldente._explore.arguments import parse_rules, parse_strategy
from aldente._explore.explorer import Explorer, FoundFailure
from aldente._explore.interrupting import ending_steps, noting_interrupts
from aldente._explore.nondeterminism import run_again, steps_in_stock_order
from aldente._explore.result import Exploration, Failure
from aldente._explore.runs import RunSettings
from aldente._explore.shrink import identity_of_kind
from aldente._explore.simulate import Program
from aldente._plugin import ownership
from aldente._plugin.explore.failure_cache import Remembered
from aldente._plugin.explore.hypothesis import runs_for_example
from aldente._plugin.explore.output import Output, ProgressLine, each_warning_once
from aldente._plugin.explore.report import add_stuck_lines
from aldente._plugin.explore.run import FoundInRuns, RunsOfTest
from aldente._plugin.explore.state import WORKER, ExploredTest, Outcome, number_of_workers
from aldente._plugin.marks import timeout_of
from aldente._plugin.options import settings_of
from aldente._plugin.refusals import refuse_async_generator
from aldente._plugin.run.outcomes import is_no_failure, reraise
from aldente._plugin.session import state_of
from aldente._plugin.test_time import time_of_runs
from aldente._rules import rule_named
from aldente._schedules import Schedule, Step
from aldente._simulation import tokens
from aldente._simulation.choices import Strategy
from aldente._simulation.determinism import kept_randomness
from aldente._system import monotonic
from aldente.errors import EndlessTimeError, FoundInRun, PhaseTimeout, ReplayMismatch, StuckTasks

if TYPE_CHECKING:
    from aldente._plugin.explore.worker import WorkerLoop


def replayed(program: Program, schedule: Schedule, *, is_lenient: bool = False) -> Failure | None:
    """Run a schedule again, and return its failure; None if it passes.

    Args:
        program: the test.
        schedule: the schedule.
        is_lenient: whether the schedule is for only one of the examples with which the test is
            called, so that it may not fit the others.
    """
    run, mismatch = run_again(program, schedule)
    error = run.error
    if mismatch is not None and (error is None or isinstance(error, ReplayMismatch)):
        if is_lenient:
            return None
        error = mismatch
    if error is None:
        return None
    return Failure(
        error,
        schedule,
        tokens.encode(schedule),
        1,
        steps=tuple(run.steps[: run.steps_until_end]),
        waiting=run.waiting,
    )


Function = Callable[..., Any]


def make_exploring(item: pytest.Function, explored: ExploredTest) -> Callable[[], None]:
    """Replace the function of an explored test by a synchronous one.

    Returns:
        A function that undoes it.
    """
    # So that `asyncio.get_event_loop` raises: no loop is current.
    _asyncio_compat.make_current(None)
    item.addfinalizer(_asyncio_compat.forget_current_loop)
    function = item.obj
    explored.instance = getattr(item, "instance", None)
    undo = functools.partial(setattr, item, "obj", function)
    test = _Test(item, explored)
    if not ownership.is_async_hypothesis_test(function):
        if inspect.isasyncgenfunction(function):
            refuse_async_generator(item)
        item.obj = _like(function, functools.partial(test.explore, function))
        return undo
    hypothesis = function.hypothesis
    inner = hypothesis.inner_test
    if inspect.isasyncgenfunction(inner):
        refuse_async_generator(item)
    hypothesis.inner_test = _like(inner, functools.partial(test.explore_example, inner))
    item.obj = _like(function, functools.partial(test.call_with_examples, function))

    def undo_both() -> None:
        hypothesis.inner_test = inner
        undo()

    return undo_both


def _like(function: Function, call: Callable[..., None]) -> Callable[..., None]:
    def run_test(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        call(*args, **kwargs)

    # Not functools.wraps: it would copy the mark that makes a function a coroutine function.
    run_test.__name__ = getattr(function, "__name__", "run_test")
    run_test.__wrapped__ = function  # type: ignore[attr-defined]
    return run_test


class _Test:
    """A test while it is explored: once, or once for each Hypothesis example.

    Args:
        item: the test.
        explored: its state.
    """

    def __init__(self, item: pytest.Function, explored: ExploredTest) -> None:
        self._item = item
        self._explored = explored
        self._budget = explored.budget
        self._found = FoundInRuns(item, is_search=explored.budget.replay is None)
        self._output = Output(item.config)
        self._progress = ProgressLine(item.config, explored.budget.runs)
        self._wants_page = bool(settings_of(item.config).page)
        self._began = monotonic()
        self._end = (
            None if self._budget.max_seconds is None else (self._began + self._budget.max_seconds)
        )
        self._known = Remembered(item).failure() if self._budget.replay is None else None
        self._runs = 0
        self._share: int | None = None
        # The result of the examples so far, whether there was one, and one that failed.
        self._so_far: Exploration | None = None
        self._is_begun = False
        self._has_failed = False
        # Enters the example that failed last.
        self._enter_example: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
        self._failed: tuple[RunsOfTest, Explorer, Exploration, FoundFailure] | None = None
        # The traceback of its error, before Hypothesis raises it again.
        self._traceback: TracebackType | None = None

    def explore(self, function: Function, /, *args: Any, **kwargs: Any) -> None:
        """Run the test under many schedules, or replay one, and raise the failure."""
        __tracebackhide__ = True
        try:
            failure = self._explore(function, args, kwargs)
        except BaseException as error:
            self._found.report()
            reraise(error, self._item.config)
        raised = None if failure is None else failure.exception
        if failure is not None:
            add_stuck_lines(failure, self._item.name)
        self._found.report(raised)
        if raised is not None:
            reraise(raised, self._item.config)

    def _explore(
        self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Failure | None:
        failure: Failure | None = None
        exploration: Exploration | None = None
        runs = RunsOfTest(self._item, self._explored, function, args, kwargs, self._found)
        with self._running(runs) as program:
            worker = _worker_of(self._item.config)
            if worker is not None:
                worker.serve(program, self._found)
                return None
            if self._budget.replay is not None:
                failure = self._replayed(program, self._budget.replay)
                if failure is None:
                    failure = self._explorer(program).look_into(self._budget.replay)
            else:
                explorer = self._explorer(program)
                # Worker processes run tests with the mark only.
                number = number_of_workers(self._item, self._budget.runs)
                if number > 1 and self._explored.is_marked:
                    from aldente._plugin.explore.workers import explore_together

                    exploration = explore_together(
                        self._item, explorer, self._budget, self._found, self._progress, number
                    )
                else:
                    conclude = functools.partial(self._explored.conclude, explorer)
                    exploration = explorer.explore(self._strategy(), self._budget.runs, conclude)
                failure = exploration.failure
            self._conclude(exploration, failure)
        return failure

    # With examples of Hypothesis.

    def call_with_examples(self, function: Function, /, *args: Any, **kwargs: Any) -> None:
        """Have Hypothesis call the test, and investigate the example that fails."""
        __tracebackhide__ = True
        raised: BaseException | None = None
        try:
            function(*args, **kwargs)
        except BaseException as error:
            raised = error
        # Not in the handler, which would become the context of the run's exception.
        if raised is None:
            self._found.report()
            return
        if self._failed is not None and not is_no_failure(raised):
            failure = self._look_into_example(*self._failed)
            # Otherwise it combines several examples, or is another error of Hypothesis.
            if raised is self._failed[3].error:
                failure.exception.__notes__ = getattr(raised, "__notes__", [])
                add_stuck_lines(failure, self._item.name)
                raised = failure.exception
            _fit_to_pytest(raised, self._item.config.rootpath)
        self._found.report(raised)
        reraise(raised, self._item.config)

    def explore_example(self, function: Function, /, *args: Any, **kwargs: Any) -> None:
        """Run the test with an example under some schedules; Hypothesis may try many more."""
        __tracebackhide__ = True
        from aldente._plugin.explore import hypothesis

        runs = RunsOfTest(self._item, self._explored, function, args, kwargs, self._found)
        error: BaseException | None = None
        self._failed = None
        self._enter_example = hypothesis.keep_context()
        with hypothesis.hold_back_reports(runs.notes), self._running(runs) as program:
            if self._budget.replay is not None:
                failure = self._replayed(program, self._budget.replay, is_lenient=True)
                self._conclude(None, failure)
                error = None if failure is None else failure.exception
            else:
                error = self._search_with_example(runs, program)
        if error is not None:
            # Only those of the run that failed.
            hypothesis.report(runs.notes)
            raise error

    def _search_with_example(self, runs: RunsOfTest, program: Program) -> BaseException | None:
        from aldente._plugin.explore import hypothesis

        is_first, self._is_begun = not self._is_begun, True
        if self._is_over and not is_first and not self._has_failed:
            self._conclude(Exploration(0, 0, exhausted=False, is_late=True), None)
            return None
        explorer = self._explorer(program)
        if self._has_failed:
            # No time limit: a failure must occur again, however long Hypothesis shrinks.
            explorer.end = None
        # Each example like the only one, so that a failing one fails again.
        share = self._share = runs_for_example(self._budget)
        strategy = self._strategy()
        exploration, found = explorer.search(strategy, share)
        is_cut_off = found is not None and isinstance(found.error, PhaseTimeout) and self._is_over
        if is_cut_off and not is_first and not self._has_failed:
            # A later example that the limit for all runs has cut off is not a failure.
            exploration, found = replace(exploration, is_late=True), None
        if found is None:
            self._conclude(exploration, None)
            return None
        if hypothesis.is_rejection(found.error):
            self._found.keep_last_run()
            return found.error
        self._has_failed = True
        self._failed = runs, explorer, exploration, found
        self._traceback = found.error.__traceback__
        return found.error

    def _look_into_example(
        self, runs: RunsOfTest, explorer: Explorer, exploration: Exploration, found: FoundFailure
    ) -> Failure:
        with self._enter_example(), self._running(runs) as program:
            found.program.is_interrupted = program.is_interrupted
            explorer.end = self._end
            # Failures are compared by their traceback.
            found.error.__traceback__ = self._traceback
            failure = explorer.conclude(found)
            self._conclude(exploration, failure)
        return failure

    @contextlib.contextmanager
    def _running(self, runs: RunsOfTest) -> Iterator[Program]:
        """While entered, run the test; yields it as a program."""
        worker = _worker_of(self._item.config)
        with (
            _asyncio_compat.without_suspended_loop(),
            kept_randomness(),
            each_warning_once(),
            noting_interrupts() as is_interrupted,
            ending_steps(None if worker is None else worker.end_if_alone),
        ):
            try:
                yield Program(
                    runs.program(),
                    _rules(self._item, self._explored),
                    is_interrupted,
                    is_outcome=is_no_failure,
                    on_run=self._end_run,
                    watch=runs,
                    real_seconds=timeout_of(self._item, settings_of(self._item.config).timeout),
                )
            except KeyboardInterrupt:
                # Interrupted between any two lines, so what the run left behind means nothing.
                state_of(self._item.config).collector.stop()
                raise
            except BaseException as error:
                if is_no_failure(error):
                    self._found.keep_last_run()
                raise
            finally:
                self._progress.end()
                self._output.end()

    def _replayed(
        self, program: Program, schedule: Schedule, *, is_lenient: bool = False
    ) -> Failure | None:
        stock_order: tuple[Step, ...] = ()
        if self._wants_page:
            stock_order = steps_in_stock_order(program, schedule)
            self._output.drop()
        failure = replayed(program, schedule, is_lenient=is_lenient)
        return None if failure is None else replace(failure, stock_order=stock_order)

    def _end_run(self) -> None:
        self._output.end_run()
        self._progress.end_run()

    @property
    def _is_over(self) -> bool:
        """Whether the time limit for all runs has passed."""
        return self._end is not None and monotonic() >= self._end

    def _strategy(self) -> Strategy:
        return parse_strategy(self._budget.strategy, self._budget.seed_of_schedules)

    def _explorer(self, program: Program) -> Explorer:
        return Explorer(
            program,
            self._end,
            known=self._known,
            on_replay=self._output.begin_last,
            is_beside_stock=self._wants_page,
        )

    def _conclude(self, exploration: Exploration | None, failure: Failure | None) -> None:
        """Store the outcome of the test, or of one example."""
        if failure is not None:
            self._found.conclude(failure)
            _fit_to_pytest(failure.exception, self._item.config.rootpath)
        self._runs += exploration.runs if exploration is not None else 1
        if exploration is not None:
            exploration = self._so_far = _of_all(self._so_far, exploration)
        self._explored.outcome = Outcome(
            exploration,
            failure,
            self._budget,
            monotonic() - self._began,
            self._runs,
            self._share,
            self._found.has_spared,
            "" if failure is None else _identity_of(failure),
        )


def _worker_of(config: pytest.Config) -> WorkerLoop | None:
    """The loop of this worker process; None in other runs of pytest."""
    worker: WorkerLoop | None = config.pluginmanager.get_plugin(WORKER)
    return worker


def _identity_of(failure: Failure) -> str:
    shrinking = failure.shrinking
    if shrinking is None or shrinking.outcome == "unrepeatable":
        return ""
    return identity_of_kind(failure.exception)


def _of_all(before: Exploration | None, last: Exploration) -> Exploration:
    """Combine the result of the last example with that of those before."""
    if before is None:
        return last
    return replace(
        last,
        exhausted=before.exhausted and last.exhausted,
        escaped=last.escaped or before.escaped,
        is_late=before.is_late or last.is_late,
    )


def _fit_to_pytest(error: BaseException, folder: Path) -> None:
    """Make paths in an error relative to a folder, and add how to allow a finding in a test."""
    inside = f"{folder}{os.sep}"
    if isinstance(error, EndlessTimeError):
        error.timers = [timer.replace(inside, "") for timer in error.timers]
    elif isinstance(error, StuckTasks):
        error.tasks = [task.replace(inside, "") for task in error.tasks]
    elif isinstance(error, FoundInRun):
        texts = ((one.rule, describe(one, rule_named(one.rule), folder)) for one in error.findings)
        error.texts = tuple(fold(texts))
    elif isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            _fit_to_pytest(each, folder)


def _rules(item: pytest.Item, explored: ExploredTest) -> RunSettings:
    settings, budget = settings_of(item.config), explored.budget
    rules = parse_rules(
        **budget.rules,
        seed=budget.seed,
        max_virtual_time=settings.max_virtual_time,
        debug=True if settings.debug else None,
    )._replace(wall=time_of_runs(item).wall, is_paced=not explored.is_marked)
    replay = budget.replay
    if replay is not None:
        rules = rules._replace(order=replay.order, slack=replay.slack, seed=replay.seed)
    return rules
