"""aldente's own modules are imported past the hook with which pytest rewrites assertions."""

from __future__ import annotations

import sys

import pytest

from aldente import _imports
from tests.plugin.conftest import RunProject
from tests.plugin.test_without_warnings import EVERYTHING


def test_own_modules_are_not_rewritten(run_project: RunProject) -> None:
    """Those of the test suite are, and other finders find what is none of aldente's."""
    result = run_project(
        fresh=True,
        test_it="""
import sys

import pytest
import aldente._plugin.ownership
import fractions

async def test_it():
    import aldente._runner.runner
    for name in ("aldente._plugin.ownership", "aldente._runner.runner"):
        assert type(sys.modules[name].__loader__).__name__ == "SourceFileLoader"
    assert type(sys.modules[__name__].__loader__).__name__ == "AssertionRewritingHook"
    assert fractions.__file__
""",
    )
    result.assert_outcomes(passed=1)


def test_it_finds_nothing_else() -> None:
    """What has a name that only begins like aldente's is somebody else's."""
    assert _imports.OwnModules.find_spec("aldente_more") is None
    assert _imports.OwnModules.find_spec("json") is None


def test_once_is_enough() -> None:
    """A plugin that is loaded again adds no second finder."""
    _imports.find_first()
    assert sys.meta_path.count(_imports.OwnModules) == 1


LAZY = pytest.mark.skipif(
    sys.version_info < (3, 15), reason="imports are not left to the first use"
)

# pytest itself can't be loaded so.
MAIN = """
import sys

import pytest

def is_lazy(importing, imported, names):
    return importing.startswith(("aldente", "test_", "conftest", "clients"))

sys.set_lazy_imports_filter(is_lazy)
sys.set_lazy_imports("all")

import pytest

sys.exit(pytest.main(sys.argv[1:]))
"""


@LAZY
def test_all_imports_are_left_to_the_first_use(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may say so: tests of all kinds run, and aldente's own modules import what they need."""
    modules = {
        **EVERYTHING,
        "test_own": """
        import sys

        async def test_own_modules():
            import aldente._diagnosis.deadlock

            waiting = [
                f"{module}.{name}"
                for module, namespace in list(sys.modules.items())
                if module.startswith("aldente.")
                for name, value in vars(namespace).items()
                if type(value).__name__ == "lazy_import"
            ]
            assert waiting == []
        """,
    }
    pytester.makepyfile(**modules)
    main = pytester.makepyfile(main=MAIN)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ["-p", "aldente", "-W", "error", "-p", "no:cacheprovider"]
    result = pytester.run(sys.executable, main, *options)
    result.assert_outcomes(passed=10)


@LAZY
def test_a_conftest_that_leaves_all_imports_to_the_first_use(run_project: RunProject) -> None:
    """So may a conftest, when some of aldente's modules are loaded."""
    modules = {**EVERYTHING, "conftest": "import sys\nsys.set_lazy_imports('all')\n"}
    run_project(fresh=True, **modules).assert_outcomes(passed=9)


@LAZY
def test_lazy_imports_of_tests(run_project: RunProject) -> None:
    """Tests, conftests and the program import lazily what they name, the plugin included."""
    result = run_project(
        fresh=True,
        conftest="""
        lazy import aldente
        lazy import clients
        lazy import pytest_asyncio
        import pytest

        @pytest.fixture
        async def client():
            async with clients.Client() as client:
                yield client
        """,
        clients="""
        lazy import asyncio
        lazy from asyncio import sleep

        class Client:
            async def __aenter__(self):
                return self
            async def __aexit__(self, *exc_info):
                await asyncio.sleep(0)

        async def wait():
            await sleep(3600)
        """,
        test_it="""
        lazy import aldente
        lazy from clients import wait
        import clients

        @aldente.virtual_time
        async def test_virtual_time(client, clock):
            await wait()
            assert clock.elapsed == 3600

        async def test_patch(client):
            with aldente.patch("clients.sleep") as sleep:
                await clients.wait()
                sleep.assert_awaited_once_with(3600)

        async def test_patched_elsewhere():
            with aldente.patch("clients.wait", only_here=True):
                pass
            with aldente.patch("clients.sleep"):
                await wait()
        """,
    )
    result.assert_outcomes(passed=3)
