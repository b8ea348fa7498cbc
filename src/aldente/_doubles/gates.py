"""Gates, at which calls wait until the test releases them, and all other waits of doubles.

A loop that decides itself when answers come has a coroutine method ``wait_for_answer``; its
argument is the time of the answer in seconds, None if the test sets no time. The awaited future
describes itself, for reports of deadlocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from aldente._doubles.calls import Call
from aldente._validation import parse_count, parse_exception
from aldente.errors import NotHeld


def is_decided_by_loop() -> bool:
    """Whether the running loop decides when answers come."""
    try:
        return hasattr(asyncio.get_running_loop(), "wait_for_answer")
    except RuntimeError:
        # A coroutine can run without a loop, by `send`.
        return False


async def wait_for_answer(seconds: float | None) -> None:
    """Wait until an answer is due.

    Args:
        seconds: how long it takes, in seconds of the loop's time; None if the test sets no time, so
            that it comes at once.
    """
    if is_decided_by_loop():
        loop: Any = asyncio.get_running_loop()
        await loop.wait_for_answer(seconds)
    elif seconds is not None:
        await asyncio.sleep(seconds)


def described_future(describe: Callable[[], str]) -> asyncio.Future[Any]:
    """A future of the running loop that describes what it stands for.

    Args:
        describe: returns the description, a phrase; called when a report needs it.
    """
    future = _DescribedFuture(loop=asyncio.get_running_loop())
    future.aldente_waits_for = describe
    return future


class _DescribedFuture(asyncio.Future[Any]):
    aldente_waits_for: Callable[[], str]


_Failure = BaseException | type[BaseException]


class _Held(NamedTuple):
    call: Call
    # Resolves when the call goes on, with the exception to raise or None.
    future: asyncio.Future[_Failure | None]


class Gate:
    """Holds the calls of a double, each in the task that awaits it.

    A gate is closed until the test calls `release` or `fail` without an argument for certain calls.
    As a context manager, it opens at the end of the block.

    Args:
        double: the name of the double.

    >>> import aldente
    >>> async def main():
    ...     price = aldente.Double().returns(12)
    ...     gate = price.hold()
    ...     first, second = asyncio.create_task(price("tea")), asyncio.create_task(price("jam"))
    ...     of_tea, of_jam = await gate.arrived(2)
    ...     gate.release(of_jam)
    ...     print(await second, first.done())
    ...     gate.release()
    ...     print(await first)
    >>> asyncio.run(main())
    12 False
    12
    """

    def __init__(self, double: str) -> None:
        self._double = double
        self._is_open = False
        self._held: list[_Held] = []
        self._arrivals: list[Call] = []
        self._watchers: list[tuple[int, asyncio.Future[_Failure | None]]] = []

    @property
    def is_open(self) -> bool:
        """Whether calls go through without waiting."""
        return self._is_open

    @property
    def waiting(self) -> tuple[Call, ...]:
        """The calls that wait here, in the order of their arrival."""
        return tuple(held.call for held in self._waiting())

    def _waiting(self) -> list[_Held]:
        # A cancelled one only leaves when its task has its turn.
        return [held for held in self._held if not held.future.cancelled()]

    async def arrived(self, count: int = 1) -> tuple[Call, ...]:
        """Wait until enough calls have arrived at the gate since it was made.

        Args:
            count: how many calls, at least 1.

        Returns:
            The first ``count`` of them.

        Raises:
            InvalidSetting: ``count`` is not a whole number of at least 1.
        """
        parse_count("count", count)
        while len(self._arrivals) < count:
            watcher = (count, described_future(lambda: self._describe(count)))
            self._watchers.append(watcher)
            try:
                await watcher[1]
            finally:
                self._watchers.remove(watcher)
        return tuple(self._arrivals[:count])

    def release(self, which: int | Call | None = None) -> None:
        """Release calls.

        Args:
            which: a waiting call, or how many of those that have waited longest. Without it, all
                waiting calls go on, and all later ones pass.

        Raises:
            NotHeld: not so many wait, or not this one.
        """
        self._open_for(which, None)

    def fail(
        self,
        exception: _Failure,
        which: int | Call | None = None,
    ) -> None:
        """Release calls with an exception instead of their answer.

        Args:
            exception: the exception that they raise.
            which: as for `release`. Without it, all waiting calls fail, and all later ones pass.

        Raises:
            InvalidSetting: ``exception`` is not an exception.
            NotHeld: not so many wait, or not this one.
        """
        self._open_for(which, parse_exception("exception", exception))

    def _open_for(self, which: int | Call | None, failure: _Failure | None) -> None:
        chosen = self._chosen(which)
        if which is None:
            self._is_open = True
        for held in chosen:
            self._held.remove(held)
            _settle(held.future, failure)

    def _chosen(self, which: int | Call | None) -> list[_Held]:
        if which is None:
            return self._waiting()
        if isinstance(which, Call):
            chosen = [held for held in self._waiting() if held.call is which][:1]
            if not chosen:
                raise NotHeld(self._double, str(which), [str(call) for call in self.waiting])
            return chosen
        parse_count("which", which, or_else=", or a call that waits at the gate")
        if which > len(self._waiting()):
            wanted = f"{which} calls" if which > 1 else "1 call"
            raise NotHeld(self._double, wanted, [str(call) for call in self.waiting])
        return self._waiting()[:which]

    async def pass_through(self, call: Call) -> None:
        """Wait at the gate with a call, unless it is open."""
        self._arrivals.append(call)
        for count, watcher in self._watchers:
            if len(self._arrivals) >= count:
                _settle(watcher, None)
        if self._is_open:
            return
        held = _Held(call, described_future(lambda: f"{call}, which a gate of the test holds"))
        self._held.append(held)
        call.is_held = True
        try:
            failure = await held.future
        finally:
            call.is_held = False
            if held in self._held:
                # The call was cancelled.
                self._held.remove(held)
        if failure is not None:
            raise failure

    def _describe(self, count: int) -> str:
        have_come = f"{len(self._arrivals)} {'has' if len(self._arrivals) == 1 else 'have'} arrived"
        calls = "1 call" if count == 1 else f"{count} calls"
        return f"{calls} at the gate of {self._double}; {have_come}"

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "open" if self._is_open else f"{len(self.waiting)} waiting"
        return f"<Gate of {self._double}: {state}>"


def _settle(future: asyncio.Future[_Failure | None], failure: _Failure | None) -> None:
    """Wake the task that awaits a future, from its own thread or any other."""
    loop = future.get_loop()

    def settle() -> None:
        if not future.done():
            future.set_result(failure)

    if _running_loop() is loop:
        settle()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
