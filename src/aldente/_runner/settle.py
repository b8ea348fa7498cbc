"""`settle` and `eventually`: wait for what the code under test does in the background.

`SettlingLoop` is the part of a virtual-time loop that reports when it is durably blocked.
"""

from __future__ import annotations

import asyncio
import inspect
import linecache
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from aldente._validation import parse_duration, parse_seconds
from aldente.errors import InvalidSetting, NeverTrue, RealTimeError


class SettlingLoop:
    """The part of a loop that lets tasks wait until every other task is durably blocked.

    From such a wait until that task continues, time stands still. The loop sets ``_settling`` to an
    empty list, checks `is_awaited_to_settle` before it lets time pass, and calls `notify_settled`
    instead.
    """

    _settling: list[asyncio.Future[None]]

    async def settled(self) -> None:
        """Wait until the loop is durably blocked."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begin_settling(future)
        try:
            await future
        finally:
            self.end_settling(future)

    def begin_settling(self, future: asyncio.Future[None]) -> None:
        """Set a future when the loop is durably blocked; time stands still from now on."""
        self._settling.append(future)

    def end_settling(self, future: asyncio.Future[None]) -> None:
        """Let time pass again, as the task that waited for the future continues."""
        if future in self._settling:
            self._settling.remove(future)

    def keep_pace(self, end: float, future: asyncio.Future[Any]) -> None:
        """Note that the test lets time pass up to a moment, until which a future is not done.

        On a simulated loop sleeps that were due before that moment end before it; other loops do
        nothing.
        """

    @property
    def is_awaited_to_settle(self) -> bool:
        """Whether a task waits for the loop to be durably blocked."""
        return any(not future.done() for future in self._settling)

    def notify_settled(self) -> None:
        """Wake the tasks that wait for the loop to be durably blocked."""
        for future in self._settling:
            if not future.done():
                future.set_result(None)


T = TypeVar("T")


async def settle() -> None:
    """Let all other tasks run until every one of them is durably blocked; no time passes.

    Raises:
        RealTimeError: the loop's time is real, so that anything may still happen.

    >>> async def main():
    ...     results = []
    ...     task = asyncio.create_task(work(results))
    ...     await settle()
    ...     return results
    >>> async def work(results):
    ...     results.append("at once")
    ...     await asyncio.sleep(1)
    ...     results.append("later")
    >>> from aldente._virtual_time.loop import VirtualTimeLoop
    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(main())
    ['at once']
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SettlingLoop):
        raise RealTimeError("aldente.settle()", type(loop).__name__)
    await loop.settled()


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]], within: float = ..., every: float = ...
) -> T: ...


@overload
async def eventually(predicate: Callable[[], T], within: float = ..., every: float = ...) -> T: ...


async def eventually(predicate: Callable[[], Any], within: float = 5.0, every: float = 0.01) -> Any:
    """Call a predicate repeatedly until its result is true, and return that.

    Args:
        predicate: a function without arguments, sync or async. An AssertionError counts as false.
        within: how long to try, in seconds of loop time; on virtual time they take no real time.
        every: how long to wait between two calls, in seconds of loop time.

    Raises:
        NeverTrue: an AssertionError with the last result, and the number of calls.
        InvalidSetting: `within` or `every` is not a number of seconds.

    >>> async def main():
    ...     started = asyncio.get_running_loop().time()
    ...     return await eventually(lambda: asyncio.get_running_loop().time() >= started + 3)
    >>> from aldente._virtual_time.loop import VirtualTimeLoop
    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(main())
    True
    """
    _check_is_function(predicate)
    within = parse_duration("within", within)
    every = parse_seconds("every", every)
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    asked = 0
    while True:
        asked += 1
        answer, complaint = await _ask(predicate)
        if answer:
            return answer
        remaining = end - loop.time()
        # No further call for a rounding error.
        if remaining <= every / 1000:
            shown = (
                f"the last result was {answer!r}"
                if complaint is None
                else f"the last time it raised {complaint!r}"
            )
            raise NeverTrue(_source_of(predicate), within, asked, shown) from complaint
        # One last call at the very end.
        await asyncio.sleep(min(every, remaining))


async def _ask(predicate: Callable[[], Any]) -> tuple[Any, AssertionError | None]:
    try:
        answer = predicate()
        if inspect.isawaitable(answer):
            return await answer, None
    except AssertionError as complaint:
        return None, complaint
    return answer, None


def _source_of(predicate: Callable[[], object]) -> str:
    code = getattr(predicate, "__code__", None)
    if code is None:
        return repr(predicate)
    if code.co_name != "<lambda>":
        return f"{code.co_qualname}()"
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    return line or code.co_qualname


def _check_is_function(predicate: object) -> None:
    if inspect.isawaitable(predicate) or not callable(predicate):
        # Close a coroutine; the error below reports the mistake.
        close: Callable[[], object] = getattr(predicate, "close", bool)
        close()
        raise InvalidSetting(
            "predicate",
            predicate,
            "It must be a function without arguments, because it is called repeatedly.",
        )
