# conftest.py
import asyncio

import aldente
import httpx
import pytest


@pytest.fixture
def http():
    tokens = []

    async def post(url):
        await asyncio.sleep(0.1)
        tokens.append(f"token {len(tokens)}")
        return httpx.Response(200, text=tokens[-1])

    async def get(url, headers):
        await asyncio.sleep(0.1)
        is_valid = headers["Authorization"] == f"Bearer {tokens[-1]}"
        return httpx.Response(200, text="ok") if is_valid else httpx.Response(401, text="invalid")

    http = aldente.Double(httpx.AsyncClient)
    http.post.calls(post)
    http.get.calls(get)
    return http
