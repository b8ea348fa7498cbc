"""What all doubles know: the record of their calls, and the way to an answer.

Functions, not methods: a double has no attributes that the real thing could have too, but those of
a mock and those that are for tests.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from aldente._doubles import mock_compat
from aldente._doubles.answer_time import is_decided_by_loop, wait_for_answer
from aldente._doubles.answers import Source, Streams, Timing
from aldente._doubles.calls import Call, CallLog
from aldente._doubles.controls import ByArgument
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.specs import Kind
from aldente._places import users_frame
from aldente.errors import NoAnswer


class State:
    """What a double knows that a mock does not.

    Attributes:
        spec: the real thing; None when there is none, or only a list of names.
        stands_for_instance: whether the double of a class stands for an instance of it.
        is_made_here: whether it was made as the attribute or result of another double. A `Double`
            that a test makes of a class can be called, whatever the class says: `AsyncMock` can.
        kind: what a call of the double gives.
        hint: the name of the real thing, for messages.
        name: the name of the double, once it was needed.
        log: the calls.
        answers: those by argument.
        timing: when answers come.
    """

    __slots__ = (
        "answers",
        "hint",
        "is_made_here",
        "kind",
        "log",
        "name",
        "spec",
        "stands_for_instance",
        "timing",
    )

    def __init__(self, kind: Kind, *, stands_for_instance: bool, is_made_here: bool) -> None:
        self.spec: Any = None
        self.stands_for_instance = stands_for_instance
        self.is_made_here = is_made_here
        self.kind = kind
        self.hint: str | None = None
        self.name: str | None = None
        self.log = CallLog()
        self.answers: list[ByArgument] = []
        self.timing = Timing()


class Recorded:
    """The base of every double."""


def is_double(value: object) -> bool:
    """Whether a value is a double of aldente, whatever it says that it is."""
    return issubclass(type(value), Recorded)


def state_of(double: Any) -> State:
    """What a double knows that a mock does not."""
    state: State = double.__dict__["_double"]
    return state


def name_of(double: Any) -> str:
    """The name of a double, for messages."""
    state = state_of(double)
    if state.name is None:
        name = mock_compat.full_name(double)
        state.name = state.hint if name == "mock" and state.hint is not None else name
    return state.name


def record(double: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Note a call, which is made by the innermost frame of the user's code."""
    state = state_of(double)
    call = Call(state.name or name_of(double), args, kwargs, users_frame(inspect.currentframe()))
    call.entry = mock_compat.last_call(double)
    state.log.calls.append(call)
    return call


def set_answer(double: Any, side_effect: Any, value: Any) -> None:
    """Have a double answer all calls in one way."""
    double.side_effect = side_effect
    if value is DEFAULT:
        double.__dict__["_mock_return_value"] = DEFAULT
    else:
        double.return_value = value


def streams(double: Any) -> bool:
    """Whether a double was told to answer with a stream."""
    return isinstance(double.side_effect, Streams)


def begin(double: Any, call: Call) -> None:
    """A call is awaited from now on."""
    state_of(double).log.begin(call)
    mock_compat.count_await(double, call.entry)


def find_answer(double: Any, call: Call) -> ByArgument | None:
    """The answer that was given last for the arguments of a call; None when there is none."""
    answers = state_of(double).answers
    actual = mock_compat.normalized(double, mock_compat.call_of(call.args, call.kwargs))
    for answer in reversed(answers):
        # The expected one to the right, as the comparison of mocks turns them round for ANY.
        if actual == answer.wanted:
            answer.uses += 1
            return answer
    return None


def source_for(double: Any, call: Call, answer: ByArgument | None) -> Source:
    """Where the answer to a call comes from.

    Raises:
        NoAnswer: there are answers for other arguments only.
    """
    if answer is not None and answer.source.is_set:
        return answer.source
    own = Source(double.side_effect, mock_compat.own_return_value(double))
    answers = state_of(double).answers
    if answers and answer is None and not own.is_set and mock_compat.wrapped_by(double) is None:
        raise NoAnswer(str(call), [known.asked for known in answers])
    return own


async def wait_before(double: Any, call: Call, answer: ByArgument | None) -> None:
    """Wait as long as the test wants a call to wait for its answer."""
    timing = state_of(double).timing
    own = answer.timing if answer is not None else None
    if timing.gate is not None:
        await timing.gate.pass_through(call)
    if own is not None and own.gate is not None:
        await own.gate.pass_through(call)
    seconds = own.seconds_of(call) if own is not None else None
    await wait_for_answer(seconds if seconds is not None else timing.seconds_of(call))


async def awaited(double: Any, call: Call, *, lasts: bool = False) -> Any:
    """Wait for the answer to a call, and give it.

    Args:
        double: the double.
        call: the call.
        lasts: whether it goes on after its answer.
    """
    state = state_of(double)
    log = state.log
    begin(double, call)
    try:
        answer = find_answer(double, call) if state.answers else None
        if answer is not None or state.timing.is_set or is_decided_by_loop():
            await wait_before(double, call, answer)
        if answer is None and double.side_effect is None and not state.answers:
            # Nearly always.
            result = mock_compat.own_return_value(double)
        else:
            result = await source_for(double, call, answer).give_awaited(call.args, call.kwargs)
        if result is DEFAULT:
            result = _given_by_default(double, call)
            if asyncio.iscoroutine(result):
                # What is wrapped gave it.
                result = await result
    except (asyncio.CancelledError, GeneratorExit) as error:
        log.end(call, "cancelled", error)
        raise
    except BaseException as error:
        log.end(call, "raised", error)
        raise
    if lasts:
        call.result = result
    else:
        log.end(call, "returned", result)
    return result


def answered_now(double: Any, call: Call) -> Any:
    """Give the answer to a call that is not awaited."""
    log = state_of(double).log
    log.begin(call)
    try:
        answer = find_answer(double, call) if state_of(double).answers else None
        result = source_for(double, call, answer).give(call.args, call.kwargs)
        if result is DEFAULT:
            result = _given_by_default(double, call)
    except BaseException as error:
        log.end(call, "raised", error)
        raise
    log.end(call, "returned", result)
    return result


def _given_by_default(double: Any, call: Call) -> Any:
    wrapped = mock_compat.wrapped_by(double)
    return double.return_value if wrapped is None else wrapped(*call.args, **call.kwargs)
