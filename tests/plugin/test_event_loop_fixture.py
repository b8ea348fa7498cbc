"""The fixture ``event_loop`` of pytest-asyncio up to 0.23, overridden or requested."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

_HINT = [
    "E *fixture 'event_loop' not found",
    "*pytest-asyncio had the fixture 'event_loop' up to 0.23; its newer versions and aldente have none.",
    "*Fix: remove it from the arguments. asyncio.get_running_loop() gives the loop inside an async test",
    "*or fixture; a sync test becomes 'async def', or calls asyncio.run().",
]


@pytest.mark.parametrize(
    "test",
    [
        "async def test_it(event_loop): pass",
        "def test_it(event_loop): pass",
        "class TestIt:\n    async def test_it(self, event_loop): pass",
        "import pytest\n@pytest.fixture\nasync def thing(event_loop): pass\n"
        "async def test_it(thing): pass",
        "import pytest\n@pytest.mark.usefixtures('event_loop')\nasync def test_it(): pass",
        "def test_it(request): request.getfixturevalue('event_loop')",
    ],
)
def test_a_request_gets_a_hint(run_project: RunProject, test: str) -> None:
    """pytest's "not found" is followed by what to use instead."""
    result = run_project(test_it=test)
    assert result.ret == 1
    result.stdout.fnmatch_lines(_HINT)


def test_other_missing_fixtures_get_no_hint(run_project: RunProject) -> None:
    """Only this one was pytest-asyncio's."""
    result = run_project(test_it="async def test_it(event_loops): pass")
    result.assert_outcomes(errors=1)
    result.stdout.no_fnmatch_line("*pytest-asyncio had*")


@pytest.mark.parametrize("scope", ["function", "session"])
def test_an_override_is_warned_of_at_its_line(run_project: RunProject, scope: str) -> None:
    """It does no harm, so the tests pass even where warnings are errors."""
    result = run_project(
        conftest=f"""
        import asyncio
        import pytest

        @pytest.fixture(scope="{scope}")
        def event_loop():
            loop = asyncio.new_event_loop()
            yield loop
            loop.close()
        """,
        test_it="""
        async def test_it():
            pass

        def test_sync(event_loop):
            event_loop.run_until_complete(test_it())
        """,
    )
    assert result.parseoutcomes() == {"passed": 2, "warnings": 1} or (
        result.parseoutcomes() == {"passed": 2, "warning": 1}
    )
    result.stdout.fnmatch_lines(
        [
            "*conftest.py:4: PytestWarning: The fixture 'event_loop' has no effect on async tests and "
            "fixtures: pytest-asyncio took their loop from it up to 0.23 only.",
            "*Fix: remove it.*For a loop of another kind, write the hook "
            "pytest_asyncio_loop_factories.",
        ]
    )
    share = "*for all tests to share it, set asyncio_default_test_loop_scope = session.*"
    if scope == "session":
        result.stdout.fnmatch_lines([share])
    else:
        result.stdout.no_fnmatch_line(share)


def test_an_override_without_async_tests_is_left_alone(run_project: RunProject) -> None:
    """A suite may call a fixture of its own so."""
    result = run_project(
        test_it="""
        import pytest

        @pytest.fixture
        def event_loop():
            return 1

        def test_it(event_loop):
            assert event_loop == 1
        """
    )
    assert result.parseoutcomes() == {"passed": 1}
