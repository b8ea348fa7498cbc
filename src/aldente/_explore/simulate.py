"""`simulate`: one run of a `Program` on a simulated loop, from its beginning to the very end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aldente import _asyncio_compat, _checked_pythons
from aldente._diagnosis import await_graph
from aldente._diagnosis import deadlock as diagnosis
from aldente._diagnosis.deadlock import stuck_tasks
from aldente._diagnosis.reachability import can_reach
from aldente._diagnosis.waits import AwaitGraph
from aldente._explore import interrupting
from aldente._explore.rules_in_runs import found_in_run
from aldente._records import Finding
from aldente._runner.shutdown import Limits, end_loop, give_turns, give_up
from aldente._schedules import Order, Schedule, Step
from aldente._simulation.choices import Chooser
from aldente._simulation.determinism import seeded_randomness
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.timers import START
from aldente._simulation.trace import Tracer, Watch
from aldente._strategies.fifo import Fifo
from aldente._virtual_time.wall_clock import follow_wall
from aldente.errors import (
    AldenteError,
    DeadlockError,
    EndlessTimeError,
    InvalidSetting,
    LivelockError,
    PhaseTimeout,
    ReplayMismatch,
)


@dataclass(slots=True, eq=False)
class Program:
    """A program and what holds for its runs.

    Attributes:
        main: the program, a coroutine function without arguments.
        rules: what holds for its runs.
        is_interrupted: whether the user pressed Ctrl-C.
        is_outcome: whether an exception is no failure, but says at once what came of all runs.
        on_run: called after every run.
        real_seconds: how long each run may take, in real seconds; None for no limit.
        watch: looks at every run, and tells what was found that fails it; None if nobody does.
        runs: how many runs there have been.
    """

    main: Main
    rules: Rules
    is_interrupted: Callable[[], bool] = lambda: False
    is_outcome: Callable[[BaseException], bool] = lambda error: False
    on_run: Callable[[], object] = lambda: None
    real_seconds: float | None = None
    watch: RunWatch | None = None
    runs: int = 0

    def run(
        self,
        chooser: Chooser,
        *,
        rules: Rules | None = None,
        is_traced: bool = False,
        choices: Watch | None = None,
        real_seconds: float | None = None,
    ) -> Run:
        """Run it once; what it raises is kept.

        Args:
            chooser: decides its schedule; its run has been started.
            rules: what holds for this run; None for what holds for all.
            is_traced: whether its steps are recorded.
            choices: tells which of these steps were chosen; None if nobody knows.
            real_seconds: how long it may take, in real seconds; None for no limit.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C.
            BaseException: what is no failure.
        """
        if real_seconds is None or (self.real_seconds or real_seconds) < real_seconds:
            real_seconds = self.real_seconds
        run = simulate(
            self.main,
            chooser,
            rules or self.rules,
            is_traced=is_traced,
            choices=choices,
            watch=self.watch,
            real_seconds=real_seconds,
        )
        if self.is_interrupted():
            # With the place where that was, unless the program has hidden it.
            raise run.error if isinstance(run.error, KeyboardInterrupt) else KeyboardInterrupt
        self.runs += 1
        if run.error is not None and self.is_outcome(run.error):
            raise run.error
        self.on_run()
        return run


Main = Callable[[], Coroutine[Any, Any, Any]]


# What is left when the main task has ended: how many steps it may take, and how much loop time.
_STEPS_OF_END = 20_000
_SECONDS_OF_END = Limits(tasks=30.0, generators=60.0, executor=60.0)
_REAL_SECONDS_OF_END = 10.0


class Rules(NamedTuple):
    """What holds for the runs of a program.

    Attributes:
        order: which resumptions may be held back.
        slack: by which part of the time it has waited one may be held back longer.
        seed: what the randomness of the program begins with.
        max_steps: how many steps a run may take.
        max_virtual_time: how far time may run, in seconds of loop time.
        wall: what the clocks of the process show at first where they follow loop time, in
            nanoseconds since 1970; None where they don't follow it.
        debug: whether the loop is in asyncio's debug mode; None leaves it to asyncio.
    """

    order: Order = "any"
    slack: float = 1.0
    seed: int = 0
    max_steps: int = 100_000
    max_virtual_time: float = 10 * 365.25 * 86_400
    wall: int | None = None
    debug: bool | None = None


class RunWatch(Protocol):
    """Looks at runs for what fails them although the program does not."""

    def begin(self, loop: SimulatedLoop) -> None:
        """A run begins; its loop exists."""
        ...

    def main_ended(self, loop: SimulatedLoop) -> None:
        """The program has ended, and what it leaves is about to be cancelled.

        What was about to end by itself has been given the time for that.
        """
        ...

    def take(self) -> Sequence[Finding]:
        """The run is over, its loop closed: the findings that fail it."""
        ...


class Run(NamedTuple):
    """What came of one run.

    Attributes:
        result: what the program returned.
        error: what it raised, or why it was ended; None if all went well.
        choices: the options that were chosen.
        counts: among how many, each time.
        steps: what was done, when that was asked for.
        steps_until_end: how many of them there were when the program had ended or failed.
        waiting: who waited for whom when nothing could happen any more; else None.
        depends_on_threads: whether threads have called in that the schedule knows nothing of.
        findings: what was found that fails it, whether it has failed by itself or not.
    """

    result: Any
    error: BaseException | None
    choices: list[int]
    counts: list[int]
    steps: list[Step]
    steps_until_end: int
    waiting: AwaitGraph | None
    depends_on_threads: bool
    findings: Sequence[Finding] = ()

    def schedule(self, rules: Rules) -> Schedule:
        """The schedule of the run."""
        return Schedule(
            tuple(self.choices),
            tuple(self.counts),
            rules.order,
            rules.slack,
            rules.seed,
            python=_checked_pythons.running,
        )


def simulate(
    main: Main,
    chooser: Chooser,
    rules: Rules,
    *,
    is_traced: bool = False,
    choices: Watch | None = None,
    watch: RunWatch | None = None,
    real_seconds: float | None = None,
) -> Run:
    """Run a program once; nothing that it raises escapes.

    Args:
        main: the program, a coroutine function without arguments.
        chooser: decides its schedule; its run has been started.
        rules: what holds for it.
        is_traced: whether its steps are recorded.
        choices: tells which of these steps were chosen; None if nobody knows.
        watch: looks at the run; None if nobody does.
        real_seconds: how long it may take, in real seconds; None for no limit.
    """
    quiet: list[AwaitGraph] = []
    loop = _make_loop(main, chooser, rules, real_seconds, quiet)
    tracer = Tracer(loop, choices) if is_traced else None
    result = error = waiting = None
    if watch is not None:
        watch.begin(loop)
    with (
        no_collection(),
        seeded_randomness(rules.seed),
        _asyncio_compat.SetsInOrder(),
        _asyncio_compat.ShieldLeavesExceptions(),
    ):
        with interrupting.running(loop):
            try:
                loop.main_task = _start(loop, main)
                result = loop.run_until_complete(loop.main_task)
            except BaseException as raised:
                error, waiting = _explained(loop, raised, quiet)
            steps_until_end = len(tracer.steps) if tracer is not None else 0
            error = _end(loop, error, watch)
        if tracer is not None:
            tracer.stop()
        findings = tuple(watch.take()) if watch is not None else ()
        # Freed at once and not with the loop, so that lists of all tasks stay short.
        loop.main_task = None
    chooser.end()
    if findings and error is None:
        error = found_in_run(findings)
    return Run(
        result,
        error,
        loop.choices,
        loop.counts,
        tracer.steps if tracer is not None else [],
        steps_until_end,
        waiting,
        loop.depends_on_threads,
        findings,
    )


def _make_loop(
    main: Main,
    chooser: Chooser,
    rules: Rules,
    real_seconds: float | None,
    quiet: list[AwaitGraph],
) -> SimulatedLoop:
    """The loop of a run.

    Args:
        main: the program.
        chooser: decides its schedule.
        rules: what holds for it.
        real_seconds: how long it may take, in real seconds; None for no limit.
        quiet: gets who waited for whom, when that is found out while timers go on.
    """

    def on_quiet(loop: SimulatedLoop) -> AldenteError | None:
        graph = _graph_if_stuck(loop)
        if graph is None:
            return None
        quiet.append(graph)
        return DeadlockError(_name_of(main), 0.0, beside_timers=True)

    loop = SimulatedLoop(
        chooser,
        order=rules.order,
        slack=rules.slack,
        max_steps=rules.max_steps,
        max_seconds=rules.max_virtual_time,
        real_seconds=real_seconds,
        wall=follow_wall(START, rules.wall),
        on_quiet=on_quiet,
    )
    loop.name = _name_of(main)
    if rules.debug is not None:
        loop.set_debug(rules.debug)
    attach = getattr(chooser, "attach", None)
    if attach is not None:
        attach(loop)
    return loop


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """While entered, no garbage is collected by itself.

    Objects that are only part of circles would be finalised at moments that depend on how many
    objects there are, and finalising them may run code of the program.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _start(loop: SimulatedLoop, main: Main) -> asyncio.Task[Any]:
    coroutine = main()
    try:
        return loop.create_task(coroutine)
    except BaseException:
        # On a Python for which the loop is not made; what fails is to be told, and no coroutine.
        coroutine.close()
        raise


def _end(
    loop: SimulatedLoop, error: BaseException | None, watch: RunWatch | None
) -> BaseException | None:
    """End everything that is left on a loop, and close it; gives why the run failed."""
    task = loop.main_task
    if task is None:
        loop.close()
        return error
    loop.end_program()
    loop.allow_more(_STEPS_OF_END, sum(_SECONDS_OF_END), _REAL_SECONDS_OF_END)
    find_tasks = functools.partial(_asyncio_compat.pending_tasks, loop)
    try:
        if watch is not None and task.done():
            # As the runner of tests does it.
            give_turns(loop, find_tasks)
            watch.main_ended(loop)
        end_loop(loop, find_tasks, _SECONDS_OF_END, lambda: False)
    except BaseException as raised:
        error = error or raised
        _give_up(loop)
    finally:
        if error is not None and task.done() and not task.cancelled():
            # It is told of here; asyncio is not to log it.
            task.exception()
        loop.close()
    return error


def _give_up(loop: SimulatedLoop) -> None:
    """Leave tasks as they are, silently."""
    tasks = asyncio.all_tasks(loop)
    give_up(tasks)
    for task in tasks:
        coroutine = task.get_coro()
        if (
            inspect.iscoroutine(coroutine)
            and inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
        ):
            coroutine.close()


def _graph_if_stuck(loop: SimulatedLoop) -> AwaitGraph | None:
    """Who waits for whom, if the main task waits for what no task that goes on can ever end."""
    main = loop.main_task
    if main is None or main.done():
        return None
    graph = await_graph.snapshot(asyncio.all_tasks(loop))
    names = [task.name for task in graph.tasks]
    if names.count(main.get_name()) != 1:
        return None
    numbers = stuck_tasks(graph)
    if names.index(main.get_name()) not in numbers:
        return None
    stuck_names = {names[number] for number in numbers}
    tasks = sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name)
    stuck = [task for task in tasks if task.get_name() in stuck_names]
    actors = [task for task in tasks if task.get_name() not in stuck_names]
    return None if can_reach(loop, actors, stuck) else graph


def _explained(
    loop: SimulatedLoop, error: BaseException, quiet: list[AwaitGraph]
) -> tuple[BaseException, AwaitGraph | None]:
    """Why a run has ended, and who waited for whom if nothing could happen any more.

    Args:
        loop: the loop, on which everything is as it was.
        error: what was raised of the run.
        quiet: who waited for whom when that was found out while timers went on.
    """
    if isinstance(error, (ReplayMismatch, InvalidSetting)):
        # Whoever chose can't say how to go on.
        loop.choose_by(Fifo())
    if not isinstance(error, (DeadlockError, EndlessTimeError, LivelockError, PhaseTimeout)):
        return error, None
    graph = quiet[0] if quiet else await_graph.snapshot(asyncio.all_tasks(loop))
    told: BaseException = error
    if isinstance(error, DeadlockError):
        # Without the frames of the loop.
        told = DeadlockError(loop.name, 0.0, error.beside_timers)
    if graph.tasks:
        # Else the task that was interrupted was the only one, and its stack is told.
        told.add_note(diagnosis.explain(graph, main=None, folder=Path.cwd()))
    return told, graph if isinstance(error, DeadlockError) else None


def _name_of(main: Main) -> str:
    return getattr(main, "__qualname__", repr(main))
