"""What strict mode leaves alone, and says so."""

from __future__ import annotations

import pytest

from aldente._plugin import items, pytest_compat
from aldente._plugin.decorated_fixtures import is_decorated
from aldente._plugin.fixture_places import warn_at
from aldente._plugin.options import settings_of


def warn_of_unmarked_fixtures(item: pytest.Function) -> None:
    """Warn of async fixtures that a test requests and strict mode does not run.

    The test gets the coroutine or async generator itself.
    """
    if settings_of(item.config).mode != "strict":
        return
    for fixturedef in pytest_compat.closure(item):
        function = fixturedef.func
        if items.is_async_fixture_function(function) and not is_decorated(function):
            warn_at(
                function,
                pytest.PytestDeprecationWarning(
                    f"asyncio test {item.name!r} requested async @pytest.fixture "
                    f"{fixturedef.argname!r} in strict mode. You might want to use "
                    "@pytest_asyncio.fixture or switch to auto mode. This will become an error in "
                    "future versions of pytest-asyncio."
                ),
            )
