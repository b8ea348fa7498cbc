"""`Program`: what is run under many schedules, and what holds for each of its runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aldente._explore.simulating import Main, Rules, Run, RunWatch, simulate
from aldente._simulation.choices import Chooser
from aldente._simulation.trace import Watch


@dataclass(slots=True, eq=False)
class Program:
    """A program and what holds for its runs.

    Attributes:
        main: the program, a coroutine function without arguments.
        rules: what holds for its runs.
        is_interrupted: whether the user pressed Ctrl-C.
        is_outcome: whether an exception is no failure, but says at once what came of all runs.
        on_run: called after every run.
        real_seconds: how long each run may take, in real seconds; None for no limit.
        watch: looks at every run, and tells what was found that fails it; None if nobody does.
        runs: how many runs there have been.
    """

    main: Main
    rules: Rules
    is_interrupted: Callable[[], bool] = lambda: False
    is_outcome: Callable[[BaseException], bool] = lambda error: False
    on_run: Callable[[], object] = lambda: None
    real_seconds: float | None = None
    watch: RunWatch | None = None
    runs: int = 0

    def run(
        self,
        chooser: Chooser,
        *,
        rules: Rules | None = None,
        is_traced: bool = False,
        choices: Watch | None = None,
        real_seconds: float | None = None,
    ) -> Run:
        """Run it once; what it raises is kept.

        Args:
            chooser: decides its schedule; its run has been started.
            rules: what holds for this run; None for what holds for all.
            is_traced: whether its steps are recorded.
            choices: tells which of these steps were chosen; None if nobody knows.
            real_seconds: how long it may take, in real seconds; None for no limit.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C.
            BaseException: what is no failure.
        """
        if real_seconds is None or (self.real_seconds or real_seconds) < real_seconds:
            real_seconds = self.real_seconds
        run = simulate(
            self.main,
            chooser,
            rules or self.rules,
            is_traced=is_traced,
            choices=choices,
            watch=self.watch,
            real_seconds=real_seconds,
        )
        if self.is_interrupted():
            # With the place where that was, unless the program has hidden it.
            raise run.error if isinstance(run.error, KeyboardInterrupt) else KeyboardInterrupt
        self.runs += 1
        if run.error is not None and self.is_outcome(run.error):
            raise run.error
        self.on_run()
        return run
