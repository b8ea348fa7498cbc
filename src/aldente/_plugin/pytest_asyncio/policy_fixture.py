"""The fixture ``event_loop_policy``, which test suites written for pytest-asyncio override.

Both are deprecated: policies since Python 3.14, to be removed in 3.16, and the fixture by
pytest-asyncio. asyncio is imported inside of functions, as every start of pytest imports this
module.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import pytest

from aldente._plugin import pytest_compat
from aldente._source import warn_at

NAME = "event_loop_policy"
# The module of the fixture that tests see unless they override it.
_DEFAULT = pytest_compat.PACKAGE

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
    warn_at(fixturedef.func, pytest.PytestDeprecationWarning(_DEPRECATED))


def request_for(metafunc: pytest.Metafunc) -> None:
    """Have a test request an overridden policy, so that its parameters reach the test.

    A sync test too, as with pytest-asyncio the fixture applies to all tests.
    """
    if NAME not in metafunc.fixturenames and is_overridden(metafunc.definition):
        pytest_compat.add_fixture(metafunc, NAME)


def current() -> Any:
    """The policy in force; None where Python has no policies."""
    import asyncio

    if not hasattr(asyncio, "get_event_loop_policy"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return asyncio.get_event_loop_policy()


def use_for_test(item: pytest.Item) -> Any:
    """Apply the policy of a test's ``event_loop_policy`` fixture until the end of the test.

    Returns:
        The policy; None if the test suite does not override the fixture for this test.
    """
    if not is_overridden(item):
        return None
    import asyncio

    if not hasattr(asyncio, "set_event_loop_policy"):
        pytest.fail(
            f"{item.name!r} has no event loop: the fixture event_loop_policy is to make it, "
            "but this Python has no event loop policies any more.\n"
            "Fix: remove the fixture; for a loop of another kind, write the hook "
            "pytest_asyncio_loop_factories.",
            pytrace=False,
        )
    policy = value_for(item)
    before = current()
    if policy is not before:
        _put_in_force(policy)
        item.addfinalizer(lambda: _put_in_force(before))
    return policy


def _put_in_force(policy: Any) -> None:
    import asyncio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(policy)
