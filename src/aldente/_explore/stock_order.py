"""The run of a program in asyncio's own order, to compare a failed run with."""

from __future__ import annotations

from dataclasses import replace

from aldente._explore.simulate import Program
from aldente._schedules import Schedule, Step
from aldente._strategies.replay import Replay, Watched


def steps_in_stock_order(program: Program, schedule: Schedule) -> tuple[Step, ...]:
    """The steps of a program in asyncio's own order, up to its end.

    Args:
        program: the program, which is run once more.
        schedule: the schedule to compare with.

    Returns:
        The steps; none if the schedule is that order itself.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    if not any(schedule.choices):
        return ()
    rules = program.rules._replace(order=schedule.order, slack=schedule.slack, seed=schedule.seed)
    watched = Watched(Replay(Schedule(())))
    run = program.run_aside(watched, rules, choices=watched)
    return tuple(map(_without_roles, run.steps[: run.steps_until_end]))


def _without_roles(step: Step) -> Step:
    """A step that takes no part in a race: this run may pass."""
    return replace(step, shared=tuple(use._replace(role="") for use in step.shared))
