"""What strict mode leaves alone, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aldente._plugin import items, pytest_compat
from aldente._plugin.decorated_fixtures import is_decorated
from aldente._plugin.fixture_places import place_of_function, warn_at
from aldente._plugin.options import settings_of


def warn_of_unmarked_fixtures(item: pytest.Function) -> None:
    """Warn of async fixtures that a test requests and strict mode does not run.

    The test gets the coroutine or async generator itself.
    """
    for fixturedef in left_alone(item):
        warn_at(
            fixturedef.func,
            pytest.PytestDeprecationWarning(
                f"asyncio test {item.name!r} requested async @pytest.fixture "
                f"{fixturedef.argname!r} in strict mode. You might want to use "
                "@pytest_asyncio.fixture or switch to auto mode. This will become an error in "
                "future versions of pytest-asyncio. (The mode is set by "
                f"{source(item.config)}.)"
            ),
        )


def left_alone(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """The async fixtures that a test requests and strict mode does not run."""
    if settings_of(item.config).mode != "strict":
        return
    for fixturedef in pytest_compat.closure(item):
        function = fixturedef.func
        if items.is_async_fixture_function(function) and not is_decorated(function):
            yield fixturedef


def source(config: pytest.Config) -> str:
    """Where the mode comes from, as the user wrote it."""
    if config.getoption("asyncio_mode", None):
        return f"--asyncio-mode={config.getoption('asyncio_mode')}"
    overridden = config.getoption("override_ini", None) or ()
    if any(str(setting).startswith("asyncio_mode=") for setting in overridden):
        return "-o asyncio_mode=strict"
    if config.inipath is None:
        return "asyncio_mode = strict"
    path = config.inipath
    folder = config.invocation_params.dir
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"asyncio_mode = strict in {shown}"


def explain_refused_fixture(item: pytest.Item) -> str | None:
    """What to say when pytest has refused an async fixture that strict mode leaves alone."""
    for fixturedef in left_alone(item):
        place = place_of_function(fixturedef.func, item.config.rootpath)
        return (
            f"{item.name!r} requested the async fixture {fixturedef.argname!r} ({place}), which "
            f"strict mode does not run; the mode is set by {source(item.config)}.\n"
            "Strict mode runs only async fixtures that are made by @pytest_asyncio.fixture.\n"
            "Mend: write @pytest_asyncio.fixture there, or set asyncio_mode = auto to run every "
            "async test and fixture.\n"
            f"(pytest itself does not support async fixtures: {fixturedef.argname!r} was requested "
            "with no plugin or hook that handled it.)"
        )
    return None
