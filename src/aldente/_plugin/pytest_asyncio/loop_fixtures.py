"""The fixtures ``event_loop_policy`` and ``event_loop``, which suites for pytest-asyncio override.

Policies are deprecated since Python 3.14, to be removed in 3.16; pytest-asyncio has deprecated the
first fixture, and removed the second in 1.0. asyncio is imported inside of functions, as every
start of pytest imports this module.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import pytest

from aldente._plugin import pytest_compat
from aldente._source import is_users, place_of_function, warn_at

POLICY = "event_loop_policy"
# The module of the fixture that tests see unless they override it.
_DEFAULT = pytest_compat.PACKAGE

_DEPRECATED = (
    'Overriding the "event_loop_policy" fixture is deprecated and will be removed in a future '
    'version of pytest-asyncio. Use the "pytest_asyncio_loop_factories" hook to customize event '
    "loop creation."
)


def is_override(fixturedef: pytest.FixtureDef[Any]) -> bool:
    """Whether a fixture is a test suite's own ``event_loop_policy``."""
    return fixturedef.argname == POLICY and fixturedef.func.__module__ != _DEFAULT


class _LatestScope:
    """The last class or module whose tests see no override, as none was known at that time.

    pytest knows its fixtures, and those of all nodes around it, before its tests.
    """

    without: weakref.ref[pytest.Collector] | None = None


def is_overridden(item: pytest.Item) -> bool:
    """Whether the test suite overrides the fixture for a test."""
    parent = item.parent
    if _LatestScope.without is not None and _LatestScope.without() is parent and parent is not None:
        return False
    # Hardly any suite has one, and finding the one that a test sees takes as long as the test.
    for fixturedef in pytest_compat.all_definitions(item.session, POLICY):
        if fixturedef.func.__module__ != _DEFAULT:
            break
    else:
        _LatestScope.without = None if parent is None else weakref.ref(parent)
        return False
    definitions = pytest_compat.definitions_for(item, POLICY)
    return bool(definitions) and is_override(definitions[-1])


def value_for(item: pytest.Item) -> Any:
    """The policy that the fixture returns for a test."""
    return pytest_compat.fixture_value(item, POLICY)


def is_set_up(item: pytest.Item) -> bool:
    """Whether the test suite's policy for a test is known, or it has none."""
    if not is_overridden(item):
        return True
    return pytest_compat.definitions_for(item, POLICY)[-1].cached_result is not None


def warn_of_policy(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Warn that the override is deprecated."""
    __tracebackhide__ = True
    warn_at(fixturedef.func, pytest.PytestDeprecationWarning(_DEPRECATED))


def request_for(metafunc: pytest.Metafunc) -> None:
    """Have a test request an overridden policy, so that its parameters reach the test.

    A sync test too, as with pytest-asyncio the fixture applies to all tests.
    """
    if POLICY not in metafunc.fixturenames and is_overridden(metafunc.definition):
        pytest_compat.add_fixture(metafunc, POLICY)


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
            f"{item.name!r} has no event loop: the fixture event_loop_policy should make it, but "
            "this Python no longer has event loop policies.\n"
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


EVENT_LOOP = "event_loop"

_NOT_FOUND = """\
pytest-asyncio had the fixture 'event_loop' up to 0.23; its newer versions and aldente have none.
Fix: remove it from the arguments. asyncio.get_running_loop() gives the loop inside an async test
or fixture; a sync test becomes 'async def', or calls asyncio.run()."""


def warn_of_event_loop(session: pytest.Session) -> None:
    """Warn of each definition in the test suite, at its line, if the suite has async tests.

    Through pytest's hook, as `warnings.warn` raises where warnings are errors, and the fixture does
    no harm.
    """
    for fixturedef in pytest_compat.all_definitions(session, EVENT_LOOP):
        place = place_of_function(fixturedef.func, session.startpath)
        if not is_users(place_of_function(fixturedef.func, session.startpath / "-").path):
            continue
        message = warnings.WarningMessage(
            pytest.PytestWarning(_overridden(fixturedef.scope)),
            pytest.PytestWarning,
            place.path,
            place.line,
        )
        session.config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": message,
                "when": "collect",
                "nodeid": "",
                "location": (place.path, place.line, EVENT_LOOP),
            }
        )


def _overridden(scope: str) -> str:
    shared = (
        ""
        if scope == "function"
        else (
            f" Async fixtures of scope {scope!r} share one loop with the tests that use them; for "
            f"all tests to share it, set asyncio_default_test_loop_scope = {scope}."
        )
    )
    return (
        "The fixture 'event_loop' has no effect on async tests and fixtures: pytest-asyncio "
        f"took their loop from it up to 0.23 only.\nFix: remove it.{shared} For a loop of "
        "another kind, write the hook pytest_asyncio_loop_factories."
    )


def is_missing(error: BaseException) -> bool:
    """Whether an error is pytest's for a missing fixture ``event_loop``."""
    return isinstance(error, pytest.FixtureLookupError) and error.argname == EVENT_LOOP


def explain_missing(report: pytest.TestReport) -> None:
    """Add to pytest's "not found" what to use instead."""
    representation = report.longrepr
    text: str | None = getattr(representation, "errorstring", None)
    if text is not None:
        vars(representation)["errorstring"] = f"{text}\n{_NOT_FOUND}"
