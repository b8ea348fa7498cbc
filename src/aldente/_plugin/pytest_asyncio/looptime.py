"""Provides what the plugin looptime needs from pytest-asyncio, when looptime is installed.

looptime patches the loop of an `asyncio.Runner` that a fixture of the plugin ``asyncio`` returns,
and finds the loop of a test through its fixture ``event_loop_policy``.
"""

from __future__ import annotations

import pytest

from aldente._plugin import ownership
from aldente._plugin.pytest_asyncio import policy_fixture


def make_loop_current(item: pytest.Function) -> None:
    """For a test that requests the policy, have the policy return the loop of the test."""
    if policy_fixture.NAME not in item.funcargs:
        return
    from aldente import _asyncio_compat
    from aldente._plugin import loop_scopes
    from aldente._plugin.run.loops import registry_of

    registry = registry_of(item.session)
    home = loop_scopes.home_of_test(item, registry.homes)
    _asyncio_compat.make_current(registry.runner(home, item).loop)


def is_there(config: pytest.Config) -> bool:
    """Whether the plugin is loaded, by its option, and so are the fixtures that it needs."""
    return hasattr(config.option, "looptime") and config.pluginmanager.has_plugin("asyncio")


def request_runner_first(item: pytest.Item) -> None:
    """Have an async test request the runner of its loop first, for looptime to patch.

    It patches the loops of all tests, including those without its mark, because code inside them
    may enable its time.
    """
    if not ownership.is_own_async_test(item):
        return
    # Imported here, as only test suites with looptime need it.
    from aldente._plugin import loop_scopes

    scope = loop_scopes.home_of_test(item, {}).scope.value
    names: list[str] = getattr(item, "fixturenames", [])
    for name in (f"_{scope}_scoped_runner", policy_fixture.NAME):
        if name not in names:
            names.insert(0, name)
