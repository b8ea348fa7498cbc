"""Turns an async fixture into a function that pytest can call, and isolates context variables."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, NoReturn

import pytest

from aldente import _asyncio_compat
from aldente._plugin import ownership, pytest_compat
from aldente._plugin.explore.state import explored_test, refuse_if_explored
from aldente._plugin.loop_scopes import LoopHome, describe_choice, home_of_fixture
from aldente._plugin.ownership import pass_on_loop_scope
from aldente._plugin.run.loops import LoopRegistry, registry_of
from aldente._plugin.run.outcomes import reraise
from aldente._plugin.session import state_of
from aldente._records import LoopScope
from aldente._runner.context import carry_over
from aldente._runner.generator_task import GeneratorHost
from aldente._runner.runner import LoopRunner
from aldente._source import place_of_function
from aldente._stacks import with_callers
from aldente.errors import FixtureCancelled, ImpossibleLoopScope, RunningLoopError

FixtureDef = pytest.FixtureDef[Any]


def prepare(fixturedef: FixtureDef, request: pytest.FixtureRequest) -> Callable[[], object]:
    """Let pytest set up a fixture of a test that involves event loops.

    It makes an async fixture synchronous meanwhile. Context variables that a function-scoped
    fixture sets last until the end of the test; those that a wider one sets stay out of the test's
    context and last as long as with pytest itself.

    Returns:
        A function to call when pytest has set it up.
    """
    __tracebackhide__ = True
    registry = registry_of(request.session)
    is_own = ownership.is_own_async_fixture(fixturedef, request)
    if request.scope == "function":
        explored = explored_test(pytest_compat.item_of(request))
        if explored is not None:
            if not is_own and ownership.is_async_fixture_function(fixturedef.func):
                # pytest refuses it.
                return _do_nothing
            return explored.stand_in(fixturedef, request)
        registry.make_current(pytest_compat.item_of(request))
        if is_own:
            return _make_synchronous(fixturedef, request, registry)
        if registry.isolation.enter():
            pytest_compat.item_of(request).addfinalizer(registry.isolation.leave)
        # Added after its set-up, it runs before its tear-down.
        return functools.partial(request.addfinalizer, registry.make_current_again)
    explored = explored_test(pytest_compat.item_of(request))
    if explored is not None and explored.makes_anew(fixturedef):
        return explored.stand_in(fixturedef, request)
    with contextlib.ExitStack() as stack:
        stack.enter_context(registry.isolation.outside())
        if is_own:
            refuse_if_explored(fixturedef.argname, pytest_compat.item_of(request))
            stack.callback(_make_synchronous(fixturedef, request, registry))
        return stack.pop_all().close


def _do_nothing() -> None:
    pass


def _make_synchronous(
    fixturedef: FixtureDef, request: pytest.FixtureRequest, registry: LoopRegistry
) -> Callable[[], object]:
    __tracebackhide__ = True
    function = fixturedef.func
    if not ownership.is_async_fixture_function(function):
        return _make_loop_current(fixturedef, request, registry)
    async_fixture = AsyncFixture(fixturedef, request, registry)

    # A plain function, because pytest binds the fixture functions that are methods.
    def set_up(**arguments: Any) -> Any:
        __tracebackhide__ = True
        return async_fixture.set_up(arguments)

    # The loop is chosen while the replacement is in place, so it needs the fixture's loop scope.
    pass_on_loop_scope(function, set_up)
    fixturedef.func = set_up  # type: ignore[misc]
    return functools.partial(setattr, fixturedef, "func", function)


def _make_loop_current(
    fixturedef: FixtureDef, request: pytest.FixtureRequest, registry: LoopRegistry
) -> Callable[[], object]:
    """Give the set-up and tear-down of a sync ``pytest_asyncio.fixture`` a current loop."""
    item = pytest_compat.item_of(request)
    home = home_of_fixture(fixturedef, item, LoopScope(request.scope), registry.homes)
    loop = registry.runner(home, item).loop
    before = _asyncio_compat.current_event_loop()
    # Finalizers run from the last to the first: this one after the tear-down of the fixture.
    request.addfinalizer(_asyncio_compat.forget_current_loop)
    _asyncio_compat.make_current(loop)

    def restore() -> None:
        if before is None:
            _asyncio_compat.forget_current_loop()
        else:
            _asyncio_compat.make_current(before)
        request.addfinalizer(lambda: _asyncio_compat.make_current(loop))

    return restore


class AsyncFixture:
    """One set-up and tear-down of an async fixture.

    Args:
        fixturedef: the fixture's definition.
        request: the request for which pytest sets it up.
        registry: the event loops of the session.
    """

    def __init__(
        self, fixturedef: FixtureDef, request: pytest.FixtureRequest, registry: LoopRegistry
    ) -> None:
        __tracebackhide__ = True
        self._fixturedef = fixturedef
        self._request = request
        self._registry = registry
        self._item = pytest_compat.item_of(request)
        self._scope = LoopScope(request.scope)
        self._function = pytest_compat.bound_function(fixturedef, request)
        self._undo_context: Callable[[], None] | None = None
        self._runner: LoopRunner

    def set_up(self, arguments: dict[str, Any]) -> Any:
        """Set the fixture up and return its value; its tear-down is added to the request.

        Raises:
            pytest.fail.Exception: the loop does not live as long as the fixture's value.
        """
        __tracebackhide__ = True
        registry, fixturedef = self._registry, self._fixturedef
        home = home_of_fixture(fixturedef, self._item, self._scope, registry.homes)
        self._check_home(home)
        self._runner = registry.runner(home, self._item)
        registry.homes[fixturedef] = home
        self._request.addfinalizer(self._tear_down)
        registry.end_with_factory(self._item, pytest_compat.finisher(fixturedef, self._request))
        context = copy_context()
        is_watched = (
            registry.watch.makers.setting_up(self._describe(), context)
            if self._is_wide
            else contextlib.nullcontext()
        )
        with is_watched:
            value = self._run_set_up(arguments, context)
        self._undo_context = carry_over(context)
        return value

    def _run_set_up(self, arguments: dict[str, Any], context: Context) -> Any:
        """Run the fixture to its value on its loop."""
        __tracebackhide__ = True
        registry, fixturedef = self._registry, self._fixturedef
        name = f"fixture {fixturedef.argname}"
        needs = registry.hosts_used_by(self._item)
        try:
            if inspect.isasyncgenfunction(self._function):
                host, value = self._runner.start_generator(
                    self._function(**arguments),
                    describe=self._describe,
                    context=context,
                    name=name,
                    needs=needs,
                    on_death=self._spread_death,
                )
                registry.hosts[fixturedef] = host
                if self._is_wide:
                    registry.wide_hosts.add(host)
            else:
                value = self._runner.run(
                    self._function(**arguments), context=context, name=name, needs=needs
                )
        except BaseException as error:
            self._fail(error, "set-up")
        return value

    def _tear_down(self) -> None:
        __tracebackhide__ = True
        self._registry.homes.pop(self._fixturedef, None)
        host = self._registry.hosts.pop(self._fixturedef, None)
        with self._registry.isolation.outside() if self._is_wide else contextlib.nullcontext():
            try:
                if host is not None:
                    self._registry.wide_hosts.discard(host)
                    self._runner.finish_generator(host)
            except BaseException as error:
                self._fail(error, "tear-down")
            finally:
                if self._undo_context is not None:
                    self._undo_context()
                for finding in self._registry.watch.makers.end_fixture(self._describe()):
                    state_of(self._item.config).collector.report(finding)
                if self._is_wide:
                    # The finalizers of the test, which forget the current loop, have run before.
                    _asyncio_compat.forget_current_loop()

    def _spread_death(self, host: GeneratorHost[Any]) -> None:
        """Have further tests that request the fixture fail with the error that ended it."""
        assert host.death is not None
        pytest_compat.cache_failure(self._fixturedef, host.death)

    def _fail(self, error: BaseException, phase: str) -> NoReturn:
        """Raise an async fixture's exception in a form that pytest can handle."""
        __tracebackhide__ = True
        if isinstance(error, asyncio.CancelledError):
            # A CancelledError would make pytest stop in the middle of a tear-down.
            cancelled = FixtureCancelled(self._describe(), phase)
            cancelled.__cause__ = error
            error = cancelled
        elif isinstance(error, RunningLoopError) and error.inside is None and _is_loop_inside_run():
            # That of a sync test, or of another fixture.
            error = RunningLoopError(error.wanted, self._item.name, is_tear_down=error.is_tear_down)
            error.__suppress_context__ = True
        self._registry.note_deaths(self._item)
        self._registry.note_other_loop(error, self._runner)
        reraise(error, self._item.config)

    def _check_home(self, home: LoopHome) -> None:
        if home.scope < self._scope:
            error = ImpossibleLoopScope(
                self._fixturedef.argname,
                self._place,
                self._scope.value,
                home.scope.value,
                describe_choice(self._fixturedef),
            )
            pytest.fail(str(error), pytrace=False)

    @property
    def _is_wide(self) -> bool:
        return self._scope is not LoopScope.FUNCTION

    def _describe(self) -> str:
        return f"{self._fixturedef.argname!r} ({self._place})"

    @property
    def _place(self) -> str:
        return str(place_of_function(self._function, self._request.session.startpath))


def _is_loop_inside_run() -> bool:
    """Whether the event loop that runs the caller was started within this run of pytest."""
    inside = itertools.takewhile(
        lambda frame: frame.f_code is not pytest_compat.CODE_OF_RUN,
        with_callers(inspect.currentframe()),
    )
    return any(frame.f_code.co_flags & inspect.CO_COROUTINE for frame in inside)
