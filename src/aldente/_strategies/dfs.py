"""`Dfs`: all schedules, each once, those with the fewest context switches first.

Bounding by context switches is due to Madanlal Musuvathi and Shaz Qadeer: Iterative Context
Bounding for Systematic Testing of Multithreaded Programs. PLDI 2007. Here they are counted away
from the order of stock asyncio; see `aldente._strategies.context_switches`.

Without a bound, `Dfs` skips schedules that are equivalent to others; see
`aldente._strategies.partial_order`. With a bound it skips none: the equivalent one may have more
switches, so that neither would be tried (Katherine Coons, Madan Musuvathi, Kathryn McKinley:
Bounded Partial-Order Reduction. OOPSLA 2013). For the same reason an unfinished search without a
bound claims to have tried all schedules with so many switches only if it skipped none of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aldente._checked_pythons import is_checked
from aldente._simulation.choices import Options
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.context_switches import SwitchCounter

if TYPE_CHECKING:
    from aldente._strategies.partial_order import Place, Reduction
    from aldente._strategies.recorder import AccessRecorder

# How many untried schedules to keep, which bounds the memory.
_MOST_KNOWN = 500_000

# After how many runs `Dfs` decides whether the search for equivalent schedules is worth its time;
# it stops if it has skipped less than this for each run.
_RUNS_UNTIL_LOOK = 200
_LEAST_LEFT_OUT = 0.1


class _Tried:
    """The choices of a run, and the keys of what was chosen."""

    __slots__ = ("choices", "keys")

    def __init__(self) -> None:
        self.choices: list[int] = []
        self.keys: list[Hashable] = []


class _Branch(NamedTuple):
    """An untried schedule: a run that leaves another one at some choice.

    Attributes:
        switches: how many context switches it has.
        number: its serial number, which orders branches with as many switches.
        run: the run that it leaves, which may still grow.
        position: the position of the choice where it leaves that run.
        option: the option that it takes there.
        place: the other options tried there; None if that is not known.
    """

    switches: int
    number: int
    run: _Tried
    position: int
    option: int
    place: Place | None


class Dfs:
    """Tries every schedule; its first run is the order of stock asyncio.

    Args:
        switches: how many context switches away from stock order there may be; None for no limit.
        skips_equivalent: whether to skip schedules that are equivalent to others; only without a
            limit.

    Attributes:
        was_needed: False if the last run turned out, on the way, to be equivalent to another.
    """

    begins_in_stock_order = True

    def __init__(self, switches: int | None = None, *, skips_equivalent: bool = True) -> None:
        self.was_needed = True
        self._most = switches
        self._branches: list[_Branch] = [_Branch(0, 0, _Tried(), 0, 0, None)]
        # Skipped branches, which have to be tried if independence becomes doubtful.
        self._left_out: list[_Branch] = []
        # Independence depends on the bytecode and the asyncio of each version of Python.
        self._is_reducing = skips_equivalent and switches is None and is_checked()
        # What finds equivalent schedules; made when it is first needed.
        self._recorder: AccessRecorder | None = None
        self._number = 0
        self._runs = 0
        self._is_cut = False
        self._is_bounded = False
        self._is_running = False
        # The branch of the current run.
        self._branch = self._branches[0]
        self._run = _Tried()
        self._switches = SwitchCounter()
        self._reduction: Reduction | None = None
        self._is_followed = False

    def start(self) -> bool:
        """Whether there is an untried schedule."""
        if not self._branches:
            return False
        self._branch = heapq.heappop(self._branches)
        self._run = _Tried()
        self._switches = SwitchCounter()
        self._reduction, self._is_followed = None, False
        self._is_running = True
        return True

    def attach(self, loop: SimulatedLoop) -> None:
        """Observe the steps of the next run, so that equivalent schedules can be skipped."""
        if self._is_reducing and loop.holds_all:
            self._reduction = self._make_reduction(loop)
            if self._branch.number == 0 or self._branch.place is not None:
                self._reduction.begin_run()
            if self._branch.position == 0 and self._branch.number == 0:
                self._is_followed = self._reduction.start(None)

    def _make_reduction(self, loop: SimulatedLoop) -> Reduction:
        # Imported here: it is much code, and shrinking, for example, does without.
        from aldente._strategies.partial_order import Reduction
        from aldente._strategies.recorder import AccessRecorder

        if self._recorder is None:
            self._recorder = AccessRecorder()
        return Reduction(loop, self._recorder, self._doubt)

    def choose(self, count: int, options: Options) -> int:
        """The branch's choice, and stock order after it; note the other options for later runs."""
        branch, here = self._branch, len(self._run.choices)
        is_given = here <= branch.position and branch.number > 0
        if not is_given:
            choice = self._choose_new(count, options)
        else:
            wanted = branch.run.choices[here] if here < branch.position else branch.option
            choice = min(wanted, count - 1)
            self._follow(choice, options, here)
        self._switches.note(choice, options)
        self._run.choices.append(choice)
        self._run.keys.append(options.key(choice))
        return choice

    def _follow(self, choice: int, options: Options, here: int) -> None:
        """Note a choice that the branch prescribes."""
        branch, reduction = self._branch, self._reduction
        if here < branch.position:
            is_same = choice == branch.run.choices[here]
            if self._is_reducing and not (is_same and options.key(choice) == branch.run.keys[here]):
                # The program depends on more than its schedule.
                self._doubt()
        elif reduction is not None and branch.place is not None:
            self._is_followed = reduction.start(branch.place)
            if self._is_followed:
                reduction.after_choice(branch.place, choice, options)

    def _choose_new(self, count: int, options: Options) -> int:
        """A choice that no run has met: stock order, unless that would repeat another run."""
        reduction = self._reduction if self._is_followed and self._is_reducing else None
        if reduction is None:
            self._note_others(range(1, count), options, None)
            return 0
        place = reduction.before_choice()
        if not self._is_reducing:
            # `_doubt` was just called.
            self._note_others(range(1, count), options, None)
            return 0
        if place is None:
            self._note_others(range(1, count), options, None, is_left_out=reduction.is_redundant)
            return 0
        keys = options.keys()
        awake = [option for option in range(count) if keys[option] not in place.sleep]
        if not awake:
            reduction.is_redundant = True
            self._note_others(range(1, count), options, None, is_left_out=True)
            return 0
        free = self._switches.free(options)
        choice = min(awake, key=lambda option: (option not in free, option))
        asleep = [option for option in range(count) if option not in awake]
        self._note_others([option for option in awake if option != choice], options, place)
        self._note_others(asleep, options, None, is_left_out=True)
        reduction.after_choice(place, choice, options)
        return choice

    def _note_others(
        self,
        others: Sequence[int],
        options: Options,
        place: Place | None,
        *,
        is_left_out: bool = False,
    ) -> None:
        """Note the options that a run does not take, to try them later or skip them."""
        if not others:
            return
        if len(self._branches) + len(self._left_out) >= _MOST_KNOWN:
            self._is_cut = True
            return
        free = self._switches.free(options)
        for option in others:
            switches = self._switches.total + (option not in free)
            if self._most is not None and switches > self._most:
                self._is_bounded = True
                continue
            self._number += 1
            # All branches share the run, which grows to its end.
            here = len(self._run.choices)
            branch = _Branch(switches, self._number, self._run, here, option, place)
            if is_left_out:
                self._left_out.append(branch)
            else:
                heapq.heappush(self._branches, branch)

    def _doubt(self) -> None:
        """Skip nothing from now on, and try all branches skipped so far."""
        self._is_reducing = False
        for branch in self._left_out:
            heapq.heappush(self._branches, branch)
        self._left_out = []

    def end(self) -> None:
        """Count the run, which has ended."""
        self.was_needed = True
        if self._reduction is not None:
            self._reduction.end()
            self.was_needed = not (self._is_reducing and self._reduction.is_redundant)
            self._reduction = None
        self._runs += 1
        self._is_running = False
        is_due = self._is_reducing and not self._runs % _RUNS_UNTIL_LOOK
        if is_due and len(self._left_out) < _LEAST_LEFT_OUT * self._runs:
            # Nearly all steps depend on each other, so observing them is not worth its time.
            self._doubt()

    @property
    def is_exhaustive(self) -> bool:
        """Whether every schedule, or one equivalent to it, was tried."""
        return self._is_complete and not self._is_bounded

    @property
    def _is_complete(self) -> bool:
        """Whether every schedule within the bound was tried."""
        return not self._branches and not self._is_cut and not self._is_running

    @property
    def coverage(self) -> str:
        """What was tried, in words."""
        runs = f"{self._runs:,} schedule{'' if self._runs == 1 else 's'}"
        skipped = len(self._left_out)
        if self._is_complete:
            if self._is_bounded:
                return f"All {runs} with at most {_switches(self._most or 0)} were tried."
            if skipped:
                return (
                    f"{runs} were tried, and every other one is equivalent to one of them: "
                    f"{_branches(skipped)} skipped."
                )
            if self._runs == 1:
                return "There is only one schedule."
            return f"All {runs} were tried; there are no others."
        complete = -1
        if self._branches and not self._is_cut:
            # The equivalent schedule may have more switches.
            known = [branch.switches for branch in self._left_out]
            complete = min([self._branches[0].switches, *known]) - 1
        rest = f"; {_branches(skipped)} skipped as equivalent" if skipped else ""
        if complete < 0:
            return f"{runs} were tried, not even all of those in stock order{rest}."
        return f"{runs} were tried, among them all with at most {_switches(complete)}{rest}."


def _switches(count: int) -> str:
    return f"{count} context switch{'' if count == 1 else 'es'}"


def _branches(count: int) -> str:
    return "1 branch was" if count == 1 else f"{count:,} branches were"
