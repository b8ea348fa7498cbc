"""`Reduction`: which ways of a run lead to nothing but what other runs do as well.

Runs that differ in the order of independent steps only are equivalent (Antoni Mazurkiewicz: Trace
Theory. 1986). Of each kind one is enough. Which options are left out is decided by sleep sets
(Patrice Godefroid: Partial-Order Methods for the Verification of Concurrent Systems. 1996): once an
option was tried somewhere, it sleeps in the runs that go another way there, until they take a step
that depends on it.

The proof needs an order of the options at each place, not that they are tried depth first: here it
is the order in which they are tried. What an option does is known from the run that has taken it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from aldente._simulation.choices import Options
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.accesses import AccessRecorder
from aldente._strategies.effects import ANYTHING, Effects, Sleep, pass_step
from aldente._strategies.observing import StepObserver


class Place:
    """A choice that was met.

    Attributes:
        sleep: what need not be tried there.
        tried: what was tried there, and what it has done.
    """

    __slots__ = ("sleep", "tried")

    def __init__(self, sleep: Sleep) -> None:
        self.sleep = sleep
        self.tried: Sleep = {}


class Reduction:
    """Follows one run.

    Args:
        loop: its loop.
        recorder: sees what code does.
        on_doubt: called when what was left out before can't be relied on.

    Attributes:
        sleep: what need not be tried now.
        is_redundant: whether the run is equivalent to another one, whatever follows.
    """

    def __init__(
        self, loop: SimulatedLoop, recorder: AccessRecorder, on_doubt: Callable[[], object]
    ) -> None:
        self.sleep: Sleep = {}
        self.is_redundant = False
        self._observer = StepObserver(loop, recorder, self._pass_step, on_doubt)
        # Where something was chosen that has not happened yet, and who goes on there.
        self._place: Place | None = None
        self._key: Hashable = None

    def start(self, place: Place | None) -> bool:
        """Begin to follow; whether that is possible.

        Args:
            place: the choice that is about to be made; None at the beginning of a run.
        """
        if place is not None:
            self.sleep = {**place.sleep, **place.tried}
        return self._observer.start()

    def before_choice(self) -> Place | None:
        """The choice that is about to be made; None if nothing is known about it."""
        self._observer.before_choice()
        if not self._observer.is_observing or self.is_redundant:
            return None
        return Place(self.sleep)

    def after_choice(self, place: Place, choice: int, options: Options) -> None:
        """Something was chosen there."""
        self._key = options.key(choice)
        self._place = place
        self._observer.after_choice(choice, options)

    def _pass_step(self, key: Hashable, step: Effects) -> None:
        if self._place is not None:
            # Somebody else goes on if the program interferes with its loop.
            self._place.tried[self._key] = step if key == self._key else ANYTHING
            self._place = None
        if key in self.sleep:
            self.is_redundant = True
        self.sleep = pass_step(self.sleep, step)

    def end(self) -> None:
        """The run has ended."""
        self._observer.stop()
