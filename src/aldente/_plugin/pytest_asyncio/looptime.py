"""Provides what the plugin looptime needs from pytest-asyncio, when looptime is installed.

looptime patches the loop of an `asyncio.Runner` that a fixture of the plugin ``asyncio`` returns,
and finds the loop of a test through its fixture ``event_loop_policy``. The fixtures of runners,
``_function_scoped_runner`` to ``_session_scoped_runner``, are private in pytest-asyncio, but some
test suites use them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from aldente._plugin import ownership, pytest_compat
from aldente._plugin.options import settings_of
from aldente._plugin.pytest_asyncio import loop_fixtures
from aldente._records import LoopScope

if TYPE_CHECKING:
    import asyncio


def make_loop_current(item: pytest.Function) -> None:
    """For a test that requests the policy, have the policy return the loop of the test."""
    if loop_fixtures.POLICY not in item.funcargs:
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
    for name in (f"_{scope}_scoped_runner", loop_fixtures.POLICY):
        if name not in names:
            names.insert(0, name)


def provide_runner(request: pytest.FixtureRequest, scope: str) -> Iterator[asyncio.Runner]:
    """A real `asyncio.Runner` on the loop of a scope, current while the fixture lives.

    The runner is not closed, as aldente closes the loop at the end of its scope.
    """
    import asyncio

    from aldente import _asyncio_compat
    from aldente._plugin import loop_scopes
    from aldente._plugin.run.loops import registry_of

    item = pytest_compat.item_of(request)
    home = loop_scopes.LoopHome(LoopScope(scope), loop_scopes.node_of_scope(item, LoopScope(scope)))
    loop = registry_of(request.session).runner(home, item).loop
    debug = True if settings_of(request.config).debug else None
    runner = asyncio.Runner(loop_factory=lambda: loop, debug=debug)
    _asyncio_compat.make_current(runner.get_loop())
    yield runner
    _asyncio_compat.forget_current_loop()
