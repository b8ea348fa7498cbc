"""The interpreter's own tests of `unittest.mock`, on doubles and with `aldente.patch`."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.mock_tests import EXCLUSIONS, PACKAGE, SECONDS_AT_MOST

ROOT = Path(__file__).parents[2]


def _are_installed() -> bool:
    try:
        return importlib.util.find_spec(PACKAGE) is not None
    except ModuleNotFoundError:
        return False


pytestmark = pytest.mark.skipif(
    not _are_installed(), reason="this Python was installed without its own tests"
)

# The modules, with how many of their tests pass at least.
MODULES = {
    "testasync": 75,
    "testcallable": 8,
    "testhelpers": 60,
    "testmagicmethods": 30,
    "testmock": 120,
    "testpatch": 95,
    "testsealable": 15,
    "testwith": 22,
}
NOT_RUN = {
    "testsentinel": "makes no mock",
    "testthreadingmock": "tests ThreadingMock, for which there is no double",
}


def run_module(name: str, *options: str) -> list[dict[str, str]]:
    """What is told of each test of a module, run in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.conformance.mock_tests", name, *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_AT_MOST + 30,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"name": ')]


def test_every_module_of_the_interpreters_tests_is_known() -> None:
    """Each module is run or left out by name, so that one that is new is looked at."""
    package = importlib.import_module(PACKAGE)
    found = {module.name for module in pkgutil.iter_modules(package.__path__)}
    tests = {name for name in found if name.startswith("test")}
    assert sorted(tests - {*MODULES, *NOT_RUN}) == []
    assert sorted(set(MODULES) - found) == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_interpreters_tests_passes(name: str) -> None:
    """All tests of mocks that come with the interpreter pass, but those excluded by name."""
    tests = run_module(name)
    failed = [f"{test['name']}\n{test['detail']}" for test in tests if test["outcome"] == "failed"]
    assert not failed, "\n".join(failed)
    assert sum(test["outcome"] == "passed" for test in tests) >= MODULES[name]


@pytest.mark.parametrize("name", sorted({exclusion.module for exclusion in EXCLUSIONS}))
def test_no_test_is_excluded_that_passes(name: str) -> None:
    """Each of the excluded tests fails, so that no exclusion stays when its reason is gone."""
    tests = run_module(name, "--excluded")
    assert [test["name"] for test in tests if test["outcome"] != "failed"] == []
    for exclusion in EXCLUSIONS:
        if exclusion.module == name:
            assert any(exclusion.covers(name, test["name"]) for test in tests), exclusion
