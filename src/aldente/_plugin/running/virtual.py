"""The virtual-time loops of tests, and their clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from aldente import _asyncio_compat
from aldente._loops.virtual.clock import Clock
from aldente._loops.virtual.loop import START, VirtualTimeLoop
from aldente._loops.virtual.wall import follow_wall
from aldente._plugin import items, policy_fixture, pytest_compat
from aldente._plugin.exploring.explored import explored_test
from aldente._plugin.fixture_places import place_of_function
from aldente._plugin.loop_factory_fixture import FACTORY_FIXTURE
from aldente._plugin.loop_homes import LoopHome, home_of_test
from aldente._plugin.running.watching import LoopWatch
from aldente._plugin.time_checks import time_of
from aldente._records import LoopScope, TestTime
from aldente.errors import MissingExtra

if TYPE_CHECKING:
    from aldente._plugin.running.registry import LoopRegistry

_clock_key = pytest.StashKey[Clock]()
# The loop time at which the test function was called first.
_began_key = pytest.StashKey[float]()


def loop_factory(item: pytest.Item, watch: LoopWatch) -> Callable[[], VirtualTimeLoop] | None:
    """What makes the loop of a test whose time is virtual; None if it is real."""
    time = time_of(item)
    if not time.is_virtual:
        return None

    def make() -> VirtualTimeLoop:
        return VirtualTimeLoop(
            patience=time.patience,
            max_seconds=time.max_seconds,
            bystanders=watch.bystanders,
            wall=follow_wall(START, time.wall),
            on_stuck=watch.on_stuck,
        )

    return make


def make_clock(item: pytest.Item, registry: LoopRegistry) -> Clock:
    """The clock of a test, for its fixture."""
    explored = explored_test(item)
    if explored is not None:
        return explored.make_clock()
    registry.minds_time = True
    loop = registry.runner(home_of_test(item, registry.homes), item).loop
    clock = item.stash[_clock_key] = Clock(lambda: loop)
    return clock


def begin(item: pytest.Item, loop: asyncio.AbstractEventLoop) -> None:
    """The test function of a test is about to be called, maybe once more by Hypothesis.

    Virtual time starts where it was when the function was called first, unless a fixture has set a
    timer meanwhile.
    """
    if isinstance(loop, VirtualTimeLoop):
        began = item.stash.setdefault(_began_key, loop.time())
        if loop.time() > began and not _asyncio_compat.timers_of(loop):
            loop.start_anew(began)
    clock = item.stash.get(_clock_key, None)
    if clock is not None:
        clock.begin()


def reason_against(item: pytest.Item, time: TestTime) -> str | None:
    """Why a test can't run on virtual time, and what to do; None if it can."""
    named = maker_of_other_loop(item)
    if named is not None:
        return _refusal(
            item,
            f"its event loop is made by {named}, whose clock is out of reach.",
            "run it on asyncio's own loop, or mark it with @aldente.real_time.",
        )
    if policy_fixture.is_overridden(item):
        return _refusal(
            item,
            "the fixture event_loop_policy says what makes its event loop.",
            "leave that fixture to other tests, or mark it with @aldente.real_time.",
        )
    home = home_of_test(item, {})
    if home.scope is not LoopScope.FUNCTION:
        return _refusal(
            item,
            f"it runs on a loop of {home.scope.value} scope{_cause(item, home)}, and virtual time "
            "begins anew with each test.",
            "make these fixtures function-scoped, or give the test @pytest.mark.asyncio("
            "loop_scope='function'), so that they stay on their loop in real time; or mark it with "
            "@aldente.real_time.",
        )
    return reason_against_wall(time)


def reason_against_wall(time: TestTime) -> str | None:
    """Why the clocks of the process can't follow the time of a test; None if they can."""
    try:
        follow_wall(START, time.wall)
    except MissingExtra as error:
        return str(error)
    return None


def maker_of_other_loop(item: pytest.Item) -> str | None:
    """The name of what makes the event loop of a test; None if that is one of asyncio's usual."""
    factory = pytest_compat.parameters_of(item).get(FACTORY_FIXTURE)
    if factory in (None, asyncio.SelectorEventLoop, asyncio.new_event_loop):
        return None
    module = getattr(factory, "__module__", "")
    return f"{module}.{getattr(factory, '__qualname__', repr(factory))}"


def _refusal(item: pytest.Item, reason: str, mend: str) -> str:
    return f"{item.name!r} can't have virtual time: {reason}\nMend: {mend}"


def wide_async_fixtures(item: pytest.Item) -> list[str]:
    """The async fixtures that a test uses and that outlive it, each with its file and line."""
    return [
        f"{fixturedef.argname!r} ({place_of_function(fixturedef.func, item.config.rootpath)})"
        for fixturedef in pytest_compat.closure(item)
        if items.is_own_fixture_definition(fixturedef, item)
        and pytest_compat.caching_scope(fixturedef, item) is not LoopScope.FUNCTION
    ]


def _cause(item: pytest.Item, home: LoopHome) -> str:
    """The async fixtures that have a test run on a wide loop, in words."""
    wide = wide_async_fixtures(item)
    if not wide:
        return ", as its mark or the configuration says"
    return f", that of the async fixture{'s' * (len(wide) > 1)} {', '.join(wide)}"
