"""`Observer`: is told of the runs of loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aldente._loops.runner import LoopRunner


class Observer(Protocol):
    """Is told of the runs of loops."""

    def on_run_end(self, runner: LoopRunner) -> None:
        """A run has ended; called on its thread."""

    def are_jobs_stuck(self) -> bool:
        """Whether jobs of executors wait for what no other thread can do.

        Asked on the thread of a loop that is about to be closed.
        """
        ...

    def on_interrupt(self, runner: LoopRunner) -> None:
        """Ctrl-C was pressed; called before anything is cancelled."""

    def on_leftovers(self, runner: LoopRunner) -> None:
        """The loop is about to be drained, and something may be left on it."""

    def on_drained(self, runner: LoopRunner) -> None:
        """The loop is drained, and is about to be closed."""


class NoObserver:
    """Minds nothing."""

    def on_run_end(self, runner: LoopRunner) -> None:
        """Do nothing."""

    def are_jobs_stuck(self) -> bool:
        """Nobody knows."""
        return False

    def on_interrupt(self, runner: LoopRunner) -> None:
        """Do nothing."""

    def on_leftovers(self, runner: LoopRunner) -> None:
        """Do nothing."""

    def on_drained(self, runner: LoopRunner) -> None:
        """Do nothing."""
