"""`search` and `replay`: a program under many schedules, and once more under one of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from aldente._explore import tokens
from aldente._explore.arguments import (
    check_program,
    parse_end,
    parse_rules,
    parse_runs,
    parse_strategy,
)
from aldente._explore.entropy import likely_cause
from aldente._explore.failures import Exploration, Failure
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.sameness import kind_of
from aldente._explore.shrinking import Shrinker
from aldente._explore.simulating import Main, Rules, Run, simulate
from aldente._explore.watching import Watched
from aldente._loops.simulated.choosing import Chooser
from aldente._loops.simulated.randomness import kept_randomness
from aldente._records import Schedule, Shrinking
from aldente._settings import parse_flag
from aldente._strategies.auto import Auto
from aldente._strategies.fifo import Fifo
from aldente._strategies.replay import Replay
from aldente.errors import PhaseTimeout, ReplayMismatch

T = TypeVar("T")

# What follows when a run has failed: how long it may take to make its schedule smaller, in real
# seconds, and how many runs with the other order are tried.
_SECONDS_OF_SHRINKING = 5.0
_RUNS_IN_OTHER_ORDER = 200
_SECONDS_IN_OTHER_ORDER = 2.0


def search(
    main: Callable[[], Coroutine[Any, Any, object]],
    *,
    runs: int = 200,
    strategy: str | Chooser = "auto",
    order: str = "any",
    slack: float = 1.0,
    seed: int | None = None,
    max_steps: int = 100_000,
    max_seconds: float | None = None,
    wall: bool = False,
    shrink: bool = True,
) -> Exploration:
    """Run a program under many schedules, until one fails.

    The first run is in the order of stock asyncio. Nothing is raised for a failure.

    Args:
        main: the program, a coroutine function without arguments; called anew for every run.
        runs: how many runs there are at most.
        strategy: who chooses: ``"auto"``, ``"pct"``, ``"pos"``, ``"dfs"``, ``"random"`` or
            ``"fifo"``; the name of an entry point in the group ``aldente.strategies``; or an object
            with the methods ``start``, ``choose`` and ``end``.
        order: ``"any"`` to hold back all tasks, ``"io"`` only those that go on because of something
            outside of the loop's own memory.
        slack: how much longer than it does an await may take, as a part of that time.
        seed: what the choices and the randomness of the program follow from; None is the same as 0.
        max_steps: how many steps a run may take.
        max_seconds: how long the search may take, in real seconds, shrinking included; None for no
            limit.
        wall: whether ``time.time()`` and its like follow virtual time, from 1 January 2030.
        shrink: whether a failure is made smaller: to fewer context switches away from stock order.

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
    is_shrinking = parse_flag("shrink", shrink)
    limit = parse_runs("runs", runs)
    seconds = parse_end("max_seconds", max_seconds)
    end = None if seconds is None else monotonic() + seconds
    with kept_randomness(), noting_interrupts() as is_interrupted:
        search = _Search(main, rules, end, is_interrupted, is_shrinking)
        return search.explore(chooser, limit)


@dataclass(slots=True)
class _Search:
    """Many runs of a program.

    Attributes:
        main: the program.
        rules: what holds for its runs.
        end: when it has to end, by `time.monotonic`; None for no limit.
        is_interrupted: whether the user pressed Ctrl-C.
        is_shrinking: whether a failure is made smaller.
    """

    main: Main
    rules: Rules
    end: float | None
    is_interrupted: Callable[[], bool]
    is_shrinking: bool

    def explore(self, chooser: Chooser, limit: int) -> Exploration:
        """Run the program until it fails, or the budget ends."""
        seen: set[int] = set()
        number = 0
        escaped = ""
        failure: Failure | None = None
        is_exhausted = False
        while number < limit and failure is None:
            remaining = None if self.end is None else self.end - monotonic()
            if remaining is not None and remaining <= 0 and number:
                break
            # The order of stock asyncio first: what fails there is no matter of schedules.
            is_stock = not number and not getattr(chooser, "begins_in_stock_order", False)
            who = Fifo() if is_stock else chooser
            if not who.start():
                is_exhausted = getattr(chooser, "is_exhaustive", True)
                break
            run = self._run(who, remaining)
            if remaining is not None and isinstance(run.error, PhaseTimeout) and number:
                break
            number += 1
            seen.add(hash(tuple(run.choices)))
            if run.error is not None:
                failure = self._failure(run, run.error, number)
                escaped = failure.inexact or escaped
            elif number == 1:
                escaped = self._likely_cause(run)
        is_exhausted = is_exhausted or getattr(chooser, "is_exhaustive", False)
        coverage = getattr(chooser, "coverage", "") if failure is None else ""
        return Exploration(number, len(seen), is_exhausted, failure, escaped, coverage)

    def _run(self, chooser: Chooser, seconds: float | None) -> Run:
        run = simulate(self.main, chooser, self.rules, real_seconds=seconds)
        if self.is_interrupted():
            raise KeyboardInterrupt
        return run

    def _likely_cause(self, run: Run) -> str:
        cause = likely_cause(self.main, run.schedule(self.rules), self.rules)
        if self.is_interrupted():
            raise KeyboardInterrupt
        return cause

    def _failure(self, run: Run, error: BaseException, number: int) -> Failure:
        """A failed run: as small as it gets, and what may keep it from failing so once more."""
        schedule = run.schedule(self.rules)
        if isinstance(error, PhaseTimeout):
            token = tokens.encode(schedule)
            return Failure(error, schedule, token, number, waiting=run.waiting)
        inexact = self._likely_cause(run)
        if not inexact and run.depends_on_threads:
            inexact = "threads that the program has started itself called in on the loop"
        shrinking: Shrinking | None = None
        if self.is_shrinking:
            end = self._end_within(_SECONDS_OF_SHRINKING)
            shrinker = Shrinker(self.main, self.rules, end, self.is_interrupted)
            run, shrinking = shrinker.shrink(run, error)
        error = run.error or error
        schedule = run.schedule(self.rules)
        chooser = Replay(Schedule(schedule.choices))
        watched = Watched(chooser)
        traced = simulate(self.main, watched, self.rules, is_traced=True, watch=watched)
        if self.is_interrupted():
            raise KeyboardInterrupt
        return Failure(
            error,
            schedule,
            tokens.encode(schedule),
            number,
            inexact,
            shrinking,
            tuple(traced.steps[: traced.steps_until_end]),
            self._reach(error) if self.is_shrinking else "",
            run.waiting,
        )

    def _end_within(self, seconds: float) -> float:
        end = monotonic() + seconds
        return end if self.end is None else min(self.end, end)

    def _reach(self, error: BaseException) -> str:
        """Whether the failure is found when only what comes from outside is held back."""
        if self.rules.order == "io":
            return ""
        kind, end = kind_of(error), self._end_within(_SECONDS_IN_OTHER_ORDER)
        rules = self.rules._replace(order="io")
        strategy = Auto(rules.seed)
        runs = 0
        while runs < _RUNS_IN_OTHER_ORDER and monotonic() < end and strategy.start():
            run = simulate(self.main, strategy, rules, real_seconds=end - monotonic())
            if self.is_interrupted():
                raise KeyboardInterrupt
            runs += 1
            if run.error is not None and kind_of(run.error) == kind:
                return f'With order="io" it is found too, in run {runs:,}.'
        if strategy.is_exhaustive:
            others = "its only schedule passes" if runs == 1 else f"all its {runs:,} schedules pass"
            return f'With order="io" it does not happen: {others}.'
        return f'With order="io" it was not found in {runs:,} runs.' if runs else ""


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
