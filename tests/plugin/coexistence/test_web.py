"""Web frameworks and HTTP clients: servers, clients and their mocks on the tests' loops."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject


def test_aiohttp_server_serves_a_module(run_project: RunProject) -> None:
    """A module-scoped async fixture runs an aiohttp server, which answers in all of its tests."""
    pytest.importorskip("aiohttp")
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio
        import pytest
        from aiohttp import web
        from aiohttp.test_utils import TestClient, TestServer

        async def greet(request):
            await asyncio.sleep(0)
            return web.json_response({"hello": request.match_info["name"]})

        @pytest.fixture(scope="module")
        async def client():
            app = web.Application()
            app.router.add_get("/{name}", greet)
            async with TestClient(TestServer(app)) as client:
                yield client

        @pytest.mark.parametrize("name", ["ann", "bob"])
        async def test_greets(client, name):
            response = await client.get(f"/{name}")
            assert await response.json() == {"hello": name}
        """,
    )
    result.assert_outcomes(passed=2)


def test_httpx_mock_answers_async_clients(run_project: RunProject) -> None:
    """pytest-httpx answers requests of async tests, and fails one that does not make its request."""
    pytest.importorskip("pytest_httpx")
    result = run_project(
        plugins=["pytest_httpx"],
        subprocess=True,
        test_it="""
        import httpx
        import pytest

        @pytest.fixture
        async def client():
            async with httpx.AsyncClient() as client:
                yield client

        async def test_answers(httpx_mock, client):
            httpx_mock.add_response(json={"answer": 42})
            assert (await client.get("https://example.com")).json() == {"answer": 42}
            assert str(httpx_mock.get_request().url) == "https://example.com"

        async def test_callback(httpx_mock, client):
            async def reply(request):
                return httpx.Response(200, text=request.url.path)

            httpx_mock.add_callback(reply)
            assert (await client.get("https://example.com/path")).text == "/path"

        async def test_no_request(httpx_mock):
            httpx_mock.add_response()
        """,
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_no_request*"])


def test_respx_answers_async_clients(run_project: RunProject) -> None:
    """respx answers requests of async tests by fixture and by decorator."""
    pytest.importorskip("respx")
    result = run_project(
        plugins=["respx"],
        subprocess=True,
        test_it="""
        import httpx
        import pytest
        import respx

        @pytest.fixture
        async def client():
            async with httpx.AsyncClient(base_url="https://example.com") as client:
                yield client

        async def test_fixture(respx_mock, client):
            route = respx_mock.get("https://example.com/").respond(json={"answer": 42})
            assert (await client.get("/")).json() == {"answer": 42}
            assert route.call_count == 1

        @respx.mock
        async def test_decorator(client):
            respx.get("https://example.com/").mock(side_effect=httpx.ConnectError)
            with pytest.raises(httpx.ConnectError):
                await client.get("/")

        @pytest.mark.respx(base_url="https://example.com")
        async def test_marked(respx_mock, client):
            respx_mock.get("/").respond(204)
            assert (await client.get("/")).status_code == 204
        """,
    )
    result.assert_outcomes(passed=3)


_DJANGO = {
    "settings": """
    SECRET_KEY = "secret"
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
    ROOT_URLCONF = "urls"
    USE_TZ = True
    """,
    "urls": """
    import asyncio
    from django.contrib.auth.models import User
    from django.http import JsonResponse
    from django.urls import path

    async def users(request):
        await asyncio.sleep(0)
        names = [user.username async for user in User.objects.order_by("username")]
        return JsonResponse({"users": names})

    urlpatterns = [path("users/", users)]
    """,
}
_DJANGO_INI = "DJANGO_SETTINGS_MODULE = settings\npythonpath = ."


def test_django_async_views_and_models(run_project: RunProject) -> None:
    """Async views and models of Django work in async tests; each begins with an empty database."""
    pytest.importorskip("pytest_django")
    pytest.importorskip("django")
    result = run_project(
        plugins=["django"],
        ini=_DJANGO_INI,
        subprocess=True,
        **_DJANGO,
        test_it="""
        import pytest
        from django.contrib.auth.models import User
        from django.test import AsyncClient

        pytestmark = pytest.mark.django_db(transaction=True)

        @pytest.fixture
        async def ann(transactional_db):
            return await User.objects.acreate(username="ann")

        @pytest.fixture
        def bob(transactional_db):
            return User.objects.create(username="bob")

        async def test_client(ann, bob, async_client):
            response = await async_client.get("/users/")
            assert response.json() == {"users": ["ann", "bob"]}

        async def test_empty_again():
            response = await AsyncClient().get("/users/")
            assert response.json() == {"users": []}

        def test_sync_client(ann, client):
            assert client.get("/users/").json() == {"users": ["ann"]}

        async def test_updates(ann):
            ann.username = "anna"
            await ann.asave()
            assert await User.objects.aget() == ann
        """,
    )
    result.assert_outcomes(passed=4)


def test_django_guards_its_database(run_project: RunProject) -> None:
    """Django's guards hold in async tests: no database without the mark, none from the loop itself."""
    pytest.importorskip("pytest_django")
    pytest.importorskip("django")
    result = run_project(
        plugins=["django"],
        ini=_DJANGO_INI,
        subprocess=True,
        **_DJANGO,
        test_it="""
        import pytest
        from django.contrib.auth.models import User
        from django.core.exceptions import SynchronousOnlyOperation

        async def test_unmarked():
            with pytest.raises(RuntimeError, match="Database access not allowed"):
                await User.objects.acount()

        @pytest.mark.django_db(transaction=True)
        async def test_blocking():
            with pytest.raises(SynchronousOnlyOperation):
                User.objects.count()

        @pytest.mark.django_db
        def test_sync():
            assert User.objects.count() == 0
        """,
    )
    result.assert_outcomes(passed=3)
