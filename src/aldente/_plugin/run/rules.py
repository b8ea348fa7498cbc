"""Connects the rules about event loops to the loops that run tests and fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Collection, Iterable, Iterator
from types import FrameType
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._checked_pythons import is_checked
from aldente._own_errors import containing
from aldente._plugin.marks import is_allowed_somewhere
from aldente._plugin.options import settings_of
from aldente._plugin.run import telling
from aldente._plugin.session import state_of
from aldente._records import Finding, Level
from aldente._rules import (
    background_error,
    blocking_call,
    deadlock,
    dropped_managers,
    leaked_asyncgen,
    leaked_resource,
    leaked_task,
    nested_loop,
    no_progress,
    resource_origins,
    slow_step,
    time_limit,
)
from aldente._rules.loop_owners import LoopMakers
from aldente._rules.watchdog import Watchdog, Watcher
from aldente._runner import running
from aldente._runner.running import Run, runner_of
from aldente._runner.shutdown import give_turns
from aldente._runner.threads import does_job, only_wait
from aldente.errors import AldenteError, DeadlockError, EndlessTimeError, InvalidSetting

AnyTask = asyncio.Task[Any]


class LoopWatch:
    """Watches the event loops of a session for the rules; the observer of their runners.

    Args:
        config: pytest's configuration.

    Attributes:
        makers: which test each loop and task belongs to.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = settings_of(config)
        self._session = state_of(config)
        self._report = self._session.collector.report
        self._generators = leaked_asyncgen.Watch() if self._is_on("leaked-asyncgen") else None
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
        # Loops that outlive a test, and may have objects of many tests.
        self.wide_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self._resources: resource_origins.Watching | None = None
        self._unended: weakref.WeakKeyDictionary[Run, leaked_resource.Unended] = (
            weakref.WeakKeyDictionary()
        )
        self._failed: list[weakref.ref[asyncio.Future[Any]]] = []
        self._installed = contextlib.ExitStack()

    def install(self) -> None:
        """Start watching, until `uninstall`."""
        if first_loop := sys.modules.get("aldente._plugin.first_loop"):
            first_loop.stop_waiting()
        enter = self._installed.enter_context
        if self._is_on("background-error") or self._is_on("leaked-resource"):
            enter(self.makers.installed())
            self._session.at_thread_start.append(self.makers.note_thread)
            enter(self._background_errors.installed())
        if self._is_on("background-error"):
            self._session.at_tear_down.append(self._report_failed)
            self._session.at_session_end.append(self._report_lost)
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
        if self._is_on("leaked-resource"):
            self._resources = enter(
                leaked_resource.watch(self._current_test, self._report, self.makers.maker_of)
            )
            self._session.at_tear_down.append(self._report_left_on_closed_loops)
            self._session.at_session_end.append(self._report_left_in_the_end)
        if self._generators is not None:
            enter(self._generators.installed())
        if self._is_on("plain-mock") and "unittest.mock" in sys.modules:
            from aldente._rules import plain_mock

            enter(plain_mock.watch())
        enter(telling.telling_at_end(self._tell_at_end))
        others = list(self._watchers_of_others())
        if self._is_on("deadlock") and is_checked():
            enter(running.watched(self.are_jobs_stuck))
        watchdog = Watchdog(list(self._watchers()), self._runners.__contains__, others)
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
        yield time_limit.Watch(self._describe_tasks)
        yield from self._watchers_of_others()
        if self._is_on("slow-step"):
            self._slow_steps = slow_step.Watch(
                self._report,
                self._settings.slow_step,
                lambda: is_allowed_somewhere("slow-step"),
            )
            yield self._slow_steps

    def _watchers_of_others(self) -> Iterator[Watcher]:
        """The watchers that also watch the loops of sync tests and of threads."""
        if self._is_on("deadlock") and is_checked():
            # It reads private attributes of a loop to see what could wake it.
            yield deadlock.Watch(self._on_deadlock, self._session.bystanders, self._is_out_of_reach)
        yield no_progress.Watch(self._on_no_progress)

    def _current_test(self) -> str | None:
        item = self._session.current_item
        return item.nodeid if item is not None else None

    def _is_on(self, rule: str) -> bool:
        return rule in self._session.collector.watched

    def on_run_end(self, runner: Run) -> None:
        """Conclude the rules for a run, on its thread."""
        if self._is_on("nested-loop"):
            self._look_for_replaced_loop(runner)
        if self._slow_steps is not None:
            _conclude_slow_steps(self._slow_steps, runner)

    @containing("checking whether the current loop was replaced", None)
    def _look_for_replaced_loop(self, runner: Run) -> None:
        current = _asyncio_compat.current_event_loop()
        if current is not None and current is not runner.loop:
            self._report_unless_told(nested_loop.replaced_loop("The test or fixture", current))

    @containing("checking whether jobs of executors wait for ever", False)
    def are_jobs_stuck(self) -> bool:
        """Whether jobs of executors wait for ever, as all other threads can only wait too."""
        others = deadlock.frames_of_others(threading.get_ident(), self.bystanders)
        return any(map(does_job, others.values())) and all(
            only_wait(thread, frame) for thread, frame in others.items()
        )

    @containing("finding what tasks were waiting for", None)
    def on_interrupt(self, runner: Run) -> None:
        """Keep what the tasks were waiting for at Ctrl-C."""
        self._session.interrupted_in = self._describe_tasks(runner)

    @containing("looking for what is left on a loop", None)
    def on_leftovers(self, runner: Run) -> None:
        """Report the tasks and async generators left on a loop."""
        left = [task for task in runner.leftover_tasks() if not runner.is_hosting(task)]
        if self._resources is not None and _asyncio_compat.may_have_transports(runner.loop):
            self._unended[runner] = leaked_resource.Unended(runner.loop)
            handlers = leaked_resource.handlers_of_clients(runner.loop)
            left = [task for task in left if task not in handlers]
        self.report_left_on(runner.loop, left)

    def report_left_on(self, loop: asyncio.AbstractEventLoop, left: Collection[AnyTask]) -> None:
        """Report tasks left on a loop, and its async generators."""
        self.report_tasks([task for task in left if not self.makers.is_noted(task)])
        if self._generators is not None:
            self._report_generators(self._generators, loop)

    @containing("looking for async generators that are left", None)
    def _report_generators(
        self, watch: leaked_asyncgen.Watch, loop: asyncio.AbstractEventLoop
    ) -> None:
        for finding in watch.find(_asyncio_compat.unfinished_async_generators(loop)):
            self._report(finding)

    def on_drained(self, runner: Run) -> None:
        """Report the connections that are still open when no task is left to close them."""
        if self._is_on("background-error"):
            self._note_failed(runner.loop)
        if self._is_on("leaked-resource"):
            self._report_resources(runner)

    @containing("looking for failed tasks", None)
    def _note_failed(self, loop: asyncio.AbstractEventLoop) -> None:
        for task in _asyncio_compat.failed_and_unseen(loop):
            if self.makers.maker_of(task) is None:
                # It failed between two tests on a wide loop.
                self.makers.note(task, "")
            self._failed.append(weakref.ref(task))

    @containing("looking for open connections", None)
    def _report_resources(self, runner: Run) -> None:
        for finding in leaked_resource.find(runner.loop, self._unended.pop(runner, None)):
            self._report(finding)

    @containing("looking for failed tasks that are still alive", None)
    def _report_failed(self) -> None:
        """Report the failed tasks that are still alive after the tear-down of their test.

        asyncio reports them when they are freed, which may be in another test, or never.
        """
        failed, self._failed = self._failed, []
        for task in filter(None, [reference() for reference in failed]):
            if _asyncio_compat.has_unseen_exception(task):
                background_error.tell_of_task(task)

    @containing("looking for failed tasks at the end of the session", None)
    def _report_lost(self) -> None:
        """Report the failed tasks of tests that something keeps alive to the end of the session.

        asyncio would report them, if at all, when the interpreter exits, without effect on the exit
        status.
        """
        for task in _asyncio_compat.failed_and_unseen():
            # Tasks of other tools belong to no test.
            if self.makers.maker_of(task) is not None:
                background_error.tell_of_task(task)

    @containing("checking whether a loop was closed", None)
    def report_closed_loop(self) -> None:
        """Report that a test or fixture closed a loop that is aldente's to close."""
        if self._is_on("nested-loop"):
            self._report_unless_told(nested_loop.closed_loop("The test or one of its fixtures"))

    def _report_unless_told(self, finding: Finding) -> None:
        """Report a finding without a place, unless the rule already reported one with a place."""
        if all(told.rule != finding.rule for told in self._session.collector.found):
            self._report(finding)

    @containing("looking for what a test left on a wide loop", None)
    def report_left_by(self, test: str, runner: Run, before: Collection[AnyTask]) -> None:
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
            handlers: Collection[object] = (
                leaked_resource.handlers_of_clients(runner.loop)
                if left and self._resources is not None
                else ()
            )
            self.report_tasks([task for task in left if task not in handlers], users_only=True)
            for task in left:
                self.makers.note(task, test)
        if self._is_on("background-error") and _asyncio_compat.may_have_tasks(runner.loop):
            # Other code may still retrieve their exceptions.
            for failed in _asyncio_compat.failed_and_unseen(runner.loop):
                if not self.makers.is_noted(failed):
                    self.makers.note(failed, test)

    @containing("looking for tasks that are left pending", None)
    def report_tasks(self, tasks: Collection[AnyTask], *, users_only: bool = False) -> None:
        """Report tasks that are left pending."""
        if self._is_on("leaked-task"):
            known = self._settings.known_tasks
            for finding in leaked_task.find(tasks, known=known, users_only=users_only):
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

    @containing("looking for open connections of closed loops", None)
    def _report_left_on_closed_loops(self) -> None:
        assert self._resources is not None
        self._resources.watch_libraries()
        for finding in leaked_resource.left_on_closed_loops(self._resources):
            self._report(finding)

    @containing("looking for open connections at the end of the session", None)
    def _report_left_in_the_end(self) -> None:
        assert self._resources is not None
        for finding in leaked_resource.left_in_the_end(self._resources):
            self._report(finding)

    @containing("describing what tasks wait for", "")
    def _describe_tasks(self, runner: Run | running.OtherRun) -> str:
        from aldente._diagnosis import await_graph
        from aldente._diagnosis import deadlock as diagnosis

        main: Any = runner.main_task
        folder = self._config.rootpath
        graph = await_graph.snapshot(_tasks_of(runner))
        told = diagnosis.explain(
            graph, main=None if main is None else _name_of(main), folder=folder
        )
        clients = leaked_resource.clients_waited_for(runner.loop)
        notes = [client.told(folder) for client in clients]
        return "\n\n".join([told, *notes, *time_limit.notes_on_stopped_clocks()])

    @containing("reporting a run without progress", None)
    def _on_no_progress(self, runner: Run, seconds: float, frame: FrameType | None) -> None:
        """Print that a run without a time limit has made no progress for long."""
        test = self._current_test() or "a run"
        where = self._describe_tasks(runner) if frame is None else time_limit.told_stack(frame)
        telling.say(
            self._config,
            f"aldente: {test} has made no progress for {seconds:g} s, and no time limit ends it "
            f"(@aldente.timeout, aldente_timeout):\n{where}",
        )

    @containing("printing what tasks were waiting for at SIGTERM", None)
    def _tell_at_end(self) -> None:
        """Print what all tasks were waiting for when SIGTERM ended the process."""
        here = threading.get_ident()
        runs: list[tuple[object, Any]] = [*running.running(), *running.others()]
        told = [self._describe_tasks(run) for _, run in runs if run.thread == here]
        if told:
            test = self._current_test() or "a run"
            text = "\n\n".join(told)
            telling.say(self._config, f"aldente: when SIGTERM came, in {test}:\n{text}")

    @containing("checking whether timers can help a stuck run", False)
    def _is_out_of_reach(self, runner: Run, threads: Iterable[FrameType]) -> bool:
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
        return runner is not None and self._is_on("deadlock") and self._is_out_of_reach(runner, ())

    def _is_deadlock_allowed(self) -> bool:
        return is_allowed_somewhere("deadlock") or self._level_of("deadlock") == "off"

    def _level_of(self, rule: str) -> Level:
        return self._session.collector.level_in(self._session.current_item, rule)

    @property
    def bystanders(self) -> Collection[int]:
        """Identifiers of threads that wake no test."""
        return self._session.bystanders

    def on_stuck(self, loop: asyncio.AbstractEventLoop, error: AldenteError) -> bool:
        """End the run of a virtual-time loop that is stuck, or whose time runs on for ever.

        Returns:
            Whether its run is going to end.
        """
        runner = runner_of(loop)
        if runner is None or runner.main_task is None:
            return False
        if isinstance(error, DeadlockError):
            return self._is_on("deadlock") and self._on_deadlock(runner, at_once=True)
        if isinstance(error, EndlessTimeError):
            inside = f"{self._config.rootpath}{os.sep}"
            error.timers = [timer.replace(inside, "") for timer in error.timers]
            error.add_note(self._describe_tasks(runner))
        runner.end(error)
        return True

    @containing("reporting a deadlock", False)
    def _on_deadlock(self, runner: Run, *, at_once: bool = False) -> bool:
        from aldente._diagnosis import await_graph
        from aldente._diagnosis import deadlock as diagnosis
        from aldente._plugin.findings.deadlock import deadlock_finding

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
        clients = leaked_resource.clients_waited_for(runner.loop)
        self._report(deadlock_finding(graph, name, clients))
        if self._level_of("deadlock") != "error":
            return False
        error.add_note(diagnosis.explain(graph, main=name, folder=folder))
        for client in clients:
            error.add_note(f"\n{client.told(folder)}")
        runner.end(error)
        return True

    def _running_in(self, runner: object) -> str | None:
        """The running test, if the main task of a run is not named after it."""
        item = self._session.current_item
        is_unnamed = isinstance(runner, running.OtherRun)
        return item.name if is_unnamed and item is not None else None


def _name_of(main: asyncio.Future[Any]) -> str:
    return main.get_name() if isinstance(main, asyncio.Task) else repr(main)


@containing("looking for slow steps", None)
def _conclude_slow_steps(watch: slow_step.Watch, runner: Run) -> None:
    watch.on_run_end(runner)


def _tasks_of(runner: Run | running.OtherRun) -> list[AnyTask]:
    """The pending tasks of a loop, without those that only host a fixture."""
    return [task for task in runner.leftover_tasks() if not runner.is_hosting(task)]


_watch_key = pytest.StashKey[LoopWatch]()


def watch_of(config: pytest.Config) -> LoopWatch:
    """The watch over the event loops of a run; installed on first use."""
    watch = config.stash.get(_watch_key, None)
    if watch is None:
        watch = config.stash[_watch_key] = LoopWatch(config)
        config.add_cleanup(watch.uninstall)
        try:
            watch.install()
        except InvalidSetting as error:
            raise pytest.UsageError(str(error)) from None
    return watch
