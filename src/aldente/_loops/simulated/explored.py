"""`ExploredLoop`: what a program says of itself to whoever explores it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from aldente._loops.simulated.cancelling import Cancelling
from aldente._loops.simulated.checking import Invariant, who_is
from aldente._loops.simulated.turns import ChoosingLoop


class Event(NamedTuple):
    """Something that is told of a run, and is no step.

    Attributes:
        who: the task, or the function that an executor's thread runs; empty if it is neither.
        text: what is told.
        is_choice: whether the explorer has chosen so, away from stock order.
        is_place_told: whether it has happened at the line that the program is at.
    """

    who: str
    text: str
    is_choice: bool
    is_place_told: bool


class ExploredLoop(ChoosingLoop):
    """The part of the simulated loop that programs talk to.

    Args and attributes as for `ChoosingLoop`, and:

    Attributes:
        on_event: told of what is to be told; None if nobody wants to know.
        on_cancel: told of each task that somebody is about to cancel; None if nobody wants to know.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_event: Callable[[Event], object] | None = None
        self.on_cancel: Callable[[asyncio.Task[Any]], object] | None = None
        self._cancelling: Cancelling | None = None
        self._invariants: list[Invariant] | None = None

    @property
    def cancelling(self) -> Cancelling:
        """What may be cancelled at any await."""
        if self._cancelling is None:
            self._cancelling = Cancelling(self)
        return self._cancelling

    def check(self, check: Callable[[], object]) -> Invariant:
        """Have something checked after every step."""
        invariant = Invariant(self, check)
        self._invariants = [*(self._invariants or ()), invariant]
        return invariant

    def tell(self, text: str, *, is_choice: bool = False, is_place_told: bool = True) -> None:
        """Have the story of the run tell something, if it is recorded.

        Args:
            text: what is told.
            is_choice: whether the explorer has chosen so, away from stock order.
            is_place_told: whether it has happened at the line that the program is at.
        """
        if self.on_event is not None:
            self.on_event(Event(self.who_runs(), text, is_choice, is_place_told))

    def who_runs(self) -> str:
        """The task that runs now, or the function that an executor's thread runs; else empty."""
        task = asyncio.current_task(self)
        return self.job_here() or ("" if task is None else task.get_name())

    def job_here(self) -> str:
        """The function that this thread runs, if it is one of an executor's; else empty."""
        raise NotImplementedError

    def end_program(self, *, in_step: bool = False) -> None:
        """The program is over: cancel nothing more of what is left, and check nothing more.

        Args:
            in_step: whether that is so in the middle of a step, so that all is checked once more.

        Raises:
            BaseException: what a check raises.
        """
        if self._cancelling is not None:
            self._cancelling.clear()
        left = [invariant for invariant in self._invariants or () if not invariant.is_over]
        self._invariants = None
        for invariant in left:
            invariant.end()
        task = asyncio.current_task(self)
        if in_step and task is not None:
            for invariant in left:
                invariant.check(who_is(task))
