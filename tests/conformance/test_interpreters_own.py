"""The interpreter's own tests of asyncio, on virtual time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conformance.exclusions import EXCLUSIONS, IS_SLOW, Exclusion
from tests.conformance.interpreter_runs import NEEDS_THE_INTERPRETERS_TESTS, Run, run_module

pytestmark = NEEDS_THE_INTERPRETERS_TESTS

# The modules, the slowest first, with how many of their tests at least make a virtual-time loop and pass. There are
# more by a tenth or so on each version; the rest of a module tests what is simulated.
MODULES = {
    "test_subprocess": 100,
    "test_events": 200,
    "test_tasks": 800,
    "test_ssl": 15,
    "test_base_events": 50,
    "test_eager_task_factory": 35,
    "test_futures": 140,
    "test_futures2": 3,
    "test_locks": 65,
    "test_queues": 40,
    "test_selector_events": 12,
    "test_sendfile": 50,
    "test_server": 2,
    "test_sock_lowlevel": 35,
    "test_sslproto": 15,
    "test_staggered": 4,
    "test_streams": 60,
    "test_taskgroups": 30,
    "test_threads": 5,
    "test_timeouts": 28,
    "test_unix_events": 40,
    "test_waitfor": 13,
}
SINCE = {"test_eager_task_factory": (3, 12), "test_staggered": (3, 13)}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Run]]]:
    """The runs of all modules; two at a time, as some wait for real time to pass."""
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(run_module, "virtual", name)
            for name in MODULES
            if sys.version_info >= SINCE.get(name, (3, 11))
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_interpreters_tests_passes(name: str, runs: dict[str, Future[Run]]) -> None:
    """All tests of asyncio that come with the interpreter pass, but those excluded by name."""
    if name not in runs:
        pytest.skip("this Python has no such tests")
    run = runs[name].result()
    failed = [
        f"{test['name']}\n{test['detail']}" for test in run.tests if test["outcome"] == "failed"
    ]
    assert not failed, "\n".join(failed)
    assert run.status == 0, run.errors[-4000:]
    passed = [test for test in run.tests if test["outcome"] == "passed" and test["is_ours"]]
    assert len(passed) >= MODULES[name]
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
        if exclusion.reason != IS_SLOW and "virtual" in exclusion.kinds
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
    # They may end the process: what is not told of has not passed.
    assert run_module("virtual", exclusion.module, *excluded).names("passed") == []
