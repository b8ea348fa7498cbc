"""The interpreter's own tests of asyncio on the simulated loop: in stock order, and in any."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conformance.exclusions import EXCLUSIONS, IS_SLOW, Exclusion
from tests.conformance.interpreter_runs import NEEDS_THE_INTERPRETERS_TESTS, Run, run_module

pytestmark = NEEDS_THE_INTERPRETERS_TESTS

# The modules, the slowest first, with how many of their tests at least make a simulated loop and pass.
STOCK = {
    "test_tasks": 800,
    "test_futures": 140,
    "test_base_events": 5,
    "test_eager_task_factory": 35,
    "test_futures2": 3,
    "test_locks": 65,
    "test_queues": 40,
    "test_staggered": 4,
    "test_streams": 40,
    "test_taskgroups": 30,
    "test_threads": 5,
    "test_timeouts": 28,
    "test_waitfor": 13,
}
# Those whose tests are to hold in any order, but for the excluded; and by which seeds.
RANDOM = {
    "test_eager_task_factory": 35,
    "test_futures2": 3,
    "test_locks": 25,
    "test_queues": 30,
    "test_staggered": 4,
    "test_taskgroups": 28,
    "test_threads": 5,
    "test_timeouts": 28,
    "test_waitfor": 13,
}
SEEDS = (1, 2)
SINCE = {"test_eager_task_factory": (3, 12), "test_staggered": (3, 13)}

# Of these modules, many tests are about sockets; they have to end with this.
REFUSAL = "OutsideSimulation"
WITH_SOCKETS = ("test_base_events", "test_streams")


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[tuple[str, int | None], Future[Run]]]:
    """The runs of all modules; two at a time."""
    wanted = [(name, None) for name in STOCK] + [(name, seed) for name in RANDOM for seed in SEEDS]
    with ThreadPoolExecutor(2) as pool:
        yield {
            (name, seed): pool.submit(
                run_module, "simulated" if seed is None else "random", name, seed=seed
            )
            for name, seed in wanted
            if sys.version_info >= SINCE.get(name, (3, 11))
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
    if (name, None) not in runs:
        pytest.skip("this Python has no such tests")
    check(runs[name, None].result(), name, STOCK[name])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RANDOM)
def test_a_module_passes_in_random_order(
    name: str, seed: int, runs: dict[tuple[str, int | None], Future[Run]]
) -> None:
    """Those that rely only on what asyncio promises pass in any order."""
    if (name, seed) not in runs:
        pytest.skip("this Python has no such tests")
    check(runs[name, seed].result(), name, RANDOM[name])


@pytest.mark.parametrize(
    "exclusion",
    [
        exclusion
        for exclusion in EXCLUSIONS
        if "simulated" in exclusion.kinds and exclusion.reason != IS_SLOW
    ],
    ids=lambda exclusion: f"{exclusion.module}:{exclusion.tests}",
)
def test_no_test_is_excluded_that_passes(
    exclusion: Exclusion, runs: dict[tuple[str, int | None], Future[Run]]
) -> None:
    """Each of the tests excluded in stock order fails, so that no exclusion outlives its reason."""
    run = runs[exclusion.module, None].result()
    excluded = [name for name in run.names("excluded") if exclusion.covers(name)]
    assert excluded
    assert run_module("simulated", exclusion.module, *excluded).names("passed") == []


def test_tests_excluded_in_random_order_pass_in_stock_order(
    runs: dict[tuple[str, int | None], Future[Run]],
) -> None:
    """Each test that is excluded for relying on an order is there, and passes in that order."""
    for exclusion in EXCLUSIONS:
        if exclusion.kinds != ("random",):
            continue
        passed = runs[exclusion.module, None].result().names("passed")
        assert any(map(exclusion.covers, passed)), exclusion.tests
