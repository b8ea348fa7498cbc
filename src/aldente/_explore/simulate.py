"""`simulate`: one run of a `Program` on a simulated loop, up to the close of the loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from aldente import _asyncio_compat
from aldente._diagnosis import await_graph
from aldente._diagnosis import deadlock as diagnosis
from aldente._diagnosis.endless import is_endless
from aldente._diagnosis.reachability import is_out_of_reach
from aldente._diagnosis.waits import FREE_KINDS, AwaitGraph
from aldente._explore import interrupting
from aldente._explore.ending import end
from aldente._explore.observations import ObservedOperations, observed
from aldente._explore.rules_in_runs import found_in_run
from aldente._explore.runs import Run, RunSettings, RunWatch
from aldente._explore.serial_orders import SerialOrders, Verdict
from aldente._explore.shared_uses import SharedUses
from aldente._explore.step_details import StepDetails
from aldente._records import Finding
from aldente._simulation.anyio_in_runs import AnyioInRuns
from aldente._simulation.choices import Strategy
from aldente._simulation.determinism import ObjectsInOrder, TasksInOrder, seeded_randomness
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.network.loop import SimulatedSockets
from aldente._simulation.outside import BlockingSleep
from aldente._simulation.timers import START
from aldente._simulation.trace import ChoiceWatch, Fingerprint, Tracer
from aldente._strategies.fifo import Fifo
from aldente._strategies.replay import Leading
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
    """A program and the settings of its runs.

    Attributes:
        main: the program, a coroutine function without arguments.
        rules: the settings of its runs.
        is_interrupted: whether the user pressed Ctrl-C.
        is_outcome: whether an exception, such as a skip, ends all runs at once and is not a
            failure.
        on_run: called after every run.
        real_seconds: how long each run may take, in real seconds; None for no limit.
        watch: observes every run, and returns the findings that fail it; None without one.
        runs: the number of runs so far.
        serial_orders: the outcomes of its operations in serial orders.
    """

    main: Main
    rules: RunSettings
    is_interrupted: Callable[[], bool] = lambda: False
    is_outcome: Callable[[BaseException], bool] = lambda error: False
    on_run: Callable[[], object] = lambda: None
    real_seconds: float | None = None
    watch: RunWatch | None = None
    runs: int = 0
    serial_orders: SerialOrders = field(default_factory=SerialOrders)

    def run(
        self,
        strategy: Strategy,
        *,
        rules: RunSettings | None = None,
        is_traced: bool = False,
        is_compared: bool = False,
        choices: ChoiceWatch | None = None,
        keeps_values: bool = False,
        real_seconds: float | None = None,
    ) -> Run:
        """Run it once, and keep the exception that it raises.

        Args:
            strategy: decides its schedule; its `start` has been called.
            rules: the settings of this run; None for those of all runs.
            is_traced: whether to record its steps.
            is_compared: whether to make its fingerprint; not with `is_traced`.
            choices: follows which of these steps were chosen; None if that is not known.
            real_seconds: how long it may take, in real seconds; None for no limit.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C.
            BaseException: one that `is_outcome` accepts.
        """
        if real_seconds is None or (self.real_seconds or real_seconds) < real_seconds:
            real_seconds = self.real_seconds
        run = simulate(
            self.main,
            strategy,
            rules or self.rules,
            is_traced=is_traced,
            is_compared=is_compared,
            choices=choices,
            keeps_values=keeps_values,
            watch=self.watch,
            real_seconds=real_seconds,
        )
        if self.is_interrupted():
            # With its traceback, unless the program has hidden it.
            raise run.error if isinstance(run.error, KeyboardInterrupt) else KeyboardInterrupt
        self.runs += 1
        if run.error is None and run.observation is not None:
            verdict = self._judge(run.observation, rules or self.rules, run.choices)
            run = run._replace(error=verdict.error, unjudged=verdict.unjudged)
        if run.error is not None and self.is_outcome(run.error):
            raise run.error
        self.on_run()
        return run

    def _judge(
        self, observation: ObservedOperations, rules: RunSettings, choices: list[int]
    ) -> Verdict:
        """Whether the outcome of a run's operations is that of no serial order.

        Args:
            observation: the outcome.
            rules: the settings of the run.
            choices: its choices.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C.
        """
        # More steps than this are spent on waiting for an operation that has to overlap.
        most = min(self.rules.max_steps, _STEPS_OF_SERIAL_RUN + 10 * observation.steps)
        # In any order, as an operation may begin while others of the program go on.
        serial = self.rules._replace(order="any", is_serial=True, max_steps=most)
        return self.serial_orders.judge(
            observation,
            lambda strategy: self._observe(strategy, serial),
            lambda: self._observe(Leading(choices), rules._replace(is_watched=True)),
        )

    def _observe(self, strategy: Strategy, rules: RunSettings) -> ObservedOperations | None:
        """Run it; return the outcome of its operations, or None if it fails."""
        run = self.run_aside(strategy, rules)
        return None if run.error is not None else run.observation

    def run_aside(
        self,
        strategy: Strategy,
        rules: RunSettings,
        *,
        keeps_values: bool = False,
        choices: ChoiceWatch | None = None,
    ) -> Run:
        """Run it once, only for comparison: it is no run of a search, and may fail.

        Args:
            strategy: decides its schedule; its `start` has been called.
            rules: the settings of the run.
            keeps_values: whether to follow what its tasks change, and keep the values.
            choices: follows which of its steps were chosen, which are recorded then; None for not.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C.
        """
        with contextlib.nullcontext() if self.watch is None else self.watch.aside():
            run = simulate(
                self.main,
                strategy,
                rules,
                is_traced=keeps_values or choices is not None,
                choices=choices,
                keeps_values=keeps_values,
                watch=self.watch,
                real_seconds=self.real_seconds,
            )
        if self.is_interrupted():
            raise run.error if isinstance(run.error, KeyboardInterrupt) else KeyboardInterrupt
        return run


# How many steps a serial run may take, besides ten times those of the run that it is compared with.
_STEPS_OF_SERIAL_RUN = 1_000

Main = Callable[[], Coroutine[Any, Any, Any]]


def simulate(
    main: Main,
    strategy: Strategy,
    rules: RunSettings,
    *,
    is_traced: bool = False,
    is_compared: bool = False,
    choices: ChoiceWatch | None = None,
    keeps_values: bool = False,
    watch: RunWatch | None = None,
    real_seconds: float | None = None,
) -> Run:
    """Run a program once, and return what it raises with the other results.

    Args:
        main: the program, a coroutine function without arguments.
        strategy: decides its schedule; its `start` has been called.
        rules: the settings of the run.
        is_traced: whether to record its steps.
        is_compared: whether to make its fingerprint; not with `is_traced`.
        choices: follows which of these steps were chosen; None if that is not known.
        keeps_values: whether to follow what tasks read and change, and keep the values that they
            set; needs `is_traced`.
        watch: observes the run; None without one.
        real_seconds: how long it may take, in real seconds; None for no limit.
    """
    quiet: list[AwaitGraph] = []
    loop = _make_loop(main, strategy, rules, real_seconds, quiet)
    recording = _Recording(
        loop,
        is_traced=is_traced,
        is_compared=is_compared,
        choices=choices,
        keeps_values=keeps_values,
    )
    result = error = waiting = observation = None
    if watch is not None:
        watch.begin(loop)
    with _only_by_schedule(loop, rules) as is_random:
        with interrupting.running(loop):
            try:
                loop.main_task = _start(loop, main)
                recording.begin_details()
                result = loop.run_until_complete(loop.main_task)
                if loop.operations is not None:
                    observation = observed(loop.operations, loop, is_random=is_random())
            except BaseException as raised:
                error, waiting = _explained(loop, raised, quiet)
                if watch is not None:
                    watch.failed(loop, error)
            finally:
                recording.end_details(error)
            error = end(loop, error, None if watch is None else watch.main_ended)
            if loop.operations is not None:
                loop.operations.stop()
        recording.end()
        findings = tuple(watch.take()) if watch is not None else ()
        # Before the garbage collector may find them.
        loop.leave_sockets(has_failed=error is not None)
        # Freed now and not with the loop, so that lists of all tasks stay short.
        loop.main_task = None
    strategy.end()
    if error is not None:
        error = loop.explained(error)
    if findings and error is None:
        error = found_in_run(findings)
        if watch is not None:
            watch.failed(loop, error)
    return recording.run(result, error, waiting, findings, observation)


@contextlib.contextmanager
def _only_by_schedule(loop: SimulatedLoop, rules: RunSettings) -> Iterator[Callable[[], bool]]:
    """While entered, what code does depends on the schedule and the seed alone.

    Yields:
        Whether the program has drawn random numbers.
    """
    with (
        no_collection(),
        loop.removing_disks(),
        seeded_randomness(rules.seed) as is_random,
        _asyncio_compat.SetsInOrder(),
        TasksInOrder(),
        ObjectsInOrder(),
        AnyioInRuns(),
        BlockingSleep(),
        SimulatedSockets(),
        _asyncio_compat.ShieldLeavesExceptions(),
    ):
        yield is_random


class _Recording:
    """What is recorded of a run.

    Args:
        loop: the loop of the run.
        is_traced, is_compared, choices, keeps_values: those of `simulate`.
    """

    def __init__(
        self,
        loop: SimulatedLoop,
        *,
        is_traced: bool,
        is_compared: bool,
        choices: ChoiceWatch | None,
        keeps_values: bool,
    ) -> None:
        self._loop = loop
        self._tracer = tracer = Tracer(loop, choices) if is_traced else None
        # Only of the run that is reported, as they take long.
        self._shared = self._details = None
        if tracer is not None and (choices is not None or keeps_values):
            self._shared = SharedUses(loop, tracer.steps, keeps_values=keeps_values)
        if tracer is not None and choices is not None:
            self._details = StepDetails(loop, tracer.steps)
        self._fingerprint = Fingerprint(loop) if is_compared else None
        self._steps_until_end = self._value = 0

    def begin_details(self) -> None:
        """Follow what the steps of tasks do."""
        if self._details is not None:
            self._details.start()
        if self._shared is not None:
            self._shared.start()

    def end_details(self, error: BaseException | None) -> None:
        """The main task has ended; what follows is the clean-up.

        Args:
            error: what it has raised.
        """
        if self._shared is not None:
            self._shared.stop(error)
        if self._details is not None:
            self._details.stop()
        if self._tracer is not None:
            self._steps_until_end = len(self._tracer.steps)

    def end(self) -> None:
        """Record no more."""
        if self._tracer is not None:
            self._tracer.stop()
        if self._fingerprint is not None:
            self._value = self._fingerprint.stop()

    def run(
        self,
        result: Any,
        error: BaseException | None,
        waiting: AwaitGraph | None,
        findings: tuple[Finding, ...],
        observation: ObservedOperations | None,
    ) -> Run:
        """The run, of what was recorded and what it gave."""
        loop, shared = self._loop, self._shared
        return Run(
            result,
            error,
            loop.choices,
            loop.counts,
            self._tracer.steps if self._tracer is not None else [],
            self._steps_until_end,
            waiting,
            loop.depends_on_threads,
            (loop.time_outs_set, loop.time_outs_fired),
            loop.faults,
            findings,
            self._value,
            observation,
            accesses=shared.accesses if shared is not None else (),
            kept=shared.kept if shared is not None else None,
        )


def _make_loop(
    main: Main,
    strategy: Strategy,
    rules: RunSettings,
    real_seconds: float | None,
    quiet: list[AwaitGraph],
) -> SimulatedLoop:
    """The loop of a run.

    Args:
        main: the program.
        strategy: decides its schedule.
        rules: the settings of the run.
        real_seconds: how long it may take, in real seconds; None for no limit.
        quiet: the await graph is added here if the main task is found stuck while timers go on.
    """

    def on_quiet(loop: SimulatedLoop, threads: list[FrameType]) -> AldenteError | None:
        graph = _graph_if_stuck(loop, threads)
        if graph is None:
            return None
        quiet.append(graph)
        return DeadlockError(_name_of(main), 0.0, beside_timers=True)

    loop = SimulatedLoop(
        strategy,
        order=rules.order,
        slack=rules.slack,
        max_steps=rules.max_steps,
        max_virtual_time=rules.max_virtual_time,
        real_seconds=real_seconds,
        wall=follow_wall(START, rules.wall),
        is_serial=rules.is_serial,
        is_watched=rules.is_watched,
        is_paced=rules.is_paced,
        on_quiet=on_quiet,
    )
    loop.name = _name_of(main)
    if rules.debug is not None:
        loop.set_debug(rules.debug)
    attach = getattr(strategy, "attach", None)
    if attach is not None:
        attach(loop)
    return loop


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """While entered, automatic garbage collection is off.

    It would finalise objects in reference cycles at moments that depend on how many objects there
    are, and finalisers may run code of the program.
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
        task = loop.create_task(coroutine)
        if loop.main_name:
            # Before its first step, so that what that makes ready names it so.
            task.set_name(loop.main_name)
        return task
    except BaseException:
        # On an unsupported Python. Else a warning about the coroutine would hide the error.
        coroutine.close()
        raise


def _graph_if_stuck(loop: SimulatedLoop, threads: list[FrameType]) -> AwaitGraph | None:
    """The await graph if nothing that goes on can ever end the main task's wait; else None."""
    main = loop.main_task
    if main is None or main.done():
        return None
    tasks = asyncio.all_tasks(loop)
    graph = await_graph.snapshot(tasks)
    if [task.name for task in graph.tasks].count(main.get_name()) != 1:
        return None
    is_stuck = is_out_of_reach(
        loop,
        main,
        sorted(tasks, key=asyncio.Task.get_name),
        free=FREE_KINDS,
        threads=threads,
        callbacks=[*loop.callbacks_from_outside(), *map(signal.getsignal, signal.valid_signals())],
        may_end=lambda task: not is_endless(task),
    )
    return graph if is_stuck else None


def _explained(
    loop: SimulatedLoop, error: BaseException, quiet: list[AwaitGraph]
) -> tuple[BaseException, AwaitGraph | None]:
    """The error of a run, and the await graph if it is a deadlock.

    Args:
        loop: the loop, in the state at the error.
        error: the exception that ended the run.
        quiet: the await graph of a main task that was found stuck while timers went on.
    """
    if isinstance(error, (ReplayMismatch, InvalidSetting)):
        # The strategy has no choices for what follows.
        loop.choose_by(Fifo())
    if not isinstance(error, (DeadlockError, EndlessTimeError, LivelockError, PhaseTimeout)):
        return error, None
    graph = quiet[0] if quiet else await_graph.snapshot(asyncio.all_tasks(loop))
    reported: BaseException = error
    if isinstance(error, DeadlockError):
        # Without the frames of the loop.
        reported = DeadlockError(loop.name, 0.0, error.beside_timers)
    if graph.tasks:
        # Else the interrupted task was the only one, and the error has its stack already.
        reported.add_note(diagnosis.explain(graph, main=None, folder=Path.cwd()))
    return reported, graph if isinstance(error, DeadlockError) else None


def _name_of(main: Main) -> str:
    return getattr(main, "__qualname__", repr(main))
