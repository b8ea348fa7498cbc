# conftest.py
import os

import asyncpg
import pytest

from store import SCHEMA


@pytest.fixture(scope="session")
async def pool():
    if "TEST_DSN" not in os.environ:
        pytest.skip("TEST_DSN has no database for tests, such as postgres://localhost/test")
    async with asyncpg.create_pool(os.environ["TEST_DSN"], min_size=1) as pool:
        yield pool


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(SCHEMA)
        yield connection
        await transaction.rollback()
