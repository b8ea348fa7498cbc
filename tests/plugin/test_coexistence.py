"""Other kinds of tests in the same run, and runs that are not as usual; `coexistence` has other plugins."""

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
    # looptime, when it is installed, fails every run that has neither aldente nor pytest-asyncio.
    result = pytester.runpytest_subprocess("-p", "no:aldente", "-p", "no:looptime_plugin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])
