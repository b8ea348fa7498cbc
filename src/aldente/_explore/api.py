"""`search` and `replay`: a program under many schedules, or under one. `run`: a program once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from aldente._diagnosis import await_graph
from aldente._diagnosis import deadlock as diagnosis
from aldente._explore.arguments import (
    check_program,
    parse_end,
    parse_rules,
    parse_strategy,
)
from aldente._explore.executors import ExecutorProcesses, check_shareable, parse_executor, search_in
from aldente._explore.explorer import Explorer
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.nondeterminism import check_python, run_again
from aldente._explore.result import Exploration
from aldente._explore.rules_in_runs import RuleWatch, note_besides, parse_levels_in_runs, texts_of
from aldente._explore.runs import RunSettings
from aldente._explore.sharded_search import SearchPlan
from aldente._explore.simulate import Program, simulate
from aldente._records import Level
from aldente._schedules import Schedule
from aldente._settings import Settings, parse_clock, parse_wall
from aldente._simulation import tokens
from aldente._simulation.choices import Strategy
from aldente._simulation.determinism import kept_randomness
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random
from aldente._system import monotonic
from aldente._validation import parse_flag, parse_runs, parse_seconds, parse_whole
from aldente._virtual_time.loop import START, VirtualTimeLoop
from aldente._virtual_time.wall_clock import follow_wall
from aldente.errors import AldenteError, DeadlockError, InvalidSetting, ReplayMismatch

T = TypeVar("T")


def search(
    main: Callable[[], Coroutine[Any, Any, object]],
    *,
    runs: int = 200,
    strategy: str | Strategy = "auto",
    order: str = "any",
    slack: float = 1.0,
    seed: int | None = None,
    max_steps: int = 100_000,
    max_seconds: float | None = None,
    wall: bool | str | datetime = False,
    shrink: bool = True,
    rules: Mapping[str, Level] | None = None,
    executor: Executor | None = None,
    shards: int = 8,
) -> Exploration:
    """Run a program under many schedules, until one fails.

    The first run is in the order of stock asyncio. A failure is returned, not raised. A run fails
    when the program raises an exception, and when a rule finds an error in it: a coroutine that was
    never awaited, an exception in a task or callback that was never retrieved.

    Args:
        main: the program, a coroutine function without arguments; called again for every run.
        runs: the greatest number of runs.
        strategy: ``"auto"``, ``"pct"``, ``"pos"``, ``"dfs"``, ``"random"`` or ``"fifo"``; the name
            of an entry point in the group ``aldente.strategies``; or an object with the methods
            ``start``, ``choose`` and ``end``.
        order: ``"any"`` to hold back all tasks, ``"io"`` only those woken from outside of the
            loop's own memory.
        slack: how much longer a sleep may take, as a fraction of its time.
        seed: the seed of the choices and of the program's randomness; None is the same as 0.
        max_steps: how many steps a run may take.
        max_seconds: how long the search may take, in real seconds, shrinking included; None for no
            limit.
        wall: whether ``time.time()`` and similar clocks follow virtual time, from 1 January 2030
            on; or the moment at which they start, as a `datetime` or a string.
        shrink: whether to shrink a failure, to fewer context switches away from stock order.
        rules: other levels for rules: with ``"error"`` a finding fails the run, with ``"warn"`` it
            is in `Exploration.findings`, ``"off"`` finds nothing; for ``"never-awaited"`` and
            ``"background-error"``, by default errors, and ``"leaked-task"``, ``"leaked-asyncgen"``
            and ``"race"``, by default warnings. For the last one a program that passes is run up to
            a fifth more often.
        executor: runs the program in its worker processes: a
            `concurrent.futures.ProcessPoolExecutor`, or the executor of a cluster; None for this
            process. With an executor `main` must be picklable.
        shards: with an executor, how many parts to split the runs into: at least as many as there
            are workers. For the same seed and number of shards the result is the same.

    Raises:
        InvalidSetting: an argument has a wrong value.
        RuntimeError: an event loop is running in this thread.
        MissingExtra: `wall` needs a library that is not installed.
        WorkersFailed: a worker process has died, or the executor takes no more work.
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
    chosen = parse_strategy(strategy, runs_rules.seed)
    is_shrinking = parse_flag("shrink", shrink)
    limit = parse_runs("runs", runs)
    seconds = parse_end("max_seconds", max_seconds)
    number = parse_whole("shards", shards, 1, 10_000)
    workers = None
    if executor is not None:
        check_shareable(strategy)
        workers = ExecutorProcesses(parse_executor(executor), main, runs_rules, levels)
    end = None if seconds is None else monotonic() + seconds
    with kept_randomness(), noting_interrupts() as is_interrupted:
        watch = RuleWatch(levels)
        program = Program(main, runs_rules, is_interrupted, watch=watch)
        explorer = Explorer(program, end, is_shrinking)
        if workers is None:
            found = explorer.explore(chosen, limit)
            return replace(found, findings=tuple(texts_of(watch.warnings)))
        looks_for_races = watch.looks_for_races and not isinstance(chosen, Fifo)
        plan = SearchPlan(number, limit, strategy, runs_rules.seed, looks_for_races)
        return search_in(workers, plan, explorer, watch)


def replay(
    main: Callable[[], Coroutine[Any, Any, T]],
    token: str | Schedule,
    *,
    rules: Mapping[str, Level] | None = None,
) -> T:
    """Run a program once more under a schedule, and return its result.

    Args:
        main: the program that was given to `search`.
        token: the token of a failure; or its schedule, which has the number of options of each
            choice, so that an error names the first difference exactly.
        rules: other levels for rules, as for `search`; only errors have an effect.

    Raises:
        BaseException: what the program raises.
        FoundInRun: a rule has found an error in the run.
        ReplayMismatch: the run met other options than those recorded.
        InvalidToken: the token is malformed.
        RuntimeError: an event loop is running in this thread.

    >>> async def main():
    ...     return "done"
    >>> replay(main, "3AKERpQ")
    Traceback (most recent call last):
        ...
    aldente.errors.ReplayMismatch: The run differs from the recorded one: ...
    """
    check_program("replay", main)
    schedule = token if isinstance(token, Schedule) else tokens.decode(token)
    levels = parse_levels_in_runs(rules)
    watch = RuleWatch(levels)
    runs_rules = RunSettings(order=schedule.order, slack=schedule.slack, seed=schedule.seed)
    with kept_randomness(), noting_interrupts() as is_interrupted:
        program = Program(main, runs_rules, is_interrupted, watch=watch)
        run, mismatch = run_again(program, schedule)
        lost = None
        # A warning would have no effect.
        if run.error is None and mismatch is None and levels["race"] == "error":
            lost = Explorer(program).look_into(schedule)
    if lost is not None:
        raise lost.exception
    if mismatch is not None and (run.error is None or isinstance(run.error, ReplayMismatch)):
        raise mismatch
    if run.error is not None:
        note_besides(run.error, run.findings)
        raise run.error
    result: T = run.result
    return result


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    clock: str = "real",
    wall: bool | str | datetime = False,
    patience: float = Settings().patience,
    max_virtual_time: float = Settings().max_virtual_time,
    debug: bool | None = None,
    seed: int | None = None,
) -> T:
    """Run an async function on an event loop of its own, and return its result.

    For scripts, and for tests of other frameworks such as unittest. With a seed the run is
    simulated: only the seed decides the order in which tasks go on, and how long each waits.

    Args:
        main: a coroutine function without arguments.
        clock: ``"virtual"`` to have loop time jump to the next timer when nothing else can happen;
            ``"real"`` does the same as `asyncio.run`.
        wall: whether ``time.time()`` and similar clocks follow virtual time, from 1 January 2030
            on; or the moment at which they start, as a `datetime` or a string.
        patience: how long nothing must come from other processes and threads before virtual time
            jumps, in real seconds.
        max_virtual_time: how far virtual time may advance, in seconds of loop time.
        debug: as for `asyncio.run`.
        seed: the seed of the schedule and the randomness of a simulated run, in which time is
            always virtual.

    Raises:
        BaseException: what the program raises.
        FoundInRun: in a simulated run a coroutine was never awaited, or no code handled the
            exception of a task or callback.
        OutsideSimulation: a simulated run needs a real socket, process or signal.
        LivelockError: a simulated run did not end.
        DeadlockError: on virtual time, no task can go on; its notes say which task waits for
            which.
        EndlessTimeError: virtual time advanced beyond its limit.
        InvalidSetting: an argument has a wrong value.
        RuntimeError: an event loop is running in this thread.
        MissingExtra: `wall` needs a library that is not installed.

    >>> async def main():
    ...     await asyncio.sleep(3600)
    ...     return "an hour later"
    >>> run(main, clock="virtual")
    'an hour later'
    """
    check_program("run", main)
    if seed is not None:
        limit = parse_seconds("max_virtual_time", max_virtual_time)
        rules = parse_rules(seed=seed, wall=wall, max_virtual_time=limit, debug=debug)
        return _run_simulated(main, rules)
    is_virtual = parse_clock("clock", clock) == "virtual"
    wall_start = parse_wall("wall", wall)
    if wall_start is not None and not is_virtual:
        raise InvalidSetting("wall", wall, "It needs clock='virtual' or a seed.")
    make_loop = functools.partial(
        VirtualTimeLoop,
        patience=parse_seconds("patience", patience),
        max_virtual_time=parse_seconds("max_virtual_time", max_virtual_time),
        wall=follow_wall(START, wall_start),
        on_stuck=functools.partial(_fail, getattr(main, "__qualname__", repr(main))),
    )
    with asyncio.Runner(debug=debug, loop_factory=make_loop if is_virtual else None) as runner:
        return runner.run(main())


def _run_simulated(main: Callable[[], Coroutine[Any, Any, T]], rules: RunSettings) -> T:
    check_python()
    strategy = Random(rules.seed)
    strategy.start()
    with kept_randomness(), noting_interrupts() as is_interrupted:
        run = simulate(main, strategy, rules, watch=RuleWatch(parse_levels_in_runs(None)))
    if is_interrupted():
        raise KeyboardInterrupt
    if run.error is not None:
        note_besides(run.error, run.findings)
        raise run.error
    result: T = run.result
    return result


def _fail(name: str, loop: asyncio.AbstractEventLoop, error: AldenteError) -> bool:
    if isinstance(error, DeadlockError):
        graph = await_graph.snapshot(list(asyncio.all_tasks(loop)))
        error = DeadlockError(name, 0.0, error.beside_timers)
        error.add_note(diagnosis.explain(graph, main=None, folder=Path.cwd()))
    raise error
