"""The path of a call to its answer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator
from typing import Any, NamedTuple

from aldente._doubles import mock_compat
from aldente._doubles.answers import Calls, Each, Source, Streams
from aldente._doubles.calls import Call
from aldente._doubles.controls import ByArgument
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.state import name_of, record_iteration, state_of
from aldente._doubles.waiting import is_decided_by_loop, wait_for_answer
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


class Chosen(NamedTuple):
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


def choose(double: Any, call: Call) -> Chosen:
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
        return Chosen(answer, latest, source.side_effect, source.side_effect.reserve(call))
    return Chosen(answer, latest)


async def wait_before(double: Any, call: Call, chosen: Chosen) -> None:
    """Wait for as long as the test delays the answer to a call."""
    timing = state_of(double).timing
    own = chosen.answer.timing if chosen.answer is not None else None
    if timing.gate is not None:
        await timing.gate.pass_through(call)
    if own is not None and own.gate is not None:
        await own.gate.pass_through(call)
    seconds = own.seconds_of(call) if own is not None else None
    await wait_for_answer(seconds if seconds is not None else timing.seconds_of(call))


async def give(double: Any, call: Call, chosen: Chosen) -> Given:
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


def _source_now(double: Any, call: Call, chosen: Chosen) -> Source:
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
