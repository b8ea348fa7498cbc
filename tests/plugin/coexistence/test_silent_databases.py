"""Async drivers of databases and their pools: no rule has anything to say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.coexistence.conftest import CheckSilent
from tests.plugin.conftest import RunProject


def test_aiosqlite(check_silent: CheckSilent) -> None:
    """Connections of aiosqlite, in a test, a fixture and a fixture of the session."""
    pytest.importorskip("aiosqlite")
    check_silent(
        conftest="""
        import aiosqlite
        import pytest

        @pytest.fixture
        async def connection(tmp_path):
            async with aiosqlite.connect(tmp_path / "test.db") as connection:
                await connection.execute("create table people (name text)")
                yield connection

        @pytest.fixture(scope="session")
        async def shared():
            connection = await aiosqlite.connect(":memory:")
            await connection.execute("create table people (name text)")
            yield connection
            await connection.close()
        """,
        test_it="""
        import asyncio
        import sqlite3
        import aiosqlite
        import pytest

        async def test_insert(connection):
            await connection.execute("insert into people values (?)", ["ann"])
            await connection.commit()
            async with connection.execute("select name from people") as cursor:
                assert [row async for row in cursor] == [("ann",)]

        async def test_left_early(connection):
            await connection.executemany("insert into people values (?)", [["a"], ["b"]])
            async with connection.execute("select name from people") as cursor:
                async for row in cursor:
                    break

        async def test_error(connection):
            with pytest.raises(sqlite3.OperationalError):
                await connection.execute("select * from nothing")

        async def test_rollback(connection):
            await connection.execute("insert into people values ('ann')")
            await connection.rollback()
            cursor = await connection.execute("select count(*) from people")
            assert await cursor.fetchone() == (0,)
            await cursor.close()

        @pytest.mark.parametrize("name", "abc")
        async def test_shared(shared, name):
            await shared.execute("insert into people values (?)", [name])
            async with shared.execute("select name from people") as cursor:
                assert (name,) in await cursor.fetchall()

        async def test_several_at_once(tmp_path):
            async def count(number):
                async with aiosqlite.connect(tmp_path / f"{number}.db") as connection:
                    async with connection.execute("select ?", [number]) as cursor:
                        return (await cursor.fetchone())[0]

            assert await asyncio.gather(*map(count, range(5))) == [0, 1, 2, 3, 4]

        async def test_cancelled(connection):
            query = asyncio.create_task(connection.execute_fetchall("select 1"))
            await asyncio.sleep(0)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await connection.execute_fetchall("select 1") == [(1,)]

        def test_sync(shared):
            assert shared.total_changes == 3
        """,
        passed=10,
    )


# A project's module: two tables by SQLAlchemy's means.
_MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

class Base(DeclarativeBase):
    pass

class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    pets: Mapped[list["Pet"]] = relationship(lazy="selectin")

class Pet(Base):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
"""


@pytest.mark.parametrize("scope", ["function", "session"])
def test_sqlalchemy(check_silent: CheckSilent, scope: str) -> None:
    """An async engine that is disposed of, of any scope, with sessions in transactions of tests."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("aiosqlite")
    check_silent(
        ini="pythonpath = .",
        models=_MODELS,
        conftest="""
        import pytest
        from models import Base
        from sqlalchemy import event
        from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

        @pytest.fixture(scope=SCOPE)
        async def engine(tmp_path_factory):
            path = tmp_path_factory.mktemp("database") / "test.db"
            engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=3)

            # The module sqlite3 begins transactions too late for savepoints.
            @event.listens_for(engine.sync_engine, "connect")
            def leave_transactions_alone(connection, record):
                connection.isolation_level = None

            @event.listens_for(engine.sync_engine, "begin")
            def begin(connection):
                connection.exec_driver_sql("begin")

            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            yield engine
            await engine.dispose()

        @pytest.fixture
        async def session(engine):
            # The transaction of the test is rolled back, whatever it has committed.
            async with engine.connect() as connection:
                transaction = await connection.begin()
                async with AsyncSession(
                    connection,
                    expire_on_commit=False,
                    join_transaction_mode="create_savepoint",
                ) as session:
                    yield session
                await transaction.rollback()

        @pytest.fixture
        def make_session(engine):
            return async_sessionmaker(engine, expire_on_commit=False)
        """.replace("SCOPE", repr(scope)),
        test_it="""
        import asyncio
        import pytest
        from models import Person, Pet
        from sqlalchemy import func, select, text
        from sqlalchemy.exc import IntegrityError, MissingGreenlet

        @pytest.mark.parametrize("name", ["ann", "bob"])
        async def test_insert(session, name):
            session.add(Person(name=name, pets=[Pet(name="rex")]))
            await session.commit()
            person = (await session.scalars(select(Person))).one()
            assert [person.name, person.pets[0].name] == [name, "rex"]

        async def test_rolled_back(session):
            assert await session.scalar(select(func.count()).select_from(Person)) == 0

        async def test_stream(session):
            session.add_all(Person(name=name) for name in "abc")
            await session.flush()
            result = await session.stream_scalars(select(Person.name).order_by(Person.name))
            assert [name async for name in result] == ["a", "b", "c"]

        async def test_stream_left_early(session):
            session.add_all(Person(name=name) for name in "abc")
            await session.flush()
            result = await session.stream_scalars(select(Person.name))
            async for name in result:
                break
            await result.close()

        async def test_error(session):
            session.add(Pet(name="rex", owner_id=None))
            with pytest.raises(IntegrityError):
                await session.flush()
            await session.rollback()

        async def test_pool(engine):
            async def answer(number):
                async with engine.connect() as connection:
                    return await connection.scalar(text(f"select {number}"))

            assert await asyncio.gather(*map(answer, range(8))) == list(range(8))

        async def test_nested(session):
            async with session.begin_nested():
                session.add(Person(name="ann"))
            assert await session.scalar(select(func.count()).select_from(Person)) == 1

        async def test_sessionmaker(make_session):
            async with make_session() as session, session.begin():
                person = Person(name="ann")
                session.add(person)
            async with make_session.begin() as session:
                await session.delete(await session.get(Person, person.id))

        async def test_cancelled(engine):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    async with engine.connect() as connection:
                        await connection.scalar(text("select 1"))

        async def test_sync_function(session):
            session.add(Person(name="ann"))
            await session.flush()
            assert await session.run_sync(lambda sync: sync.query(Person).count()) == 1
        """,
        passed=11,
    )


# A project's module: a client and a server of a small line protocol, on transports as asyncpg is.
_LINES = """
import asyncio
import contextlib

class ServerProtocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""
        self.tasks = set()

    def data_received(self, data):
        *lines, self.buffer = (self.buffer + data).split(b"\\n")
        for line in lines:
            task = asyncio.get_running_loop().create_task(self.answer(line))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def connection_lost(self, error):
        for task in self.tasks:
            task.cancel()

    async def answer(self, line):
        if line == b"slow":
            await asyncio.sleep(60)
        await asyncio.sleep(0)
        self.transport.write(line.upper() + b"\\n")

class ClientProtocol(asyncio.Protocol):
    def __init__(self):
        self.waiting = []
        self.buffer = b""
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        *lines, self.buffer = (self.buffer + data).split(b"\\n")
        for line in lines:
            future = self.waiting.pop(0)
            if not future.done():
                future.set_result(line.decode())

    def connection_lost(self, error):
        for future in self.waiting:
            if not future.done():
                future.set_exception(error or ConnectionError("closed"))
        self.lost.set_result(None)

    async def ask(self, question):
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.transport.write(question.encode() + b"\\n")
        return await future

    async def close(self):
        self.transport.close()
        await self.lost

class Pool:
    def __init__(self, host, port, size=3):
        self.address = host, port
        self.free = asyncio.LifoQueue()
        self.size = size
        self.all = []
        self.janitor = None

    async def __aenter__(self):
        for _ in range(self.size):
            loop = asyncio.get_running_loop()
            _, protocol = await loop.create_connection(ClientProtocol, *self.address)
            self.all.append(protocol)
            self.free.put_nowait(protocol)
        self.janitor = asyncio.create_task(self.keep_alive())
        return self

    async def keep_alive(self):
        while True:
            await asyncio.sleep(0.01)
            if not self.free.empty():
                async with self.acquire() as connection:
                    await connection.ask("ping")

    @contextlib.asynccontextmanager
    async def acquire(self):
        connection = await self.free.get()
        try:
            yield connection
        finally:
            self.free.put_nowait(connection)

    async def __aexit__(self, *error):
        self.janitor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.janitor
        await asyncio.gather(*(connection.close() for connection in self.all))

@contextlib.asynccontextmanager
async def serve():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(ServerProtocol, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()
"""


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_a_pool_of_connections(check_silent: CheckSilent, scope: str) -> None:
    """A client and server of protocols and transports, with a pool, a keep-alive task, and time-outs."""
    check_silent(
        ini="pythonpath = .",
        lines=_LINES,
        conftest="""
        import pytest
        from lines import Pool, serve

        @pytest.fixture(scope=SCOPE)
        async def address():
            async with serve() as address:
                yield address

        @pytest.fixture(scope=SCOPE)
        async def pool(address):
            async with Pool(*address) as pool:
                yield pool
        """.replace("SCOPE", repr(scope)),
        test_it="""
        import asyncio
        import pytest
        from lines import ClientProtocol, Pool

        @pytest.mark.parametrize("number", range(5))
        async def test_ask(pool, number):
            async with pool.acquire() as connection:
                assert await connection.ask(f"n{number}") == f"N{number}"

        async def test_at_once(pool):
            async def ask(number):
                async with pool.acquire() as connection:
                    return await connection.ask(f"n{number}")

            assert await asyncio.gather(*map(ask, range(20))) == [f"N{n}" for n in range(20)]

        async def test_idle(pool):
            await asyncio.sleep(0.03)

        async def test_pool_inside(address):
            async with Pool(*address, size=1) as pool, pool.acquire() as connection:
                assert await connection.ask("x") == "X"

        async def test_slow(address):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(ClientProtocol, *address)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await connection.ask("slow")
            await connection.close()

        async def test_closed_while_asking(address):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(ClientProtocol, *address)
            asking = asyncio.create_task(connection.ask("slow"))
            await asyncio.sleep(0)
            await connection.close()
            with pytest.raises(ConnectionError):
                await asking

        def test_sync(pool):
            assert len(pool.all) == 3
        """,
        passed=11,
    )


def test_asyncpg(check_silent: CheckSilent, postgres: Path) -> None:
    """Connections and pools of asyncpg, of a test and of the session, against PostgreSQL."""
    pytest.importorskip("asyncpg")
    check_silent(
        conftest=f"""
        import asyncpg
        import pytest

        SERVER = {{"host": {str(postgres)!r}, "user": "aldente", "database": "postgres"}}

        @pytest.fixture
        async def connection():
            connection = await asyncpg.connect(**SERVER)
            yield connection
            await connection.close()

        @pytest.fixture(scope="session")
        async def pool():
            async with asyncpg.create_pool(min_size=1, max_size=4, **SERVER) as pool:
                yield pool
        """,
        test_it="""
        import asyncio
        import asyncpg
        import pytest

        async def test_query(connection):
            assert await connection.fetchval("select 1 + $1::int", 1) == 2

        async def test_cursor_left_early(connection):
            async with connection.transaction():
                async for row in connection.cursor("select generate_series(1, 100)"):
                    break

        @pytest.mark.parametrize("number", range(3))
        async def test_pool(pool, number):
            async with pool.acquire() as connection, connection.transaction():
                assert await connection.fetchval("select $1::int", number) == number

        async def test_grows(pool):
            queries = (pool.fetchval("select $1::int from pg_sleep(0.01)", n) for n in range(8))
            assert await asyncio.gather(*queries) == list(range(8))

        async def test_timeout(pool):
            with pytest.raises(TimeoutError):
                await pool.fetchval("select pg_sleep(60)", timeout=0.01)

        async def test_cancelled(connection):
            query = asyncio.create_task(connection.fetchval("select pg_sleep(60)"))
            await asyncio.sleep(0.01)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await connection.fetchval("select 1") == 1

        async def test_error(pool):
            with pytest.raises(asyncpg.UndefinedTableError):
                await pool.fetch("select * from nothing")

        async def test_listen(connection, pool):
            heard = asyncio.Queue()

            def listener(*event):
                heard.put_nowait(event)

            await connection.add_listener("channel", listener)
            await pool.execute("notify channel, 'hello'")
            assert (await heard.get())[-1] == "hello"
            await connection.remove_listener("channel", listener)
        """,
        passed=10,
    )


def test_a_statement_that_runs_when_a_loop_ends(run_project: RunProject) -> None:
    """A connection is looked at while SQLite runs a function in Python: neither waits for the other."""
    pytest.importorskip("aiosqlite")
    result = run_project(
        # Its thread finds the loop closed.
        *("-W", "ignore"),
        subprocess=True,
        test_it="""
        import asyncio
        import threading
        import time
        import aiosqlite

        async def test_it():
            begun = threading.Event()

            def slow():
                begun.set()
                time.sleep(1)
                return 1

            connection = await aiosqlite.connect(":memory:")
            await connection.create_function("slow", 0, slow)
            statement = asyncio.ensure_future(connection.execute("select slow()"))
            await asyncio.to_thread(begun.wait)
            statement.cancel()
        """,
    )
    result.stdout.fnmatch_lines(["leaked-resource *: 1"])
    result.assert_outcomes(passed=1)
