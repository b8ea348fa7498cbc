"""Takes the place of pytest-asyncio: its plugin name, its importable names, its loaded plugin."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from types import ModuleType
from typing import cast
from weakref import WeakKeyDictionary

import pytest

from aldente._plugin import pytest_asyncio
from aldente._plugin.pytest_asyncio import plugin

# The name of pytest-asyncio's entry point. Other plugins look it up, and users write -p no:asyncio.
_PLUGIN_NAME = "asyncio"

_MODULES: dict[str, ModuleType] = {
    "pytest_asyncio": pytest_asyncio,
    "pytest_asyncio.plugin": plugin,
}

# What was importable by these names before each run, which may be nested.
_replaced: WeakKeyDictionary[pytest.PytestPluginManager, dict[str, ModuleType | None]] = (
    WeakKeyDictionary()
)


class _Real:
    """The real pytest-asyncio that aldente replaces."""

    is_installed = False


def take_place(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the drop-in under pytest-asyncio's name, and unregister the real plugin."""
    real = _loaded_real_plugin(pluginmanager)
    if real is not None:
        pluginmanager.unregister(real)
    # For pytest_plugins = "pytest_asyncio.plugin", which would register the drop-in again.
    pluginmanager.set_blocked("pytest_asyncio.plugin")
    # In a nested run pytest-asyncio's entry point has loaded the drop-in already.
    is_there = pluginmanager.get_plugin(_PLUGIN_NAME) is plugin
    if not is_there and not pluginmanager.is_blocked(_PLUGIN_NAME):
        pluginmanager.register(plugin, _PLUGIN_NAME)
    _replaced[pluginmanager] = _make_importable()


def _loaded_real_plugin(pluginmanager: pytest.PytestPluginManager) -> ModuleType | None:
    for candidate in pluginmanager.get_plugins():
        if getattr(candidate, "__name__", None) == "pytest_asyncio.plugin":
            return cast(ModuleType, candidate)
    return None


def _make_importable() -> dict[str, ModuleType | None]:
    """Have ``import pytest_asyncio`` import the drop-in.

    Also when pytest-asyncio is installed: its ``is_async_test`` would return False for every test,
    and a patch of its ``plugin._unused_port`` would affect no fixture.
    """
    if "pytest_asyncio" not in sys.modules:
        _Real.is_installed = importlib.util.find_spec("pytest_asyncio") is not None
    elif sys.modules["pytest_asyncio"] is not pytest_asyncio:
        _Real.is_installed = True
    replaced = {
        name: sys.modules.get(name)
        for name, module in _MODULES.items()
        if sys.modules.get(name) is not module
    }
    sys.modules.update(_MODULES)
    return replaced


def give_back_names(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have ``import pytest_asyncio`` work as before, for the next run in this process."""
    for name, module in _replaced.pop(pluginmanager, {}).items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module


def real_version() -> str | None:
    """The version of the pytest-asyncio that is installed, or None."""
    if not _Real.is_installed:
        return None
    try:
        return importlib.metadata.version("pytest-asyncio")
    except importlib.metadata.PackageNotFoundError:
        # A copy in a folder of the user's, without metadata.
        return "(of unknown version)"
