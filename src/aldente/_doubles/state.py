"""What all doubles know: their shape, their answers and the record of their calls.

Functions, not methods: a double has no attributes that the real thing could have too, but those of
a mock and those that are for tests.
"""

from __future__ import annotations

import inspect
from typing import Any

from aldente._doubles import mock_compat
from aldente._doubles.answers import Timing
from aldente._doubles.calls import Call, CallLog
from aldente._doubles.controls import ByArgument
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.spec import Kind
from aldente._source import users_frame


class State:
    """What a double knows that a mock does not.

    Attributes:
        spec: the real thing; None when there is none, or only a list of names.
        stands_for_instance: whether the double of a class stands for an instance of it.
        is_made_here: whether it was made as the attribute or result of another double. A `Double`
            that a test makes of a class can be called, whatever the class says: `AsyncMock` can.
        kind: what a call of the double gives.
        is_called: whether it can be called.
        result: the class of what it gives when it is awaited, entered or iterated itself, or when
            it is called; None when its spec says it, or nobody.
        hint: the name of the real thing, for messages.
        name: the name of the double, once it was needed.
        log: the calls.
        answers: those by argument.
        timing: when answers come.
    """

    __slots__ = (
        "answers",
        "hint",
        "is_called",
        "is_made_here",
        "kind",
        "log",
        "name",
        "result",
        "spec",
        "stands_for_instance",
        "timing",
    )

    def __init__(self, kind: Kind, *, stands_for_instance: bool, is_made_here: bool) -> None:
        self.spec: Any = None
        self.stands_for_instance = stands_for_instance
        self.is_made_here = is_made_here
        self.kind = kind
        self.is_called = True
        self.result: type | None = None
        self.hint: str | None = None
        self.name: str | None = None
        self.log = CallLog()
        self.answers: list[ByArgument] = []
        self.timing = Timing()

    def forget_answers(self) -> None:
        """Have no answers by argument any more, and all at once."""
        self.answers.clear()
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
        root = mock_compat.root_of(double)
        hint = state_of(root).hint if is_double(root) else None
        # What mocks call one that was given no name.
        is_nameless = name == "mock" or name.startswith(("mock.", "mock("))
        state.name = f"{hint}{name[4:]}" if is_nameless and hint is not None else name
    return state.name


def record(double: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Note a call, which is made by the innermost frame of the user's code."""
    state = state_of(double)
    call = Call(state.name or name_of(double), args, kwargs, users_frame(inspect.currentframe()))
    call.entry = mock_compat.last_call(double)
    state.log.calls.append(call)
    return call


def record_iteration(double: Any) -> Call:
    """Note that a double itself is iterated or awaited, which is no call of it."""
    call = Call(name_of(double), (), {}, users_frame(inspect.currentframe()))
    call.entry = mock_compat.call_of((), {})
    state_of(double).log.calls.append(call)
    return call


def set_answer(double: Any, side_effect: Any, value: Any) -> None:
    """Have a double answer all calls in one way."""
    double.side_effect = side_effect
    if value is DEFAULT:
        double.__dict__["_mock_return_value"] = DEFAULT
    else:
        double.return_value = value
