"""The interpreter's own tests of asyncio, on virtual time."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conformance.exclusions import EXCLUSIONS, PASSING, Exclusion
from tests.conformance.interpreter_runs import (
    NEEDS_THE_INTERPRETERS_TESTS,
    Run,
    passed_although_excluded,
    run_module,
)
from tests.conformance.modules import MODULES, modules_for

pytestmark = NEEDS_THE_INTERPRETERS_TESTS

LEAST = modules_for("virtual")


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Run]]]:
    """The runs of all modules; two at a time, as some wait for real time to pass."""
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run_module, "virtual", name) for name in LEAST}
        pool.shutdown(cancel_futures=True)


def test_every_module_of_the_interpreters_tests_is_known() -> None:
    """Each module is run, or the table says why not, on this version of Python as on others."""
    package = importlib.import_module("test.test_asyncio")
    found = {module.name for module in pkgutil.iter_modules(package.__path__)}
    known = {module.name for module in MODULES}
    assert sorted(name for name in found - known if name.startswith("test_")) == []
    assert sorted(set(LEAST) - found) == []


@pytest.mark.parametrize("name", LEAST)
def test_a_module_of_the_interpreters_tests_passes(name: str, runs: dict[str, Future[Run]]) -> None:
    """All tests of asyncio that come with the interpreter pass, but those excluded by name."""
    run = runs[name].result()
    failed = [
        f"{test['name']}\n{test['detail']}" for test in run.tests if test["outcome"] == "failed"
    ]
    assert not failed, "\n".join(failed)
    assert run.status == 0, run.errors[-4000:]
    passed = [test for test in run.tests if test["outcome"] == "passed" and test["is_ours"]]
    assert len(passed) >= LEAST[name]
    unmatched = [
        exclusion.tests
        for exclusion in EXCLUSIONS
        if exclusion.module == name
        and "virtual" in exclusion.kinds
        and not any(map(exclusion.covers, run.names("excluded")))
    ]
    assert unmatched == []


@pytest.mark.parametrize(
    "exclusion",
    [
        exclusion
        for exclusion in EXCLUSIONS
        if exclusion.reason not in PASSING and "virtual" in exclusion.kinds
    ],
    ids=lambda exclusion: f"{exclusion.module}:{exclusion.tests}",
)
def test_no_test_is_excluded_that_passes(
    exclusion: Exclusion, runs: dict[str, Future[Run]]
) -> None:
    """Each of the excluded tests fails, so that no exclusion stays when its reason is gone."""
    excluded = [
        name for name in runs[exclusion.module].result().names("excluded") if exclusion.covers(name)
    ]
    assert excluded
    assert passed_although_excluded("virtual", exclusion.module, excluded) == []
