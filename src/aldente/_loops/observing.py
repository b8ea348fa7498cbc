"""`Observer`: is told of the runs of loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aldente._loops.runner import LoopRunner


class Observer(Protocol):
    """Is told of the runs of loops."""

    def on_run_end(self, runner: LoopRunner) -> None:
        """A run has ended; called on its thread."""

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

    def on_interrupt(self, runner: LoopRunner) -> None:
        """Do nothing."""

    def on_leftovers(self, runner: LoopRunner) -> None:
        """Do nothing."""

    def on_drained(self, runner: LoopRunner) -> None:
        """Do nothing."""
