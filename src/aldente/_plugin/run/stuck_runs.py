"""Runs that are stuck: reports deadlocks and ends them, and says what tasks wait for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from types import FrameType
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._checked_pythons import is_checked
from aldente._own_errors import containing
from aldente._plugin.marks import is_allowed_somewhere
from aldente._plugin.run import messages
from aldente._plugin.session import state_of
from aldente._records import Level
from aldente._rules import deadlock, long_runs
from aldente._rules.watchdog import Watcher
from aldente._runner import running
from aldente._runner.running import LoopRun, runner_of
from aldente._runner.threads import does_job, only_wait
from aldente.errors import AldenteError, DeadlockError, EndlessTimeError


class StuckRuns:
    """Looks for runs that can't go on, or do not, on any kind of loop.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session = state_of(config)
        self._report = self._session.collector.report

    def _is_on(self) -> bool:
        return "deadlock" in self._session.collector.watched

    def _is_looked_for(self) -> bool:
        # What could wake a loop of real time is in private attributes.
        return self._is_on() and is_checked()

    @property
    def bystanders(self) -> Collection[int]:
        """Identifiers of threads that wake no test."""
        return self._session.bystanders

    def install(self, installed: contextlib.ExitStack) -> None:
        """Start watching, until the stack is closed."""
        installed.enter_context(messages.printing_at_end(self._print_at_end))
        if self._is_on():
            installed.enter_context(_asyncio_compat.noting_origins())
        if self._is_looked_for():
            installed.enter_context(running.watched(self.are_jobs_stuck))

    def watchers(self) -> Iterator[Watcher]:
        """The watchers for the watchdog; they also watch the loops of sync tests and of threads."""
        if self._is_looked_for():
            yield deadlock.DeadlockWatch(self._on_deadlock, self.bystanders, self._is_out_of_reach)
        yield long_runs.NoProgress(self._on_no_progress)

    @containing("checking whether jobs of executors wait for ever", False)
    def are_jobs_stuck(self) -> bool:
        """Whether jobs of executors wait for ever, as all other threads can only wait too."""
        others = deadlock.frames_of_others(threading.get_ident(), self.bystanders)
        return any(map(does_job, others.values())) and all(
            only_wait(thread, frame) for thread, frame in others.items()
        )

    @containing("finding what tasks were waiting for", None)
    def on_interrupt(self, runner: LoopRun) -> None:
        """Keep what the tasks were waiting for at Ctrl-C."""
        self._session.interrupted_in = self.describe_tasks(runner)

    @containing("describing what tasks wait for", "")
    def describe_tasks(self, runner: LoopRun | running.OtherRun) -> str:
        """Describe what the tasks of a run wait for."""
        from aldente._diagnosis import await_graph
        from aldente._diagnosis import deadlock as diagnosis
        from aldente._plugin.findings.deadlock import clients_waited_for

        main: Any = runner.main_task
        folder = self._config.rootpath
        graph = await_graph.snapshot(_tasks_of(runner))
        text = diagnosis.explain(
            graph, main=None if main is None else _name_of(main), folder=folder
        )
        clients = clients_waited_for(runner.loop)
        notes = [client.describe(folder) for client in clients]
        return "\n\n".join([text, *notes, *long_runs.notes_on_stopped_clocks()])

    def add_tasks(self, runner: LoopRun | running.OtherRun, error: BaseException) -> None:
        """Add what the tasks of a run wait for to the error that ends it."""
        error.add_note(self.describe_tasks(runner))
        self._keep(error, runner)

    def _keep(self, error: BaseException, runner: LoopRun | running.OtherRun) -> None:
        """Keep what the page shows of an error that ends a run, if a page is written."""
        evidence = self._session.evidence
        if evidence is None:
            return
        from aldente._diagnosis import await_graph

        main = runner.main_task
        graph = await_graph.snapshot(_tasks_of(runner))
        evidence.keep(error, runner.loop, graph, None if main is None else _name_of(main))

    @containing("reporting a run without progress", None)
    def _on_no_progress(self, runner: LoopRun, seconds: float, frame: FrameType | None) -> None:
        """Print that a run without a time limit has made no progress for long."""
        test = self._session.current_test or "a run"
        where = self.describe_tasks(runner) if frame is None else long_runs.describe_stack(frame)
        messages.print_message(
            self._config,
            f"aldente: {test} has made no progress for {seconds:g} s, and no time limit ends it "
            f"(@aldente.timeout, aldente_timeout):\n{where}",
        )

    @containing("printing what tasks were waiting for at SIGTERM", None)
    def _print_at_end(self) -> None:
        """Print what all tasks were waiting for when SIGTERM ended the process."""
        here = threading.get_ident()
        runs: list[tuple[object, Any]] = [*running.running(), *running.others()]
        described = [self.describe_tasks(run) for _, run in runs if run.thread == here]
        if described:
            test = self._session.current_test or "a run"
            text = "\n\n".join(described)
            messages.print_message(self._config, f"aldente: at SIGTERM, in {test}:\n{text}")

    @containing("checking whether timers can help a stuck run", False)
    def _is_out_of_reach(self, runner: LoopRun, threads: Iterable[FrameType]) -> bool:
        """Whether nothing on the loop can make the main task continue, if worth checking."""
        from aldente._diagnosis import reachability

        main: object = runner.main_task
        if not isinstance(main, asyncio.Task) or self._is_deadlock_allowed():
            return False
        hosts = [task for task in runner.leftover_tasks() if runner.is_hosting(task)]
        return reachability.is_out_of_reach(
            runner.loop, main, _tasks_of(runner), fixtures=hosts, threads=threads
        )

    def is_stuck_beside_timers(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether nothing on a virtual-time loop can make its main task continue."""
        runner = runner_of(loop)
        return runner is not None and self._is_on() and self._is_out_of_reach(runner, ())

    def _is_deadlock_allowed(self) -> bool:
        return is_allowed_somewhere("deadlock") or self._level_of("deadlock") == "off"

    def _level_of(self, rule: str) -> Level:
        return self._session.collector.level_in(self._session.current_item, rule)

    def on_stuck(self, loop: asyncio.AbstractEventLoop, error: AldenteError) -> bool:
        """End the run of a virtual-time loop that is stuck, or whose time runs on for ever.

        Returns:
            Whether its run is going to end.
        """
        runner = runner_of(loop)
        if runner is None or runner.main_task is None:
            return False
        if isinstance(error, DeadlockError):
            return self._is_on() and self._on_deadlock(runner, at_once=True)
        if isinstance(error, EndlessTimeError):
            inside = f"{self._config.rootpath}{os.sep}"
            error.timers = [timer.replace(inside, "") for timer in error.timers]
            self.add_tasks(runner, error)
        runner.end(error)
        return True

    @containing("reporting a deadlock", False)
    def _on_deadlock(self, runner: LoopRun, *, at_once: bool = False) -> bool:
        from aldente._diagnosis import await_graph
        from aldente._diagnosis import deadlock as diagnosis
        from aldente._plugin.findings.deadlock import clients_waited_for, deadlock_finding

        main = runner.main_task
        if main is None or main.done() or self._is_deadlock_allowed():
            return False
        name, folder = _name_of(main), self._config.rootpath
        is_beside_timers = bool(_asyncio_compat.timers_of(runner.loop))
        seconds = 0.0 if at_once else deadlock.LIMIT
        error = DeadlockError(
            self._running_in(runner) or name, seconds, beside_timers=is_beside_timers
        )
        if runner.is_ending:
            # It hangs again in its clean-up, which is not reported again.
            runner.end(error)
            return True
        graph = await_graph.snapshot(_tasks_of(runner))
        clients = clients_waited_for(runner.loop)
        self._report(deadlock_finding(graph, name, clients))
        if self._level_of("deadlock") != "error":
            return False
        error.add_note(diagnosis.explain(graph, main=name, folder=folder))
        for client in clients:
            error.add_note(f"\n{client.describe(folder)}")
        self._keep(error, runner)
        runner.end(error)
        return True

    def _running_in(self, runner: object) -> str | None:
        """The running test, if the main task of a run is not named after it."""
        item = self._session.current_item
        is_unnamed = isinstance(runner, running.OtherRun)
        return item.name if is_unnamed and item is not None else None


def _name_of(main: asyncio.Future[Any]) -> str:
    return main.get_name() if isinstance(main, asyncio.Task) else repr(main)


def _tasks_of(runner: LoopRun | running.OtherRun) -> list[asyncio.Task[Any]]:
    """The pending tasks of a loop, without those that only host a fixture."""
    return [task for task in runner.leftover_tasks() if not runner.is_hosting(task)]
