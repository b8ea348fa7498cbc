"""Refuses tests that can't have virtual time; a plugin of its own, registered when one may."""

from __future__ import annotations

import sys

import pytest

import aldente
from aldente._plugin.explore.state import explored_test
from aldente._plugin.options import settings_of
from aldente._plugin.ownership import is_own_async_test
from aldente._plugin.test_time import TIME_CHECKS, is_registered, time_of


def register_if_needed(config: pytest.Config) -> None:
    """Register the checks if tests may have virtual time; called after collection."""
    # The lazy attribute is set on first use.
    has_marks = "virtual_time" in vars(aldente)
    if (has_marks or settings_of(config).clock == "virtual") and not is_registered(config):
        config.pluginmanager.register(sys.modules[__name__], TIME_CHECKS)


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
