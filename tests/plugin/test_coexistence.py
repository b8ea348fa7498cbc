"""Other kinds of tests and other plugins in the same run."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject


def test_unittest_is_untouched(run_project: RunProject) -> None:
    """``TestCase`` and ``IsolatedAsyncioTestCase`` run as they are, and may use async fixtures."""
    result = run_project(
        test_it="""
        import asyncio
        import unittest
        import pytest

        @pytest.fixture
        async def resource(request):
            request.instance.value = 1
            yield
            assert request.instance.value == 2

        class TestSync(unittest.TestCase):
            @pytest.fixture(autouse=True)
            async def prepare(self):
                self.prepared = True
                yield

            @pytest.mark.usefixtures("resource")
            def test_sync(self):
                assert self.value == 1 and self.prepared
                self.value = 2

        class TestIsolated(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.loop = asyncio.get_running_loop()

            async def test_own_loop(self):
                assert asyncio.get_running_loop() is self.loop
                assert "TestIsolated" not in asyncio.current_task().get_name()

            async def test_skips(self):
                self.skipTest("no")

        async def test_plain():
            pass

        def test_asyncio_run():
            asyncio.run(asyncio.sleep(0))
        """
    )
    result.assert_outcomes(passed=4, skipped=1)


def test_hypothesis_runs_every_example_on_the_tests_loop(run_project: RunProject) -> None:
    """``@given`` on an async test runs each example on the test's loop, with its fixtures."""
    pytest.importorskip("hypothesis")
    result = run_project(
        plugins=["hypothesispytest"],
        test_it="""
        import asyncio
        import pytest
        from hypothesis import given, settings, strategies

        loops = []

        @pytest.fixture(scope="module")
        async def pool():
            return asyncio.get_running_loop()

        @given(number=strategies.integers())
        @settings(max_examples=20, derandomize=True, database=None)
        async def test_given(pool, number):
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())
            assert loops[-1] is pool

        class TestMethods:
            @given(number=strategies.integers())
            @settings(max_examples=20, derandomize=True, database=None)
            async def test_falsified(self, number):
                await asyncio.sleep(0)
                assert number < 100

        def test_examples():
            assert len(loops) >= 10 and len(set(loops)) == 1
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*number=100,*"])


def test_hypothesis_health_check_is_untouched(run_project: RunProject) -> None:
    """Hypothesis still warns of a function-scoped fixture that its examples share."""
    pytest.importorskip("hypothesis")
    result = run_project(
        plugins=["hypothesispytest"],
        test_it="""
        import pytest
        from hypothesis import given, settings, strategies

        @pytest.fixture
        async def resource():
            return 1

        @given(number=strategies.integers())
        @settings(max_examples=5, database=None)
        async def test_given(resource, number):
            pass
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FailedHealthCheck*"])


def test_xdist_distributes_async_tests(run_project: RunProject) -> None:
    """Async tests and session fixtures run in xdist's workers."""
    pytest.importorskip("xdist")
    result = run_project(
        "-n",
        "2",
        plugins=["xdist"],
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="session")
        async def pool():
            yield asyncio.get_running_loop()

        @pytest.mark.parametrize("n", range(10))
        async def test_pool(pool, n):
            assert asyncio.get_running_loop() is pool
        """,
        subprocess=True,
    )
    result.assert_outcomes(passed=10)


def test_reruns_start_afresh(run_project: RunProject) -> None:
    """With pytest-rerunfailures each rerun has fresh function-scoped fixtures and a fresh loop."""
    pytest.importorskip("pytest_rerunfailures")
    result = run_project(
        "--reruns",
        "2",
        plugins=["rerunfailures"],
        test_it="""
        import asyncio
        import pytest

        loops = []

        @pytest.fixture
        async def loop():
            yield asyncio.get_running_loop()

        async def test_third_time(loop):
            assert asyncio.get_running_loop() is loop
            assert all(earlier.is_closed() for earlier in loops)
            loops.append(loop)
            assert len(loops) == 3
        """,
        subprocess=True,
    )
    result.stdout.fnmatch_lines(["*1 passed, 2 rerun*"])


def test_doctests_may_use_async_fixtures(run_project: RunProject) -> None:
    """An autouse async fixture is set up for doctests too."""
    result = run_project(
        "--doctest-modules",
        conftest="""
        import pytest

        @pytest.fixture(autouse=True)
        async def resource(doctest_namespace):
            doctest_namespace["value"] = 41
            yield
        """,
        test_it='''
        def increment(number):
            """
            >>> increment(value)
            42
            """
            return number + 1
        ''',
    )
    result.assert_outcomes(passed=1)


def test_a_foreign_running_loop_is_explained(run_project: RunProject) -> None:
    """When another tool has left its loop running, the async test says so and how to mend it."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        def leaves_a_loop_running():
            loop = asyncio.new_event_loop()
            asyncio._set_running_loop(loop)
            yield
            asyncio._set_running_loop(None)
            loop.close()

        async def test_it(leaves_a_loop_running):
            pass

        async def test_next():
            pass
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E*RunningLoopError: Cannot run test_it: an event loop that aldente did not start is already "
            "running in this thread.",
            "E*Mend: use that tool's async API in async tests*",
        ]
    )
    result.stdout.no_fnmatch_line("*never awaited*")


def test_pytest_runs_in_a_thread(pytester: pytest.Pytester) -> None:
    """pytest run off the main thread runs async tests, without touching signal handlers."""
    pytester.makepyfile(
        test_it="async def test_it(): pass",
        run_in_thread="""
        import sys
        import threading
        import pytest

        codes = []
        thread = threading.Thread(target=lambda: codes.append(pytest.main(["test_it.py"])))
        thread.start()
        thread.join()
        sys.exit(codes[0])
        """,
    )
    result = pytester.runpython(pytester.path / "run_in_thread.py")
    assert result.ret == 0, result.stdout.str()


def test_without_the_plugin_nothing_is_left(pytester: pytest.Pytester) -> None:
    """``-p no:aldente`` takes aldente out of the run."""
    pytester.makepyfile("async def test_it(): pass")
    result = pytester.runpytest_subprocess("-p", "no:aldente")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])
