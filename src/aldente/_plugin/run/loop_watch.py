"""Connects the rules about event loops to the loops that run tests and fixtures.

Looks for what tests leave on these loops, and lets the rules report it.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Collection
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._plugin.marks import is_allowed_somewhere
from aldente._plugin.options import settings_of
from aldente._plugin.run.stuck_runs import StuckRuns
from aldente._plugin.session import state_of
from aldente._rules import RULES, long_runs, module_of
from aldente._rules.observation import Observation
from aldente._rules.watchdog import Watchdog
from aldente._runner.running import LoopRun
from aldente._runner.shutdown import give_turns
from aldente.errors import InvalidSetting


class LoopWatch:
    """Watches the event loops of a session for the rules; the observer of their runners.

    Args:
        config: pytest's configuration.

    Attributes:
        makers: which test each loop and task belongs to.
        leftovers: looks for what tests leave on the loops.
        stuck_runs: looks for runs that can't go on.
        wide_loops: loops that outlive a test, and may have objects of many tests.
    """

    def __init__(self, config: pytest.Config) -> None:
        session = state_of(config)
        self._session = session
        self._observation = observation = Observation(
            session, settings_of(config), is_allowed_somewhere
        )
        self.makers = observation.makers
        self.wide_loops = observation.wide_loops
        # A test may run pytest in the same process; that run watches its own loops.
        self._runners: weakref.WeakSet[LoopRun] = weakref.WeakSet()
        self.leftovers = Leftovers(observation)
        self.stuck_runs = StuckRuns(config)

    def install(self, *, opens_files: bool) -> None:
        """Start watching, until `uninstall`.

        Args:
            opens_files: whether descriptors may be opened, as no test has begun.
        """
        if first_loop := sys.modules.get("aldente._plugin.first_loop"):
            first_loop.stop_waiting()
        observation, stuck_runs = self._observation, self.stuck_runs
        for rule in RULES:
            if (
                rule.observes_loops
                and rule.name in self._session.collector.watched
                and (rule.only_with is None or rule.only_with in sys.modules)
            ):
                module_of(rule.name).install(observation)
        stuck_runs.install(observation.installed)
        limits = long_runs.TimeLimit(stuck_runs.add_tasks)
        watchers = [limits, *stuck_runs.watchers(), *observation.watchers]
        others = list(stuck_runs.watchers())
        watchdog = Watchdog(watchers, self._runners.__contains__, others, opens_files=opens_files)
        observation.enter(watchdog.installed())

    @containing("preparing to watch a loop", None)
    def prepare(self, runner: LoopRun) -> None:
        """Watch a runner."""
        self._runners.add(runner)
        self.makers.forget_gone()
        for act in self._observation.at_loop_start:
            act(runner)

    @containing("removing the hooks that watch event loops", None)
    def uninstall(self) -> None:
        """Undo `install`."""
        self._observation.installed.close()

    def on_run_end(self, runner: LoopRun) -> None:
        """Conclude the rules for a run, on its thread."""
        for act in self._observation.at_run_end:
            act(runner)

    def on_interrupt(self, runner: LoopRun) -> None:
        """Keep what the tasks were waiting for at Ctrl-C."""
        self.stuck_runs.on_interrupt(runner)

    def are_jobs_stuck(self) -> bool:
        """Whether jobs of executors wait for ever, as all other threads can only wait too."""
        return self.stuck_runs.are_jobs_stuck()

    def on_leftovers(self, runner: LoopRun) -> None:
        """Report the tasks and async generators left on a loop."""
        self.leftovers.on_leftovers(runner)

    def on_drained(self, runner: LoopRun) -> None:
        """Report the connections that are still open when no task is left to close them."""
        self.leftovers.on_drained(runner)

    def on_closed_loop(self) -> None:
        """Report that a test or fixture closed a loop that is aldente's to close."""
        for act in self._observation.at_closed_loop:
            act()


_watch_key = pytest.StashKey[LoopWatch]()


def watch_of(config: pytest.Config, *, opens_files: bool = True) -> LoopWatch:
    """The watch over the event loops of a run; installed on first use.

    Args:
        config: pytest's configuration.
        opens_files: whether installing it may open descriptors, as no test has begun that may
            compare those of the process.
    """
    watch = config.stash.get(_watch_key, None)
    if watch is None:
        watch = config.stash[_watch_key] = LoopWatch(config)
        config.add_cleanup(watch.uninstall)
        try:
            watch.install(opens_files=opens_files)
        except InvalidSetting as error:
            raise pytest.UsageError(str(error)) from None
    return watch


AnyTask = asyncio.Task[Any]


class Leftovers:
    """Looks for what is left when a test or a run of its loop ends.

    Args:
        observation: has what is called with it.
    """

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._makers = observation.makers

    @containing("looking for what is left on a loop", None)
    def on_leftovers(self, runner: LoopRun) -> None:
        """Report the tasks and async generators left on a loop."""
        left = [task for task in runner.leftover_tasks() if not runner.is_hosting(task)]
        for act in self._observation.at_leftovers:
            act(runner)
        if left:
            left = self._without_excused(runner.loop, left)
        self.report_left_on(runner.loop, left)

    def _without_excused(
        self, loop: asyncio.AbstractEventLoop, left: list[AnyTask]
    ) -> list[AnyTask]:
        for find_excused in self._observation.excused_finders:
            excused = find_excused(loop)
            left = [task for task in left if task not in excused]
        return left

    def report_left_on(self, loop: asyncio.AbstractEventLoop, left: Collection[AnyTask]) -> None:
        """Report tasks left on a loop, and its async generators."""
        tasks = [task for task in left if not self._makers.is_noted(task)]
        if tasks:
            self._report_tasks(tasks)
        for act in self._observation.at_loop_end:
            act(loop)

    def on_drained(self, runner: LoopRun) -> None:
        """Report what is still there when no task is left to close or await it."""
        for act in self._observation.at_drained:
            act(runner)

    @containing("looking for what a test left on a wide loop", None)
    def report_left_by(self, test: str, runner: LoopRun, before: Collection[AnyTask]) -> None:
        """Report the tasks that a test left on a wider loop, and record that they are its tasks.

        Args:
            test: its node id.
            runner: the runner of the loop.
            before: the tasks that were pending before.
        """

        def new_tasks() -> list[AnyTask]:
            return [
                task
                for task in asyncio.all_tasks(runner.loop)
                if task not in before and not runner.is_hosting(task)
            ]

        if _asyncio_compat.may_have_tasks(runner.loop) and new_tasks():
            give_turns(runner.loop, new_tasks)
            left = new_tasks()
            self._report_tasks(self._without_excused(runner.loop, left), users_only=True)
            for task in left:
                self._makers.note(task, test)
        for act in self._observation.at_test_end:
            act(runner.loop, test)

    def _report_tasks(self, tasks: Collection[AnyTask], *, users_only: bool = False) -> None:
        for act in self._observation.at_tasks_left:
            act(tasks, users_only)
