"""The function-scoped fixtures of an explored test, which are set up again for every run.

pytest sets them up once, which shows their order, their parameters and the wider fixtures that they
use. Meanwhile each has a `StandIn` as its value. Every run then calls their functions, in that
order and within the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any, NamedTuple, NoReturn

import pytest

from aldente import _asyncio_compat
from aldente._plugin import pytest_compat
from aldente._plugin.ownership import is_async_fixture_function
from aldente._records import SourcePlace
from aldente._source import place_of_function, users_frame
from aldente.errors import FixtureYieldError

FixtureDef = pytest.FixtureDef[Any]


class StandIn:
    """Placeholder for the value of a fixture that is made again for every run.

    Args:
        definition: the fixture's definition.
        request: the request for which pytest sets it up.
        arguments: the arguments of its function, some of them stand-ins.

    Attributes:
        definition: as the argument.
        arguments: as the argument.
        name: the name of the fixture.
        value: its value in the current run.
        is_async: whether its function is a coroutine function or an async generator function.
        is_set_up: whether it has its value in the current run.
        finalizers: how many finalizers it has that belong to no run.
    """

    __slots__ = (
        *("_bound", "_request", "arguments", "definition", "finalizers"),
        *("is_async", "is_set_up", "name", "value"),
    )

    def __init__(
        self, definition: FixtureDef, request: pytest.FixtureRequest, arguments: dict[str, Any]
    ) -> None:
        self.definition = definition
        self.name = definition.argname
        self.value: Any = None
        self.is_async = is_async_fixture_function(definition.func)
        self.is_set_up = False
        self.finalizers = 0
        self.arguments = arguments
        self._request = request
        self._bound: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<fixture {self.name!r}, made anew for every run>"

    def call(self) -> Any:
        """Call its function with the values of this run."""
        function = self._bound
        if function is None:
            function = pytest_compat.bound_function(self.definition, self._request)
            if self._request.instance is None:
                # Otherwise it belongs to the instance of this run.
                self._bound = function
        arguments = self.arguments
        return function(**resolved(arguments)) if arguments else function()

    @property
    def label(self) -> str:
        """Its name in messages."""
        place = place_of_function(self.definition.func, self._request.session.startpath)
        return f"{self.name!r} ({place})"

    def yield_error(self, yields: int) -> FixtureYieldError:
        """The error for a fixture that yields that often."""
        return FixtureYieldError(self.label, yields, self.is_async)


def resolved(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments with the values of this run in place of stand-ins."""
    return {
        name: value.value if type(value) is StandIn else value for name, value in arguments.items()
    }


class _TearDownStep(NamedTuple):
    """A step of the tear-down of a run.

    Attributes:
        name: the fixture to which it belongs; empty when it belongs to none.
        act: the function to call; None for an async generator.
        generator: the async generator to resume; None if there is a function.
        stand_in: the fixture of that generator; None without one.
    """

    name: str
    act: Callable[[], object] | None = None
    generator: AsyncGenerator[Any, Any] | None = None
    stand_in: StandIn | None = None


class Troubles(list[tuple[str, BaseException]]):
    """The errors of tear-downs, each with the name of its fixture.

    Attributes:
        canceller: the fixture whose scope around its ``yield`` cancelled the run, with the error
            that it ended with; None if there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.canceller: tuple[StandIn, BaseException] | None = None


class FixturesOfRuns:
    """Sets up the function-scoped fixtures of a test for each run, and tears them down.

    Args:
        item: the test.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._stand_ins: list[StandIn] = []
        self._ends: list[_TearDownStep] = []
        # The ends of the fixtures that are being set up: one, and those it requested by name.
        self._beginning: list[_TearDownStep] = []
        self._is_running = False

    def stand_in(
        self, definition: FixtureDef, request: pytest.FixtureRequest
    ) -> Callable[[], object]:
        """Have pytest get a stand-in when it calls the function of a fixture.

        Within a run, where code may request a fixture by its name, it gets the value.

        Returns:
            A function to call when pytest has set the fixture up.
        """
        function = definition.func

        # A plain function, because pytest binds the fixture functions that are methods.
        def set_up(**arguments: Any) -> Any:
            __tracebackhide__ = True
            definition.func = function  # type: ignore[misc]
            stand_in = StandIn(definition, request, arguments)
            if self._is_running:
                return self._set_up_when_asked_for(stand_in)
            self._stand_ins.append(stand_in)
            return stand_in

        definition.func = set_up  # type: ignore[misc]
        return functools.partial(setattr, definition, "func", function)

    def begin(self) -> None:
        """Begin a run: finalizers that are added from now on run after this run."""
        self._is_running = True
        for stand_in in self._stand_ins:
            stand_in.is_set_up = False
            stand_in.finalizers = pytest_compat.count_of_finalizers(stand_in.definition)
            # Another fixture may request it by its name before its turn.
            set_up = functools.partial(self._set_up_early, stand_in)
            pytest_compat.set_up_on_demand(self._item, stand_in.definition, set_up)
        vars(self._item)["addfinalizer"] = self._add_finalizer

    def _add_finalizer(self, finalizer: Callable[[], object]) -> None:
        self._add_end(_TearDownStep("", finalizer))

    def _add_end(self, end: _TearDownStep) -> None:
        """Add a tear-down step; it runs after the end of the fixture that is being set up."""
        place = self._ends.index(self._beginning[-1]) if self._beginning else len(self._ends)
        self._ends.insert(place, end)

    @contextlib.contextmanager
    def _setting_up(self, stand_in: StandIn) -> Iterator[None]:
        """While entered, set up a fixture; if it fails, undo what it did before."""
        end = _TearDownStep(stand_in.name, functools.partial(_finish, stand_in))
        self._add_end(end)
        self._beginning.append(end)
        try:
            yield
        finally:
            self._beginning.pop()

    async def set_up(self) -> None:
        """Set all of them up, on the running loop."""
        for stand_in in self._stand_ins:
            if stand_in.is_async:
                self._note_value(stand_in, await self._set_up_async(stand_in))
            elif not stand_in.is_set_up:
                self._note_value(stand_in, self._set_up_sync(stand_in))

    def _note_value(self, stand_in: StandIn, value: object) -> None:
        stand_in.value, stand_in.is_set_up = value, True
        # For requests by its name.
        pytest_compat.note_value(self._item, stand_in.definition, value)

    def _set_up_early(self, stand_in: StandIn) -> None:
        """Set up a fixture before its turn, and the fixtures that it uses."""
        if stand_in.is_set_up:
            return
        if stand_in.is_async:
            self._refuse_async(stand_in)
        for value in stand_in.arguments.values():
            if type(value) is StandIn:
                self._set_up_early(value)
        self._note_value(stand_in, self._set_up_sync(stand_in))

    async def _set_up_async(self, stand_in: StandIn) -> Any:
        with self._setting_up(stand_in):
            made = stand_in.call()
            if not inspect.isasyncgen(made):
                return await made
            try:
                value = await made.__anext__()
            except StopAsyncIteration:
                raise stand_in.yield_error(0) from None
        self._ends.append(_TearDownStep(stand_in.name, None, made, stand_in))
        return value

    def _set_up_sync(self, stand_in: StandIn) -> Any:
        with self._setting_up(stand_in):
            return _begin(stand_in)

    def _set_up_when_asked_for(self, stand_in: StandIn) -> Any:
        """Set up a fixture for ``getfixturevalue`` within a run; it ends with the run."""
        if stand_in.is_async:
            self._refuse_async(stand_in)
        definition = stand_in.definition
        # A request in the next run makes it again.
        forget = functools.partial(pytest_compat.forget_fixture, self._item, definition)
        self._add_end(_TearDownStep(stand_in.name, forget))
        return _begin(stand_in)

    def _refuse_async(self, stand_in: StandIn) -> NoReturn:
        frame = users_frame(inspect.currentframe())
        place = ""
        if frame is not None:
            path, folder = frame.f_code.co_filename, self._item.config.rootpath
            place = f"{SourcePlace.relative_to(path, frame.f_lineno, folder)}: "
        pytest.fail(
            f"{place}the async fixture {stand_in.name!r} was requested within a run, whose event "
            "loop is running already.\n"
            f"Fix: name {stand_in.name!r} as an argument of the test or fixture that requests it.",
            pytrace=False,
        )

    async def tear_down(self, troubles: Troubles) -> None:
        """Tear down everything that this run set up, in reverse order.

        Args:
            troubles: collects the errors.
        """
        while self._ends:
            end = self._ends.pop()
            try:
                if end.act is not None:
                    with _outside_of_loop():
                        end.act()
                elif end.generator is not None and end.stand_in is not None:
                    with _noting_canceller(end.stand_in, troubles):
                        await _finish_generator(end.generator, end.stand_in)
            except BaseException as error:
                troubles.append((end.name, error))

    def end(self, troubles: Troubles) -> None:
        """Tear down, after the run, what an abandoned run could not tear down itself."""
        while self._ends:
            end = self._ends.pop()
            if end.act is not None:
                try:
                    end.act()
                except BaseException as error:
                    troubles.append((end.name, error))
        self._is_running = False
        for stand_in in self._stand_ins:
            if not stand_in.is_set_up:
                # The run ended before.
                pytest_compat.note_value(self._item, stand_in.definition, stand_in)
        vars(self._item).pop("addfinalizer", None)


def _begin(stand_in: StandIn) -> Any:
    """Set up a sync fixture as if no loop were running."""
    with _outside_of_loop():
        made = stand_in.call()
        if not inspect.isgenerator(made):
            return made
        try:
            value = next(made)
        except StopIteration:
            raise stand_in.yield_error(0) from None
    # In pytest's order: finalizers that the function added before run after it.
    stand_in.definition.addfinalizer(functools.partial(_end_generator, made, stand_in))
    return value


def _finish(stand_in: StandIn) -> None:
    """Call a fixture's finalizers, and resume its generator to the end."""
    errors: list[BaseException] = []
    while True:
        finalizer = pytest_compat.take_finalizer(stand_in.definition, stand_in.finalizers)
        if finalizer is None:
            break
        try:
            finalizer()
        except BaseException as error:
            errors.append(error)
    if len(errors) > 1:
        raise BaseExceptionGroup(f"errors while tearing down fixture {stand_in.name!r}", errors)
    if errors:
        raise errors[0]


def _end_generator(generator: Generator[Any, Any, Any], stand_in: StandIn) -> None:
    try:
        next(generator)
    except StopIteration:
        return
    generator.close()
    raise stand_in.yield_error(2)


@contextlib.contextmanager
def _noting_canceller(stand_in: StandIn, troubles: Troubles) -> Iterator[None]:
    """While tearing a fixture down, detect whether its task group or time-out cancelled the run.

    Only the scope that requested a cancellation calls ``uncancel()``.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        if task.cancelling() < before and troubles.canceller is None:
            # A time-out raises nothing for an exception that did not pass through it.
            troubles.canceller = stand_in, error or TimeoutError()


async def _finish_generator(generator: AsyncGenerator[Any, Any], stand_in: StandIn) -> None:
    try:
        await generator.__anext__()
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise stand_in.yield_error(2)


@contextlib.contextmanager
def _outside_of_loop() -> Iterator[None]:
    """While entered, the run's loop is the current one but not running, as in other tests.

    A sync fixture may run it, as ``loop.run_until_complete(client.close())`` does.
    """
    is_running = _asyncio_compat.is_loop_running_here()
    loop = asyncio.get_running_loop() if is_running else None
    with (
        _asyncio_compat.no_running_loop(),
        contextlib.nullcontext() if loop is None else _asyncio_compat.as_if_stopped(loop),
    ):
        _asyncio_compat.make_current(loop)
        try:
            yield
        finally:
            _asyncio_compat.make_current(None)
