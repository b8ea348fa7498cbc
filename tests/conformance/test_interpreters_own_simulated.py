"""The interpreter's own tests of asyncio on the simulated loop: in stock order, and in any."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conformance.exclusions import EXCLUSIONS, ORDER, PASSING, Exclusion, find_exclusion
from tests.conformance.interpreter_runs import (
    NEEDS_THE_INTERPRETERS_TESTS,
    Run,
    passed_although_excluded,
    run_module,
)
from tests.conformance.modules import modules_for

pytestmark = NEEDS_THE_INTERPRETERS_TESTS

STOCK = modules_for("simulated")
RANDOM = modules_for("random")
# benchmarks/simulation_proofs.py tries more.
SEED = 1
# By one of these, each test fails that relies on an order. The first are those by which they did
# when this was written.
MORE_SEEDS = (1, 2, 9, 38, *range(3, 101))

# Of these modules, many tests are about sockets; they have to end with this.
REFUSAL = "OutsideSimulation"
WITH_SOCKETS = ("test_base_events", "test_events", "test_streams")


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[tuple[str, int | None], Future[Run]]]:
    """The runs of all modules; two at a time."""
    wanted = [*((name, None) for name in STOCK), *((name, SEED) for name in RANDOM)]
    with ThreadPoolExecutor(2) as pool:
        yield {
            (name, seed): pool.submit(
                run_module, "simulated" if seed is None else "random", name, seed=seed
            )
            for name, seed in wanted
        }
        pool.shutdown(cancel_futures=True)


def check(run: Run, name: str, least: int) -> None:
    """Nothing has failed but what needs sockets, and as many tests have passed as there should."""
    failed = [test for test in run.tests if test["outcome"] == "failed"]
    if name in WITH_SOCKETS:
        failed = [test for test in failed if REFUSAL not in test["detail"]]
    assert not failed, "\n".join(f"{test['name']}\n{test['detail']}" for test in failed)
    assert run.status == 0, run.errors[-4000:]
    assert sum(test["outcome"] == "passed" and test["is_ours"] for test in run.tests) >= least


@pytest.mark.parametrize("name", STOCK)
def test_a_module_passes_in_stock_order(
    name: str, runs: dict[tuple[str, int | None], Future[Run]]
) -> None:
    """All tests that come with the interpreter pass in stock order, but those excluded by name."""
    check(runs[name, None].result(), name, STOCK[name])


@pytest.mark.parametrize("name", RANDOM)
def test_a_module_passes_in_random_order(
    name: str, runs: dict[tuple[str, int | None], Future[Run]]
) -> None:
    """Those that rely only on what asyncio promises pass in any order."""
    check(runs[name, SEED].result(), name, RANDOM[name])


@pytest.mark.parametrize(
    "exclusion",
    [
        exclusion
        for exclusion in EXCLUSIONS
        if "simulated" in exclusion.kinds and exclusion.reason not in PASSING
    ],
    ids=lambda exclusion: f"{exclusion.module}:{exclusion.tests}",
)
def test_no_test_is_excluded_that_passes(
    exclusion: Exclusion, runs: dict[tuple[str, int | None], Future[Run]]
) -> None:
    """Each of the tests excluded in stock order fails, so that no exclusion outlives its reason."""
    run = runs[exclusion.module, None].result()
    excluded = [
        name
        for name in run.names("excluded")
        # Of several that cover it, the first says why it is excluded.
        if find_exclusion("simulated", exclusion.module, name) is exclusion
    ]
    assert excluded
    assert passed_although_excluded("simulated", exclusion.module, excluded) == []


def test_tests_excluded_in_random_order_pass_in_stock_order(
    runs: dict[tuple[str, int | None], Future[Run]],
) -> None:
    """Each test that is excluded for relying on an order is there, and passes in that order."""
    for exclusion in EXCLUSIONS:
        if exclusion.reason != ORDER:
            continue
        passed = runs[exclusion.module, None].result().names("passed")
        assert any(map(exclusion.covers, passed)), exclusion.tests


@pytest.mark.parametrize(
    "name", sorted({exclusion.module for exclusion in EXCLUSIONS if exclusion.reason == ORDER})
)
def test_tests_excluded_in_random_order_fail_in_some(
    name: str, runs: dict[tuple[str, int | None], Future[Run]]
) -> None:
    """Each test that is excluded for relying on an order fails in another one."""
    by_order = [
        exclusion
        for exclusion in EXCLUSIONS
        if exclusion.module == name and exclusion.reason == ORDER
    ]
    left = [
        test
        for test in runs[name, SEED].result().names("excluded")
        if any(exclusion.covers(test) for exclusion in by_order)
    ]
    assert left
    for seed in MORE_SEEDS:
        failed = run_module("random", name, *left, seed=seed).names("failed")
        left = [test for test in left if test not in failed]
        if not left:
            break
    assert left == []
