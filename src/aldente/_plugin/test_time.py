"""Which time a test has; a plugin of its own, registered when one may be virtual."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest

import aldente
from aldente._plugin.explore.state import explored_test
from aldente._plugin.marks import MARK
from aldente._plugin.options import settings_of
from aldente._plugin.ownership import is_own_async_test
from aldente._records import TestTime
from aldente._settings import Settings

_NAME = "aldente-time-checks"
# The keys of the marks, each of which the closest mark that has it decides.
_KEYS = ("clock", "wall", "patience")


def register_if_needed(config: pytest.Config) -> None:
    """Have virtual time checked for, if tests may have it; called when they are collected."""
    # An attribute of the package from when it is first used.
    has_marks = "virtual_time" in vars(aldente)
    if (has_marks or settings_of(config).clock == "virtual") and not is_registered(config):
        config.pluginmanager.register(sys.modules[__name__], _NAME)


def note_collected(tests: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Remember the tests that were collected, before any are deselected."""
    config.stash[_collected_key] = tuple(tests)


def collected_tests(session: pytest.Session) -> Sequence[pytest.Item]:
    """The tests that were collected, also those that are not selected."""
    return session.config.stash.get(_collected_key, None) or session.items


_collected_key = pytest.StashKey[tuple[pytest.Item, ...]]()


def is_registered(config: pytest.Config) -> bool:
    """Whether tests may have virtual time."""
    return config.pluginmanager.has_plugin(_NAME)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not is_own_async_test(item) or explored_test(item) is not None:
        return
    time = time_of(item)
    if time.is_virtual:
        from aldente._plugin.run import virtual

        reason = virtual.reason_against(item, time)
        if reason is not None:
            pytest.fail(reason, pytrace=False)


def time_of(item: pytest.Item) -> TestTime:
    """Which time a test has: what its closest marks say, key by key, else the configuration."""
    settings = settings_of(item.config)
    values: dict[str, Any] = {}
    for mark in item.iter_markers(MARK):
        for key in _KEYS:
            if key in mark.kwargs:
                values.setdefault(key, mark.kwargs[key])
    return TestTime(
        values.get("clock", settings.clock) == "virtual",
        values.get("wall", settings.wall),
        values.get("patience", Settings().patience),
        settings.max_virtual_time,
    )
