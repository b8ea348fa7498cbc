"""Which tests and fixtures are aldente's.

Runs for every test and fixture of every suite, so it must not import asyncio.
"""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from aldente._plugin import pytest_compat
from aldente._plugin.options import settings_of

# The marks with which other frameworks claim a test.
FOREIGN_MARKS = frozenset({"anyio", "trio", "curio", "twisted", "asyncio_cooperative"})

_involves_loops_key = pytest.StashKey[bool]()

# Looking at a function's flags costs a microsecond, and a definition is asked for once per test.
_async_fixtures: WeakKeyDictionary[pytest.FixtureDef[Any], bool] = WeakKeyDictionary()


def is_async_function(function: object) -> bool:
    """Whether calling a function gives something that must be awaited or iterated asynchronously.

    For a Hypothesis test it is the inner function that counts.
    """
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or is_async_hypothesis_test(function)
    )


def is_async_hypothesis_test(function: object) -> bool:
    """Whether a function is an async test wrapped by Hypothesis's ``@given``."""
    hypothesis = getattr(function, "hypothesis", None)
    inner = getattr(hypothesis, "inner_test", None)
    return inner is not None and (
        inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)
    )


def is_own_async_test(item: pytest.Item) -> bool:
    """Whether a test is an async function that aldente runs."""
    if not isinstance(item, pytest.Function) or not is_async_function(item.obj):
        return False
    claim = _claim(item)
    return claim == "asyncio" or (claim is None and settings_of(item.config).mode == "auto")


def is_claimed_elsewhere(item: pytest.Item) -> bool:
    """Whether another framework's mark or fixture claims a test."""
    return _claim(item) not in (None, "asyncio")


def _claim(item: pytest.Item) -> str | None:
    """The mark or fixture with which a framework claims a test; any other beats ``asyncio``."""
    if "anyio_backend" in getattr(item, "fixturenames", ()):
        return "anyio_backend"
    claim = None
    for mark in item.iter_markers():
        if mark.name in FOREIGN_MARKS:
            return mark.name
        if mark.name == "asyncio":
            claim = mark.name
    return claim


def add_mark_in_auto_mode(item: pytest.Item) -> None:
    """Give an async test the ``asyncio`` mark, so that ``-m asyncio`` selects it marked or not."""
    if (
        isinstance(item, pytest.Function)
        and is_async_function(item.obj)
        and settings_of(item.config).mode == "auto"
        and _claim(item) is None
    ):
        item.add_marker(pytest.mark.asyncio)


def is_own_async_fixture(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> bool:
    """Whether a fixture that is being set up is an async function that aldente runs."""
    return is_own_fixture_definition(fixturedef, pytest_compat.item_of(request))


def is_own_fixture_definition(fixturedef: pytest.FixtureDef[Any], item: pytest.Item) -> bool:
    """Whether a fixture, when a test requests it, is an async function that aldente runs."""
    is_async = _async_fixtures.get(fixturedef)
    if is_async is None:
        function = fixturedef.func
        is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        _async_fixtures[fixturedef] = is_async
    if not is_async or is_claimed_elsewhere(item):
        return False
    return settings_of(item.config).mode == "auto" or is_decorated(fixturedef.func)


def is_decorated(function: object) -> bool:
    """Whether a fixture was made with ``pytest_asyncio.fixture``."""
    return getattr(getattr(function, "__func__", function), "_force_asyncio_fixture", False)


def item_involving_loops(request: pytest.FixtureRequest) -> pytest.Item | None:
    """The test for which a fixture is being set up if it is, or is known to use, something async."""
    item = pytest_compat.item_of(request)
    involves_loops = item.stash.get(_involves_loops_key, None)
    if involves_loops is None:
        involves_loops = is_own_async_test(item) or any(
            is_own_fixture_definition(fixturedef, item)
            for fixturedef in pytest_compat.closure(item)
        )
        item.stash[_involves_loops_key] = involves_loops
    return item if involves_loops else None
