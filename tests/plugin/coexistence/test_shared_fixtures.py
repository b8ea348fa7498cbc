"""Async fixtures of wide scope that tests of aldente and of anyio share."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

_CONFTEST = """
    import pytest

    @pytest.fixture(scope="{scope}")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture(scope="{scope}")
    async def database():
        return {{}}

    @pytest.fixture(scope="{scope}")
    async def generator():
        yield {{}}
"""


@pytest.mark.parametrize("scope", ["module", "session"])
@pytest.mark.parametrize("fixture", ["database", "generator"])
@pytest.mark.parametrize("first", ["anyio", "aldente"])
def test_the_second_framework_is_refused(
    run_project: RunProject, scope: str, fixture: str, first: str
) -> None:
    """The error is one of set-up, and names the fixture, both plugins and the test that was first."""
    marks = {"anyio": "@pytest.mark.anyio", "aldente": ""}
    second = "aldente" if first == "anyio" else "anyio"
    result = run_project(
        "-p",
        "no:randomly",
        plugins=["anyio"],
        conftest=_CONFTEST.format(scope=scope),
        test_it=f"""
        import pytest

        {marks[first]}
        async def test_first({fixture}):
            pass

        def test_sync({fixture}):
            pass

        {marks[second]}
        async def test_second({fixture}):
            pass

        {marks[first]}
        async def test_again({fixture}):
            pass
        """,
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_second*",
            f"'test_second*' is run by {second}, and its async fixture '{fixture}' (conftest.py:*), of "
            f"scope '{scope}', lives on the event loop of {first}, which set it up for "
            "test_it.py::test_first*.",
            "What it holds, such as a connection or a lock, works on that loop only.",
            "Fix: let one of the two plugins run all tests that request the fixture: give all of them anyio's mark, or "
            "none. Or write a fixture for each.",
        ]
    )


def test_what_is_not_shared_is_left_alone(run_project: RunProject) -> None:
    """Narrow fixtures, sync ones, and a wide one that was torn down in between, serve both."""
    result = run_project(
        "-p",
        "no:randomly",
        plugins=["anyio"],
        conftest=_CONFTEST.format(scope="class")
        + """
    @pytest.fixture(scope="session")
    def url():
        return "localhost"

    @pytest.fixture
    async def narrow():
        return 1
""",
        test_it="""
        import pytest

        @pytest.mark.anyio
        class TestAnyio:
            async def test_it(self, database, url, narrow):
                pass

        class TestAldente:
            async def test_it(self, database, url, narrow):
                pass

        @pytest.mark.anyio
        class TestAnyioAgain:
            async def test_it(self, database, url, narrow):
                pass
        """,
    )
    result.assert_outcomes(passed=3)
