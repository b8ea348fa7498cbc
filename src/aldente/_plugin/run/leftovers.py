"""Looks for what tests leave on event loops, and has the rules report it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._rules.observation import Observation
from aldente._runner.running import Run
from aldente._runner.shutdown import give_turns

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
    def on_leftovers(self, runner: Run) -> None:
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

    def on_drained(self, runner: Run) -> None:
        """Report what is still there when no task is left to close or await it."""
        for act in self._observation.at_drained:
            act(runner)

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
            self._report_tasks(self._without_excused(runner.loop, left), users_only=True)
            for task in left:
                self._makers.note(task, test)
        for act in self._observation.at_test_end:
            act(runner.loop, test)

    def _report_tasks(self, tasks: Collection[AnyTask], *, users_only: bool = False) -> None:
        for act in self._observation.at_tasks_left:
            act(tasks, users_only)
