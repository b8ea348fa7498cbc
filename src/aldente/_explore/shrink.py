"""Makes the schedule of a failure smaller: fewer context switches away from stock order.

What remains is locally minimal: when any of its switches is left out, the program does not fail in
the same way, with the same type raised at the same place. If the budget allows, all schedules with
fewer switches are tried too; if none of them fails, none has fewer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aldente._checked_pythons import is_checked
from aldente._clocks import monotonic
from aldente._explore.simulate import Program, Run
from aldente._schedules import Shrinking, Smallness
from aldente._simulation.choices import Chooser
from aldente._source import is_own, is_programs
from aldente._strategies.dfs import Dfs
from aldente._strategies.replay import Leading, Watched
from aldente.errors import FoundInRun, InvariantBroken

# Comparable; a group of exceptions is as its members are.
Kind = tuple[Any, ...]


def kind_of(error: BaseException) -> Kind:
    """What is the same for failures that are the same: never a text, in which may be addresses.

    The place is the innermost line of the program that the exception has come through, or the
    innermost line at all if there is none of the program. What aldente raises of a run, such as a
    deadlock, has no place. What rules have found is known by the rules and places.

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
    """The type of an exception, by its name: a program may define it anew in every run.

    >>> name_of_type(ValueError("one"))
    'builtins.ValueError'
    """
    return f"{type(error).__module__}.{type(error).__qualname__}"


# How many runs are tried to leave something out, and how many to find something with fewer
# switches in another way.
_MOST_RUNS = 600
_MOST_OTHER_RUNS = 400


@dataclass(slots=True, eq=False)
class _Found:
    """A run that failed in the same way."""

    run: Run
    keys: list[Hashable]
    switches: list[int]

    @property
    def size(self) -> tuple[int, int, int, int]:
        """What is to become smaller: switches, then deviations, then how far and late they are."""
        others = [number for number, choice in enumerate(self.run.choices) if choice]
        return (
            len(self.switches),
            len(others),
            sum(self.run.choices),
            others[-1] if others else 0,
        )


class Shrinker:
    """Makes a failed run smaller.

    Args:
        program: the program.
        end: when it has to end, by `time.monotonic`; None for no limit.
    """

    def __init__(self, program: Program, end: float | None) -> None:
        self._program = program
        self._end = end
        self._kind: object = None
        self._runs = 0
        self._most = _MOST_RUNS
        self._seen: set[tuple[int, ...]] = set()

    def shrink(self, run: Run, error: BaseException) -> tuple[Run, Shrinking]:
        """The smallest run that fails like the given one, and how it was found."""
        self._kind = kind_of(error)
        best = self._try(Leading(run.choices))
        if best is None:
            before = sum(choice != 0 for choice in run.choices)
            return run, Shrinking(self._runs, before, before, "unrepeatable")
        before = len(best.switches)
        is_complete = False
        while not is_complete:
            smaller = self._first_smaller(best, self._candidates(best))
            is_complete = smaller is None and not self._is_over
            if smaller is None:
                break
            best = smaller
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

    @property
    def _is_over(self) -> bool:
        return self._runs >= self._most or (self._end is not None and monotonic() >= self._end)

    def _try(self, chooser: Chooser) -> _Found | None:
        """A run that fails in the same way; None when it does not."""
        self._runs += 1
        watched = Watched(chooser)
        left = None if self._end is None else max(self._end - monotonic(), 0.01)
        run = self._program.run(watched, real_seconds=left)
        if run.error is None or kind_of(run.error) != self._kind:
            return None
        return _Found(run, watched.keys, watched.switches)

    def _first_smaller(self, best: _Found, candidates: Iterator[Chooser]) -> _Found | None:
        for candidate in candidates:
            if self._is_over:
                return None
            found = self._try(candidate)
            if found is not None and found.size < best.size:
                return found
        return None

    def _candidates(self, best: _Found) -> Iterator[Chooser]:
        """Schedules that are smaller in some way, those that leave out much first."""
        choices = best.run.choices
        deviations = [number for number, choice in enumerate(choices) if choice]
        # Stock order from somewhere on.
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
                # The same, but the tasks that follow go on in the order in which they did.
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

    def _once(self, choices: Sequence[int]) -> Iterator[Chooser]:
        """A schedule, unless it was tried."""
        end = len(choices)
        while end and choices[end - 1] == 0:
            end -= 1
        trimmed = tuple(choices[:end])
        if trimmed not in self._seen:
            self._seen.add(trimmed)
            yield Leading(trimmed)

    def _with_fewer(self, switches: int) -> _Found | None:
        """A run with no more switches than that, if there is one within the budget."""
        self._most = self._runs + _MOST_OTHER_RUNS
        strategy = Dfs(switches)
        while not self._is_over and strategy.start():
            found = self._try(strategy)
            if found is not None:
                return found
        return None
