"""Shrinks the schedule of a failure: fewer context switches away from stock order.

Faults of the network go first: a schedule without one is smaller than any with it. Otherwise the
result is locally minimal: without any one of its switches, the program does not fail in the
same way, with the same type of exception at the same place. Where no single one can be left out,
the shrinker tries to leave out two, or to choose otherwise once. If the budget allows, it also
tries all schedules with fewer switches; if none of them fails, the result is minimal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

from aldente._checked_pythons import is_checked
from aldente._explore.runs import Run
from aldente._explore.simulate import Program
from aldente._schedules import Shrinking, Smallness
from aldente._simulation.choices import Strategy
from aldente._source import is_own, is_programs
from aldente._strategies.dfs import Dfs
from aldente._strategies.replay import Leading, Watched
from aldente._system import monotonic
from aldente.errors import FoundInRun, InvariantBroken

# Comparable; that of an exception group has the kinds of its members.
FailureKind = tuple[Any, ...]


def kind_of(error: BaseException) -> FailureKind:
    """A key that equal failures share; it has no message, which may contain addresses.

    The key has the type and a place: the innermost line of the program that the exception has
    passed, or the innermost line of all if the program has none. An error that aldente raises for a
    run, such as a deadlock, has no place. Findings have their rules and places.

    >>> kind_of(ValueError("one")) == kind_of(ValueError("two"))
    True
    """
    if isinstance(error, FoundInRun):
        found = {(finding.rule, repr(finding.place)) for finding in error.findings}
        return (name_of_type(error), tuple(sorted(found)))
    if isinstance(error, InvariantBroken):
        return (type(error), error.check, error.place)
    if isinstance(error, BaseExceptionGroup):
        return (
            name_of_type(error),
            tuple(sorted({repr(kind_of(one)) for one in error.exceptions})),
        )
    place = last = None
    traceback = error.__traceback__
    while traceback is not None:
        path, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        if is_programs(path):
            place = (path, line)
        last = (path, line)
        traceback = traceback.tb_next
    if place is None and last is not None and not is_own(last[0]):
        place = last
    return (name_of_type(error), place)


def name_of_type(error: BaseException) -> str:
    """The name of an exception's type, as a program may define the type anew in every run.

    >>> name_of_type(ValueError("one"))
    'builtins.ValueError'
    """
    return f"{type(error).__module__}.{type(error).__qualname__}"


def identity_of_kind(error: BaseException) -> str:
    """`kind_of` as a short text, to compare failures of different processes.

    >>> identity_of_kind(ValueError("one")) == identity_of_kind(ValueError("two"))
    True
    """
    return hashlib.sha256(repr(kind_of(error)).encode()).hexdigest()[:24]


# How many runs to try for leaving switches out one by one; how many where that does not help; and
# how many for a different schedule with fewer switches.
_MOST_RUNS = 600
_MOST_RUNS_FOR_MORE = 2_000
_MOST_OTHER_RUNS = 400


@dataclass(slots=True, eq=False)
class _SmallerRun:
    """A run that failed in the same way."""

    run: Run
    keys: list[Hashable]
    switches: list[int]
    faults: list[int]

    @property
    def size(self) -> tuple[int, int, int, int, int]:
        """The size to shrink: faults, switches, deviations, then how far and how late they are."""
        others = [number for number, choice in enumerate(self.run.choices) if choice]
        return (
            len(self.faults),
            len(self.switches),
            len(others),
            sum(self.run.choices),
            others[-1] if others else 0,
        )


class Shrinker:
    """Shrinks a failed run.

    Args:
        program: the program.
        end: when shrinking has to end, by `time.monotonic`; None for no limit.
    """

    def __init__(self, program: Program, end: float | None) -> None:
        self._program = program
        self._end = end
        self._kind: object = None
        self._runs = 0
        self._most = _MOST_RUNS
        self._seen: set[tuple[int, ...]] = set()

    def shrink(self, run: Run, error: BaseException) -> tuple[Run, Shrinking]:
        """The smallest run found that fails like the given one, and the facts of the shrinking."""
        self._kind = kind_of(error)
        best = self._try(Leading(run.choices))
        if best is None:
            before = sum(choice != 0 for choice in run.choices)
            return run, Shrinking(self._runs, before, before, "unrepeatable")
        before = len(best.switches)
        best, is_complete = self._without_any(best)
        if is_complete:
            best, is_complete = self._without_more(best)
        outcome: Smallness = "local" if is_complete else "budget"
        if not best.switches:
            outcome = "least"
        elif is_complete:
            other = self._with_fewer(len(best.switches) - 1)
            if other is not None:
                best, outcome = other, "least"
            elif not self._is_over and is_checked():
                outcome = "least"
        return best.run, Shrinking(self._runs, before, len(best.switches), outcome)

    def _without_any(self, best: _SmallerRun) -> tuple[_SmallerRun, bool]:
        """Leave out switches one by one; return the smallest run, and whether all were tried."""
        while True:
            smaller = self._first_smaller(best, self._candidates(best))
            if smaller is None:
                return best, not self._is_over
            best = smaller

    def _without_more(self, best: _SmallerRun) -> tuple[_SmallerRun, bool]:
        """As `_without_any`, where leaving out one switch does not help."""
        self._most = self._runs + _MOST_RUNS_FOR_MORE
        # Of two switches one would be left, and `_with_fewer` tries all schedules with one.
        while len(best.switches) > 2:
            others = chain(self._without_pairs(best), self._with_another(best))
            smaller = self._first_smaller(best, others)
            if smaller is None:
                break
            best, is_complete = self._without_any(smaller)
            if not is_complete:
                return best, False
        return best, True

    @property
    def _is_over(self) -> bool:
        return self._runs >= self._most or (self._end is not None and monotonic() >= self._end)

    def _try(self, strategy: Strategy) -> _SmallerRun | None:
        """The run of a strategy if it fails in the same way; else None."""
        self._runs += 1
        watched = Watched(strategy)
        left = None if self._end is None else max(self._end - monotonic(), 0.01)
        run = self._program.run(watched, real_seconds=left)
        if run.error is None or kind_of(run.error) != self._kind:
            return None
        return _SmallerRun(run, watched.keys, watched.switches, watched.faults)

    def _first_smaller(
        self, best: _SmallerRun, candidates: Iterator[Strategy]
    ) -> _SmallerRun | None:
        for candidate in candidates:
            if self._is_over:
                return None
            found = self._try(candidate)
            if found is not None and found.size < best.size:
                return found
        return None

    def _candidates(self, best: _SmallerRun) -> Iterator[Strategy]:
        """Smaller schedules, those that leave out much first."""
        choices = best.run.choices
        # Without all faults, and without each: a failure of a good network says more.
        for numbers in [best.faults, *([number] for number in best.faults)]:
            yield from self._without_faults(best, numbers)
        deviations = [number for number, choice in enumerate(choices) if choice]
        # Stock order from some choice on.
        length = len(deviations)
        cut = length // 2
        while cut:
            yield from self._once(choices[: deviations[-cut]])
            cut //= 2
        switches = best.switches
        size = max(len(switches) // 2, 1)
        while switches and size:
            for first in range(0, len(switches), size):
                begin = switches[first]
                after = first + size
                end = switches[after] if after < len(switches) else len(choices)
                without = [*choices[:begin], *[0] * (end - begin), *choices[end:]]
                yield from self._once(without)
                # The same, but the tasks after it go on in the order in which they did before.
                yield (
                    Leading(choices[:begin], best.keys, end)
                    if end < len(choices)
                    else (Leading(choices[:begin]))
                )
                # Only the switch itself, so that the long run after it begins later, or not at all.
                yield from self._once([*choices[:begin], 0, *choices[begin + 1 :]])
                yield from self._once([*choices[:begin], *choices[begin + 1 :]])
            size //= 2
        size = max(length // 2, 1)
        while length and size:
            for first in range(0, length, size):
                without = list(choices)
                for number in deviations[first : first + size]:
                    without[number] = 0
                yield from self._once(without)
            size //= 2
        for number in deviations:
            if choices[number] > 1:
                yield from self._once([*choices[:number], 1, *choices[number + 1 :]])

    def _without_faults(self, best: _SmallerRun, numbers: Sequence[int]) -> Iterator[Strategy]:
        """Schedules in which some faults do not happen, with the tasks after them as before."""
        if numbers:
            without = list(best.run.choices)
            for number in numbers:
                without[number] = 0
            yield from self._once(without)
            yield Leading(without[: numbers[0] + 1], best.keys, numbers[0] + 1)

    def _without_pairs(self, best: _SmallerRun) -> Iterator[Strategy]:
        """Schedules without two of the switches, each of which the other one needs."""
        choices = best.run.choices
        begins = [*best.switches, len(choices)]
        pairs = combinations(range(len(best.switches)), 2)
        # Those that are close to each other first.
        for one, other in sorted(pairs, key=lambda pair: pair[1] - pair[0]):
            without, keys = list(choices), list(best.keys)
            for number in (other, one):
                begin, end = begins[number], begins[number + 1]
                without[begin:end] = [0] * (end - begin)
            del keys[begins[other] : begins[other + 1]]
            yield from self._once(without)
            yield Leading(choices[: begins[one]], keys, begins[one + 1])

    def _with_another(self, best: _SmallerRun) -> Iterator[Strategy]:
        """Schedules with another option at one choice, and the tasks after it as before.

        One switch may do what two or more have done.
        """
        choices, keys = best.run.choices, best.keys
        for number, count in enumerate(best.run.counts):
            for option in range(count):
                if option != choices[number]:
                    other = [*choices[:number], option]
                    # Once in place of the step that was chosen there, and once before it.
                    yield Leading(other, keys, number + 1)
                    yield Leading(other, [*keys[:number], None, *keys[number:]], number + 1)

    def _once(self, choices: Sequence[int]) -> Iterator[Strategy]:
        """The strategy of a schedule, unless that was tried."""
        end = len(choices)
        while end and choices[end - 1] == 0:
            end -= 1
        trimmed = tuple(choices[:end])
        if trimmed not in self._seen:
            self._seen.add(trimmed)
            yield Leading(trimmed)

    def _with_fewer(self, switches: int) -> _SmallerRun | None:
        """A failing run with at most so many switches, if the budget suffices to find one."""
        self._most = self._runs + _MOST_OTHER_RUNS
        strategy = Dfs(switches)
        while not self._is_over and strategy.start():
            found = self._try(strategy)
            if found is not None:
                return found
        return None
