"""aiohttp's own plugin (``aiohttp.pytest_plugin``) runs the tests that its fixture ``loop`` claims."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

pytest.importorskip("aiohttp.pytest_plugin")


def test_its_tests_run_on_its_loop(run_project: RunProject) -> None:
    """Tests, sync ones too, and fixtures that use its loop are its own; all others are aldente's."""
    result = run_project(
        "-Wignore::DeprecationWarning",
        subprocess=True,
        conftest="""
        pytest_plugins = "aiohttp.pytest_plugin"
        """,
        test_it="""
        import asyncio
        import pytest
        from aiohttp import web

        @pytest.fixture
        async def client(aiohttp_client):
            async def hello(request):
                return web.Response(text="hello")
            application = web.Application()
            application.router.add_get("/", hello)
            return await aiohttp_client(application)

        async def test_client(client, loop):
            assert asyncio.get_running_loop() is loop
            assert await (await client.get("/")).text() == "hello"

        async def test_loop(loop):
            assert asyncio.get_running_loop() is loop

        def test_sync(loop):
            assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"

        class TestLoop:
            @pytest.fixture
            async def thing(self, loop):
                assert asyncio.get_running_loop() is loop
                yield 1
                assert asyncio.get_running_loop() is loop

            async def test_it(self, thing):
                assert thing == 1

        @pytest.fixture
        async def own():
            yield asyncio.get_running_loop()

        async def test_own(own):
            assert asyncio.get_running_loop() is own
        """,
    )
    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*aldente findings*")


def test_a_loop_of_the_suites_own_claims_nothing(run_project: RunProject) -> None:
    """A fixture ``loop`` from anywhere else is a fixture like others."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def loop():
            return asyncio.get_running_loop()

        async def test_it(loop):
            assert asyncio.get_running_loop() is loop
        """
    )
    result.assert_outcomes(passed=1)
