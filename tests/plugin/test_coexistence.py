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


@pytest.mark.usefixtures("only_aldente")
@pytest.mark.parametrize("start", ["asyncio.run(main())", "asyncio.Runner().run(main())"])
def test_pytest_inside_async_code_is_explained(pytester: pytest.Pytester, start: str) -> None:
    """Where pytest was called by async code, each async test says so, and nothing else."""
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture
        async def connection():
            yield

        async def test_it():
            pass

        def test_fixture(connection):
            pass

        def test_sync():
            pass
        """,
        run_inside=f"""
        import asyncio
        import sys
        import pytest

        async def main():
            return pytest.main(["test_it.py", "-p", "no:randomly"])

        sys.exit({start})
        """,
    )
    result = pytester.runpython(pytester.path / "run_inside.py")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_fixture*",
            "Cannot run fixture connection: an event loop that aldente did not start is already "
            "running in this thread.",
            "A thread runs one event loop at a time, and this one waits until the pytest run "
            "inside it ends.",
            "Fix: call pytest.main() from code that is not async, or in a thread: 'await "
            "asyncio.to_thread(pytest.main, arguments)'.",
            "*_ test_it _*",
            "Cannot run test_it: an event loop that aldente did not start is already running in "
            "this thread.",
        ]
    )
    for line in ("*never awaited*", "*getfixturevalue*", "*.py:*: RunningLoopError"):
        result.stdout.no_fnmatch_line(line)


@pytest.mark.usefixtures("only_aldente")
def test_the_advice_for_pytest_inside_async_code_works(pytester: pytest.Pytester) -> None:
    """In a thread the same run passes."""
    pytester.makepyfile(
        test_it="async def test_it(): pass",
        run_inside="""
        import asyncio
        import sys
        import pytest

        async def main():
            return await asyncio.to_thread(pytest.main, ["test_it.py"])

        sys.exit(asyncio.run(main()))
        """,
    )
    result = pytester.runpython(pytester.path / "run_inside.py")
    result.assert_outcomes(passed=1)


def test_pytest_inside_an_async_test_is_explained(run_project: RunProject) -> None:
    """The error of the inner run names the test around it, and speaks of no fixtures."""
    result = run_project(
        "-s",
        test_outer="""
        import pathlib
        import pytest

        async def test_outer(tmp_path):
            (tmp_path / "test_inner.py").write_text("async def test_inner(): pass")
            assert pytest.main(["-p", "aldente", str(tmp_path)]) == 1
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*Cannot run test_inner: the event loop of test_outer, in another run of pytest, is "
            "already running in this thread.",
            "*Fix: call pytest.main() from code that is not async, or in a thread: *",
        ]
    )
    result.stdout.no_fnmatch_line("*getfixturevalue*")


@pytest.mark.usefixtures("only_aldente")
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
