"""`search` and `replay`: a program under many schedules, and once more under one of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from aldente._clocks import monotonic
from aldente._explore.arguments import (
    check_program,
    parse_end,
    parse_rules,
    parse_strategy,
)
from aldente._explore.exploring import Explorer
from aldente._explore.failures import Exploration
from aldente._explore.found import note_besides, texts_of
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.numbers import parse_runs
from aldente._explore.programs import Program
from aldente._explore.replaying import run_again
from aldente._explore.rule_watch import RuleWatch, parse_levels_in_runs
from aldente._explore.simulating import Rules
from aldente._records import Level
from aldente._schedules import Schedule
from aldente._settings import parse_flag
from aldente._simulation import tokens
from aldente._simulation.choices import Chooser
from aldente._simulation.determinism import kept_randomness
from aldente.errors import ReplayMismatch

T = TypeVar("T")


def search(
    main: Callable[[], Coroutine[Any, Any, object]],
    *,
    runs: int = 200,
    strategy: str | Chooser = "auto",
    order: str = "any",
    slack: float = 1.0,
    seed: int | None = None,
    max_steps: int = 100_000,
    max_seconds: float | None = None,
    wall: bool | str | datetime = False,
    shrink: bool = True,
    rules: Mapping[str, Level] | None = None,
) -> Exploration:
    """Run a program under many schedules, until one fails.

    The first run is in the order of stock asyncio. Nothing is raised for a failure. A run fails
    when the program raises something, and when a rule finds an error in it: a coroutine that was
    never awaited, an exception in a task or callback that nobody awaited.

    Args:
        main: the program, a coroutine function without arguments; called anew for every run.
        runs: how many runs there are at most.
        strategy: who chooses: ``"auto"``, ``"pct"``, ``"pos"``, ``"dfs"``, ``"random"`` or
            ``"fifo"``; the name of an entry point in the group ``aldente.strategies``; or an object
            with the methods ``start``, ``choose`` and ``end``.
        order: ``"any"`` to hold back all tasks, ``"io"`` only those that go on because of something
            outside of the loop's own memory.
        slack: how much longer than it does an await may take, as a part of that time.
        seed: what the choices and the randomness of the program follow from; None is the same as 0.
        max_steps: how many steps a run may take.
        max_seconds: how long the search may take, in real seconds, shrinking included; None for no
            limit.
        wall: whether ``time.time()`` and its like follow virtual time, from 1 January 2030 on; or
            the moment from which on they do, as a `datetime` or its text.
        shrink: whether a failure is made smaller: to fewer context switches away from stock order.
        rules: other levels for rules: ``"error"`` to have what one finds fail the run, ``"warn"``
            to have it told in `Exploration.findings`, or ``"off"``; for ``"never-awaited"`` and
            ``"background-error"``, which are errors unless they are named, and ``"leaked-task"``
            and ``"leaked-asyncgen"``, which are warnings.

    Raises:
        InvalidSetting: an argument has a wrong value.
        RuntimeError: an event loop is running in this thread.
        MissingExtra: `wall` needs a library that is not installed.
        KeyboardInterrupt: the user pressed Ctrl-C.

    >>> import asyncio
    >>> async def main():
    ...     counter = 0
    ...     async def add():
    ...         nonlocal counter
    ...         before = counter
    ...         await asyncio.sleep(before)
    ...         counter = before + 1
    ...     await add()
    ...     await asyncio.gather(add(), add())
    ...     assert counter == 3
    >>> search(main).failure.exception
    AssertionError()
    """
    check_program("search", main)
    levels = parse_levels_in_runs(rules)
    runs_rules = parse_rules(order=order, slack=slack, seed=seed, max_steps=max_steps, wall=wall)
    chooser = parse_strategy(strategy, runs_rules.seed)
    is_shrinking = parse_flag("shrink", shrink)
    limit = parse_runs("runs", runs)
    seconds = parse_end("max_seconds", max_seconds)
    end = None if seconds is None else monotonic() + seconds
    with kept_randomness(), noting_interrupts() as is_interrupted:
        watch = RuleWatch(levels)
        program = Program(main, runs_rules, is_interrupted, watch=watch)
        found = Explorer(program, end, is_shrinking).explore(chooser, limit)
        return replace(found, findings=tuple(texts_of(watch.warnings)))


def replay(
    main: Callable[[], Coroutine[Any, Any, T]],
    token: str | Schedule,
    *,
    rules: Mapping[str, Level] | None = None,
) -> T:
    """Run a program once more under a schedule, and return its result.

    Args:
        main: the program, as it was given to `search`.
        token: the token of a failure; or its schedule, which knows of each choice how many options
            there were, so that the first difference is told exactly.
        rules: other levels for rules, as for `search`; what is no error is not told.

    Raises:
        BaseException: what the program raises.
        FoundInRun: a rule has found an error in the run.
        ReplayMismatch: the run met other options than those that were recorded.
        InvalidToken: the token stands for no schedule.
        RuntimeError: an event loop is running in this thread.

    >>> async def main():
    ...     return "done"
    >>> replay(main, "1AKHFyw")
    Traceback (most recent call last):
        ...
    aldente.errors.ReplayMismatch: The run did not go as recorded: ...
    """
    check_program("replay", main)
    schedule = token if isinstance(token, Schedule) else tokens.decode(token)
    watch = RuleWatch(parse_levels_in_runs(rules))
    runs_rules = Rules(order=schedule.order, slack=schedule.slack, seed=schedule.seed)
    with kept_randomness(), noting_interrupts() as is_interrupted:
        program = Program(main, runs_rules, is_interrupted, watch=watch)
        run, mismatch = run_again(program, schedule)
    if mismatch is not None and (run.error is None or isinstance(run.error, ReplayMismatch)):
        raise mismatch
    if run.error is not None:
        note_besides(run.error, run.findings)
        raise run.error
    result: T = run.result
    return result
