# conftest.py
import asyncio

import fakeredis
import pytest


class RedisAfterAWhile(fakeredis.FakeAsyncRedis):
    async def execute_command(self, *args, **options):
        await asyncio.sleep(0.1)
        return await super().execute_command(*args, **options)


@pytest.fixture
async def redis():
    server = fakeredis.FakeServer()
    async with fakeredis.FakeAsyncRedis(server=server, decode_responses=True) as client:
        yield client


@pytest.fixture
async def slow_redis():
    async with RedisAfterAWhile(server=fakeredis.FakeServer()) as client:
        yield client
