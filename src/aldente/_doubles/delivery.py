"""The path of a call to its answer, and results that are iterated or entered."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator
from types import TracebackType
from typing import Any, NamedTuple, Self

from aldente._doubles import mock_compat
from aldente._doubles.answers import Calls, Each, Items, Source, Streams
from aldente._doubles.calls import Call, Outcome
from aldente._doubles.gates import is_decided_by_loop, wait_for_answer
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.state import ByArgument, name_of, record_iteration, state_of
from aldente._source import users_frame
from aldente.errors import NoAnswer


class Given(NamedTuple):
    """An answer.

    Attributes:
        value: the value.
        is_computed: whether a function returned it that has the shape of the real thing.
    """

    value: Any
    is_computed: bool = False


class ChosenAnswer(NamedTuple):
    """What is known about the answer when a call begins.

    Attributes:
        answer: the answer by argument that fits.
        latest: the newest answer by argument, for any arguments.
        each: the sequence of answers in which one is reserved for the call.
        reserved: the reserved answer.
    """

    answer: ByArgument | None = None
    latest: ByArgument | None = None
    each: Each | None = None
    reserved: Source | None = None


def begin(double: Any, call: Call) -> None:
    """Note that a call is awaited from now on."""
    state_of(double).log.begin(call)
    mock_compat.count_await(double, call.entry)


def choose(double: Any, call: Call) -> ChosenAnswer:
    """Choose the answer to a call that begins, as far as possible then.

    Raises:
        NoMoreAnswers: all answers are used.
    """
    answer = _fitting(double, call)
    if answer is not None:
        answer.uses += 1
    latest = _latest(double)
    source = _source_of(double, answer)
    if isinstance(source.side_effect, Each):
        return ChosenAnswer(answer, latest, source.side_effect, source.side_effect.reserve(call))
    return ChosenAnswer(answer, latest)


async def wait_before(double: Any, call: Call, chosen: ChosenAnswer) -> None:
    """Wait for as long as the test delays the answer to a call."""
    timing = state_of(double).timing
    own = chosen.answer.timing if chosen.answer is not None else None
    if timing.gate is not None:
        await timing.gate.pass_through(call)
    if own is not None and own.gate is not None:
        await own.gate.pass_through(call)
    seconds = own.seconds_of(call) if own is not None else None
    await wait_for_answer(seconds if seconds is not None else timing.seconds_of(call))


async def give(double: Any, call: Call, chosen: ChosenAnswer) -> Given:
    """Give the answer to a call that has waited; the test may have changed it meanwhile.

    Raises:
        NoAnswer: there are only answers for other arguments.
    """
    source = _source_now(double, call, chosen)
    value = await source.give_awaited(call.args, call.kwargs)
    if value is not DEFAULT:
        return Given(value, isinstance(source.side_effect, Calls))
    given = _given_by_default(double, call)
    if given.is_computed and asyncio.iscoroutine(given.value):
        return Given(await given.value, True)
    return given


def _given_by_default(double: Any, call: Call) -> Given:
    wrapped = mock_compat.wrapped_by(double)
    if wrapped is None:
        return Given(double.return_value)
    return Given(wrapped(*call.args, **call.kwargs), True)


async def answered(double: Any, call: Call) -> Given:
    """Wait for the answer to a call that has begun, and give it."""
    state = state_of(double)
    if not state.answers and not state.timing.is_set and not is_decided_by_loop():
        if double.side_effect is None:
            # The usual case.
            value = mock_compat.own_return_value(double)
            if value is not DEFAULT:
                return Given(value)
        return await give(double, call, choose(double, call))
    chosen = choose(double, call)
    await wait_before(double, call, chosen)
    return await give(double, call, chosen)


# The rule never-awaited recognises a double's coroutine by the code of this function, and finds the
# call in its parameters.
async def awaited(double: Any, call: Call) -> Any:
    """The coroutine that a call of a double returns."""
    log = state_of(double).log
    begin(double, call)
    try:
        value = (await answered(double, call)).value
    except (asyncio.CancelledError, GeneratorExit) as error:
        log.end(call, "cancelled", error)
        raise
    except BaseException as error:
        log.end(call, "raised", error)
        raise
    log.end(call, "returned", value)
    return value


def answered_now(double: Any, call: Call) -> Any:
    """The answer to a call that is not awaited."""
    log = state_of(double).log
    log.begin(call)
    try:
        chosen = choose(double, call)
        value = _source_now(double, call, chosen).give(call.args, call.kwargs)
        if value is DEFAULT:
            value = _given_by_default(double, call).value
    except BaseException as error:
        log.end(call, "raised", error)
        raise
    log.end(call, "returned", value)
    return value


def is_stream(double: Any, call: Call) -> bool:
    """Whether the test has set a stream as the answer to a call."""
    return isinstance(_source_of(double, _fitting(double, call)).side_effect, Streams)


def add_answer(
    double: Any, kind: type[ByArgument], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ByArgument:
    """Add an answer to calls with certain arguments, which the caller then sets.

    Raises:
        TypeError: the real thing does not take such arguments.
    """
    wanted = mock_compat.normalized(double, mock_compat.call_of(args, kwargs))
    if isinstance(wanted, Exception):
        # The check of calls has a better message.
        mock_compat.check_arguments(double, args, kwargs)
        raise wanted
    call = Call(name_of(double), args, kwargs, users_frame(inspect.currentframe()))
    answers = state_of(double).answers
    added = kind(double, wanted, call)
    # A test may replace the answer of its fixture.
    answers[:] = [known for known in answers if not known.is_for_the_same_as(added)]
    answers.append(added)
    return added


def _fitting(double: Any, call: Call) -> ByArgument | None:
    """The newest answer for the arguments of a call; None when there is none."""
    answers = state_of(double).answers
    if not answers:
        return None
    actual = mock_compat.normalized(double, mock_compat.call_of(call.args, call.kwargs))
    # The expected call on the right, as the comparison of mocks swaps the sides for ANY.
    return next((answer for answer in reversed(answers) if actual == answer.wanted), None)


def _latest(double: Any) -> ByArgument | None:
    answers = state_of(double).answers
    return answers[-1] if answers else None


def _source_of(double: Any, answer: ByArgument | None) -> Source:
    if answer is not None and answer.source.is_set:
        return answer.source
    return Source(double.side_effect, mock_compat.own_return_value(double))


def _source_now(double: Any, call: Call, chosen: ChosenAnswer) -> Source:
    """The source of the answer, after the call has waited."""
    answer = chosen.answer
    if _latest(double) is not chosen.latest:
        # Compared again only if needed: an argument may have changed while the call was held.
        answer = _fitting(double, call)
        if answer is not None and answer is not chosen.answer:
            answer.uses += 1
    source = _source_of(double, answer)
    if chosen.reserved is not None and source.side_effect is chosen.each:
        return chosen.reserved
    known = state_of(double).answers
    is_silent = not source.is_set and mock_compat.wrapped_by(double) is None
    if known and answer is None and is_silent:
        raise NoAnswer(str(call), [other.asked for other in known])
    return source


def be_awaited(double: Any) -> None:
    """Make a double awaitable itself, without a call; awaiting it gives its answer."""
    # Each mock has a class of its own.
    type(double).__await__ = _answer
    # Else asyncio would take the double of a future for one, and wait for its callback for ever.
    double.__dict__["_asyncio_future_blocking"] = None


def is_awaited_itself(double: Any) -> bool:
    """Whether a double is awaitable itself, without a call."""
    return hasattr(type(double), "__await__")


def _answer(double: Any) -> Generator[Any, Any, Any]:
    return awaited(double, record_iteration(double)).__await__()


class Stream:
    """The result for ``async for``: the items of a double's answer.

    Args:
        double: the double that was called.
        call: the call.
    """

    def __init__(self, double: Any, call: Call) -> None:
        self._double = double
        self._call = call
        self._chosen = ChosenAnswer()
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
                f"{self._call} was already entered or awaited: call the double again for each "
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
