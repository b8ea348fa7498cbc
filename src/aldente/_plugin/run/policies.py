"""Event loop policies that a test suite sets by overriding the fixture ``event_loop_policy``.

Both are deprecated: policies since Python 3.14, to be removed in 3.16, and the fixture by
pytest-asyncio.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest

from aldente._plugin.pytest_asyncio import policy_fixture


def current() -> Any:
    """The policy in force; None where Python has no policies."""
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
    if not policy_fixture.is_overridden(item):
        return None
    if not hasattr(asyncio, "set_event_loop_policy"):
        pytest.fail(
            f"{item.name!r} has no event loop: the fixture event_loop_policy is to make it, "
            "but this Python has no event loop policies any more.\n"
            "Fix: remove the fixture; for a loop of another kind, write the hook "
            "pytest_asyncio_loop_factories.",
            pytrace=False,
        )
    policy = policy_fixture.value_for(item)
    before = current()
    if policy is not before:
        _put_in_force(policy)
        item.addfinalizer(lambda: _put_in_force(before))
    return policy


def _put_in_force(policy: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(policy)
