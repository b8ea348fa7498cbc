# test_hello.py
from httpx import ASGITransport, AsyncClient

from app import app


async def test_hello():
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/hello")
    assert response.json() == {"hello": "world"}
