"""The names of pytest-asyncio that test suites import, and standing beside the real one.

``import pytest_asyncio`` gives this module when pytest-asyncio is not installed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import pytest

from aldente._plugin import items
from aldente._version import __version__

__all__ = ["__version__", "fixture", "is_async_test"]


def fixture(
    fixture_function: Callable[..., Any] | None = None,
    loop_scope: str | None = None,
    **kwargs: Any,
) -> Any:
    """Make a fixture as ``pytest.fixture`` does, and optionally name the scope of its event loop.

    Args:
        fixture_function: the function, when used without parentheses.
        loop_scope: how long the loop lives that runs it: ``"function"``, ``"class"``, ``"module"``,
            ``"package"`` or ``"session"``.
        kwargs: the arguments of ``pytest.fixture``.

    Returns:
        The fixture, or a decorator that makes it.

    >>> @fixture(loop_scope="session", scope="session")
    ... async def pool():
    ...     return object()
    """
    if fixture_function is None:
        return lambda function: fixture(function, loop_scope=loop_scope, **kwargs)
    function: Any = getattr(fixture_function, "__func__", fixture_function)
    function._force_asyncio_fixture = True
    function._loop_scope = loop_scope
    return pytest.fixture(fixture_function, **kwargs)


def loop_scope_of(function: object) -> Any:
    """The loop scope that a fixture's decorator names, as written; None when it names none."""
    return getattr(getattr(function, "__func__", function), "_loop_scope", None)


def pass_on_loop_scope(function: object, stand_in: Any) -> None:
    """Have a function that stands in for a fixture's name the same loop scope."""
    stand_in._loop_scope = loop_scope_of(function)


def is_async_test(item: pytest.Item) -> bool:
    """Whether a test is an async function that aldente runs."""
    return items.is_own_async_test(item)


def make_importable() -> None:
    """Let ``import pytest_asyncio`` give this module, unless pytest-asyncio is installed."""
    if "pytest_asyncio" not in sys.modules and importlib.util.find_spec("pytest_asyncio") is None:
        sys.modules["pytest_asyncio"] = sys.modules[__name__]


def stand_down_real_plugin(pluginmanager: pytest.PytestPluginManager) -> bool:
    """Keep the plugin of an installed pytest-asyncio from running tests beside aldente.

    Returns:
        Whether it was loaded before aldente, so that its options are registered already.
    """
    plugin = pluginmanager.get_plugin("asyncio")
    if plugin is None:
        pluginmanager.set_blocked("asyncio")
        return False
    pluginmanager.unregister(plugin)
    return True
