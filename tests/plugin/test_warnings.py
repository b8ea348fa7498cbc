"""Warnings about tests and fixtures are given with the user's line, whoever gives them."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.conftest import RunProject

METHODS = """
import pytest

def decorated(function):
    function.is_decorated = True
    return function

class TestIt:
    @pytest.fixture(scope="class")
    @decorated
    async def resource(self):
        yield 1

    @pytest.fixture(scope="class")
    @classmethod
    async def of_class(cls):
        yield cls

    @pytest.fixture
    async def narrow(self):
        return 2

    async def test_it(self, resource, of_class, narrow):
        assert (resource, of_class, narrow) == (1, TestIt, 2)
"""


@pytest.mark.skipif(pytest.version_tuple < (9, 1), reason="pytest does not warn of it")
def test_wide_fixtures_that_are_methods(run_project: RunProject) -> None:
    """What pytest deprecates of wide fixtures is told with the line of the fixture."""
    result = run_project("-W", "default", test_it=METHODS)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*test_it.py:8: PytestRemovedIn10Warning: Class-scoped fixtures defined as instance *"]
    )


@pytest.mark.skipif(pytest.version_tuple < (9, 1), reason="pytest does not warn of it")
def test_wide_fixtures_that_are_methods_where_warnings_are_errors(run_project: RunProject) -> None:
    """Then the error tells the line of the fixture, and shows no code of aldente's."""
    result = run_project(test_it=METHODS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*It is about resource() at *test_it.py:8."])
    result.stdout.no_fnmatch_line("*aldente*_plugin*")


def test_a_context_is_left_although_a_fixture_is_refused(run_project: RunProject) -> None:
    """A wide fixture that is refused leaves the context variables of the test as they were."""
    result = run_project(
        test_it="""
        import contextvars
        import pytest

        name = contextvars.ContextVar("name", default="nobody")

        @pytest.fixture
        def named():
            name.set("somebody")

        class TestIt:
            @pytest.fixture(scope="class")
            async def resource(self):
                yield 1

            async def test_refused(self, named, resource):
                pass

            async def test_later(self, named):
                assert name.get() == "somebody"

            async def test_last(self):
                assert name.get() == "nobody"

        def test_sync():
            assert name.get() == "nobody"
        """
    )
    refused = 1 if pytest.version_tuple >= (9, 1) else 0
    result.assert_outcomes(passed=4 - refused, errors=refused)


def test_a_test_that_returns_a_value(run_project: RunProject) -> None:
    """It is told with the line of the test."""
    result = run_project(
        "-W",
        "default",
        test_it="""
        async def test_it():
            return 1
        """,
    )
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.py:1: *Test functions should return None*"])


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="there are no policies")
def test_a_policy(run_project: RunProject) -> None:
    """That a fixture overrides event_loop_policy is told with its line."""
    result = run_project(
        "-W",
        "ignore::DeprecationWarning",
        "-W",
        "default::pytest.PytestDeprecationWarning",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        def event_loop_policy():
            return asyncio.DefaultEventLoopPolicy()

        async def test_it():
            pass
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ['*test_it.py:4: PytestDeprecationWarning: Overriding the "event_loop_policy" fixture *']
    )
