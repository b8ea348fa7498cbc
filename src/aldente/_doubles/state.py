"""The state of all doubles: their shape, their answers and the record of their calls.

`Answering` and its subclasses have the methods by which a test sets what a double answers, and
when. All else is functions, not methods: apart from a mock's attributes and those for tests, a
double should have no attributes that could clash with the real thing's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

from aldente._doubles import mock_compat
from aldente._doubles.answers import Calls, Each, Source, Streams, Timing, never, parse_answer_time
from aldente._doubles.calls import Call, CallLog
from aldente._doubles.gates import Gate
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.spec import ResultKind
from aldente._records import SourcePlace
from aldente._source import place_of_caller, users_frame
from aldente._validation import parse_exception, parse_function


class Answering:
    """Sets the answer of a double, or an answer by argument; each method returns ``self``."""

    def _double_answer(self, side_effect: Any, value: Any) -> None:
        raise NotImplementedError

    def _double_name(self) -> str:
        raise NotImplementedError

    def returns(self, value: Any) -> Self:
        """Answer with a value.

        >>> import aldente, asyncio
        >>> asyncio.run(aldente.Double().returns(12)())
        12
        """
        self._double_answer(None, value)
        return self

    def returns_each(self, *values: Any) -> Self:
        """Answer each call with the next of some values, and raise exceptions among them.

        A call after the last of them raises `aldente.NoMoreAnswers`.

        >>> import aldente, asyncio
        >>> price = aldente.Double().returns_each(12, KeyError("jam"))
        >>> asyncio.run(price("tea"))
        12
        """
        place = place_of_caller(1)
        self._double_answer(Each(self._double_name(), values, place), DEFAULT)
        return self

    def raises(self, exception: BaseException | type[BaseException]) -> Self:
        """Answer with an exception.

        Raises:
            InvalidSetting: the argument is not an exception.
        """
        self._double_answer(parse_exception("raises", exception), DEFAULT)
        return self

    def calls(self, function: Callable[..., Any]) -> Self:
        """Answer with the result of a function, called with the same arguments.

        Where the double is awaited, the function may be a coroutine function.

        >>> import aldente, asyncio
        >>> asyncio.run(aldente.Double().calls(str.upper)("tea"))
        'TEA'
        """
        self._double_answer(Calls(parse_function("calls", function)), DEFAULT)
        return self


class AwaitedAnswering(Answering):
    """The settings of answers that are awaited."""

    def _double_timing(self) -> Timing:
        raise NotImplementedError

    def streams(self, *items: Any) -> Self:
        """Answer with items for ``async for``, and raise exceptions among them at their turn.

        The time of `takes` applies to each item, and a gate holds each of them.
        """
        self._double_answer(Streams(items), DEFAULT)
        return self

    def takes(self, seconds: float | Callable[..., float]) -> Self:
        """Delay answers, on the clock of the running loop.

        Args:
            seconds: how long, in seconds; or a function that returns that, called with the
                arguments of the call, or without if it takes none.

        Raises:
            InvalidSetting: the value is not a number of seconds.
        """
        if not callable(seconds):
            parse_answer_time(seconds)
        self._double_timing().seconds = seconds
        return self

    def never_returns(self) -> Self:
        """Never answer: a task that awaits it waits until it is cancelled."""
        self._double_answer(never, DEFAULT)
        return self

    def hold(self) -> Gate:
        """Hold calls at a gate from now on, until the test releases them.

        Returns:
            The gate; the previous one if that is not open.
        """
        timing = self._double_timing()
        if timing.gate is None or timing.gate.is_open:
            timing.gate = Gate(self._double_name())
        return timing.gate


class ByArgument(Answering):
    """The answer of a double to calls with certain arguments.

    Attributes:
        wanted: the arguments, as the double compares them.
        source: the answer.
        timing: when it comes.
        uses: how many calls it has answered.
        place: where the test set it.
        asked: the call in words.
    """

    def __init__(self, double: Any, wanted: Any, call: Call) -> None:
        self._double = double
        self.wanted = wanted
        self.source = Source()
        self.timing = Timing()
        self.uses = 0
        self.place: SourcePlace | None = call.place
        self.asked = str(call)
        # The same text for positional and keyword arguments.
        self._text = str(Call("", wanted.args, wanted.kwargs, None))

    def is_for_the_same_as(self, other: ByArgument) -> bool:
        """Whether both are for the same arguments; a matcher differs from what it matches."""
        return self._text == other._text and bool(self.wanted == other.wanted)

    def _double_answer(self, side_effect: Any, value: Any) -> None:
        __tracebackhide__ = True
        self._double._double_check(side_effect, value)  # noqa: SLF001 - of another class of this family
        self.source = Source(side_effect, value)

    def _double_name(self) -> str:
        return self.asked

    def __repr__(self) -> str:
        return f"<Answer to {self.asked}>"


class ByArgumentAwaited(ByArgument, AwaitedAnswering):
    """The answer of an awaited double to calls with certain arguments."""

    def _double_timing(self) -> Timing:
        # Raises if the double is called, not awaited.
        self._double._double_timing()  # noqa: SLF001 - of another class of this module's family
        return self.timing


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

    def __init__(self, kind: ResultKind, *, stands_for_instance: bool, is_made_here: bool) -> None:
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


class RecordedDouble:
    """The base of every double."""


def is_double(value: object) -> bool:
    """Whether a value is a double of aldente, whatever its ``__class__`` says."""
    return issubclass(type(value), RecordedDouble)


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
    """Record that a double itself is iterated or awaited, which is not a call of it."""
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
