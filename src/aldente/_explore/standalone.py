"""`run`: a program on a loop of aldente's, without pytest."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from aldente._diagnosis import await_graph
from aldente._diagnosis import deadlock as diagnosis
from aldente._explore.arguments import check_program, parse_rules
from aldente._explore.found import note_besides
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.rule_watch import RuleWatch, parse_levels_in_runs
from aldente._explore.self_check import check_python
from aldente._explore.simulating import Rules, simulate
from aldente._settings import Settings, parse_clock, parse_seconds, parse_wall
from aldente._simulation.determinism import kept_randomness
from aldente._strategies.random import Random
from aldente._virtual_time.loop import START, VirtualTimeLoop
from aldente._virtual_time.wall_clock import follow_wall
from aldente.errors import AldenteError, DeadlockError, InvalidSetting

T = TypeVar("T")


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

    For scripts, and for tests of other frameworks such as unittest. With a seed it is simulated:
    nothing but the seed decides the order in which tasks go on, and how long each waits.

    Args:
        main: a coroutine function without arguments.
        clock: ``"virtual"`` to have loop time jump to the next timer when nothing else can happen;
            ``"real"`` does the same as `asyncio.run`.
        wall: whether ``time.time()`` and its like follow virtual time, from 1 January 2030 on; or
            the moment from which on they do, as a `datetime` or its text.
        patience: how long other processes and threads are listened to before virtual time jumps,
            in real seconds.
        max_virtual_time: how far virtual time may run, in seconds of loop time.
        debug: as for `asyncio.run`.
        seed: for a simulated run, in which time is always virtual: what its schedule and its
            randomness follow from.

    Raises:
        BaseException: what it raised.
        FoundInRun: in a simulated run a coroutine was never awaited, or a task or callback has
            raised what nobody awaited.
        OutsideSimulation: a simulated run needs a real socket, process or signal.
        LivelockError: a simulated run did not come to an end.
        DeadlockError: on virtual time, when nothing can happen any more; its notes say who waits
            for whom.
        EndlessTimeError: virtual time ran on beyond its limit.
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
        max_seconds=parse_seconds("max_virtual_time", max_virtual_time),
        wall=follow_wall(START, wall_start),
        on_stuck=functools.partial(_fail, getattr(main, "__qualname__", repr(main))),
    )
    with asyncio.Runner(debug=debug, loop_factory=make_loop if is_virtual else None) as runner:
        return runner.run(main())


def _run_simulated(main: Callable[[], Coroutine[Any, Any, T]], rules: Rules) -> T:
    check_python()
    chooser = Random(rules.seed)
    chooser.start()
    with kept_randomness(), noting_interrupts() as is_interrupted:
        run = simulate(main, chooser, rules, watch=RuleWatch(parse_levels_in_runs(None)))
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
