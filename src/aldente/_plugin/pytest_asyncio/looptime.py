"""Gives the plugin looptime what it looks for in pytest-asyncio, when it is installed.

looptime patches the loop of an `asyncio.Runner` that a fixture of the plugin ``asyncio`` gives, and
finds the loop of a test through its fixture ``event_loop_policy``.
"""

from __future__ import annotations

import pytest

from aldente._plugin import ownership
from aldente._plugin.pytest_asyncio import policy_fixture


def make_loop_current(item: pytest.Function) -> None:
    """Make the loop of a test that requests the policy the one that the policy gives."""
    if policy_fixture.NAME not in item.funcargs:
        return
    from aldente import _asyncio_compat
    from aldente._plugin import loop_scopes
    from aldente._plugin.run.loops import registry_of

    registry = registry_of(item.session)
    home = loop_scopes.home_of_test(item, registry.homes)
    _asyncio_compat.make_current(registry.runner(home, item).loop)


def is_there(config: pytest.Config) -> bool:
    """Whether the plugin is loaded (the option is its own), and the fixtures it looks for are."""
    return hasattr(config.option, "looptime") and config.pluginmanager.has_plugin("asyncio")


def request_runner_first(item: pytest.Item) -> None:
    """Have an async test request the runner of its loop before all else, for looptime to patch.

    It patches the loops of all tests, those it leaves alone too, because code inside them may
    switch its time on.
    """
    if not ownership.is_own_async_test(item):
        return
    # Here, because test suites without looptime have no need for it at their start.
    from aldente._plugin import loop_scopes

    scope = loop_scopes.home_of_test(item, {}).scope.value
    names: list[str] = getattr(item, "fixturenames", [])
    for name in (f"_{scope}_scoped_runner", policy_fixture.NAME):
        if name not in names:
            names.insert(0, name)
