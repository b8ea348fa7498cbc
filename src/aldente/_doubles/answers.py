"""The answers of doubles."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Self

from aldente._doubles import mock_compat
from aldente._doubles.calls import Call
from aldente._doubles.gates import Gate, described_future
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.spec import signature_of
from aldente._records import SourcePlace
from aldente._validation import is_exception, parse_duration
from aldente.errors import InvalidSetting, NoMoreAnswers


class Each:
    """A side effect with one answer for each call; fails when there are no more.

    Args:
        double: the name of the double.
        values: the answers; it raises exceptions among them.
        place: where the test set them.
    """

    def __init__(self, double: str, values: Iterable[Any], place: SourcePlace | None) -> None:
        self._double = double
        self._calls: list[Call] = []
        self.values = tuple(values)
        self.place = place

    @property
    def unused(self) -> tuple[Any, ...]:
        """The answers that no call has used."""
        return self.values[len(self._calls) :]

    def reserve(self, call: Call) -> Source:
        """Take the next answer for a call.

        Raises:
            NoMoreAnswers: none is left.
        """
        number = len(self._calls)
        if number >= len(self.values):
            raise NoMoreAnswers(self._double, str(call), [str(known) for known in self._calls])
        self._calls.append(call)
        value = self.values[number]
        return Source(value) if is_exception(value) else Source(None, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.reserve(Call(self._double, args, kwargs, None)).give(args, kwargs)


class Calls:
    """A side effect that calls a function, and awaits its result if that is awaitable."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    async def awaited(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the function, awaited if it is awaitable."""
        result = self.function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


class Streams:
    """A side effect with items for ``async for``; it raises exceptions among them."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = tuple(items)

    def __call__(self, *args: Any, **kwargs: Any) -> Items:
        return Items(self.items)


async def never(*args: Any, **kwargs: Any) -> Any:
    """A side effect that never returns."""
    await described_future(lambda: "an answer that the test set to never come")


class Source:
    """The source of an answer: a side effect or a value, as in a mock.

    Attributes:
        side_effect: as that of a mock, or one of the classes above.
        value: the answer without a side effect; `DEFAULT` when nothing is set.
    """

    __slots__ = ("side_effect", "value")

    def __init__(self, side_effect: Any = None, value: Any = DEFAULT) -> None:
        self.side_effect = side_effect
        self.value = value

    @property
    def is_set(self) -> bool:
        """Whether there is an answer."""
        return self.side_effect is not None or self.value is not DEFAULT

    def give(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The answer to a call that is not awaited; `DEFAULT` when there is none."""
        effect = self.side_effect
        if effect is not None:
            if is_exception(effect):
                raise effect
            result: Any = effect(*args, **kwargs) if callable(effect) else next(effect)
            if not callable(effect) and is_exception(result):
                raise result
            if result is not DEFAULT:
                return result
        return self.value

    async def give_awaited(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The answer to a call that is awaited; `DEFAULT` when there is none."""
        effect = self.side_effect
        if isinstance(effect, Calls):
            result = await effect.awaited(*args, **kwargs)
        elif effect is not None and inspect.iscoroutinefunction(effect):
            result = await effect(*args, **kwargs)
        else:
            try:
                return self.give(args, kwargs)
            except StopIteration:
                # As AsyncMock does: a StopIteration can't leave a coroutine.
                raise StopAsyncIteration from None
        return self.value if result is DEFAULT else result


def parse_answer_time(value: object) -> float:
    """Parse how long an answer takes, in seconds.

    Raises:
        InvalidSetting: it is not a number of at least 0.
    """
    return parse_duration("takes", value, or_else=", or a function that returns one")


class Timing:
    """When an answer comes.

    Attributes:
        seconds: how long it takes, or a function that returns that; None if the test sets no time.
        gate: the gate at which it waits first; None without one.
    """

    __slots__ = ("gate", "seconds")

    def __init__(self) -> None:
        self.seconds: Any = None
        self.gate: Gate | None = None

    @property
    def is_set(self) -> bool:
        """Whether the test has set a time or a gate."""
        return self.seconds is not None or self.gate is not None

    def seconds_of(self, call: Call) -> float | None:
        """How long the answer to a call takes, in seconds; None if the test sets no time."""
        if not callable(self.seconds):
            seconds: float | None = self.seconds
            return seconds
        if _takes_no_arguments(self.seconds):
            return parse_answer_time(self.seconds())
        return parse_answer_time(self.seconds(*call.args, **call.kwargs))


def _takes_no_arguments(function: Any) -> bool:
    signature = signature_of(function)
    return signature is None or not signature.parameters


class Items:
    """The items of an answer for ``async for``; it raises exceptions among them.

    Not an async generator, as a rule would report one that is left early as leaked.

    Args:
        answer: an iterable of either kind.

    Raises:
        InvalidSetting: it is not an iterable.
    """

    def __init__(self, answer: Any) -> None:
        self._all: AsyncIterator[Any] | None = None
        self._each: Iterator[Any] = iter(())
        if isinstance(answer, AsyncIterable):
            self._all = aiter(answer)
        elif mock_compat.is_mock(answer):
            # The test has set nothing, and a result that a double makes by itself has no items.
            pass
        elif isinstance(answer, Iterable):
            self._each = iter(answer)
        else:
            raise InvalidSetting(
                "stream", answer, "It must be iterable: streams(1, 2), or returns([1, 2])."
            )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._all is not None:
            return await anext(self._all)
        for item in self._each:
            if is_exception(item):
                raise item
            return item
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the iterable, if it can be closed."""
        close = getattr(self._all, "aclose", None)
        if close is not None:
            await close()
