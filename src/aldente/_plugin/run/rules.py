"""Connects the rules about event loops to the loops that run tests and fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._plugin.marks import is_allowed_somewhere
from aldente._plugin.options import settings_of
from aldente._plugin.run.leftovers import Leftovers
from aldente._plugin.run.stuck_runs import StuckRuns
from aldente._plugin.session import state_of
from aldente._records import Finding
from aldente._rules import (
    background_error,
    blocking_call,
    dropped_managers,
    leaked_resource,
    nested_loop,
    slow_step,
    time_limit,
)
from aldente._rules.loop_owners import LoopMakers
from aldente._rules.watchdog import Watchdog, Watcher
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
        self._config = config
        self._settings = settings_of(config)
        self._session = state_of(config)
        self._report = self._session.collector.report
        self._slow_steps: slow_step.Watch | None = None
        self.makers = LoopMakers(self._current_test)
        self._background_errors = background_error.Watch(
            self._report,
            self.makers.maker_of,
            self._other_finding,
            self.makers.fixture_of,
            self.makers.hold,
        )
        # A test may run pytest in the same process; that run watches its own loops.
        self._runners: weakref.WeakSet[Run] = weakref.WeakSet()
        self.wide_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self.leftovers = Leftovers(self._session, self.makers, self._settings.known_tasks)
        self.stuck_runs = StuckRuns(config)
        self._installed = contextlib.ExitStack()

    def install(self, *, opens_files: bool) -> None:
        """Start watching, until `uninstall`.

        Args:
            opens_files: whether descriptors may be opened, as no test has begun.
        """
        if first_loop := sys.modules.get("aldente._plugin.first_loop"):
            first_loop.stop_waiting()
        enter = self._installed.enter_context
        if self._is_on("background-error") or self._is_on("leaked-resource"):
            enter(self.makers.installed())
            self._session.at_thread_start.append(self.makers.note_thread)
            enter(self._background_errors.installed())
        if self._is_on("never-awaited"):
            enter(dropped_managers.watch(self._report, self._current_test))
        if self._is_on("nested-loop"):
            self._session.at_tear_down.append(enter(nested_loop.watch(self._report)))
        if self._is_on("blocking-call"):
            enter(
                blocking_call.watch(
                    self._report,
                    groups=self._settings.blocking_groups,
                    functions=self._settings.blocking_functions,
                )
            )
        self.leftovers.install(self._installed)
        if self._is_on("plain-mock") and "unittest.mock" in sys.modules:
            from aldente._rules import plain_mock

            enter(plain_mock.watch())
        self.stuck_runs.install(self._installed)
        others = list(self.stuck_runs.watchers())
        watchdog = Watchdog(
            list(self._watchers()), self._runners.__contains__, others, opens_files=opens_files
        )
        enter(watchdog.installed())

    @containing("preparing to watch a loop", None)
    def prepare(self, runner: Run) -> None:
        """Watch a runner; set an exception handler on a loop that is not asyncio's."""
        self._runners.add(runner)
        self.makers.forget_gone()
        loop = runner.loop
        if not isinstance(loop, asyncio.BaseEventLoop) and self._is_on("background-error"):
            loop.set_exception_handler(self._background_errors.handle)
            _asyncio_compat.record_tasks_of(loop)

    @containing("undoing what has watched event loops", None)
    def uninstall(self) -> None:
        """Undo `install`."""
        self._installed.close()

    def _watchers(self) -> Iterator[Watcher]:
        yield time_limit.Watch(self.stuck_runs.describe_tasks)
        yield from self.stuck_runs.watchers()
        if self._is_on("slow-step"):
            self._slow_steps = slow_step.Watch(
                self._report,
                self._settings.slow_step,
                lambda: is_allowed_somewhere("slow-step"),
            )
            yield self._slow_steps

    def _current_test(self) -> str | None:
        return self._session.current_test

    def _is_on(self, rule: str) -> bool:
        return rule in self._session.collector.watched

    def on_run_end(self, runner: Run) -> None:
        """Conclude the rules for a run, on its thread."""
        if self._is_on("nested-loop"):
            self._look_for_replaced_loop(runner)
        if self._slow_steps is not None:
            _conclude_slow_steps(self._slow_steps, runner)

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

    @containing("checking whether the current loop was replaced", None)
    def _look_for_replaced_loop(self, runner: Run) -> None:
        current = _asyncio_compat.current_event_loop()
        if current is not None and current is not runner.loop:
            self._report_unless_placed(nested_loop.replaced_loop("The test or fixture", current))

    @containing("checking whether a loop was closed", None)
    def report_closed_loop(self) -> None:
        """Report that a test or fixture closed a loop that is aldente's to close."""
        if self._is_on("nested-loop"):
            self._report_unless_placed(nested_loop.closed_loop("The test or one of its fixtures"))

    def _report_unless_placed(self, finding: Finding) -> None:
        """Report a finding without a place, unless the rule already reported one with a place."""
        if all(told.rule != finding.rule for told in self._session.collector.found):
            self._report(finding)

    def _other_finding(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> Finding | None:
        """The finding for a library's message without an exception, if it is one."""
        finding = leaked_resource.from_context(context) if self._is_on("leaked-resource") else None
        if (
            finding is not None
            and finding.made_by is None
            and leaked_resource.is_collecting()
            and loop in self.wide_loops
        ):
            # The collector may run in any test.
            return finding._replace(made_by="")
        return finding


@containing("looking for slow steps", None)
def _conclude_slow_steps(watch: slow_step.Watch, runner: Run) -> None:
    watch.on_run_end(runner)


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
