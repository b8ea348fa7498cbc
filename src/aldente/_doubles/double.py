"""The doubles: one that programs await, and one that they call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, Self, get_origin, overload
from unittest import mock

from aldente._doubles import mock_compat
from aldente._doubles.answers import Calls, Timing, never
from aldente._doubles.assertions import with_tables
from aldente._doubles.calls import Timeline
from aldente._doubles.delivery import (
    Entered,
    NextItems,
    Stream,
    add_answer,
    answered_now,
    awaited,
    is_stream,
)
from aldente._doubles.keeping import (
    check_answer,
    check_is_asked,
    is_iterated_itself,
    refuse_uncalled,
    why_not_awaited,
    why_not_called,
)
from aldente._doubles.shape import Child, child_of, shape_in, shape_like, take_looks, take_spec
from aldente._doubles.spec import ResultKind, kind_of
from aldente._doubles.state import (
    Answering,
    AwaitedAnswering,
    ByArgument,
    ByArgumentAwaited,
    RecordedDouble,
    State,
    is_double,
    name_of,
    record,
    record_iteration,
    set_answer,
    state_of,
)
from aldente.errors import InvalidSetting

if TYPE_CHECKING:
    # Built into type checkers. With defaults, so that ``Double`` alone is a type too.
    from typing_extensions import ParamSpec, TypeVar

    Spec = TypeVar("Spec", default=Any)
    P = ParamSpec("P", default=...)
    Given = TypeVar("Given", default=Any)
    Answer = TypeVar("Answer", default=Any)
else:
    from typing import ParamSpec, TypeVar

    Spec = TypeVar("Spec")
    P = ParamSpec("P")
    Given = TypeVar("Given")
    Answer = TypeVar("Answer")

# The same, for the overloads that infer them from a spec.
Thing = TypeVar("Thing")
Params = ParamSpec("Params")
Result = TypeVar("Result")


class Specced(RecordedDouble, Answering):
    """The base of both kinds of doubles."""

    _double_answer_kind: type[ByArgument] = ByArgument

    def _mock_add_spec(
        self, spec: Any, spec_set: Any, _spec_as_instance: bool = False, _eat_self: bool = False
    ) -> None:
        add: Any = super()._mock_add_spec  # type: ignore[misc]
        name = mock_compat.given_name(self)
        if name is not None and not isinstance(name, str):
            raise InvalidSetting("name", name, "It must be a string.")
        mock_compat.forget_check(self)
        state_of(self).spec = None
        state_of(self).is_called = True
        origin = get_origin(spec)
        if isinstance(origin, type):
            # ``Repository[int]`` has what ``Repository`` has.
            spec = origin
        if spec is None or isinstance(spec, list | tuple) or mock_compat.is_mock(spec):
            add(spec, spec_set, _spec_as_instance, _eat_self)
            return
        # Only the names: with the spec itself, Python 3.11 reads every property in its search
        # for coroutine functions.
        add(dir(spec), spec_set, _spec_as_instance, _eat_self)
        mock_compat.be_instance_of(self, spec if isinstance(spec, type) else type(spec))
        take_spec(self, spec, is_bound=bool(_eat_self), own_names=_OWN_NAMES)

    def _get_child_mock(self, /, **kw: Any) -> Any:
        if mock_compat.is_sealed(self):
            # Raises.
            return super()._get_child_mock(**kw)  # type: ignore[misc]
        child = child_of(self, kw)
        argument = "spec_set" if mock_compat.refuses_new_attributes(self) else "spec"
        double = _made(child, argument, mock_compat.base_of(self))
        if child.is_same:
            double.return_value = self
        return double

    def _double_answer(self, side_effect: Any, value: Any) -> None:
        __tracebackhide__ = True
        self._double_check(side_effect, value)
        set_answer(self, side_effect, value)

    def _double_check(self, side_effect: Any, value: Any) -> None:
        __tracebackhide__ = True
        check_answer(self, side_effect, value)

    def _double_name(self) -> str:
        return name_of(self)

    @property
    def timeline(self) -> Timeline:
        """The calls in the order in which they were made; printed, they are a table."""
        return Timeline(state_of(self).log.calls)

    def when(self, /, *args: Any, **kwargs: Any) -> Any:
        """Set the answer to calls with certain arguments.

        Of several that fit, the newest answers. A call that none fits gets the answer to all calls,
        and fails if there is none.

        Args:
            *args: as in the call, or matchers in their place, such as `unittest.mock.ANY`.
            **kwargs: the same.

        Raises:
            TypeError: the real thing does not take such arguments.

        >>> import aldente, asyncio
        >>> price = aldente.Double().returns(0)
        >>> price.when("tea").returns(12)
        <Answer to mock('tea')>
        >>> asyncio.run(price("tea")), asyncio.run(price("jam"))
        (12, 0)
        """
        if not callable(self):
            # Raises.
            self._double_answer(None, args)
        return add_answer(self, self._double_answer_kind, args, kwargs)

    def reset_mock(self, /, *args: Any, **kwargs: Any) -> None:
        """As for any mock; also empty the timeline, and with ``side_effect=True`` drop the answers.

        That includes the answers by argument, their time and the gate.
        """
        super().reset_mock(*args, **kwargs)  # type: ignore[misc]
        state_of(self).log.forget()
        for answer in state_of(self).answers:
            answer.uses = 0
        if kwargs.get("side_effect"):
            state_of(self).forget_answers()


# Methods that only awaited doubles have.
_AWAITED_ONLY = ("streams", "takes", "never_returns", "hold")


class _Plain(Specced):
    """A stand-in for a real thing with nothing to await."""

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        is_instance = kwargs.get("_spec_as_instance", False)
        self.__dict__["_double"] = State(
            ResultKind.PLAIN, stands_for_instance=is_instance, is_made_here=is_instance
        )
        super().__init__(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in _AWAITED_ONLY and name not in (mock_compat.members_of(self) or ()):
            # Else a mock without a spec would make an attribute of it, and ignore the setting.
            raise AttributeError(self._double_why_not(name), name=name, obj=self)
        return super().__getattr__(name)  # type: ignore[misc]

    def _double_why_not(self, method: str) -> str:
        return why_not_awaited(self, method)


class PlainObject(_Plain, mock.NonCallableMagicMock):
    """A stand-in for an object with nothing to await, and that is not callable itself."""

    def _double_answer(self, side_effect: Any, value: Any) -> None:
        __tracebackhide__ = True
        refuse_uncalled(self, value if side_effect is None else side_effect)

    def _double_why_not(self, method: str) -> str:
        return why_not_called(self)


@with_tables
class PlainDouble(_Plain, mock.MagicMock):
    """A stand-in for a function that is called, not awaited: a specced `MagicMock`."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        # As that of a mock, but not shown in tracebacks.
        __tracebackhide__ = True
        self._mock_check_sig(*args, **kwargs)
        self._increment_mock_call(*args, **kwargs)
        return self._mock_call(*args, **kwargs)

    def _mock_call(self, /, *args: Any, **kwargs: Any) -> Any:
        return answered_now(self, record(self, args, kwargs))


class _TypeOfDoubles(GenericAlias):
    """``Double[Shop]`` at runtime: called without a spec, it makes a double of a ``Shop``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        spec = self.__args__[0]
        is_class = isinstance(get_origin(spec) or spec, type) and spec is not Any
        if is_class and not args and not kwargs.keys() & {"spec", "spec_set", "wraps"}:
            args = (spec,)
        made: Any = self.__origin__
        return made(*args, **kwargs)


@with_tables
class Double(Specced, AwaitedAnswering, mock.AsyncMock, Generic[Spec, P, Given, Answer]):
    """A stand-in for async code, which a test can hold, delay, fail and inspect.

    It is a subclass of `unittest.mock.AsyncMock`, and works wherever one does. In annotations,
    ``Double[Shop]`` is the double of a ``Shop``: type checkers take it for a ``Shop``, and let all
    of its attributes have those of doubles.

    Args:
        spec: the real thing. For a function, the double takes the same arguments, and its result
            is of the same kind: to await, to iterate with ``async for``, or to enter with
            ``async with``. For a class, Protocol or object, it has the same attributes: a `Double`
            for each async method, a specced `MagicMock` for each other.
        side_effect: as for `AsyncMock`, and so are ``return_value``, ``wraps``, ``name``,
            ``spec_set`` and all its other arguments.

    >>> import asyncio
    >>> async def price_of(name: str) -> int: ...
    >>> price = Double(price_of).returns(12)
    >>> asyncio.run(price("tea"))
    12
    >>> price("tea", "jam")
    Traceback (most recent call last):
        ...
    TypeError: price_of: too many positional arguments; it is called as price_of(name)
    """

    _double_answer_kind = ByArgumentAwaited

    @overload
    def __init__(self: Double[Thing], spec: type[Thing], *args: Any, **kwargs: Any) -> None: ...
    @overload
    def __init__(
        self: Double[Any, Params, Coroutine[Any, Any, Result], Result],
        spec: Callable[Params, Coroutine[Any, Any, Result]],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: Double[Any, Params, AsyncIterator[Result], Result],
        spec: Callable[Params, AsyncIterator[Result]],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: Double[Any, Params, AbstractAsyncContextManager[Result], Result],
        spec: Callable[Params, AbstractAsyncContextManager[Result]],
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    @overload
    def __init__(self: Double[Any], spec: object = None, *args: Any, **kwargs: Any) -> None: ...
    def __init__(self, spec: Any = None, *args: Any, **kwargs: Any) -> None:
        self.__dict__["_double"] = State(
            ResultKind.COROUTINE,
            stands_for_instance=True,
            is_made_here=kwargs.get("_spec_as_instance", False),
        )
        super().__init__(spec, *args, **kwargs)
        take_looks(self)

    def streams(self, *items: Answer | BaseException | type[BaseException]) -> Self:
        """Answer with items for ``async for``, and raise exceptions among them at their turn.

        The ``async for`` is over the result of a call, or over the double itself if the real thing
        is iterable. The time of `takes` applies to each item, and a gate holds each of them.

        >>> import asyncio
        >>> async def main():
        ...     return [line async for line in Double().streams("a", "b")()]
        >>> asyncio.run(main())
        ['a', 'b']
        """
        __tracebackhide__ = True
        super().streams(*items)
        if hasattr(self, "__aiter__"):
            self.__aiter__.side_effect = lambda: Stream(self, record_iteration(self))
        if state_of(self).spec is not None and hasattr(self, "__anext__"):
            # Code may also call ``anext()`` on an iterator.
            self.__anext__.side_effect = Calls(NextItems(self))
        return self

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Given:
        # As that of a mock, but not shown in tracebacks.
        __tracebackhide__ = True
        self._mock_check_sig(*args, **kwargs)
        self._increment_mock_call(*args, **kwargs)
        given: Given = self._mock_call(*args, **kwargs)
        return given

    if TYPE_CHECKING:
        # Else pyright takes the type from the one of mocks, which is specific from 3.12 on, and
        # does not infer it from ``__init__``.
        def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...

        # As declared, and not unknown, for those that let nothing be unknown.
        def __getattr__(self, name: str) -> Any: ...
        def returns(self, value: Answer) -> Self: ...
        def returns_each(self, *values: Answer | BaseException | type[BaseException]) -> Self: ...
        def when(self, *args: Any, **kwargs: Any) -> ByArgumentAwaited: ...

    else:

        def __class_getitem__(cls, parameters: Any) -> GenericAlias:
            # Python's own insists on all parameters before 3.13, which has defaults.
            return _TypeOfDoubles(cls, parameters)

    @staticmethod
    def of(
        stand_in: Callable[Params, Coroutine[Any, Any, Result]],
    ) -> Double[Any, Params, Coroutine[Any, Any, Result], Result]:
        """The double that stands in for an async method, with the types of both.

        It returns its argument: it is for editors and type checkers, which see the attributes of a
        stand-in as those of the real thing.

        Args:
            stand_in: an async method or function that is a double.

        Raises:
            InvalidSetting: the argument is no `Double`.

        >>> class Shop:
        ...     async def price(self, name: str) -> int: ...
        >>> shop: Shop = Double(Shop)
        >>> Double.of(shop.price) is shop.price
        True
        """
        if not (is_double(stand_in) and mock_compat.is_awaited(stand_in)):
            raise InvalidSetting("double", stand_in, "It must be an aldente.Double.")
        double: Any = stand_in
        found: Double[Any, Params, Coroutine[Any, Any, Result], Result] = double
        return found

    def _mock_call(self, /, *args: Any, **kwargs: Any) -> Any:
        kind = state_of(self).kind
        call = record(self, args, kwargs)
        has_answer = self.side_effect is not None or state_of(self).answers
        is_unspecced = kind is ResultKind.COROUTINE and state_of(self).spec is None
        if is_unspecced and has_answer and is_stream(self, call):
            kind = ResultKind.STREAM
        if kind is ResultKind.PLAIN:
            return answered_now(self, call)
        given: Any
        if kind is ResultKind.COROUTINE:
            given = awaited(self, call)
            given.__qualname__ = call.double
            call.is_coroutine = True
        else:
            given = (Stream if kind is ResultKind.STREAM else Entered)(self, call)
        call.given = given
        return given

    def _double_answer(self, side_effect: Any, value: Any) -> None:
        __tracebackhide__ = True
        if side_effect is never:
            # Else it would answer with a coroutine.
            self._double_timing()
        super()._double_answer(side_effect, value)

    def _double_timing(self) -> Timing:
        __tracebackhide__ = True
        state = state_of(self)
        if state.kind is ResultKind.PLAIN:
            raise InvalidSetting(
                "double", self, f"{name_of(self)} is called, not awaited: it answers at once."
            )
        if not is_iterated_itself(self):
            check_is_asked(self, self)
        return state.timing

    @property
    def pending(self) -> int:
        """How many calls are being awaited."""
        return state_of(self).log.pending

    @property
    def peak_concurrency(self) -> int:
        """The greatest number of calls that were being awaited at the same time."""
        return state_of(self).log.peak

    @property
    def cancelled_count(self) -> int:
        """How many calls were cancelled while they were awaited."""
        return state_of(self).log.cancelled


def double_in(
    owner: Any, attribute: str, value: Any, *, spec_argument: str, arguments: dict[str, Any]
) -> Any:
    """Make the double that replaces an attribute.

    Args:
        owner: the module, class or object whose attribute it is.
        attribute: its name.
        value: its value.
        spec_argument: ``"spec"``, or ``"spec_set"`` to also refuse to set other attributes.
        arguments: the arguments of the double.
    """
    return _made(shape_in(owner, attribute, value, arguments), spec_argument)


def double_like(value: Any, *, spec_argument: str, arguments: dict[str, Any]) -> Any:
    """Make a double with the shape of a value; the arguments are those of `double_in`."""
    return _made(shape_like(value, arguments), spec_argument)


def double_without_spec(value: Any, *, arguments: dict[str, Any]) -> Any:
    """Make a double without a spec, awaited if the value is; arguments as for `double_in`."""
    is_awaited = callable(value) and kind_of(value) is not ResultKind.PLAIN
    return _made(Child(is_awaited, arguments), "spec")


def _made(shape: Child, spec_argument: str, kind: type | None = None) -> Any:
    arguments = dict(shape.arguments)
    if "spec" in arguments:
        arguments[spec_argument] = arguments.pop("spec")
    if shape.is_awaited:
        double: Any = Double(**arguments)
        state_of(double).result = shape.result
        state_of(double).gives_items = shape.gives_items
        return double
    if not shape.is_called:
        return PlainObject(**arguments)
    # A subclass makes the doubles of its attributes itself, as subclasses of mocks do.
    is_subclass = kind is not None and issubclass(kind, PlainDouble)
    return (kind if kind is not None and is_subclass else PlainDouble)(**arguments)


# Names of doubles' attributes that the real thing may use too.
_OWN_NAMES = frozenset(
    name
    for kind in (Double, *Double.__mro__)
    if kind.__module__.startswith("aldente.")
    for name in vars(kind)
    if not name.startswith("_") and not hasattr(mock.AsyncMock, name)
)
