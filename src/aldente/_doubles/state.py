"""The state of all doubles: their shape, their answers and the record of their calls.

Functions, not methods: apart from a mock's attributes and those for tests, a double should have no
attributes that could clash with the real thing's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from aldente._doubles import mock_compat
from aldente._doubles.answers import Timing
from aldente._doubles.calls import Call, CallLog
from aldente._doubles.controls import ByArgument
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.spec import Kind
from aldente._source import users_frame

# Called with each call of a double, when it is made.
listeners: list[Callable[[Call], object]] = []


class State:
    """The state of a double beyond that of a mock.

    Attributes:
        spec: the real thing; None when there is none, or only a list of names.
        stands_for_instance: whether the double of a class stands for an instance of it.
        is_made_here: whether another double made it as its attribute or result. A `Double` that a
            test makes for a class is callable, even if the class's instances are not: so is an
            `AsyncMock`.
        kind: the kind of its call's result.
        is_called: whether it is callable.
        result: the class of what calling, awaiting, entering or iterating it gives; None if its
            spec determines that, or if it is unknown.
        gives_items: whether ``async for`` may go over what awaiting it itself gives.
        hint: the name of the real thing, for messages.
        name: the name of the double, once it was needed.
        log: the calls.
        answers: the answers by argument.
        timing: when answers come.
    """

    __slots__ = (
        "answers",
        "gives_items",
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
        self.gives_items = True
        self.hint: str | None = None
        self.name: str | None = None
        self.log = CallLog()
        self.answers: list[ByArgument] = []
        self.timing = Timing()

    def forget_answers(self) -> None:
        """Drop the answers by argument and the timing."""
        self.answers.clear()
        self.timing = Timing()


class Recorded:
    """The base of every double."""


def is_double(value: object) -> bool:
    """Whether a value is a double of aldente, whatever its ``__class__`` says."""
    return issubclass(type(value), Recorded)


def state_of(double: Any) -> State:
    """The state of a double."""
    state: State = double.__dict__["_double"]
    return state


def name_of(double: Any) -> str:
    """The name of a double, for messages."""
    state = state_of(double)
    if state.name is None:
        name = mock_compat.full_name(double)
        root = mock_compat.root_of(double)
        hint = state_of(root).hint if is_double(root) else None
        # The name that mocks give to one without a name.
        is_nameless = name == "mock" or name.startswith(("mock.", "mock("))
        state.name = f"{hint}{name[4:]}" if is_nameless and hint is not None else name
    return state.name


def record(double: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Record a call, with the innermost frame of the user's code as its place."""
    state = state_of(double)
    call = Call(state.name or name_of(double), args, kwargs, users_frame(inspect.currentframe()))
    call.entry = mock_compat.last_call(double)
    _append(state, call)
    return call


def record_iteration(double: Any) -> Call:
    """Record that a double itself is iterated or awaited, which is no call of it."""
    call = Call(name_of(double), (), {}, users_frame(inspect.currentframe()))
    call.entry = mock_compat.call_of((), {})
    _append(state_of(double), call)
    return call


def _append(state: State, call: Call) -> None:
    state.log.calls.append(call)
    for notify in listeners:
        notify(call)


def set_answer(double: Any, side_effect: Any, value: Any) -> None:
    """Set the answer of a double to all calls."""
    double.side_effect = side_effect
    if value is DEFAULT:
        double.__dict__["_mock_return_value"] = DEFAULT
    else:
        double.return_value = value
