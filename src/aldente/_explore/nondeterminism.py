"""Finds whether a program depends on more than its schedule, and on what.

It compares two runs of one schedule by their fingerprints. If those differ, it records runs until
two of them differ, to find where; and one more looks at each call of a function written in C, for
what the program gets from the outside world.

`check_python` checks that schedules work on a Python newer than those tested. aldente recognises
steps of tasks by the callbacks that asyncio passes to its loop, which is no public API. Where it
does not recognise them, every run has the order of stock asyncio, and a search would miss all bugs
that depend on the schedule. So on such a Python it runs a program with a known answer first.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

from aldente import _checked_pythons, _system
from aldente._explore.runs import Run, RunSettings
from aldente._explore.shrink import name_of_type
from aldente._explore.simulate import Program, simulate
from aldente._python_compat import can_be_set_again
from aldente._schedules import Schedule, Step
from aldente._simulation import tokens
from aldente._source import is_programs, place_of
from aldente._strategies.replay import Leading, Replay, Watched
from aldente._virtual_time.polling import name_of_clock
from aldente.errors import ReplayMismatch, UnsupportedPython


def run_again(program: Program, schedule: Schedule) -> tuple[Run, ReplayMismatch | None]:
    """Run a program under a schedule, and record its steps.

    Args:
        program: the program; its runs follow the settings of the schedule.
        schedule: the schedule.

    Returns:
        The run, and where it met other options than those recorded; None if it did not.
    """
    check_python()
    strategy = Replay(schedule)
    strategy.start()
    watched = Watched(strategy)
    run = program.run(watched, is_traced=True, choices=watched)
    error = run.error
    mismatch = error if isinstance(error, ReplayMismatch) else _mismatch(schedule, strategy, run)
    if mismatch is not None:
        cause = likely_cause(program, run.schedule(program.rules)) or _other_python(schedule)
        if cause:
            facts = mismatch.choice, mismatch.recorded, mismatch.met
            mismatch = ReplayMismatch(*facts, cause)
    if error is not None and mismatch is not None and error is not mismatch:
        error.add_note(f"The replay was not exact. {mismatch}")
    return run, mismatch


def _other_python(schedule: Schedule) -> str:
    """The cause of a mismatch if the schedule is from another version of Python; else empty."""
    made, here = schedule.python, _checked_pythons.running
    if made is None or made == here:
        return ""
    return (
        f"the schedule was recorded on Python {made[0]}.{made[1]} and this is Python "
        f"{here[0]}.{here[1]}, where asyncio takes other steps in this program; replay it on "
        f"Python {made[0]}.{made[1]}, or search anew on this one"
    )


def _mismatch(schedule: Schedule, strategy: Replay, run: Run) -> ReplayMismatch | None:
    """The mismatch that only the end of a run shows: its choices differ from those recorded."""
    cause = "the program has changed since, or does not depend on its schedule alone"
    if not strategy.is_complete:
        position = len(run.counts)
        wanted = "at least 2 options"
        return ReplayMismatch(position, wanted, "no more choices", cause)
    if schedule.digest is not None and tokens.digest_of(run.counts) != schedule.digest:
        return ReplayMismatch(
            len(run.counts), "other options at an earlier choice", "no more choices", cause
        )
    return None


_HASHES = (
    "the order of a set or of a dictionary of sets, which depends on addresses in memory or on "
    "PYTHONHASHSEED"
)

# The cause when threads that the schedule does not control have called in.
THREADS = "threads that the program itself started called into the loop"

_LEFT_BEHIND = (
    "a run may leave something behind for the next, in a module's variable or a fixture of a wider "
    "scope"
)

# Names of functions that read from the outside world, by the function.
_SOURCES: dict[Any, str] = {
    function: f"time.{name}()" for name, function in _system.ORIGINALS.items()
} | {os.urandom: "os.urandom()", os.getpid: "os.getpid()", id: "id()"}
_NAMES = {
    "now": "datetime.now()",
    "utcnow": "datetime.utcnow()",
    "today": "date.today()",
    "generate_time_safe": "uuid.uuid1()",
}


# How many runs to record, at most, to see where they differ.
_MOST_RECORDED = 5


def likely_cause(program: Program, schedule: Schedule, before: Run | None = None) -> str:
    """What a program seems to depend on besides its schedule; empty if its runs are equal.

    Args:
        program: the program.
        schedule: the schedule of an earlier run.
        before: that run, with its fingerprint, to compare with it; None to run it again.
    """
    first = before or _again(program, schedule)
    second = _again(program, schedule)
    if _are_alike(first, second):
        return ""
    difference = _recorded_difference(program, schedule)
    if difference is None:
        third = _again(program, schedule)
        if _are_alike(third, second) or not _are_alike(third, first):
            # Only the first run was another one; or nothing but the identities of code differ.
            kept = _difference_of_ends(first, second)
            return "" if kept is None else f"{_DIFFERED} {kept}; {_LEFT_BEHIND}"
        difference = _difference_of_ends(first, second) or "in their steps"
    causes = [THREADS] if first.depends_on_threads or second.depends_on_threads else []
    sources = _sources_of(program, schedule)
    if sources:
        causes.append(f"the program calls {', '.join(sources)}")
    cause = ", and ".join(causes) or f"it may be {_HASHES}"
    return f"{_DIFFERED} {difference}; {cause}"


_DIFFERED = "two runs of one schedule differed"


def _recorded_difference(program: Program, schedule: Schedule) -> str | None:
    """The first difference of some recorded runs, in words; None if they are equal."""
    first = _again(program, schedule, is_traced=True)
    for _ in range(_MOST_RECORDED - 1):
        difference = _difference(first, _again(program, schedule, is_traced=True))
        if difference is not None:
            return difference
    return None


def _are_alike(first: Run, second: Run) -> bool:
    of_first = first.fingerprint, first.choices, first.counts
    of_second = second.fingerprint, second.choices, second.counts
    return of_first == of_second and _difference_of_ends(first, second) is None


def _again(program: Program, schedule: Schedule, *, is_traced: bool = False) -> Run:
    # It goes on where the options differ.
    strategy = Leading(schedule.choices)
    return program.run(strategy, is_traced=is_traced, is_compared=not is_traced)


def _difference(first: Run, second: Run) -> str | None:
    """The first difference of two runs, in words; None if they are equal."""
    for number, (one, other) in enumerate(zip(first.steps, second.steps, strict=False)):
        if one != other:
            return f"at step {number} ({_words(one)}, then {_words(other)})"
    if len(first.steps) != len(second.steps):
        return f"in their numbers of steps ({len(first.steps):,} and {len(second.steps):,})"
    if (first.choices, first.counts) != (second.choices, second.counts):
        return "in their options"
    return _difference_of_ends(first, second)


def _difference_of_ends(first: Run, second: Run) -> str | None:
    names = [error and name_of_type(error) for error in (first.error, second.error)]
    if names[0] != names[1]:
        ends = ["well" if one.error is None else repr(one.error) for one in (first, second)]
        return f"in how they ended ({ends[0]}, then {ends[1]})"
    return None


def _words(step: Step) -> str:
    who = f"{step.task} at {step.place}" if step.task else step.place
    return f"{who}, {step.time:g} s"


def _sources_of(program: Program, schedule: Schedule) -> list[str]:
    """The functions by which the program gets something from the outside world, with the user's
    lines.
    """
    found: dict[str, str] = {}

    def look(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        name = _source_called(called)
        if name is None or name in found or _is_of_loop(frame):
            return
        if called is id and not is_programs(frame.f_code.co_filename):
            # Libraries use it as a key of objects, whose order does not follow from it.
            return
        caller: FrameType | None = frame
        # Libraries may be in between; calls of asyncio or aldente don't count as the program's.
        for _ in range(4):
            if caller is None:
                return
            if is_programs(caller.f_code.co_filename):
                found[name] = f"{name} at {place_of(caller)}"
                return
            caller = caller.f_back

    _profiled(look, lambda: _again(program, schedule))
    return list(found.values())


def _profiled(look: Callable[[FrameType, str, Any], None], run: Callable[[], object]) -> None:
    """Run what calls a profile function in this thread.

    It is not called if there is one already that could not be set again.
    """
    before = sys.getprofile()
    is_replaced = before is None or can_be_set_again(before)
    try:
        # In the same frame as the end, so that another profile function sees as many calls as
        # returns.
        if is_replaced:
            sys.setprofile(look)
        run()
    finally:
        if is_replaced:
            sys.setprofile(before)


def _is_of_loop(frame: FrameType) -> bool:
    """Whether a frame's code is asyncio's or aldente's, whose calls don't count."""
    module = str(frame.f_globals.get("__name__")).partition(".")[0]
    return module in ("asyncio", "aldente")


def _source_called(called: Any) -> str | None:
    try:
        if called in _SOURCES:
            return _SOURCES[called]
    except TypeError:
        return None
    name = getattr(called, "__name__", "")
    owner = getattr(called, "__self__", None)
    if name in ("random", "getrandbits") and isinstance(owner, random.SystemRandom):
        return "random.SystemRandom"
    return _NAMES.get(name)


def check_python() -> None:
    """Check that schedules work on the running Python.

    Raises:
        UnsupportedPython: they don't.
    """
    if not _checked_pythons.is_checked():
        _check(_checked_pythons.running)


@functools.cache
def _check(version: tuple[int, int]) -> None:
    try:
        run = simulate(_woken_together, _Newest(), RunSettings())
    except Exception as error:
        raise UnsupportedPython(version, f"a run could not begin: {error!r}") from error
    if run.error is not None:
        raise UnsupportedPython(version, f"a run ended with {run.error!r}") from run.error
    if run.result != ["c", "b", "a", "main"]:
        order = ", ".join(map(str, run.result))
        raise UnsupportedPython(
            version,
            (
                "tasks that the schedule continued in last-in, first-out order went on in "
                f"the order {order}"
            ),
        )


async def _woken_together() -> list[str]:
    """The order in which tasks go on that are ready at once, woken or after a yield."""
    loop = asyncio.get_running_loop()
    order: list[str] = []
    gates = [loop.create_future() for _ in range(2)]

    async def wait(name: str, gate: asyncio.Future[None] | None) -> None:
        if gate is None:
            await asyncio.sleep(0)
        else:
            await gate
        order.append(name)

    tasks = [
        loop.create_task(wait(name, gate)) for name, gate in zip("abc", [*gates, None], strict=True)
    ]
    await asyncio.sleep(0)
    for gate in gates:
        gate.set_result(None)
    await asyncio.sleep(0)
    order.append("main")
    await asyncio.wait(tasks)
    return order


class _Newest:
    """Chooses the task that became ready last, and the main task after all others."""

    def start(self) -> bool:
        """True."""
        return True

    def choose(self, count: int, options: Sequence[object]) -> int:
        """The newest option that is not the main task."""
        main = [getattr(option, "who", "") == "Task-1" for option in options]
        return max(index for index in range(count) if not main[index] or count == 1)

    def end(self) -> None:
        """Do nothing."""


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

    fewer = rules._replace(max_steps=min(rules.max_steps, _MOST_STEPS))
    _profiled(look, lambda: program.run(Leading(schedule.choices), rules=fewer))
    if not found:
        return ""
    return (
        f"The program reads {', '.join(found.values())}: that clock does not follow the time of "
        "the loop; with wall=True it does."
    )


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
