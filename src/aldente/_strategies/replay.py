"""`Replay`: the choices of a recorded schedule."""

from __future__ import annotations

from collections.abc import Sequence

from aldente._schedules import Schedule
from aldente.errors import ReplayMismatch

# Without knowing more; whoever replays may find out.
CAUSE = "the program has changed since, or does not depend on its schedule alone"


class Replay:
    """Chooses as a schedule says, in the only run there is.

    Args:
        schedule: the schedule. After its last choice option 0 is chosen.

    >>> strategy = Replay(Schedule(choices=(1,)))
    >>> strategy.start(), strategy.choose(2, []), strategy.choose(2, [])
    (True, 1, 0)
    """

    def __init__(self, schedule: Schedule) -> None:
        self._choices = schedule.choices
        self._counts = schedule.counts
        self._position = 0
        self._is_done = False

    def start(self) -> bool:
        """There is one run only."""
        is_first, self._is_done = not self._is_done, True
        return is_first

    def choose(self, count: int, options: Sequence[object]) -> int:
        """What was chosen at this place.

        Raises:
            ReplayMismatch: there was another number of options.
        """
        position = self._position
        self._position = position + 1
        if self._counts:
            if position >= len(self._counts):
                raise ReplayMismatch(position, "no more choices", f"{count} options", CAUSE)
            if self._counts[position] != count:
                recorded = f"{self._counts[position]} options"
                raise ReplayMismatch(position, recorded, f"{count} options", CAUSE)
        choice = self._choices[position] if position < len(self._choices) else 0
        if choice >= count:
            recorded = f"at least {choice + 1} options"
            raise ReplayMismatch(position, recorded, f"{count} options", CAUSE)
        return choice

    def end(self) -> None:
        """Do nothing; whether it came to the end, `is_complete` tells."""

    @property
    def is_complete(self) -> bool:
        """Whether all choices of the schedule were asked for."""
        return self._position >= max(len(self._counts), len(self._choices))
