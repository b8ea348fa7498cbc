"""Loops that are made, and whose time is moved, as the interpreter's own tests do it."""

from __future__ import annotations

import asyncio
import os
import selectors
from collections.abc import Generator
from contextvars import Context
from typing import Any, NamedTuple
from unittest import mock

from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random
from aldente._virtual_time.loop import VirtualTimeLoop
from tests.conformance.threaded_network import Threaded

# How many loops were made in this process.
made: list[str] = []


class VirtualTested(VirtualTimeLoop):
    """A virtual-time loop."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        made.append("virtual")
        if selector is None:
            super().__init__()
        else:
            with mock.patch.object(selectors, "DefaultSelector", return_value=selector):
                super().__init__()


# In random order threads have no part in the network, as the schedule does not control them.
_Simulated: Any = SimulatedLoop if "SIMULATED_SEED" in os.environ else Threaded


class SimulatedTested(_Simulated):  # type: ignore[misc]
    """A simulated loop, in the order of asyncio, or by the seed in the environment."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        made.append("simulated")
        seed = os.environ.get("SIMULATED_SEED")
        super().__init__(Fifo() if seed is None else Random(int(seed)))

    def run_until_complete(self, future: Any) -> Any:
        """As asyncio's; a test's own sleeps take no longer, as those of an explored test."""
        self.main_task = future if isinstance(future, asyncio.Task) else None
        try:
            return super().run_until_complete(future)
        finally:
            self.main_task = None


class Scripted:
    """Takes the place of ``TestLoop``, the loop for tests of asyncio's tests, beside a loop.

    Those move its time by hand, by a generator that is sent the time of each timer that is set,
    checks it, and yields how far time is to move. Here the times are checked all the same, but time
    moves by itself.
    """

    def __init__(self, make_script: Any = None) -> None:
        super().__init__()
        self._start()
        self._set: list[float] = []
        self._script: Generator[float | None, float, None] | None = None
        if make_script is not None:
            self._script = make_script()
            next(self._script)

    def _start(self) -> None:
        """Have time begin at 0."""
        raise NotImplementedError

    def advance_time(self, seconds: float) -> None:
        """Let time pass while a task runs, as only this loop for tests can."""
        loop: Any = self
        loop.move_to(loop.time() + seconds)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._set.append(when)
        parent: Any = super()
        timer: asyncio.TimerHandle = parent.call_at(when, callback, *args, context=context)
        return timer

    def _run_once(self) -> None:
        parent: Any = super()
        parent._run_once()
        set_now, self._set = self._set, []
        if self._script is not None:
            for when in set_now:
                self._script.send(when)

    def close(self) -> None:
        parent: Any = super()
        parent.close()
        if self._script is not None:
            script, self._script = self._script, None
            try:
                script.send(0)
            except StopIteration:
                pass
            else:
                raise AssertionError("The script of the time has not ended")


class VirtualScripted(Scripted, VirtualTested):  # type: ignore[misc]
    """A scripted virtual-time loop."""

    def _start(self) -> None:
        self.start_anew(0.0)


class SimulatedScripted(Scripted, SimulatedTested):
    """A scripted simulated loop."""

    def _start(self) -> None:
        self._now = 0.0
        self._is_stepwise = True

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        # Without the shorter way that sleeps take, so that the script hears of all timers.
        return self.call_at(self.time() + delay, callback, *args, context=context)


# Where tests put mocks into a `BaseEventLoop`, which has nothing to wait with.
_MOCKED = ("_selector", "_process_events", "_write_to_self")


class Completed:
    """Takes the place of `BaseEventLoop`, beside a loop that lacks nothing.

    Mocks that take the place of what that loop has let it do its work.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        own = getattr(self, name, None) if name in _MOCKED else None
        if own is not None and isinstance(value, mock.Mock):
            if callable(own):
                value = mock.Mock(side_effect=own)
            elif hasattr(own, "select"):
                value = mock.Mock(wraps=own)
                # A return value that is set does not replace it.
                value.select.side_effect = own.select
        super().__setattr__(name, value)


class VirtualCompleted(Completed, VirtualTested):
    """A virtual-time loop in the place of `BaseEventLoop`."""


class SimulatedCompleted(Completed, SimulatedTested):
    """A simulated loop in the place of `BaseEventLoop`."""


class Kind(NamedTuple):
    """A kind of loop.

    Attributes:
        tested: the loop itself.
        scripted: the one for tests that move time by hand.
        completed: the one for tests that make a `BaseEventLoop` and complete it with mocks.
    """

    tested: Any
    scripted: Any
    completed: Any


_SIMULATED = Kind(SimulatedTested, SimulatedScripted, SimulatedCompleted)

KINDS = {
    "virtual": Kind(VirtualTested, VirtualScripted, VirtualCompleted),
    "simulated": _SIMULATED,
    # By the seed in the environment.
    "random": _SIMULATED,
}
