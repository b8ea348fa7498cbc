# conftest.py
import pytest
from httpx import ASGITransport, AsyncClient

from app import app


@pytest.fixture
async def client():
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test") as client,
    ):
        yield client
    app.dependency_overrides.clear()
