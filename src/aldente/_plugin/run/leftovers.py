"""Reports what tests leave on event loops: tasks, async generators, connections, failed tasks."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Collection, Sequence
from typing import Any

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._plugin.session import SessionState
from aldente._rules import (
    background_error,
    leaked_asyncgen,
    leaked_resource,
    leaked_task,
    resource_origins,
)
from aldente._rules.loop_owners import LoopMakers
from aldente._runner.running import Run
from aldente._runner.shutdown import give_turns

AnyTask = asyncio.Task[Any]


class Leftovers:
    """Looks for what is left when a test or a run of its loop ends.

    Args:
        session: the state of the session.
        makers: which test each loop and task belongs to.
        known_tasks: patterns of names of coroutines that may be left running.
    """

    def __init__(
        self, session: SessionState, makers: LoopMakers, known_tasks: Sequence[str]
    ) -> None:
        self._session = session
        self._makers = makers
        self._known_tasks = known_tasks
        self._report = session.collector.report
        self._generators = leaked_asyncgen.Watch() if self._is_on("leaked-asyncgen") else None
        self._resources: resource_origins.Watching | None = None
        self._unended: weakref.WeakKeyDictionary[Run, leaked_resource.Unended] = (
            weakref.WeakKeyDictionary()
        )
        self._failed: list[weakref.ref[asyncio.Future[Any]]] = []

    def _is_on(self, rule: str) -> bool:
        return rule in self._session.collector.watched

    def install(self, installed: contextlib.ExitStack) -> None:
        """Start watching, until the stack is closed."""
        session = self._session
        if self._is_on("background-error"):
            session.at_tear_down.append(self._report_failed)
            session.at_session_end.append(self._report_lost)
        if self._is_on("leaked-resource"):
            self._resources = installed.enter_context(
                leaked_resource.watch(
                    lambda: session.current_test,
                    self._report,
                    self._makers.maker_of,
                    lambda: session.is_torn_down,
                )
            )
            session.at_tear_down.append(self._report_left_on_closed_loops)
            session.at_session_end.append(self._report_left_in_the_end)
        if self._generators is not None:
            installed.enter_context(self._generators.installed())

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
        self.report_tasks([task for task in left if not self._makers.is_noted(task)])
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
            if self._makers.maker_of(task) is None:
                # It failed between two tests on a wide loop.
                self._makers.note(task, "")
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
                background_error.report_task(task)

    @containing("looking for failed tasks at the end of the session", None)
    def _report_lost(self) -> None:
        """Report the failed tasks of tests that something keeps alive to the end of the session.

        asyncio would report them, if at all, when the interpreter exits, without effect on the exit
        status.
        """
        for task in _asyncio_compat.failed_and_unseen():
            # Tasks of other tools belong to no test.
            if self._makers.maker_of(task) is not None:
                background_error.report_task(task)

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
                self._makers.note(task, test)
        if self._is_on("background-error") and _asyncio_compat.may_have_tasks(runner.loop):
            # Other code may still retrieve their exceptions.
            for failed in _asyncio_compat.failed_and_unseen(runner.loop):
                if not self._makers.is_noted(failed):
                    self._makers.note(failed, test)

    @containing("looking for tasks that are left pending", None)
    def report_tasks(self, tasks: Collection[AnyTask], *, users_only: bool = False) -> None:
        """Report tasks that are left pending."""
        if self._is_on("leaked-task"):
            for finding in leaked_task.find(tasks, known=self._known_tasks, users_only=users_only):
                self._report(finding)

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
