"""The hint for a failure of a program that reads clocks which don't follow loop time."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from aldente._explore.simulate import Program
from aldente._schedules import Schedule
from aldente._source import is_programs, place_of
from aldente._strategies.replay import Leading
from aldente._virtual_time.polling import name_of_clock

# A profile function is slow, and a program that depends on a clock reads it soon.
_MOST_STEPS = 5_000


def hint_at_clocks(program: Program, schedule: Schedule) -> str:
    """The sentence that ``wall=True`` may help; empty if the program reads no real clock.

    Args:
        program: the program, which runs once more.
        schedule: the schedule of that run.
    """
    rules = program.rules
    if rules.wall is not None:
        return ""
    found: dict[str, str] = {}

    def look(frame: FrameType, event: str, called: Any) -> None:
        # Not what libraries read, for a line in a log for one.
        if event != "c_call" or not is_programs(frame.f_code.co_filename):
            return
        name = name_of_clock(called)
        if name is not None:
            found.setdefault(name, f"{name} at {place_of(frame)}")

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        fewer = rules._replace(max_steps=min(rules.max_steps, _MOST_STEPS))
        program.run(Leading(schedule.choices), rules=fewer)
    finally:
        sys.setprofile(before)
    if not found:
        return ""
    return (
        f"The program reads {', '.join(found.values())}: that clock does not follow the time of "
        "the loop; with wall=True it does."
    )
