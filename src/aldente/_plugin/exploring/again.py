"""An explored test once more, under the schedule that is given with ``--aldente-replay``."""

from __future__ import annotations

from aldente._explore.failures import Failure
from aldente._explore.programs import Program
from aldente._explore.replaying import run_again
from aldente._schedules import Schedule
from aldente._simulation import tokens
from aldente.errors import ReplayMismatch


def replayed(program: Program, schedule: Schedule, *, is_lenient: bool = False) -> Failure | None:
    """The failure of a schedule that is run again; None if it passes.

    Args:
        program: the test.
        schedule: the schedule.
        is_lenient: whether it is meant for only one of the examples with which the test is called,
            so that it may not fit the others.
    """
    run, mismatch = run_again(program, schedule)
    error = run.error
    if mismatch is not None and (error is None or isinstance(error, ReplayMismatch)):
        if is_lenient:
            return None
        error = mismatch
    if error is None:
        return None
    return Failure(
        error,
        schedule,
        tokens.encode(schedule),
        1,
        steps=tuple(run.steps[: run.steps_until_end]),
        waiting=run.waiting,
    )
