"""The virtual-time loops of tests, and their clocks.

A loop that outlives a test has virtual time if every test on it has. A plugin of its own,
registered when a test may have virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._plugin import ownership, pytest_compat
from aldente._plugin.explore.state import explored_test
from aldente._plugin.loop_factories import maker_of_other_loop
from aldente._plugin.loop_factory_fixture import FACTORY_FIXTURE
from aldente._plugin.loop_scopes import LoopHome, home_of_test, wide_async_fixtures, wide_homes
from aldente._plugin.marks import MARK
from aldente._plugin.pytest_asyncio import loop_fixtures
from aldente._plugin.run.loop_watch import LoopWatch
from aldente._plugin.session import state_of
from aldente._plugin.test_time import collected_tests, reason_against_wall, time_of
from aldente._records import LoopScope, SourcePlace, TestTime
from aldente._source import source_line
from aldente._virtual_time.clock import Clock
from aldente._virtual_time.loop import START, VirtualTimeLoop
from aldente._virtual_time.wall_clock import follow_wall, restore

# The node whose end closes the loop, and the loop factory.
_Key = tuple[pytest.Item | pytest.Collector, Callable[..., Any] | None]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not ownership.is_own_async_test(item) or explored_test(item) is not None:
        return
    time = time_of(item)
    reason = reason_against(item, time) if time.is_virtual else None
    if reason is not None:
        pytest.fail(reason, pytrace=False)


class Users:
    """The tests that use a loop, or an async fixture on it.

    Attributes:
        real: those whose time is real.
        virtual: those whose time is virtual, each with its options.
    """

    def __init__(self) -> None:
        self.real: list[pytest.Item] = []
        self.virtual: list[tuple[pytest.Item, TestTime]] = []

    @property
    def time(self) -> TestTime | None:
        """The options of the loop's virtual time; None if its time is real."""
        return self.virtual[0][1] if self.virtual and not self.real else None

    def with_other_wall(self, time: TestTime) -> pytest.Item | None:
        """A test whose clocks start at another moment than the given one, if there is one."""
        for item, other in self.virtual:
            if other.wall != time.wall:
                return item
        return None


def users_of(home: LoopHome, item: pytest.Item) -> Users:
    """The tests that are known to use a loop.

    All collected tests count, so that the result does not depend on which are selected.

    Args:
        home: the loop's home.
        item: a test that uses it.
    """
    users = item.session.stash.get(_users_key, None)
    if users is None:
        users = item.session.stash[_users_key] = _find_users(item.session)
    return users.get((home.node, _factory_of(item)), Users())


_users_key = pytest.StashKey[dict[_Key, Users]]()


def _find_users(session: pytest.Session) -> dict[_Key, Users]:
    found: dict[_Key, Users] = {}
    for test in collected_tests(session):
        if not _has_a_time(test):
            continue
        for home in wide_homes(test):
            users = found.setdefault((home.node, _factory_of(test)), Users())
            time = time_of(test)
            if time.is_virtual:
                users.virtual.append((test, time))
            else:
                users.real.append(test)
    return found


def _has_a_time(test: pytest.Item) -> bool:
    """Whether a test's time is that of an aldente loop."""
    if explored_test(test) is not None:
        return False
    if ownership.is_own_async_test(test):
        return True
    # Only its fixtures have loops, whose time matters if a mark says so.
    return any("clock" in mark.kwargs for mark in test.iter_markers(MARK))


def _factory_of(item: pytest.Item) -> Callable[..., Any] | None:
    factory: Callable[..., Any] | None = pytest_compat.parameters_of(item).get(FACTORY_FIXTURE)
    return factory


_clock_key = pytest.StashKey[Clock]()
# The loop time of the first call of the test function.
_began_key = pytest.StashKey[float]()


def loop_factory(
    home: LoopHome, item: pytest.Item, watch: LoopWatch
) -> Callable[[], VirtualTimeLoop] | None:
    """The factory of a loop with virtual time; None if its time is real.

    Args:
        home: the loop's home.
        item: the first test that uses it.
        watch: the watch over the loop.
    """
    time = time_of(item) if home.node is item else users_of(home, item).time
    if time is None or not time.is_virtual:
        return None

    at_tear_down = state_of(item.config).at_tear_down
    if time.wall is not None and restore not in at_tear_down:
        at_tear_down.append(restore)

    def make() -> VirtualTimeLoop:
        return VirtualTimeLoop(
            patience=time.patience,
            max_virtual_time=time.max_virtual_time,
            bystanders=watch.stuck_runs.bystanders,
            wall=follow_wall(START, time.wall),
            on_stuck=watch.stuck_runs.on_stuck,
            is_stuck_beside_timers=watch.stuck_runs.is_stuck_beside_timers,
        )

    return make


def make_clock(item: pytest.Item, loop: asyncio.AbstractEventLoop) -> Clock:
    """Return the clock of a test, which starts with its test function."""
    clock = item.stash[_clock_key] = Clock(lambda: loop)
    return clock


def begin(item: pytest.Item, loop: asyncio.AbstractEventLoop) -> None:
    """Prepare virtual time for a call of a test function, which Hypothesis may call again.

    Time starts where it was at the first call, unless a fixture has set a timer meanwhile.
    """
    if isinstance(loop, VirtualTimeLoop):
        began = item.stash.setdefault(_began_key, loop.time())
        if loop.time() > began and not _asyncio_compat.timers_of(loop):
            loop.start_anew(began)
    _begin_clock(item)


def begin_on_wide_loop(item: pytest.Item, loop: asyncio.AbstractEventLoop) -> None:
    """Like `begin`, on a loop that outlives the test, whose time never goes back."""
    __tracebackhide__ = True
    time = time_of(item)
    if time.is_virtual is not isinstance(loop, VirtualTimeLoop):
        pytest.fail(_other_time(item, time), pytrace=False)
    if isinstance(loop, VirtualTimeLoop):
        # Each test may advance time as far as if it were the only one.
        loop.waiting.start_anew(time.patience)
    _begin_clock(item)


def hint_at_polling(item: pytest.Item, loop: asyncio.AbstractEventLoop) -> str | None:
    """The hint for a test that waited for a clock that does not follow virtual time, or None."""
    if not isinstance(loop, VirtualTimeLoop):
        return None
    polling = loop.waiting.polling
    poll = polling.found
    if poll is None or (poll.has_moved and poll.task != item.name):
        # Polling is harmless while time advances.
        return None
    if poll.has_moved and polling.rounds < _MANY_ROUNDS:
        return None
    place = SourcePlace.relative_to(poll.place.path, poll.place.line, item.config.rootpath)
    return (
        f"{item.name!r} polls {poll.clock} on virtual time ({place}: "
        f"{source_line(poll.place)}). That clock follows real time, so code that waits for it "
        f"spins for as many real seconds.\n{_HAVE_CLOCKS_FOLLOW}; or wait by the time of the loop."
    )


_HAVE_CLOCKS_FOLLOW = (
    "Fix: @aldente.virtual_time(wall=True), or aldente_wall = true, makes time.time(), "
    "time.monotonic() and datetime.now() follow"
)


@containing("looking for clocks behind a failed assertion", None)
def hint_at_clocks(
    item: pytest.Item, loop: asyncio.AbstractEventLoop, error: BaseException
) -> str | None:
    """The hint for an assertion about a clock that does not follow virtual time, or None."""
    if (
        not isinstance(error, AssertionError)
        or not isinstance(loop, VirtualTimeLoop)
        or loop.time() == item.stash.get(_began_key, None)
        or time_of(item).wall is not None
    ):
        return None
    from aldente._virtual_time.clocks_behind import clocks_behind

    readings = clocks_behind(error)
    if not readings:
        return None
    folder = item.config.rootpath
    places = [
        SourcePlace.relative_to(reading.place.path, reading.place.line, folder)
        for reading in readings
    ]
    read = " and ".join(
        f"{reading.clock} ({place})" for reading, place in zip(readings, places, strict=True)
    )
    return (
        f"{item.name!r} is on virtual time, and the assertion that failed uses {read}. That clock "
        "follows real time, in which a sleep of the loop takes next to nothing.\n"
        f"{_HAVE_CLOCKS_FOLLOW}; or measure by "
        "the time of the loop: clock.elapsed of the fixture clock."
    )


# From how many rounds on the loop of a test that reads a clock between its waits counts as waiting
# for that clock. A test that measures a few hundred waits stays below.
_MANY_ROUNDS = 10_000


def _begin_clock(item: pytest.Item) -> None:
    clock = item.stash.get(_clock_key, None)
    if clock is not None:
        clock.begin()


def _other_time(item: pytest.Item, time: TestTime) -> str:
    """Why a test can't run on the loop that its set-up has led to."""
    home = home_of_test(item, {})
    wanted, other = ("virtual", "real") if time.is_virtual else ("real", "virtual")
    cause = _cause(item, home) or ", that of an async fixture"
    return (
        f"{item.name!r} can't have {wanted} time: it runs on a loop of a wider scope{cause}, whose "
        f"time is {other} for all tests that name a fixture on it. This one has requested it by "
        "request.getfixturevalue(), which was not known when the loop was made.\n"
        "Fix: name the fixture as an argument of the test, or give the test "
        "@pytest.mark.usefixtures(...)."
    )


def reason_against(item: pytest.Item, time: TestTime) -> str | None:
    """Why a test can't run on virtual time, and how to fix it; None if it can."""
    named = maker_of_other_loop(item)
    if named is not None:
        return _refusal(
            item,
            f"its event loop is made by {named}, whose clock aldente can't control.",
            "run it on asyncio's own loop, or mark it with @aldente.real_time.",
        )
    if loop_fixtures.is_overridden(item):
        return _refusal(
            item,
            "the fixture event_loop_policy decides how its event loop is made.",
            "use that fixture in other tests only, or mark this test with @aldente.real_time.",
        )
    home = home_of_test(item, {})
    if home.scope is not LoopScope.FUNCTION:
        reason = _reason_against_wide_loop(item, time, home)
        if reason is not None:
            return reason
    return reason_against_wall(time)


def _reason_against_wide_loop(item: pytest.Item, time: TestTime, home: LoopHome) -> str | None:
    """Why a loop that other tests use too can't have a test's virtual time."""
    users = users_of(home, item)
    where = f"it runs on a loop of {home.scope.value} scope{_cause(item, home)}"
    if users.real:
        others = _named(users.real)
        return _refusal(
            item,
            f"{where}, and a loop has one time. It is real, because the time of {others} is real.",
            "use virtual time in all tests on the loop, with @aldente.virtual_time or "
            "aldente_clock = virtual; or make the fixtures that they share function-scoped; or "
            "mark this test with @aldente.real_time.",
        )
    other = users.with_other_wall(time)
    if other is not None:
        return _refusal(
            item,
            f"{where}, whose clocks start at one moment or are left alone, and {_named([other])} "
            "has another wall=... than this test.",
            "give all tests that use the loop the same wall=..., or make the fixtures that they "
            "share function-scoped.",
        )
    return None


def _named(tests: Sequence[pytest.Item]) -> str:
    """Some tests in words.

    The first are enough to find the others.
    """
    shown = ", ".join(test.nodeid for test in tests[:3])
    return shown if len(tests) <= 3 else f"{shown} and {len(tests) - 3} more"


def _refusal(item: pytest.Item, reason: str, fix: str) -> str:
    return f"{item.name!r} can't have virtual time: {reason}\nFix: {fix}"


def _cause(item: pytest.Item, home: LoopHome) -> str:
    """The async fixtures that put a test on a wide loop, in words."""
    wide = wide_async_fixtures(item)
    if not wide:
        return ", set by its mark or the configuration"
    return f", that of the async fixture{'s' * (len(wide) > 1)} {', '.join(wide)}"
