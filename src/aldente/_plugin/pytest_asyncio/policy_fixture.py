"""The fixture ``event_loop_policy``, which test suites written for pytest-asyncio override."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from aldente._plugin import pytest_compat

NAME = "event_loop_policy"
# The module of the fixture that tests see unless they override it.
_DEFAULT = f"{__package__}.plugin"

_DEPRECATED = (
    'Overriding the "event_loop_policy" fixture is deprecated and will be removed in a future '
    'version of pytest-asyncio. Use the "pytest_asyncio_loop_factories" hook to customize event '
    "loop creation."
)


def is_override(fixturedef: pytest.FixtureDef[Any]) -> bool:
    """Whether a fixture is a test suite's own ``event_loop_policy``."""
    return fixturedef.argname == NAME and fixturedef.func.__module__ != _DEFAULT


class _Latest:
    """The last class or module whose tests see no override, as none was known at that time.

    pytest knows its fixtures, and those of all nodes around it, before its tests.
    """

    without: weakref.ref[pytest.Collector] | None = None


def is_overridden(item: pytest.Item) -> bool:
    """Whether the test suite overrides the fixture for a test."""
    parent = item.parent
    if _Latest.without is not None and _Latest.without() is parent and parent is not None:
        return False
    # Hardly any suite has one, and finding the one that a test sees takes as long as the test.
    for fixturedef in pytest_compat.all_definitions(item.session, NAME):
        if fixturedef.func.__module__ != _DEFAULT:
            break
    else:
        _Latest.without = None if parent is None else weakref.ref(parent)
        return False
    definitions = pytest_compat.definitions_for(item, NAME)
    return bool(definitions) and is_override(definitions[-1])


def value_for(item: pytest.Item) -> Any:
    """The policy that the fixture returns for a test."""
    return pytest_compat.fixture_value(item, NAME)


def is_set_up(item: pytest.Item) -> bool:
    """Whether the test suite's policy for a test is known, or it has none."""
    if not is_overridden(item):
        return True
    return pytest_compat.definitions_for(item, NAME)[-1].cached_result is not None


def warn_of_override(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Warn that the override is deprecated."""
    __tracebackhide__ = True
    from aldente._source import warn_at

    warn_at(fixturedef.func, pytest.PytestDeprecationWarning(_DEPRECATED))


def request_for(metafunc: pytest.Metafunc) -> None:
    """Have a test request an overridden policy, so that its parameters reach the test.

    A sync test too, as with pytest-asyncio the fixture applies to all tests.
    """
    if NAME not in metafunc.fixturenames and is_overridden(metafunc.definition):
        pytest_compat.add_fixture(metafunc, NAME)
