"""Async tests run, in every form in which pytest knows tests."""

from __future__ import annotations

from tests.plugin.conftest import RunProject


def test_plain_async_test_runs_with_nothing_configured(run_project: RunProject) -> None:
    """A plain ``async def test_x()`` runs, and its failure is a failure."""
    result = run_project(
        test_it="""
        import asyncio

        async def test_passes():
            await asyncio.sleep(0)

        async def test_fails():
            await asyncio.sleep(0)
            assert 1 == 2
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2*"])


def test_marked_async_test_runs(run_project: RunProject) -> None:
    """The ``asyncio`` mark is known, and changes nothing in auto mode."""
    result = run_project(
        "--strict-markers",
        test_it="""
        import pytest

        @pytest.mark.asyncio
        async def test_marked():
            pass
        """,
    )
    result.assert_outcomes(passed=1)


def test_every_form_of_method_runs(run_project: RunProject) -> None:
    """Methods, static methods and class methods run, parametrised or not, with their own arguments."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        class TestForms:
            async def test_method(self):
                assert isinstance(self, TestForms)

            @staticmethod
            async def test_static_method():
                await asyncio.sleep(0)

            @classmethod
            async def test_class_method(cls):
                assert cls is TestForms

            @pytest.mark.parametrize("number", [1, 2])
            async def test_parametrised(self, number):
                assert number in (1, 2)

            class TestNested:
                async def test_nested(self):
                    await asyncio.sleep(0)
        """
    )
    result.assert_outcomes(passed=6)


def test_partial_and_wrapped_functions_run(run_project: RunProject) -> None:
    """A decorator that returns an async function does not hide the test from aldente."""
    result = run_project(
        test_it="""
        import functools
        from unittest import mock

        def decorated(function):
            @functools.wraps(function)
            async def wrapper(*args, **kwargs):
                return await function(*args, **kwargs)
            return wrapper

        ran = []

        @decorated
        async def test_wrapped():
            ran.append(1)

        @mock.patch("os.getcwd")
        async def test_patched(getcwd):
            ran.append(2)

        def test_both_ran():
            assert ran == [1, 2]
        """
    )
    result.assert_outcomes(passed=3)


def test_marked_coroutine_function_runs(run_project: RunProject) -> None:
    """A function that is marked as a coroutine function runs, whatever awaitable it returns."""
    result = run_project(
        test_it="""
        import asyncio
        import functools
        import inspect
        import sys
        import pytest

        if sys.version_info < (3, 12):
            pytest.skip("inspect.markcoroutinefunction is new in 3.12", allow_module_level=True)

        ran = []

        class Later:
            def __await__(self):
                ran.append(True)
                return asyncio.sleep(0).__await__()

        @inspect.markcoroutinefunction
        def test_marked():
            return Later()

        def test_it_ran():
            assert ran == [True]
        """
    )
    assert result.parseoutcomes() in ({"passed": 2}, {"skipped": 1})


def test_test_ids_marks_and_selection_are_those_of_sync_tests(run_project: RunProject) -> None:
    """``-k``, ``-m`` and node ids select async tests; ``-m asyncio`` finds them unmarked too."""
    modules = {
        "test_it": """
        import pytest

        async def test_one():
            pass

        @pytest.mark.parametrize("n", ["a", "b"])
        async def test_two(n):
            pass

        def test_sync():
            pass
        """
    }
    run_project("-k", "two", **modules).assert_outcomes(passed=2, deselected=2)
    run_project("-m", "asyncio", **modules).assert_outcomes(passed=3, deselected=1)
    run_project("test_it.py::test_two[a]", **modules).assert_outcomes(passed=1)


def test_async_generator_is_refused(run_project: RunProject) -> None:
    """A test that yields fails with the reason and the fix, instead of passing untested."""
    result = run_project(
        test_it="""
        async def test_yields():
            yield

        class TestMethods:
            async def test_yields_too(self):
                yield
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "test_it.py:1: 'test_yields' is an async generator, because it contains 'yield', so "
            "calling it runs none of its code.",
            "Tests can't yield: as a test it would always pass.",
            "Fix: remove the 'yield'; to set up and tear down around a test, move it to a fixture.",
        ]
    )


def test_sync_test_that_returns_a_coroutine_fails(run_project: RunProject) -> None:
    """A plain function that returns a coroutine has tested nothing, and is told so, once."""
    result = run_project(
        test_it="""
        import asyncio

        async def fetch():
            pass

        def test_forgotten():
            return fetch()

        def test_future():
            loop = asyncio.new_event_loop()
            future = loop.create_future()
            loop.close()
            return future
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "never-awaited: 'test_forgotten' is a plain function that returned the coroutine 'fetch'; nothing awaited it.",
            "  test_it.py:6",
            "    def test_forgotten():",
            "Why: *",
            "Fix: Write 'async def test_forgotten' and await the call inside. If 'test_forgotten' is already",
            "async, one of its decorators hides it: have the decorator return an 'async def' function.",
            "*returned an awaitable (Future); nothing*",
        ]
    )
    result.stdout.no_fnmatch_line("*was never awaited*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_ordinary_failure_of_a_sync_test_is_untouched(run_project: RunProject) -> None:
    """``pytest.fail`` in a sync test shows the user's message and line."""
    result = run_project(
        test_it="""
        import pytest

        def test_fails():
            pytest.fail("on purpose")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Failed: on purpose", "test_it.py:4: Failed"])


def test_strict_mode_refuses_unmarked_tests(run_project: RunProject) -> None:
    """``asyncio_mode=strict`` runs marked async tests, and tells the others what to do."""
    result = run_project(
        ini="asyncio_mode = strict",
        test_it="""
        import pytest

        @pytest.mark.asyncio
        async def test_marked():
            pass

        async def test_unmarked():
            pass
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py:7: async test 'test_unmarked' has no 'asyncio' mark, and asyncio_mode=strict "
            "runs only marked tests; the mode is set by *",
            "Fix: mark it with @pytest.mark.asyncio, or set asyncio_mode=auto to run every async test.",
        ]
    )


def test_other_frameworks_tests_are_left_to_them(run_project: RunProject) -> None:
    """A test with another framework's mark or fixture is not run by aldente."""
    result = run_project(
        plugins=["anyio"],
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def tracked(anyio_backend):
            yield anyio_backend

        @pytest.mark.anyio
        async def test_anyio(tracked, anyio_backend_name):
            assert anyio_backend_name == "asyncio"
            assert "test_anyio" not in asyncio.current_task().get_name()

        async def test_own():
            assert asyncio.current_task().get_name() == "test_own"
        """,
        conftest="""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
        """,
    )
    result.assert_outcomes(passed=2)


def test_unclaimed_test_of_a_missing_framework_is_refused_by_pytest(
    run_project: RunProject,
) -> None:
    """A test marked for a framework that is not installed fails, instead of running on asyncio."""
    result = run_project(
        test_it="""
        import pytest

        pytestmark = pytest.mark.curio

        async def test_elsewhere():
            pass
        """,
        ini="markers = curio",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_a_value_returned_by_an_async_test_is_warned_about(run_project: RunProject) -> None:
    """Returning instead of asserting gets the same warning in an async test as in a sync one."""
    result = run_project(
        "-W",
        "default",
        test_it="""
        async def test_returns():
            return 1 == 2
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*Test functions should return None*"])


def test_an_async_test_that_returns_an_awaitable_fails(run_project: RunProject) -> None:
    """Returning a coroutine or async generator instead of awaiting it fails the async test."""
    result = run_project(
        test_it="""
        async def fetch():
            pass

        async def stream():
            yield

        async def test_coroutine():
            return fetch()

        async def test_generator():
            return stream()
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "never-awaited: 'test_coroutine' returned the coroutine 'fetch', and nothing awaited it.",
            "  test_it.py:7",
            "    async def test_coroutine():",
            "Fix: 'await' it in the test, and assert on its result.",
            "never-awaited: 'test_generator' returned the async generator 'stream', and nothing awaited it.",
        ]
    )
    result.stdout.no_fnmatch_line("*was never awaited*")


def test_loops_are_used_again(run_project: RunProject) -> None:
    """With all rules, tests that leave their loops like new share one, which saves making another."""
    result = run_project(
        "--aldente-strict",
        subprocess=True,
        conftest="""
        import asyncio

        made = []
        make = asyncio.SelectorEventLoop.__init__

        def count(self, *arguments):
            made.append(1)
            make(self, *arguments)

        asyncio.SelectorEventLoop.__init__ = count
        """,
        test_it="""
        import asyncio
        import pytest
        from conftest import made

        @pytest.fixture
        async def prepared():
            await asyncio.sleep(0)

        @pytest.mark.parametrize("number", range(5))
        async def test_plain(number):
            await asyncio.sleep(0.001)

        @pytest.mark.parametrize("number", range(5))
        async def test_with_fixture(number, prepared):
            await asyncio.create_task(asyncio.sleep(0))

        def test_last():
            # Not ten. One that the watchdog looks at as its test ends may not be used again.
            assert len(made) <= 5
        """,
    )
    result.assert_outcomes(passed=11)
