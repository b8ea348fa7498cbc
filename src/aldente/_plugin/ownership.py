"""Which tests and fixtures are aldente's.

Runs for every test and fixture of every suite, so it must not import asyncio. It also honours the
attributes that the decorators of ``pytest_asyncio`` write on a fixture's function.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import pytest

from aldente._plugin import pytest_compat
from aldente._plugin.options import settings_of


def decorate(function: Any, loop_scope: str | None) -> None:
    """Mark a function as that of an async fixture, and set the scope of its event loop."""
    function = getattr(function, "__func__", function)
    function._force_asyncio_fixture = True
    function._loop_scope = loop_scope


def is_decorated(function: object) -> bool:
    """Whether a fixture was made by ``pytest_asyncio.fixture``."""
    return getattr(getattr(function, "__func__", function), "_force_asyncio_fixture", False)


def loop_scope_of(function: object) -> Any:
    """The loop scope that a fixture's decorator names, as written; None if it names none."""
    return getattr(getattr(function, "__func__", function), "_loop_scope", None)


def pass_on_loop_scope(function: object, stand_in: Any) -> None:
    """Give a function that replaces a fixture's function the same loop scope."""
    stand_in._loop_scope = loop_scope_of(function)


# The marks with which other frameworks claim a test.
FOREIGN_MARKS = frozenset({"anyio", "trio", "curio", "twisted", "asyncio_cooperative", "detangle"})

# The fixture by which aiohttp's own plugin (not pytest-aiohttp) claims a test.
AIOHTTP = "the fixture 'loop' of aiohttp"

# The mark that auto mode adds to async tests; it names no loop.
PLAIN_MARK = pytest.mark.asyncio.mark

_ASYNC_FLAGS = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_involves_loops_key = pytest.StashKey[bool]()

# Checking a function's flags takes a microsecond, and a definition is checked once per test.
_async_fixtures: WeakKeyDictionary[pytest.FixtureDef[Any], bool] = WeakKeyDictionary()


def is_async_function(function: object) -> bool:
    """Whether calling a function returns something that must be awaited or iterated asynchronously.

    For a Hypothesis test the inner function counts.
    """
    code = getattr(function, "__code__", None)
    if code is not None:
        if code.co_flags & _ASYNC_FLAGS:
            return True
        if not function.__dict__:
            # Neither marked as a coroutine function nor wrapped: most functions of sync suites.
            return False
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or is_async_hypothesis_test(function)
    )


def is_plain_sync_test(item: pytest.Item) -> bool:
    """Whether a test is a ``def`` without marks or parameters of its own, like most tests."""
    return (
        type(item) is pytest.Function
        and not item.own_markers
        and not hasattr(item, "callspec")
        and not is_async_function(item.obj)
    )


def is_plain_coroutine_function(function: object) -> bool:
    """Whether a function is an ``async def`` without wrappers, like most async tests."""
    code = getattr(function, "__code__", None)
    return (
        code is not None
        and code.co_flags & inspect.CO_COROUTINE != 0
        and not hasattr(function, "hypothesis")
    )


def is_async_hypothesis_test(function: object) -> bool:
    """Whether a function is an async test wrapped by Hypothesis's ``@given``."""
    hypothesis = getattr(function, "hypothesis", None)
    inner = getattr(hypothesis, "inner_test", None)
    return inner is not None and (
        inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)
    )


class Claim(NamedTuple):
    """Which framework runs an async test.

    Attributes:
        framework: the foreign mark or fixture that claims it, or None.
        mark: the closest ``asyncio`` mark, or None.
        marks_seen: how many marks of its own the test had at that time.
    """

    framework: str | None
    mark: pytest.Mark | None
    marks_seen: int


_claim_key = pytest.StashKey[Claim]()

# The claim of most async tests; one object for all of them.
_PLAIN_CLAIM = Claim(None, PLAIN_MARK, 1)


def claim_of(item: pytest.Item) -> Claim:
    """Which framework runs an async test; cached until the test gets another mark."""
    claim = item.stash.get(_claim_key, None)
    if claim is None or claim.marks_seen != len(item.own_markers):
        claim = item.stash[_claim_key] = Claim(*find_claims(item), len(item.own_markers))
    return claim


def find_claims(item: pytest.Item) -> tuple[str | None, pytest.Mark | None]:
    """The foreign framework that claims a test, and its closest ``asyncio`` mark.

    Searches the test and the nodes around it.
    """
    names = getattr(item, "fixturenames", ())
    framework = "anyio_backend" if "anyio_backend" in names else None
    if framework is None and "loop" in names and _is_loop_of_aiohttp(item):
        framework = AIOHTTP
    closest = None
    node: pytest.Item | pytest.Collector | None = item
    # Like iter_markers, in a tenth of the time.
    while node is not None:
        markers = node.own_markers
        if markers:
            for mark in markers:
                if mark.name == "asyncio":
                    # What aldente has added gives way to what a plugin or conftest adds later.
                    closest = mark if closest is None or closest is PLAIN_MARK else closest
                elif mark.name in FOREIGN_MARKS:
                    framework = framework or mark.name
        node = node.parent
    return framework, closest


def _is_loop_of_aiohttp(item: pytest.Item) -> bool:
    """Whether the fixture ``loop`` of a test is that of aiohttp's own plugin, which runs the test.

    pytest-aiohttp's fixture only returns the loop of the test.
    """
    definitions = pytest_compat.definitions_for(item, "loop")
    return bool(definitions) and definitions[-1].func.__module__ == "aiohttp.pytest_plugin"


def has_asyncio_mark(node: pytest.Item | pytest.Collector | None) -> bool:
    """Whether a test or collector, or a node around it, has the ``asyncio`` mark."""
    while node is not None:
        for mark in node.own_markers:
            if mark.name == "asyncio":
                return True
        node = node.parent
    return False


# Set on a test once aldente runs its function on a loop.
IS_RUN_ON_LOOP = pytest.StashKey[bool]()


def is_own_async_test(item: pytest.Item) -> bool:
    """Whether a test is an async function that aldente runs."""
    if not isinstance(item, pytest.Function) or not is_async_function(item.obj):
        return False
    claim = claim_of(item)
    if claim.framework is not None:
        return False
    # An item with the plain mark was checked when it was collected.
    return claim.mark is PLAIN_MARK or (
        not pytest_compat.is_unittest(item)
        and (claim.mark is not None or settings_of(item.config).mode == "auto")
    )


def other_runner(item: pytest.Item) -> str | None:
    """Which other tool runs an async test, in words; None if no other tool runs it."""
    if pytest_compat.is_unittest(item):
        return "unittest does"
    framework = claim_of(item).framework
    if framework in FOREIGN_MARKS:
        return f"the mark {framework!r} gives it to another plugin"
    if framework == AIOHTTP:
        return f"{AIOHTTP} gives it to another plugin"
    return None if framework is None else f"the fixture {framework!r} gives it to another plugin"


def is_claimed_elsewhere(item: pytest.Item) -> bool:
    """Whether another framework's mark or fixture claims a test; it beats the ``asyncio`` mark."""
    return claim_of(item).framework is not None


def add_mark_in_auto_mode(item: pytest.Item) -> bool:
    """Add the ``asyncio`` mark to an async test, so that ``-m asyncio`` selects it in any case.

    Returns:
        Whether it is an async test, marked by the user or not.
    """
    if not isinstance(item, pytest.Function) or not is_async_function(item.obj):
        return False
    if settings_of(item.config).mode != "auto" or pytest_compat.is_unittest(item):
        return True
    if find_claims(item) == (None, None):
        # Like add_marker, without its checks.
        item.keywords["asyncio"] = PLAIN_MARK
        item.own_markers.append(PLAIN_MARK)
        number = len(item.own_markers)
        plain = _PLAIN_CLAIM
        item.stash[_claim_key] = plain if number == 1 else plain._replace(marks_seen=number)
    return True


def is_async_fixture_function(function: object) -> bool:
    """Whether the function of a fixture is a coroutine function or an async generator function."""
    code = getattr(function, "__code__", None)
    if getattr(code, "co_flags", 0) & _ASYNC_FLAGS:
        # A fast path for nearly all fixtures, as this is called several times per test.
        return True
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def is_own_async_fixture(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> bool:
    """Whether a fixture that is being set up is an async function that aldente runs."""
    return is_own_fixture_definition(fixturedef, pytest_compat.item_of(request))


def is_own_fixture_definition(fixturedef: pytest.FixtureDef[Any], item: pytest.Item) -> bool:
    """Whether a fixture, when a test requests it, is an async function that aldente runs.

    A sync function decorated with ``pytest_asyncio.fixture`` is one too: it has a current loop.
    """
    is_async = _async_fixtures.get(fixturedef)
    if is_async is None:
        function = fixturedef.func
        is_async = is_async_fixture_function(function) or is_decorated(function)
        _async_fixtures[fixturedef] = is_async
    if not is_async or is_claimed_elsewhere(item):
        return False
    return settings_of(item.config).mode == "auto" or is_decorated(fixturedef.func)


def item_involving_loops(request: pytest.FixtureRequest) -> pytest.Item | None:
    """The test that a fixture is being set up for, if the test is async or has async fixtures."""
    item = pytest_compat.item_of(request)
    return item if involves_loops(item) else None


def involves_loops(item: pytest.Item) -> bool:
    """Whether a test is async or is known to use async fixtures."""
    known = item.stash.get(_involves_loops_key, None)
    if known is None:
        known = item.stash[_involves_loops_key] = is_own_async_test(item) or any(
            is_own_fixture_definition(fixturedef, item)
            for fixturedef in pytest_compat.closure(item)
        )
    return known
