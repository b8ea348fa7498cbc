"""Async fixtures of wide scope that tests of aldente and of another framework request.

The first test decides which framework's event loop such a fixture lives on, and the objects that it
holds work on no other loop.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from aldente._plugin import ownership, pytest_compat
from aldente._source import place_of_function

# The plugin that runs the tests that a mark or fixture claims.
_PLUGINS = {
    ownership.AIOHTTP: "aiohttp.pytest_plugin",
    "anyio": "anyio",
    "anyio_backend": "anyio",
    "trio": "pytest-trio",
    "curio": "pytest-curio",
    "twisted": "pytest-twisted",
    "asyncio_cooperative": "pytest-asyncio-cooperative",
}

_OWN = "aldente"


class _SetUp(NamedTuple):
    """Which plugin set up a fixture, and for which test."""

    plugin: str
    test: str


_set_up_key = pytest.StashKey[dict[pytest.FixtureDef[object], _SetUp]]()


def note(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
    """Record which plugin sets up a fixture of wide scope."""
    # Check later whether it is async: other plugins replace its function by a sync one meanwhile.
    item = pytest_compat.item_of(request)
    plugin = _plugin_of(item)
    set_up = request.config.stash.setdefault(_set_up_key, {})
    set_up[fixturedef] = _SetUp(plugin, item.nodeid)


def check(item: pytest.Item) -> None:
    """Refuse an async test, after its set-up, that uses a fixture of another framework's loop."""
    set_up = item.config.stash.get(_set_up_key, None)
    if not set_up or not isinstance(item, pytest.Function):
        return
    if not ownership.is_async_function(item.obj):
        return
    plugin = _plugin_of(item)
    for fixturedef in pytest_compat.closure(item):
        found = set_up.get(fixturedef)
        if (
            found is not None
            and found.plugin != plugin
            and fixturedef.cached_result is not None
            and ownership.is_async_fixture_function(fixturedef.func)
        ):
            pytest.fail(_refusal(item, plugin, fixturedef, found), pytrace=False)


def _plugin_of(item: pytest.Item) -> str:
    framework = ownership.claim_of(item).framework
    return _OWN if framework is None else _PLUGINS.get(framework, framework)


def _refusal(
    item: pytest.Item, plugin: str, fixturedef: pytest.FixtureDef[object], found: _SetUp
) -> str:
    place = place_of_function(fixturedef.func, item.session.startpath)
    other = found.plugin if plugin == _OWN else plugin
    return (
        f"{item.name!r} is run by {plugin}, and its async fixture {fixturedef.argname!r} "
        f"({place}), of scope {fixturedef.scope!r}, lives on the event loop of {found.plugin}, "
        f"which set it up for {found.test}.\n"
        "What it holds, such as a connection or a lock, works on that loop only.\n"
        "Fix: let one of the two plugins run all tests that request the fixture: give all of them "
        f"{other}'s mark, or none. Or write a fixture for each."
    )
