"""What ``pytest_asyncio.fixture`` writes on a fixture's function, whoever provides that name.

The attributes are those of pytest-asyncio, because its decorator is honoured too.
"""

from __future__ import annotations

from typing import Any


def decorate(function: Any, loop_scope: str | None) -> None:
    """Mark a function as one of an async fixture, and name the scope of its event loop."""
    function = getattr(function, "__func__", function)
    function._force_asyncio_fixture = True
    function._loop_scope = loop_scope


def is_decorated(function: object) -> bool:
    """Whether a fixture was made with ``pytest_asyncio.fixture``."""
    return getattr(getattr(function, "__func__", function), "_force_asyncio_fixture", False)


def loop_scope_of(function: object) -> Any:
    """The loop scope that a fixture's decorator names, as written; None when it names none."""
    return getattr(getattr(function, "__func__", function), "_loop_scope", None)


def pass_on_loop_scope(function: object, stand_in: Any) -> None:
    """Have a function that stands in for a fixture's name the same loop scope."""
    stand_in._loop_scope = loop_scope_of(function)
