"""Results of a double's call that are iterated or entered, with its answer inside."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from aldente._doubles.answers import Items
from aldente._doubles.calls import Call, Outcome
from aldente._doubles.delivery import Chosen, answered, awaited, begin, choose, give, wait_before
from aldente._doubles.state import record_iteration, state_of


class Stream:
    """The result for ``async for``: the items of a double's answer.

    Args:
        double: the double that was called.
        call: the call.
    """

    def __init__(self, double: Any, call: Call) -> None:
        self._double = double
        self._call = call
        self._chosen = Chosen()
        self._items: Items | None = None

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
        if self._call.outcome == "never awaited":
            begin(self._double, self._call)
            self._chosen = choose(self._double, self._call)
        if self._items is None:
            await wait_before(self._double, self._call, self._chosen)
            given = await give(self._double, self._call, self._chosen)
            self._items = Items(given.value)
            return await anext(self._items)
        try:
            # Before the wait, as there may be no next item.
            item = await anext(self._items)
        except StopAsyncIteration:
            raise
        except Exception:
            await wait_before(self._double, self._call, self._chosen)
            raise
        await wait_before(self._double, self._call, self._chosen)
        return item

    async def asend(self, value: Any) -> Any:
        """The next item; ignores the value."""
        return await anext(self)

    async def athrow(self, exception: BaseException, *old_style: Any) -> Any:
        """End with an exception, like a generator that does not catch it."""
        self._end("raised", exception)
        raise exception

    async def aclose(self) -> None:
        """End the stream, and close the iterable of its items."""
        self._end("closed")
        if self._items is not None:
            await self._items.aclose()

    def _end(self, outcome: Outcome, value: Any = None) -> None:
        if self._call.outcome == "never awaited":
            self._call.outcome = outcome
        elif self._call.outcome == "pending":
            state_of(self._double).log.end(self._call, outcome, value)

    def __del__(self) -> None:
        # The loop over it ended early.
        if self._call.outcome == "pending":
            self._end("closed")

    def __repr__(self) -> str:
        return f"<Stream of {self._call}>"


class NextItems:
    """A function that returns the items of one stream, one for each call.

    Args:
        double: the double, which is iterable itself.
    """

    def __init__(self, double: Any) -> None:
        self._double = double
        self._stream: Stream | None = None

    async def __call__(self) -> Any:
        if self._stream is None:
            self._stream = Stream(self._double, record_iteration(self._double))
        return await anext(self._stream)


class Entered:
    """The result for ``async with``: entering it gives the double's answer.

    The call lasts until the block ends. Awaiting it gives the answer too, as some libraries allow
    both.

    Args:
        double: the double that was called.
        call: the call.
    """

    def __init__(self, double: Any, call: Call) -> None:
        self._double = double
        self._call = call
        # A context manager returned by a function with the shape of the real thing.
        self._inner: Any = None

    def __await__(self) -> Generator[Any, Any, Any]:
        self._check_new()
        return awaited(self._double, self._call).__await__()

    def _check_new(self) -> None:
        if self._call.outcome != "never awaited":
            raise RuntimeError(
                f"{self._call} has been entered or awaited before: call the double again for each "
                "'async with' and 'await'"
            )

    async def __aenter__(self) -> Any:
        self._check_new()
        begin(self._double, self._call)
        try:
            given = await answered(self._double, self._call)
            value = given.value
            if given.is_computed and hasattr(value, "__aenter__"):
                self._inner = value
                value = await value.__aenter__()
        except BaseException as error:
            self._end(error)
            raise
        self._call.result = value
        return value

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        try:
            if self._inner is None:
                return None
            return await self._inner.__aexit__(kind, error, traceback)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        log = state_of(self._double).log
        if self._call.outcome != "pending":
            return
        if error is None:
            log.end(self._call, "returned", self._call.result)
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            log.end(self._call, "cancelled", error)
        else:
            log.end(self._call, "raised", error)

    def __repr__(self) -> str:
        return f"<Context of {self._call}>"
