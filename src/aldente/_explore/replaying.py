"""`run_again`: a program once more under a schedule, and whether it went as recorded."""

from __future__ import annotations

from aldente import _checked_pythons
from aldente._explore.entropy import likely_cause
from aldente._explore.programs import Program
from aldente._explore.self_check import check_python
from aldente._explore.simulating import Run
from aldente._explore.watching import Watched
from aldente._schedules import Schedule
from aldente._simulation import tokens
from aldente._strategies.replay import Replay
from aldente.errors import ReplayMismatch


def run_again(program: Program, schedule: Schedule) -> tuple[Run, ReplayMismatch | None]:
    """Run a program under a schedule, and record its steps.

    Args:
        program: the program, for whose runs holds what the schedule says.
        schedule: the schedule.

    Returns:
        The run, and where it met other options than those recorded; None if it did not.
    """
    check_python()
    chooser = Replay(schedule)
    chooser.start()
    watched = Watched(chooser)
    run = program.run(watched, is_traced=True, choices=watched)
    error = run.error
    mismatch = error if isinstance(error, ReplayMismatch) else _mismatch(schedule, chooser, run)
    if mismatch is not None:
        cause = likely_cause(program, run.schedule(program.rules)) or _other_python(schedule)
        if cause:
            facts = mismatch.choice, mismatch.recorded, mismatch.met
            mismatch = ReplayMismatch(*facts, cause)
    if error is not None and mismatch is not None and error is not mismatch:
        error.add_note(f"The replay was not exact. {mismatch}")
    return run, mismatch


def _other_python(schedule: Schedule) -> str:
    """That a schedule was recorded on another Python than this, as a cause; empty if it was not."""
    made, here = schedule.python, _checked_pythons.running
    if made is None or made == here:
        return ""
    return (
        f"the schedule was recorded on Python {made[0]}.{made[1]} and this is Python "
        f"{here[0]}.{here[1]}, where asyncio takes other steps in this program; run it again on "
        f"Python {made[0]}.{made[1]}, or search anew on this one"
    )


def _mismatch(schedule: Schedule, chooser: Replay, run: Run) -> ReplayMismatch | None:
    """What shows at the end of a run only: that its choices were others than those recorded."""
    cause = "the program has changed since, or does not depend on its schedule alone"
    if not chooser.is_complete:
        position = len(run.counts)
        wanted = "at least 2 options"
        return ReplayMismatch(position, wanted, "no more choices", cause)
    if schedule.digest is not None and tokens.digest_of(run.counts) != schedule.digest:
        return ReplayMismatch(
            len(run.counts), "other options at one of the choices before", "no more choices", cause
        )
    return None
