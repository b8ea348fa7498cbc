"""Plugins that measure: what they see is the user's code, and nothing is added to it."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what measures and distributes this suite out of the runs that measure.

    Benchmarks are skipped in a worker of xdist, and coverage would be measured twice.
    """
    for name in (
        "COVERAGE_PROCESS_START",
        "COVERAGE_PROCESS_CONFIG",
        "COVERAGE_FILE",
        "PYTEST_XDIST_WORKER",
        "PYTEST_XDIST_WORKER_COUNT",
    ):
        monkeypatch.delenv(name, raising=False)


_PROJECT = {
    "app": """
    import asyncio

    async def fetch(number):
        await asyncio.sleep(0)
        if number:
            return number
        return None

    async def count(limit):
        for number in range(limit):
            yield number
            await asyncio.sleep(0)
    """,
    "test_it": """
    import asyncio
    import pytest
    from app import count, fetch

    @pytest.fixture(scope="module")
    async def server():
        await asyncio.sleep(0)
        yield 1
        await asyncio.sleep(0)
        assert not asyncio.get_running_loop().is_closed()

    @pytest.fixture
    async def plain():
        await asyncio.sleep(0)
        return 2

    @pytest.fixture(scope="session")
    def unused():
        return "line that is not run"

    async def test_fetch(server, plain):
        assert await fetch(server) == 1
        assert [number async for number in count(plain)] == [0, 1]

    async def test_with_tasks():
        results = await asyncio.gather(fetch(1), fetch(2))
        assert results == [1, 2]
    """,
}


def test_coverage_sees_async_tests_and_fixtures(run_project: RunProject) -> None:
    """pytest-cov measures every line of async tests, fixtures and what they await, and no other."""
    pytest.importorskip("pytest_cov")
    result = run_project(
        "--cov=.",
        "--cov-branch",
        "--cov-report=term-missing",
        plugins=["pytest_cov"],
        fresh=True,
        **_PROJECT,
    )
    result.assert_outcomes(passed=2)
    # Not run: fetch's `return None`, and the body of the unused fixture.
    result.stdout.fnmatch_lines(["app.py * 7", "test_it.py * 19"])


def test_coverage_contexts_name_async_tests(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--cov-context=test`` attributes lines to the async test that ran them."""
    pytest.importorskip("pytest_cov")
    # With what measures by default since Python 3.14 (sys.monitoring), coverage has no contexts.
    monkeypatch.setenv("COVERAGE_CORE", "ctrace")
    result = run_project(
        "--cov=app",
        "--cov-context=test",
        "--cov-report=",
        plugins=["pytest_cov"],
        fresh=True,
        conftest="""
        def pytest_unconfigure(config):
            import coverage

            data = coverage.CoverageData()
            data.read()
            (path,) = data.measured_files()
            for line, contexts in sorted(data.contexts_by_lineno(path).items()):
                print(line, *sorted(filter(None, contexts)))
        """,
        **_PROJECT,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "5 test_it.py::test_fetch|run test_it.py::test_with_tasks|run",
            "12 test_it.py::test_fetch|run",
        ]
    )


def test_coverage_is_combined_from_workers(run_project: RunProject) -> None:
    """What async tests ran in xdist's workers is in pytest-cov's one report."""
    pytest.importorskip("pytest_cov")
    pytest.importorskip("xdist")
    result = run_project(
        "-n",
        "2",
        "--cov=app",
        "--cov-report=term-missing",
        plugins=["pytest_cov", "xdist"],
        fresh=True,
        **_PROJECT,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["app.py * 7"])


def test_benchmarks_measure_nothing_of_aldente(run_project: RunProject) -> None:
    """Between a sync test, pytest-benchmark and what it measures there is no frame of aldente."""
    pytest.importorskip("pytest_benchmark")
    result = run_project(
        plugins=["benchmark"],
        fresh=True,
        test_it="""
        import asyncio
        import sys
        import pytest

        @pytest.fixture(scope="module")
        async def server():
            yield 41
            await asyncio.sleep(0)

        def measured(number):
            files = []
            frame = sys._getframe(1)
            while frame.f_code.co_name != "test_benchmark":
                files.append(frame.f_code.co_filename)
                frame = frame.f_back
            assert files and all("pytest_benchmark" in file for file in files)
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return number + 1

        async def test_before(server):
            pass

        def test_benchmark(benchmark, server):
            assert benchmark.pedantic(measured, args=[server], rounds=3, warmup_rounds=1) == 42
            assert benchmark.stats.stats.rounds == 3

        async def test_after(server):
            pass
        """,
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*benchmark: 1 tests*", "test_benchmark *"])


def test_benchmarks_work_in_async_tests(run_project: RunProject) -> None:
    """An async test may measure synchronous code with pytest-benchmark while its loop runs."""
    pytest.importorskip("pytest_benchmark")
    result = run_project(
        plugins=["benchmark"],
        fresh=True,
        test_it="""
        import asyncio

        async def test_schedule(benchmark):
            loop = asyncio.get_running_loop()
            future = benchmark.pedantic(loop.create_future, rounds=3)
            loop.call_soon(future.set_result, 1)
            assert await future == 1
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*benchmark: 1 tests*", "test_schedule *"])
