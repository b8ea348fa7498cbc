"""What a call of a double gives that is iterated or entered: with its answer inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from types import TracebackType
from typing import Any, Self

from aldente._doubles.answers import items_of
from aldente._doubles.calls import Call
from aldente._doubles.recording import (
    awaited,
    begin,
    find_answer,
    source_for,
    state_of,
    wait_before,
)


class Stream:
    """What ``async for`` goes over: the items that a double answers with.

    A class, and no async generator, as a test that leaves the loop early leaks nothing here.

    Args:
        double: the double that was called.
        call: the call.
    """

    def __init__(self, double: Any, call: Call) -> None:
        self._state = state_of(double)
        self._double = double
        self._call = call
        self._items: AsyncIterator[Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._call.outcome not in ("never awaited", "pending"):
            raise StopAsyncIteration
        try:
            return await self._next()
        except StopAsyncIteration:
            self._end("returned")
            raise
        except (asyncio.CancelledError, GeneratorExit) as error:
            self._end("cancelled", error)
            raise
        except BaseException as error:
            self._end("raised", error)
            raise

    async def _next(self) -> Any:
        if self._items is None:
            begin(self._double, self._call)
            self._answer = find_answer(self._double, self._call) if self._state.answers else None
            source = source_for(self._double, self._call, self._answer)
            self._items = items_of(await source.give_awaited(self._call.args, self._call.kwargs))
        await wait_before(self._double, self._call, self._answer)
        return await anext(self._items)

    async def asend(self, value: Any) -> Any:
        """The next item; the value goes nowhere."""
        return await anext(self)

    async def athrow(self, exception: BaseException) -> Any:
        """End with an exception, as a generator that does not catch it."""
        self._end("raised", exception)
        raise exception

    async def aclose(self) -> None:
        """Give no more items."""
        self._end("closed")

    def _end(self, outcome: Any, value: Any = None) -> None:
        if self._call.outcome == "never awaited":
            self._call.outcome = outcome
        elif self._call.outcome == "pending":
            self._state.log.end(self._call, outcome, value)

    def __del__(self) -> None:
        # Left early.
        if self._call.outcome == "pending":
            self._end("closed")

    def __repr__(self) -> str:
        return f"<Stream of {self._call}>"


class Entered:
    """What ``async with`` enters: entering it gives the double's answer.

    The call lasts until the block is left. Awaiting it gives the answer too, as some libraries
    allow both.

    Args:
        double: the double that was called.
        call: the call.
    """

    def __init__(self, double: Any, call: Call) -> None:
        self._state = state_of(double)
        self._double = double
        self._call = call

    def __await__(self) -> Generator[Any, Any, Any]:
        return awaited(self._double, self._call).__await__()

    async def __aenter__(self) -> Any:
        return await awaited(self._double, self._call, lasts=True)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._state.log.end(self._call, "cancelled", error)
        elif error is not None:
            self._state.log.end(self._call, "raised", error)
        else:
            self._state.log.end(self._call, "returned", self._call.result)

    def __repr__(self) -> str:
        return f"<Context of {self._call}>"
