"""`Clock`: the loop time of a test, as the test sees and moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aldente._loops.settled import SettlingLoop
from aldente._loops.virtual.timers import Timer, in_words, pending_timers
from aldente._settings import parse_duration
from aldente.errors import InvalidSetting, RealTimeError


class Clock:
    """The time of an event loop.

    Args:
        find_loop: gives the loop.
        start: the loop time from which `elapsed` counts; None for that of now.

    >>> async def main():
    ...     clock = Clock(asyncio.get_running_loop)
    ...     await clock.advance(2.5)
    ...     return clock.elapsed
    >>> from aldente._loops.virtual.loop import VirtualTimeLoop
    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(main())
    2.5
    """

    def __init__(
        self, find_loop: Callable[[], asyncio.AbstractEventLoop], start: float | None = None
    ) -> None:
        if not callable(find_loop):
            allowed = "It must be a function that gives the loop, as asyncio.get_running_loop."
            raise InvalidSetting("find_loop", find_loop, allowed)
        self._find_loop = find_loop
        self._start = self.time() if start is None else start

    def begin(self) -> None:
        """Count `elapsed` from now on."""
        self._start = self.time()

    def __repr__(self) -> str:
        return f"<Clock at {in_words(self.time())}, {in_words(self.elapsed)} s elapsed>"

    def time(self) -> float:
        """The loop time, in seconds; on a virtual-time loop it starts at 100,000."""
        return self._find_loop().time()

    @property
    def elapsed(self) -> float:
        """How much loop time has passed since the test began, in seconds, to the nanosecond."""
        return round(self.time() - self._start, 9)

    @property
    def pending(self) -> tuple[Timer, ...]:
        """The timers that are set, the next first: each with its time, its task and its place."""
        return pending_timers(self._find_loop())

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass, stopping at every timer on the way.

        The tasks that a timer wakes run, as far as they can, before the next one; also those that
        are woken at the very end.

        Args:
            seconds: how long, in seconds of loop time; 0 lets run what can run.

        Raises:
            InvalidSetting: it is not a number of seconds of at least 0.
            RealTimeError: the loop's time is real, and can't be moved.
        """
        parse_duration("advance", seconds)
        # To the nanosecond, so that steps of fractions come to where one step comes to.
        when = max(round(self.time() + seconds, 9), self.time())
        await self._advance_to(when, f"clock.advance({seconds!r})")

    async def advance_to(self, when: float) -> None:
        """Let virtual time pass up to a moment, as `advance` does.

        Args:
            when: the moment, in seconds of loop time.

        Raises:
            InvalidSetting: it is not a moment, or is past.
            RealTimeError: the loop's time is real, and can't be moved.
        """
        parse_duration("advance_to", when)
        now = self.time()
        if when < now:
            allowed = f"Time never goes back, and it is {in_words(now)} now."
            raise InvalidSetting("advance_to", when, allowed)
        await self._advance_to(when, f"clock.advance_to({when!r})")

    async def _advance_to(self, when: float, wanted: str) -> None:
        loop = self._find_loop()
        if not isinstance(loop, SettlingLoop):
            raise RealTimeError(wanted, type(loop).__name__)
        # First what can happen now; time stands still as long as anybody waits for that.
        await loop.settled()
        if when > loop.time():
            reached: asyncio.Future[None] = loop.create_future()
            # Time stands still from that very moment on.
            timer = loop.call_at(when, loop.begin_settling, reached)
            try:
                await reached
            finally:
                timer.cancel()
                loop.end_settling(reached)
