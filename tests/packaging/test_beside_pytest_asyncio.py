"""The real pytest-asyncio installed beside aldente: its plugin is stood down, and can be had back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.packaging import processes
from tests.packaging.processes import install

pytestmark = pytest.mark.packaging

Run = Callable[..., str]

# Without the other plugins of this environment: some change the order of tests or need
# pytest-asyncio, and to import them takes longer than all else.
_OTHERS = {entry.name for entry in entry_points(group="pytest11")} - {"aldente", "asyncio"}
_QUIET = [f"-pno:{name}" for name in ("cacheprovider", *sorted(_OTHERS))]

_SUITE = """
import asyncio
import pytest
import pytest_asyncio

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool():
    yield asyncio.get_running_loop()

@pytest.mark.asyncio(loop_scope="module")
async def test_marked(pool, unused_tcp_port):
    assert pool is asyncio.get_running_loop()

async def test_unmarked():
    pass

def test_names(request):
    plugin = request.config.pluginmanager.getplugin("asyncio")
    assert plugin is pytest_asyncio.plugin
    items = [item for item in request.session.items if item.path.name == "test_it.py"]
    assert [pytest_asyncio.is_async_test(item) for item in items] == [True, UNMARKED_RUNS, False]
"""


@pytest.fixture(scope="session")
def real_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pytest-asyncio in it, for ``sys.path``."""
    folder = tmp_path_factory.mktemp("pytest-asyncio")
    install(folder, "--no-deps", "pytest-asyncio==1.5.0")
    # What it needs besides pytest, on Pythons before 3.13.
    if sys.version_info < (3, 13):
        install(folder, "typing-extensions")
    return folder


@pytest.fixture
def run(real_one: Path, tmp_path: Path) -> Run:
    """Runs pytest with both installed and gives what it printed."""

    def run(*options: str, unmarked_runs: bool = True, autoload: bool = True) -> str:
        text = _SUITE.replace("UNMARKED_RUNS", str(unmarked_runs))
        (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
        (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        variables = {} if autoload else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", *_QUIET, "-rA", *options]
        return processes.run(command, tmp_path, PYTHONPATH=str(real_one), **variables).stdout

    return run


@pytest.mark.parametrize(
    ("options", "autoload"),
    [
        ((), True),
        (("-p", "aldente"), True),
        (("-p", "pytest_asyncio.plugin", "-p", "aldente"), False),
        (("-p", "aldente", "-p", "asyncio"), False),
    ],
    ids=["entry points", "aldente first", "pytest-asyncio first", "asyncio by name"],
)
def test_aldente_runs_the_tests(run: Run, options: tuple[str, ...], autoload: bool) -> None:
    """Whichever is loaded first, aldente runs all of them, by its own defaults, and says so once."""
    output = run(*options, autoload=autoload)
    assert "3 passed" in output
    assert "unset" not in output
    header = "aldente: in place of pytest-asyncio 1.5.0, which is installed too"
    assert output.count(header) == 1
    assert "mode=Mode" not in output


def test_pytest_asyncio_has_everything_back(run: Run) -> None:
    """With ``-p no:aldente`` the real one runs the tests, by its own defaults."""
    output = run("-p", "no:aldente", unmarked_runs=False)
    assert "2 passed" in output
    assert "FAILED test_it.py::test_unmarked" in output
    assert "asyncio: mode=Mode.STRICT" in output
    assert "aldente:" not in output


def test_strict_mode_is_that_of_aldente(run: Run) -> None:
    """The options mean the same to both: strict mode refuses the unmarked test."""
    output = run("--asyncio-mode=strict", unmarked_runs=False)
    assert "2 passed" in output
    assert "asyncio_mode=strict runs only marked tests" in output


def test_a_run_inside_a_run(run: Run, tmp_path: Path) -> None:
    """A plugin's tests may run pytest in their own process, with both installed."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = "pytester"', encoding="utf-8")
    (tmp_path / "test_nested.py").write_text(
        "def test_nested(pytester):\n"
        '    pytester.makepyfile(test_inner="async def test_it(unused_tcp_port): pass")\n'
        f"    options = {_QUIET}\n"
        "    pytester.runpytest_inprocess(*options).assert_outcomes(passed=1)\n",
        encoding="utf-8",
    )
    assert "4 passed" in run()
