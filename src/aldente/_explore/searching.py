"""`search` and `replay`: a program under many schedules, and once more under one of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from aldente._diagnosis.waits import AwaitGraph
from aldente._explore import tokens
from aldente._explore.arguments import (
    check_program,
    parse_end,
    parse_rules,
    parse_runs,
    parse_strategy,
)
from aldente._explore.entropy import likely_cause
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.simulating import Main, Rules, Run, simulate
from aldente._loops.simulated.choosing import Chooser
from aldente._loops.simulated.randomness import kept_randomness
from aldente._records import Schedule
from aldente._strategies.fifo import Fifo
from aldente._strategies.replay import Replay
from aldente.errors import PhaseTimeout, ReplayMismatch

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A run that failed.

    Attributes:
        exception: what the program raised, or why the run was ended.
        schedule: the choices of the run.
        token: the schedule in printable form, for `aldente.replay`.
        run: the number of the run, from 1.
        inexact: why running it again may not fail in the same way; empty when it did.
        waiting: who waited for whom, when nothing could happen any more; else None.
    """

    exception: BaseException
    schedule: Schedule
    token: str
    run: int
    inexact: str = ""
    waiting: AwaitGraph | None = None

    def report(self) -> str:
        """The failure as text: the exception, and how to see it again."""
        lines = "".join(traceback.format_exception(self.exception)).rstrip()
        switches = sum(choice != 0 for choice in self.schedule.choices)
        report = (
            f"{lines}\n\nRun {self.run} failed; its schedule leaves the order of stock asyncio at "
            f"{switches} of {len(self.schedule.choices)} choices.\n"
            f"Run it again: aldente.replay(main, {self.token!r})"
        )
        return f"{report}\nNot exact: {self.inexact}" if self.inexact else report


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """What many runs of a program have shown.

    Attributes:
        runs: how many there were.
        distinct: how many of them differed in a choice.
        exhausted: whether there was no other schedule left to try.
        failure: the first run that failed; None if all went well.
        escaped: what the program depends on beside its schedule, as far as was noticed; empty if
            nothing was.
    """

    runs: int
    distinct: int
    exhausted: bool
    failure: Failure | None = field(default=None)
    escaped: str = ""


def search(
    main: Callable[[], Coroutine[Any, Any, object]],
    *,
    runs: int = 200,
    strategy: str | Chooser = "random",
    order: str = "any",
    slack: float = 1.0,
    seed: int | None = None,
    max_steps: int = 100_000,
    max_seconds: float | None = None,
    wall: bool = False,
) -> Exploration:
    """Run a program under many schedules, until one fails.

    The first run is in the order of stock asyncio. Nothing is raised for a failure.

    Args:
        main: the program, a coroutine function without arguments; called anew for every run.
        runs: how many runs there are at most.
        strategy: who chooses: ``"random"`` or ``"fifo"``; or an object with the methods ``start``,
            ``choose`` and ``end``.
        order: ``"any"`` to hold back all tasks, ``"io"`` only those that go on because of something
            outside of the loop's own memory.
        slack: how much longer than it does an await may take, as a part of that time.
        seed: what the choices and the randomness of the program follow from; None is the same as 0.
        max_steps: how many steps a run may take.
        max_seconds: how long the search may take, in real seconds; None for no limit.
        wall: whether ``time.time()`` and its like follow virtual time, from 1 January 2030.

    Raises:
        InvalidSetting: an argument has a wrong value.
        RuntimeError: an event loop is running in this thread.
        MissingExtra: `wall` needs a library that is not installed.
        KeyboardInterrupt: the user pressed Ctrl-C.

    >>> import asyncio
    >>> async def main():
    ...     counter = 0
    ...     async def add():
    ...         nonlocal counter
    ...         before = counter
    ...         await asyncio.sleep(before)
    ...         counter = before + 1
    ...     await add()
    ...     await asyncio.gather(add(), add())
    ...     assert counter == 3
    >>> search(main).failure.exception
    AssertionError()
    """
    check_program("search", main)
    rules = parse_rules(order=order, slack=slack, seed=seed, max_steps=max_steps, wall=wall)
    chooser = parse_strategy(strategy, rules.seed)
    limit = parse_runs("runs", runs)
    seconds = parse_end("max_seconds", max_seconds)
    end = None if seconds is None else monotonic() + seconds
    with kept_randomness(), noting_interrupts() as is_interrupted:
        return _search(main, rules, chooser, limit, end, is_interrupted)


def _search(
    main: Main,
    rules: Rules,
    chooser: Chooser,
    limit: int,
    end: float | None,
    is_interrupted: Callable[[], bool],
) -> Exploration:
    seen: set[int] = set()
    number = 0
    escaped = ""
    while number < limit:
        remaining = None if end is None else end - monotonic()
        if remaining is not None and remaining <= 0 and number:
            break
        # The order of stock asyncio first: what fails there is no matter of schedules.
        who = chooser if number else Fifo()
        if not who.start():
            return Exploration(number, len(seen), exhausted=True, escaped=escaped)
        run = simulate(main, who, rules, real_seconds=remaining)
        if is_interrupted():
            raise KeyboardInterrupt
        if remaining is not None and isinstance(run.error, PhaseTimeout) and number:
            break
        number += 1
        seen.add(hash(tuple(run.choices)))
        if run.error is not None:
            failure = _failure(main, rules, run, run.error, number)
            return Exploration(number, len(seen), False, failure, failure.inexact or escaped)
        if number == 1:
            escaped = likely_cause(main, run.schedule(rules), rules)
            if is_interrupted():
                raise KeyboardInterrupt
    return Exploration(number, len(seen), exhausted=False, escaped=escaped)


def _failure(main: Main, rules: Rules, run: Run, error: BaseException, number: int) -> Failure:
    """A failed run, with what may keep it from failing in the same way once more."""
    schedule = run.schedule(rules)
    inexact = "" if isinstance(error, PhaseTimeout) else likely_cause(main, schedule, rules)
    if not inexact and run.depends_on_threads:
        inexact = "threads that the program has started itself called in on the loop"
    token = tokens.encode(schedule)
    return Failure(error, schedule, token, number, inexact, run.waiting)


def replay(main: Callable[[], Coroutine[Any, Any, T]], token: str | Schedule) -> T:
    """Run a program once more under a schedule, and return its result.

    Args:
        main: the program, as it was given to `search`.
        token: the token of a failure; or its schedule, which knows of each choice how many options
            there were, so that the first difference is told exactly.

    Raises:
        BaseException: what the program raises.
        ReplayMismatch: the run met other options than those that were recorded.
        InvalidToken: the token stands for no schedule.
        RuntimeError: an event loop is running in this thread.

    >>> async def main():
    ...     return "done"
    >>> replay(main, "1AKHFyw")
    Traceback (most recent call last):
        ...
    aldente.errors.ReplayMismatch: The run did not go as recorded: ...
    """
    check_program("replay", main)
    schedule = token if isinstance(token, Schedule) else tokens.decode(token)
    rules = Rules(order=schedule.order, slack=schedule.slack, seed=schedule.seed)
    chooser = Replay(schedule)
    chooser.start()
    with kept_randomness(), noting_interrupts() as is_interrupted:
        run = simulate(main, chooser, rules)
        if is_interrupted():
            raise KeyboardInterrupt
        error = run.error
        mismatch = error if isinstance(error, ReplayMismatch) else _mismatch(schedule, chooser, run)
        if mismatch is not None:
            cause = likely_cause(main, run.schedule(rules), rules)
            if cause:
                facts = mismatch.choice, mismatch.recorded, mismatch.met
                mismatch = ReplayMismatch(*facts, cause)
    if mismatch is not None and (error is None or isinstance(error, ReplayMismatch)):
        raise mismatch
    if error is not None:
        if mismatch is not None:
            error.add_note(f"The replay was not exact. {mismatch}")
        raise error
    result: T = run.result
    return result


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
