# conftest.py
import pytest
from aiohttp.test_utils import TestClient, TestServer

from notes import make_app


@pytest.fixture
async def client():
    async with TestClient(TestServer(make_app())) as client:
        yield client
