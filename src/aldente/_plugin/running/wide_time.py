"""Which loops that outlive a test have virtual time: those on which every test has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aldente._plugin import items, pytest_compat
from aldente._plugin.exploring.explored import explored_test
from aldente._plugin.loop_factory_fixture import FACTORY_FIXTURE
from aldente._plugin.loop_homes import LoopHome, wide_homes
from aldente._plugin.mark_like import MARK
from aldente._plugin.time_checks import collected_tests, time_of
from aldente._records import TestTime

# The node with which a loop lives and dies, and what makes it.
_Key = tuple[pytest.Item | pytest.Collector, Callable[..., Any] | None]


class Users:
    """The tests that use a loop, or an async fixture on it.

    Attributes:
        real: those whose time is real.
        virtual: those whose time is virtual, each with what it wants of that.
    """

    def __init__(self) -> None:
        self.real: list[pytest.Item] = []
        self.virtual: list[tuple[pytest.Item, TestTime]] = []

    @property
    def time(self) -> TestTime | None:
        """The virtual time that the loop has; None if its time is real."""
        return self.virtual[0][1] if self.virtual and not self.real else None

    def with_other_wall(self, time: TestTime) -> pytest.Item | None:
        """A test whose clocks begin at another moment than those of a test, if there is one."""
        for item, other in self.virtual:
            if other.wall != time.wall:
                return item
        return None


def users_of(home: LoopHome, item: pytest.Item) -> Users:
    """The tests that are known to use a loop.

    All that were collected count, selected or not, so that it does not depend on the selection.

    Args:
        home: where the loop lives.
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
    """Whether time passes for a test on the loops it uses: not on those of others, or on none."""
    if explored_test(test) is not None:
        return False
    if items.is_own_async_test(test):
        return True
    # On the loops of its fixtures, which matters to those who say so.
    return any("clock" in mark.kwargs for mark in test.iter_markers(MARK))


def _factory_of(item: pytest.Item) -> Callable[..., Any] | None:
    factory: Callable[..., Any] | None = pytest_compat.parameters_of(item).get(FACTORY_FIXTURE)
    return factory
