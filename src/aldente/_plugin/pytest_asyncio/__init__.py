"""The names of pytest-asyncio that test suites import.

``import pytest_asyncio`` imports this package while aldente is loaded.

``plugin``
    The fixtures, registered with pytest under the name of pytest-asyncio's plugin.
``replace``
    Takes the place of pytest-asyncio.
``loop_fixtures``, ``looptime``
    The fixtures ``event_loop_policy``, ``event_loop`` and ``_function_scoped_runner`` and its like,
    which test suites override or request; what the plugin looptime needs.

For a suite that names it in ``pytest_plugins`` pytest would warn that it is imported already; this
word says that it has no assertions to rewrite: PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, overload

import pytest

from aldente._plugin import ownership

__all__ = ["fixture", "is_async_test"]

# The version with these names and behaviours; test suites compare it.
__version__ = "1.5.0"

FixtureFunction = TypeVar("FixtureFunction", bound=Callable[..., object])

_ScopeName = Literal["session", "package", "module", "class", "function"]
_Scope = _ScopeName | Callable[[str, pytest.Config], _ScopeName]
_Ids = Iterable[str | float | int | bool | None] | Callable[[Any], object | None]


@overload
def fixture(
    fixture_function: FixtureFunction,
    *,
    scope: _Scope = ...,
    loop_scope: _ScopeName | None = ...,
    params: Iterable[object] | None = ...,
    autouse: bool = ...,
    ids: _Ids | None = ...,
    name: str | None = ...,
) -> FixtureFunction: ...


@overload
def fixture(
    fixture_function: None = ...,
    *,
    scope: _Scope = ...,
    loop_scope: _ScopeName | None = ...,
    params: Iterable[object] | None = ...,
    autouse: bool = ...,
    ids: _Ids | None = ...,
    name: str | None = ...,
) -> Callable[[FixtureFunction], FixtureFunction]: ...


def fixture(
    fixture_function: Callable[..., Any] | None = None,
    loop_scope: _ScopeName | None = None,
    **kwargs: Any,
) -> Any:
    """Make a fixture like ``pytest.fixture``, and optionally set the scope of its event loop.

    Args:
        fixture_function: the function, when used without parentheses.
        loop_scope: the scope of the loop that runs it: ``"function"``, ``"class"``, ``"module"``,
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
    ownership.decorate(fixture_function, loop_scope)
    return pytest.fixture(fixture_function, **kwargs)


def is_async_test(item: pytest.Item) -> bool:
    """Whether a test is an async function that aldente runs."""
    return ownership.is_own_async_test(item)
