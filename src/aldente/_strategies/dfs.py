"""`Dfs`: all schedules, those with the fewest context switches first, each of them once.

Bounding by context switches is due to Madanlal Musuvathi and Shaz Qadeer: Iterative Context
Bounding for Systematic Testing of Multithreaded Programs. PLDI 2007. Here they are counted away
from the order of stock asyncio; see `aldente._strategies.switches`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from aldente._loops.simulated.choosing import Options
from aldente._strategies.switches import SwitchCounter

# How many schedules may be known that were not tried yet, which bounds the memory.
_MOST_KNOWN = 500_000

# What is left to try: how many switches it has, its number, the choices of the run that it leaves,
# where it leaves it, and by which option.
_Branch = tuple[int, int, Sequence[int], int, int]


class Dfs:
    """Tries every schedule; its first run is the order of stock asyncio.

    Args:
        switches: how many context switches away from stock order there may be; None for no limit.
    """

    begins_in_stock_order = True

    def __init__(self, switches: int | None = None) -> None:
        self._most = switches
        self._branches: list[_Branch] = [(0, 0, (), 0, 0)]
        self._number = 0
        self._runs = 0
        self._is_cut = False
        self._is_bounded = False
        self._is_running = False
        # Of the run under way.
        self._branch: _Branch = self._branches[0]
        self._choices: list[int] = []
        self._switches = SwitchCounter()

    def start(self) -> bool:
        """Whether there is a schedule that was not tried."""
        if not self._branches:
            return False
        self._branch = heapq.heappop(self._branches)
        self._choices = []
        self._switches = SwitchCounter()
        self._is_running = True
        return True

    def choose(self, count: int, options: Options) -> int:
        """What the schedule says, and stock order after it; other ways are noted for later runs."""
        _, _, choices, position, option = self._branch
        here = len(self._choices)
        if here < position:
            choice = choices[here]
        elif here == position and choices:
            choice = option
        else:
            choice = 0
            self._note_others(count, options)
        choice = min(choice, count - 1)
        self._switches.note(choice, options)
        self._choices.append(choice)
        return choice

    def _note_others(self, count: int, options: Options) -> None:
        if len(self._branches) >= _MOST_KNOWN:
            self._is_cut = True
            return
        free = self._switches.free(options)
        for option in range(1, count):
            switches = self._switches.total + (option not in free)
            if self._most is not None and switches > self._most:
                self._is_bounded = True
            else:
                self._number += 1
                # All of them share the list, which grows to the choices of the whole run.
                branch = (switches, self._number, self._choices, len(self._choices), option)
                heapq.heappush(self._branches, branch)

    def end(self) -> None:
        """One more was tried."""
        self._runs += 1
        self._is_running = False

    @property
    def is_exhaustive(self) -> bool:
        """Whether every schedule was tried."""
        return self._is_complete and not self._is_bounded

    @property
    def _is_complete(self) -> bool:
        """Whether every schedule within the bound was tried."""
        return not self._branches and not self._is_cut and not self._is_running

    @property
    def coverage(self) -> str:
        """What was tried, in words."""
        runs = f"{self._runs:,} schedule{'' if self._runs == 1 else 's'}"
        if self._is_complete:
            if not self._is_bounded:
                return f"All {runs} were tried; there are no others."
            return f"All {runs} with at most {_switches(self._most or 0)} were tried."
        complete = self._branches[0][0] - 1 if self._branches and not self._is_cut else -1
        if complete < 0:
            return f"{runs} were tried, which is not all in stock order even."
        return f"{runs} were tried, among them all with at most {_switches(complete)}."


def _switches(count: int) -> str:
    return f"{count} context switch{'' if count == 1 else 'es'}"
