# conftest.py
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bank import Account, Base


@asynccontextmanager
async def an_engine(folder, **connect_args):
    url = f"sqlite+aiosqlite:///{folder}/bank.db"
    engine = create_async_engine(url, connect_args=connect_args)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def engine(tmp_path_factory):
    async with an_engine(tmp_path_factory.mktemp("database"), autocommit=False) as engine:
        yield engine


@pytest.fixture
async def session(engine):
    async with engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            session.add(Account(name="ann"))
            await session.commit()
            yield session
        await transaction.rollback()


@pytest.fixture
async def sessions(tmp_path):
    async with an_engine(tmp_path) as engine:
        sessions = async_sessionmaker(engine)
        async with sessions.begin() as session:
            session.add(Account(name="ann"))
        yield sessions
