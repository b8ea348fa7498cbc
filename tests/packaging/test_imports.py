"""Loading the plugin is cheap: a suite without async tests imports no event loop."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.packaging import processes

# What every pytest start imports of aldente, async tests or not. A module that is added here costs
# every run of every suite; what only some tests need is imported when first used.
MODULES_OF_EVERY_START = {
    "aldente",
    "aldente._plugin",
    "aldente._plugin.collection",
    "aldente._plugin.ownership",
    "aldente._plugin.pytest_asyncio.replace",
    "aldente._plugin.explore",
    "aldente._plugin.explore.state",
    "aldente._plugin.loop_factories",
    "aldente._plugin.loop_factory_fixture",
    "aldente._plugin.findings",
    "aldente._plugin.marks",
    "aldente._plugin.test_time",
    "aldente._plugin.findings.collector",
    "aldente._plugin.findings.hooks",
    "aldente._plugin.pytest_asyncio.looptime",
    "aldente._plugin.asyncio_mark",
    "aldente._plugin.option_table",
    "aldente._plugin.options",
    "aldente._plugin.pytest_asyncio.loop_fixtures",
    "aldente._plugin.pytest_asyncio",
    "aldente._plugin.pytest_asyncio.plugin",
    "aldente._plugin.pytest_compat",
    "aldente._plugin.session",
    "aldente._imports",
    "aldente._rules",
    "aldente._rules.coroutine_origins",
    "aldente._rules.leaked_thread",
    "aldente._rules.new_objects",
    "aldente._rules.never_awaited",
    "aldente._runner",
    "aldente._runner.bystanders",
    "aldente._checked_pythons",
    "aldente._system",
    "aldente._own_errors",
    "aldente._source",
    "aldente._python_compat",
    "aldente._records",
    "aldente._settings",
    "aldente._stacks",
    "aldente._validation",
    "aldente._version",
    "aldente.errors",
    "aldente.errors._base",
}
if sys.version_info >= (3, 14):
    # pytest itself imports asyncio there, with the debugger.
    MODULES_OF_EVERY_START.add("aldente._plugin.first_loop")

_CONFTEST = """
import json
import pathlib
import sys

def pytest_unconfigure():
    pathlib.Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
"""

_SYNC_SUITE = """
import pytest

@pytest.fixture
def number():
    yield 1

class TestNumbers:
    @pytest.mark.parametrize("other", [1, 2])
    def test_sum(self, number, other):
        assert number + other > other

def test_skipped():
    pytest.skip("on purpose")
"""

_ASYNC_SUITE = """
async def test_async():
    pass
"""


def _imported_by(folder: Path, suite: str, *options: str) -> set[str]:
    """The modules imported by a run of pytest on a suite, with no plugins but those named."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (folder / "test_it.py").write_text(suite, encoding="utf-8")
    # Without other plugins, which have imports of their own.
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if "PYTHONPATH" in os.environ:
        variables["PYTHONPATH"] = os.environ["PYTHONPATH"]
    processes.output_of([sys.executable, "-m", "pytest", *options], folder, **variables)
    return set(json.loads((folder / "modules.json").read_text(encoding="utf-8")))


def _of_aldente(modules: set[str]) -> set[str]:
    return {module for module in modules if module.partition(".")[0] == "aldente"}


def test_sync_suite_imports_a_known_set_of_modules(tmp_path: Path) -> None:
    """A suite without async tests loads these modules of aldente, and no others."""
    modules = _imported_by(tmp_path, _SYNC_SUITE, "-p", "aldente._plugin")
    assert _of_aldente(modules) == MODULES_OF_EVERY_START


@pytest.mark.parametrize("heavy", ["asyncio", "ctypes", "concurrent.futures", "multiprocessing"])
def test_sync_suite_does_not_import(heavy: str, tmp_path: Path) -> None:
    """A suite without async tests does not pay for what only async tests need."""
    if heavy in _imported_by(tmp_path, _SYNC_SUITE):
        pytest.skip("pytest itself imports it, with the debugger of this Python")
    assert heavy not in _imported_by(tmp_path, _SYNC_SUITE, "-p", "aldente._plugin")


def test_sync_suite_imports_little_more_than_pytest_does(tmp_path: Path) -> None:
    """Besides its own modules, all that aldente adds to a suite without async tests is two small ones."""
    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    without = _imported_by(tmp_path / "without", _SYNC_SUITE)
    with_it = _imported_by(tmp_path / "with", _SYNC_SUITE, "-p", "aldente._plugin")
    # The latter are modules of aldente's by those names.
    own = _of_aldente(with_it) | {"pytest_asyncio", "pytest_asyncio.plugin"}
    assert with_it - without - own <= {"difflib", "contextvars", "_contextvars"}


def test_async_test_imports_the_loops(tmp_path: Path) -> None:
    """An async test does import asyncio, so that the tests above can see it."""
    modules = _imported_by(tmp_path, _ASYNC_SUITE, "-p", "aldente._plugin")
    assert "asyncio" in modules
    assert "aldente._runner.runner" in modules
