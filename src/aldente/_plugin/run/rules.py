"""Connects the rules about event loops to the loops that run tests and fixtures."""

from __future__ import annotations

import sys
import weakref

import pytest

from aldente._own_errors import containing
from aldente._plugin.marks import is_allowed_somewhere
from aldente._plugin.options import settings_of
from aldente._plugin.run.leftovers import Leftovers
from aldente._plugin.run.stuck_runs import StuckRuns
from aldente._plugin.session import state_of
from aldente._rules import RULES, module_of, time_limit
from aldente._rules.observation import Observation
from aldente._rules.watchdog import Watchdog
from aldente._runner.running import Run
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
        self._runners: weakref.WeakSet[Run] = weakref.WeakSet()
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
        limits = time_limit.Watch(stuck_runs.describe_tasks)
        watchers = [limits, *stuck_runs.watchers(), *observation.watchers]
        others = list(stuck_runs.watchers())
        is_observed = self._runners.__contains__
        watchdog = Watchdog(watchers, is_observed, others, opens_files=opens_files)
        observation.enter(watchdog.installed())

    @containing("preparing to watch a loop", None)
    def prepare(self, runner: Run) -> None:
        """Watch a runner."""
        self._runners.add(runner)
        self.makers.forget_gone()
        for act in self._observation.at_loop_start:
            act(runner)

    @containing("undoing what has watched event loops", None)
    def uninstall(self) -> None:
        """Undo `install`."""
        self._observation.installed.close()

    def on_run_end(self, runner: Run) -> None:
        """Conclude the rules for a run, on its thread."""
        for act in self._observation.at_run_end:
            act(runner)

    def on_interrupt(self, runner: Run) -> None:
        """Keep what the tasks were waiting for at Ctrl-C."""
        self.stuck_runs.on_interrupt(runner)

    def are_jobs_stuck(self) -> bool:
        """Whether jobs of executors wait for ever, as all other threads can only wait too."""
        return self.stuck_runs.are_jobs_stuck()

    def on_leftovers(self, runner: Run) -> None:
        """Report the tasks and async generators left on a loop."""
        self.leftovers.on_leftovers(runner)

    def on_drained(self, runner: Run) -> None:
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
