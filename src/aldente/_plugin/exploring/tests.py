"""Makes an explored test into a function that pytest can call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from aldente._explore import tokens
from aldente._explore.arguments import parse_rules, parse_strategy
from aldente._explore.exploring import Explorer
from aldente._explore.failures import Exploration, Failure
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.programs import Program
from aldente._explore.replaying import run_again
from aldente._explore.simulating import Rules
from aldente._loops.simulated.randomness import kept_randomness
from aldente._plugin import items
from aldente._plugin.exploring.explored import Budget, ExploredTest
from aldente._plugin.exploring.outcomes import Outcome
from aldente._plugin.exploring.output import Output, each_warning_once
from aldente._plugin.exploring.progress import Progress
from aldente._plugin.exploring.remembered import Remembered
from aldente._plugin.exploring.runs import RunsOfTest
from aldente._plugin.findings.allowing import timeout_of
from aldente._plugin.options import settings_of
from aldente._plugin.outcomes import is_no_failure
from aldente._plugin.refusals import refuse_async_generator
from aldente._plugin.running.raising import reraise
from aldente._plugin.time_checks import time_of
from aldente._records import Schedule
from aldente.errors import FoundInRun, ReplayMismatch

# Which part of its runs a test has for each of the examples that Hypothesis gives; and how long the
# schedule of a failed one is made smaller, in seconds, as Hypothesis tries many of them.
_EXAMPLES_PER_BUDGET = 10
_SECONDS_OF_SHRINKING_EXAMPLES = 0.2


def make_synchronous(item: pytest.Function, explored: ExploredTest) -> Callable[[], None]:
    """Put a synchronous function in the place of an explored test.

    Returns:
        A function that undoes it.
    """
    function = item.obj
    if items.is_async_hypothesis_test(function):
        hypothesis = function.hypothesis
        inner = hypothesis.inner_test
        if inspect.isasyncgenfunction(inner):
            refuse_async_generator(item)
        budget = explored.budget
        explored.budget = budget._replace(runs=max(budget.runs // _EXAMPLES_PER_BUDGET, 1))
        hypothesis.inner_test = _synchronous(item, explored, inner)
        return functools.partial(setattr, hypothesis, "inner_test", inner)
    if inspect.isasyncgenfunction(function):
        refuse_async_generator(item)
    item.obj = _synchronous(item, explored, function)
    return functools.partial(setattr, item, "obj", function)


def _synchronous(
    item: pytest.Function, explored: ExploredTest, function: Callable[..., Any]
) -> Callable[..., Any]:
    def run_test(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        try:
            _explore(item, explored, function, args, kwargs)
        except BaseException as error:
            reraise(error, item.config)
        failure = explored.outcome.failure if explored.outcome is not None else None
        if failure is not None:
            reraise(failure.exception, item.config)

    # Not functools.wraps: it would copy the mark that makes a function a coroutine function.
    run_test.__name__ = getattr(function, "__name__", item.originalname)
    run_test.__wrapped__ = function  # type: ignore[attr-defined]
    return run_test


def _explore(
    item: pytest.Function,
    explored: ExploredTest,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Run a test under many schedules, or once more under one; keeps what came of it."""
    budget = explored.budget
    runs = RunsOfTest(item, explored, function, args, kwargs)
    output, progress = Output(item.config), Progress(item.config, budget.runs)

    def on_run() -> None:
        output.end_run()
        progress.end_run()

    began = monotonic()
    exploration: Exploration | None = None
    failure: Failure | None = None
    before = explored.outcome.runs if explored.outcome is not None else 0
    explored.outcome = None
    with kept_randomness(), each_warning_once(), noting_interrupts() as is_interrupted:
        program = Program(
            runs.program(),
            _rules(item, budget),
            is_interrupted,
            is_outcome=is_no_failure,
            on_run=on_run,
            watch=runs,
            real_seconds=timeout_of(item, settings_of(item.config).timeout),
        )
        try:
            if budget.replay is not None:
                failure = _replayed(program, budget.replay, is_lenient=_has_data(item))
            else:
                exploration = _explored(item, program, budget, output)
                failure = exploration.failure
        finally:
            progress.end()
            output.end()
            runs.report(is_told=failure is not None and isinstance(failure.exception, FoundInRun))
    # Hypothesis calls the test once for each example.
    seconds = monotonic() - began
    explored.outcome = Outcome(exploration, failure, budget, seconds, before + program.runs)


def _explored(
    item: pytest.Function, program: Program, budget: Budget, output: Output
) -> Exploration:
    end = None if budget.max_seconds is None else monotonic() + budget.max_seconds
    explorer = Explorer(
        program,
        end,
        known=Remembered(item).schedule(),
        on_replay=output.begin_last,
        seconds_of_shrinking=_SECONDS_OF_SHRINKING_EXAMPLES if _has_data(item) else None,
    )
    return explorer.explore(parse_strategy(budget.strategy, budget.seed), budget.runs)


def _replayed(program: Program, schedule: Schedule, *, is_lenient: bool) -> Failure | None:
    """The failure of a schedule that is run again; None if it passes.

    Args:
        program: the test.
        schedule: the schedule.
        is_lenient: whether it is meant for only one of the examples with which the test is called,
            so that it may not fit the others.
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


def _rules(item: pytest.Item, budget: Budget) -> Rules:
    settings, replay = settings_of(item.config), budget.replay
    rules = parse_rules(
        **budget.rules,
        seed=budget.seed,
        wall=time_of(item).wall,
        max_virtual_time=settings.max_virtual_time,
        debug=True if settings.debug else None,
    )
    if replay is not None:
        rules = rules._replace(order=replay.order, slack=replay.slack, seed=replay.seed)
    return rules


def _has_data(item: pytest.Function) -> bool:
    return hasattr(item.obj, "hypothesis")
