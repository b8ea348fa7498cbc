"""pytest-aiohttp, which needs pytest-asyncio: it is content with aldente, beside it or in its place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.plugin.conftest import RunProject

# Where pytest-aiohttp is, so is pytest-asyncio, unless somebody has taken it out.
pytest.importorskip("pytest_aiohttp")
pytest.importorskip("pytest_asyncio")

# With the plugin of pytest-asyncio not loaded, loaded after aldente, and before it.
_BESIDE = pytest.mark.parametrize(
    ("before", "plugins"),
    [([], ["aiohttp"]), ([], ["asyncio", "aiohttp"]), (["-p", "asyncio"], ["aiohttp"])],
    ids=["alone", "before-asyncio", "after-asyncio"],
)

_APP = """
import asyncio
from aiohttp import web

async def greet(request):
    await asyncio.sleep(0)
    return web.Response(text="hello")

def make_app():
    app = web.Application()
    app.router.add_get("/", greet)
    return app
"""


@_BESIDE
def test_client_fixture_in_auto_mode(
    run_project: RunProject, before: Sequence[str], plugins: Sequence[str]
) -> None:
    """``aiohttp_client`` serves a real application to async tests and fixtures."""
    result = run_project(
        *before,
        plugins=plugins,
        ini="asyncio_mode = auto",
        subprocess=True,
        app=_APP,
        test_it="""
        import pytest
        from app import make_app

        @pytest.fixture
        async def client(aiohttp_client):
            return await aiohttp_client(make_app())

        async def test_fixture(client):
            assert await (await client.get("/")).text() == "hello"

        async def test_direct(aiohttp_client, aiohttp_server):
            client = await aiohttp_client(await aiohttp_server(make_app()))
            response = await client.get("/")
            assert response.status == 200
        """,
    )
    result.assert_outcomes(passed=2)


@_BESIDE
def test_client_fixture_in_strict_mode(
    run_project: RunProject, before: Sequence[str], plugins: Sequence[str]
) -> None:
    """In strict mode the fixtures of pytest-aiohttp, made with pytest-asyncio's decorator, run."""
    result = run_project(
        *before,
        plugins=plugins,
        ini="asyncio_mode = strict",
        subprocess=True,
        app=_APP,
        test_it="""
        import pytest
        import pytest_asyncio
        from app import make_app

        @pytest_asyncio.fixture
        async def client(aiohttp_client):
            return await aiohttp_client(make_app())

        @pytest.mark.asyncio
        async def test_marked(client):
            assert await (await client.get("/")).text() == "hello"

        async def test_unmarked(client):
            pass
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*async test 'test_unmarked' has no 'asyncio' mark*"])


def test_legacy_mode_becomes_auto(run_project: RunProject) -> None:
    """``asyncio_mode = legacy`` is made ``auto`` by pytest-aiohttp, with its deprecation warning."""
    result = run_project(
        "-W",
        "ignore:The 'asyncio_mode' is 'legacy':DeprecationWarning",
        plugins=["aiohttp"],
        ini="asyncio_mode = legacy",
        subprocess=True,
        app=_APP,
        test_it="""
        from app import make_app

        async def test_unmarked(aiohttp_client):
            client = await aiohttp_client(make_app())
            assert (await client.get("/")).status == 200
        """,
    )
    result.assert_outcomes(passed=1)
