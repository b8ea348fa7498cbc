"""On which event loop a test or fixture runs.

The rule: what the user names wins. A fixture for which the user names no scope runs on the
loop of the scope for which it is cached, or on the widest loop among the async fixtures it depends
on. A test that names nothing runs on the widest loop among the async fixtures it uses. A
function-scoped fixture exists for one test, so it runs where the test runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from aldente._plugin import asyncio_mark, ownership, pytest_compat
from aldente._plugin.options import settings_of
from aldente._records import LoopScope
from aldente._settings import parse_loop_scope
from aldente._source import place_of_function

FixtureDef = pytest.FixtureDef[Any]


class LoopHome(NamedTuple):
    """A loop, identified by the node of the collection tree whose lifetime it has."""

    scope: LoopScope
    node: pytest.Item | pytest.Collector

    @property
    def width(self) -> tuple[int, int]:
        """A sort key from narrow to wide; of two packages the outer one is wider."""
        return self.scope.width, -len(self.node.listchain())


def home_of_test(item: pytest.Item, active: dict[FixtureDef, LoopHome]) -> LoopHome:
    """The loop on which a test runs.

    Args:
        item: the test.
        active: the loops of the async fixtures that are set up now.
    """
    named = _scope_named_for_test(item)
    if named is not None and named is not LoopScope.PACKAGE:
        return LoopHome(named, node_of_scope(item, named))
    scope = named or LoopScope.FUNCTION
    widest = LoopHome(scope, node_of_scope(item, scope))
    for fixturedef in pytest_compat.closure(item):
        home = active.get(fixturedef)
        if home is None and _is_placed_by_itself(fixturedef, item):
            home = home_of_wider_fixture(fixturedef, item, active)
        # There may be several packages around a test, and the mark does not say which it means.
        if home is None or (named is not None and home.scope is not named):
            continue
        if home.node is not item and home.width > widest.width:
            widest = home
    return widest


def wide_homes(item: pytest.Item) -> set[LoopHome]:
    """The loops that outlive a test and that it uses, itself or by its async fixtures."""
    homes = {
        home_of_wider_fixture(fixturedef, item, {})
        for fixturedef in pytest_compat.closure(item)
        if _is_placed_by_itself(fixturedef, item)
    }
    if ownership.is_own_async_test(item):
        homes.add(home_of_test(item, {}))
    return {home for home in homes if home.node is not item}


def wide_async_fixtures(item: pytest.Item) -> list[str]:
    """The async fixtures that a test uses and that outlive it, each with its file and line."""
    return [
        f"{fixturedef.argname!r} ({place_of_function(fixturedef.func, item.config.rootpath)})"
        for fixturedef in pytest_compat.closure(item)
        if ownership.is_own_fixture_definition(fixturedef, item)
        and pytest_compat.caching_scope(fixturedef, item) is not LoopScope.FUNCTION
    ]


def home_without_fixtures(item: pytest.Item) -> LoopHome:
    """The loop on which a test without async fixtures runs."""
    scope = _scope_named_for_test(item)
    if scope is None or scope is LoopScope.FUNCTION:
        return LoopHome(LoopScope.FUNCTION, item)
    return home_of_test(item, {})


def _is_placed_by_itself(fixturedef: FixtureDef, item: pytest.Item) -> bool:
    """Whether a fixture is async and its loop does not depend on the test."""
    return _is_awaited(fixturedef, item) and (
        pytest_compat.caching_scope(fixturedef, item) is not LoopScope.FUNCTION
        or scope_named_for_fixture(fixturedef, item) is not None
    )


def home_of_fixture(
    fixturedef: FixtureDef,
    item: pytest.Item,
    scope: LoopScope,
    active: dict[FixtureDef, LoopHome],
) -> LoopHome:
    """The loop on which an async fixture runs when a test requests it.

    Args:
        fixturedef: the fixture.
        item: the test.
        scope: the scope for which its value is cached.
        active: the loops of the async fixtures that are set up now.
    """
    named = scope_named_for_fixture(fixturedef, item)
    if named is None and scope is LoopScope.FUNCTION:
        return home_of_test(item, active)
    return home_of_wider_fixture(fixturedef, item, active)


def home_of_wider_fixture(
    fixturedef: FixtureDef, item: pytest.Item, active: dict[FixtureDef, LoopHome]
) -> LoopHome:
    """The loop of a fixture that does not depend on the test: active, named, or wider."""
    if fixturedef in active:
        return active[fixturedef]
    named = scope_named_for_fixture(fixturedef, item)
    scope = pytest_compat.caching_scope(fixturedef, item)
    if named is not None:
        if scope < LoopScope.PACKAGE:
            return LoopHome(named, node_of_scope(item, named))
        return LoopHome(named, pytest_compat.node_of_fixture_scope(item, fixturedef, named))
    own = LoopHome(scope, pytest_compat.node_of_fixture_scope(item, fixturedef, scope))
    return _widest([own, *_homes_below(fixturedef, item, active)])


def _homes_below(
    fixturedef: FixtureDef, item: pytest.Item, active: dict[FixtureDef, LoopHome]
) -> list[LoopHome]:
    """The loops of the async fixtures that a fixture depends on, through synchronous ones too."""
    homes: list[LoopHome] = []
    seen = {fixturedef}
    waiting = list(pytest_compat.dependencies(item, fixturedef))
    while waiting:
        dependency = waiting.pop()
        if dependency in seen:
            continue
        seen.add(dependency)
        if dependency in active or _is_awaited(dependency, item):
            homes.append(home_of_wider_fixture(dependency, item, active))
        else:
            waiting.extend(pytest_compat.dependencies(item, dependency))
    return homes


def _is_awaited(fixturedef: FixtureDef, item: pytest.Item) -> bool:
    """Whether a fixture runs on its loop, rather than only having it as the current loop."""
    return ownership.is_own_fixture_definition(fixturedef, item) and (
        ownership.is_async_fixture_function(fixturedef.func)
    )


def scope_named_for_fixture(fixturedef: FixtureDef, item: pytest.Item) -> LoopScope | None:
    """The loop scope that the user names for a fixture, by its decorator or in the ini file."""
    return _scope_of_decorator(fixturedef) or settings_of(item.config).default_fixture_loop_scope


def describe_choice(fixturedef: FixtureDef) -> str:
    """Where the user wrote the loop scope of a fixture."""
    named = _scope_of_decorator(fixturedef)
    if named is not None:
        return f"loop_scope={named.value!r}"
    return "asyncio_default_fixture_loop_scope"


def node_of_scope(item: pytest.Item, scope: LoopScope) -> pytest.Item | pytest.Collector:
    """The node of the collection tree that a scope means for a test."""
    match scope:
        case LoopScope.FUNCTION:
            return item
        case LoopScope.CLASS:
            return item.getparent(pytest.Class) or item
        case LoopScope.MODULE:
            return item.getparent(pytest.Module) or item.session
        case LoopScope.PACKAGE:
            return item.getparent(pytest.Package) or item.session
        case LoopScope.SESSION:
            return item.session


def _scope_named_for_test(item: pytest.Item) -> LoopScope | None:
    mark = ownership.claim_of(item).mark
    if mark is not None and mark is not ownership.PLAIN_MARK:
        scope = asyncio_mark.loop_scope_of(mark)
        if scope is not None:
            return scope
    return settings_of(item.config).default_test_loop_scope


def _scope_of_decorator(fixturedef: FixtureDef) -> LoopScope | None:
    value = ownership.loop_scope_of(fixturedef.func)
    return None if value is None else parse_loop_scope("loop_scope", value)


def _widest(homes: Iterable[LoopHome]) -> LoopHome:
    return max(homes, key=lambda home: home.width)
